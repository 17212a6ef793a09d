//! Watermarks as the outside sees them: sealed, so that they do not show how much others send.
//!
//! One watermark always has one text, on every server of a database and after every restart.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::Timestamp;
use domain::export::AsOf;
use hmac::{Hmac, KeyInit, Mac};
use metadata::{Metadata, ServerKey};
use sha2::Sha256;

use crate::auth::sha256;

/// Name of the key in the database.
const KEY: &str = "watermarks";
/// First character of sealed texts.
const SEALED: &str = "2";
/// First character of the texts of earlier releases, which show what they hold.
const OPEN: &str = "1";
/// Bytes of a watermark: sequence, revision and microseconds.
const NUMBERS: usize = 24;
/// Bytes of the tag, which proves a text and starts the key stream.
const TAG: usize = 16;
/// Digits of a number in an open text.
const NUMBER_DIGITS: usize = 16;
/// Digits that guard an open text against typing errors.
const GUARD_DIGITS: usize = 8;

/// Seals watermarks with a key that the servers of a database share.
///
/// The tag is an HMAC of the numbers, and the numbers are hidden by an HMAC of the tag: equal
/// watermarks give equal texts, others unlike ones, and nobody else makes a valid one.
pub struct Seal {
    watermarks: Keys,
    places: Keys,
    since: Timestamp,
}

/// The two keys of one kind of texts.
struct Keys {
    tag: [u8; 32],
    stream: [u8; 32],
}

impl fmt::Debug for Seal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Seal")
    }
}

impl Seal {
    /// The seal of a database, whose key is made when it is first needed.
    pub async fn of(metadata: &Metadata, now: Timestamp) -> metadata::Result<Self> {
        Ok(Self::new(&metadata.server_key(KEY, now).await?))
    }

    fn new(key: &ServerKey) -> Self {
        let keys = |tag: &[u8], stream: &[u8]| Keys {
            tag: mac(&key.secret, tag),
            stream: mac(&key.secret, stream),
        };
        Self {
            watermarks: keys(b"tag", b"stream"),
            places: keys(b"tag of places", b"stream of places"),
            since: key.made_at,
        }
    }

    /// From when on watermarks are sealed; open texts of earlier ones were given out.
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// The text of a watermark: 55 characters of base64url.
    pub fn text(&self, as_of: AsOf) -> String {
        let micros = as_of.time.as_microsecond().cast_unsigned();
        let numbers = [as_of.sequence, as_of.revision, micros];
        format!("{SEALED}{}", self.watermarks.seal(numbers))
    }

    /// Reads a sealed text of this key.
    pub fn read(&self, text: &str) -> Option<AsOf> {
        let [sequence, revision, micros] = self.watermarks.open(text.strip_prefix(SEALED)?)?;
        as_of(sequence, revision, micros)
    }

    /// The text of an event's place in a list: its time and its sequence, which others may not see.
    pub fn place_text(&self, time: Timestamp, sequence: u64) -> String {
        let seconds = time.as_second().cast_unsigned();
        let nanoseconds = u64::from(time.subsec_nanosecond().unsigned_abs());
        self.places.seal([sequence, seconds, nanoseconds])
    }

    /// Reads the text of a place.
    pub fn read_place(&self, text: &str) -> Option<(Timestamp, u64)> {
        let [sequence, seconds, nanoseconds] = self.places.open(text)?;
        let nanoseconds = i32::try_from(nanoseconds).ok()?;
        let seconds = seconds.cast_signed();
        let nanoseconds = if seconds < 0 {
            -nanoseconds
        } else {
            nanoseconds
        };
        Some((Timestamp::new(seconds, nanoseconds).ok()?, sequence))
    }
}

impl Keys {
    /// The text of numbers in base64url.
    fn seal(&self, numbers: [u64; 3]) -> String {
        let mut bytes = [0; NUMBERS];
        for (place, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_be_bytes());
        }
        let mut numbers = bytes;
        let mut sealed = [0; TAG + NUMBERS];
        let tag = mac(&self.tag, &numbers);
        sealed[..TAG].copy_from_slice(&tag[..TAG]);
        self.hide(&mut numbers, &tag[..TAG]);
        sealed[TAG..].copy_from_slice(&numbers);
        URL_SAFE_NO_PAD.encode(sealed)
    }

    fn open(&self, text: &str) -> Option<[u64; 3]> {
        let sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (tag, hidden) = sealed.split_at_checked(TAG)?;
        let mut numbers: [u8; NUMBERS] = hidden.try_into().ok()?;
        self.hide(&mut numbers, tag);
        let hmac = Hmac::<Sha256>::new_from_slice(&self.tag).ok()?;
        let proof = hmac.chain_update(numbers);
        proof.verify_truncated_left(tag).ok()?;
        let number = |at: usize| {
            Some(u64::from_be_bytes(
                numbers.get(at..at + 8)?.try_into().ok()?,
            ))
        };
        Some([number(0)?, number(8)?, number(16)?])
    }

    /// Hides numbers, or shows hidden ones.
    fn hide(&self, numbers: &mut [u8; NUMBERS], tag: &[u8]) {
        let stream = mac(&self.stream, tag);
        for (byte, other) in numbers.iter_mut().zip(stream) {
            *byte ^= other;
        }
    }
}

/// Reads a text of an earlier release. Anybody can make one: only those that were given out count.
pub fn read_open(text: &str) -> Option<AsOf> {
    let rest = text.strip_prefix(OPEN)?;
    let (numbers, given) = rest.split_at_checked(3 * NUMBER_DIGITS)?;
    let digest = sha256(numbers);
    let digits = digest.map(|byte| format!("{byte:02x}")).concat();
    if digits[..GUARD_DIGITS] != *given {
        return None;
    }
    let number = |index: usize| {
        let digits = numbers.get(index * NUMBER_DIGITS..(index + 1) * NUMBER_DIGITS)?;
        u64::from_str_radix(digits, 16).ok()
    };
    as_of(number(0)?, number(1)?, number(2)?)
}

fn as_of(sequence: u64, revision: u64, micros: u64) -> Option<AsOf> {
    let micros = i64::try_from(micros).ok()?;
    Some(AsOf {
        sequence,
        revision,
        time: Timestamp::from_microsecond(micros).ok()?,
    })
}

fn mac(key: &[u8; 32], text: &[u8]) -> [u8; 32] {
    let hmac = Hmac::<Sha256>::new_from_slice(key).expect("a key may have any length");
    hmac.chain_update(text).finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(byte: u8) -> Seal {
        Seal::new(&ServerKey {
            secret: [byte; 32],
            made_at: Timestamp::UNIX_EPOCH,
        })
    }

    fn watermark(sequence: u64) -> AsOf {
        AsOf {
            sequence,
            revision: 7,
            time: "2026-06-01T12:00:00.000001Z".parse().unwrap(),
        }
    }

    #[test]
    fn a_sealed_watermark_has_one_text_that_nobody_else_makes() {
        let seal = seal(7);
        let text = seal.text(watermark(12_345));
        assert!(text.len() <= 64, "{text}");
        assert_eq!(self::seal(7).text(watermark(12_345)), text);
        assert_eq!(seal.read(&text), Some(watermark(12_345)));
        assert_eq!(self::seal(8).read(&text), None);
        for at in 0..text.len() {
            let other = if text.as_bytes()[at] == b'A' {
                "B"
            } else {
                "A"
            };
            let mut changed = text.clone();
            changed.replace_range(at..=at, other);
            assert_eq!(seal.read(&changed), None, "{changed}");
        }
        for bad in [&text[1..], &text[..54], "", "é", "2", "1"] {
            assert_eq!(seal.read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_place_is_sealed_apart_from_watermarks() {
        let seal = seal(7);
        for time in [
            "2026-06-01T12:00:00.000000001Z",
            "1950-06-01T12:00:00.999999999Z",
        ] {
            let time: Timestamp = time.parse().unwrap();
            let text = seal.place_text(time, 9);
            assert_eq!(seal.read_place(&text), Some((time, 9)));
            assert_eq!(seal.read(&format!("{SEALED}{text}")), None);
            assert_eq!(self::seal(8).read_place(&text), None);
        }
        let watermark = seal.text(watermark(9));
        assert_eq!(seal.read_place(&watermark[1..]), None);
    }

    #[test]
    fn neighbours_look_unlike() {
        let seal = seal(7);
        let (one, two) = (seal.text(watermark(1)), seal.text(watermark(2)));
        let same = one.bytes().zip(two.bytes()).filter(|(one, two)| one == two);
        assert!(same.count() < 12, "{one} {two}");
    }

    #[test]
    fn texts_of_earlier_releases_are_read() {
        let text = "1000000000000303900000000000000070006535f2a2c1001";
        assert_eq!(read_open(text), None, "its guard is missing");
        let numbers = &text[1..];
        let guard = sha256(numbers).map(|byte| format!("{byte:02x}")).concat();
        let read = read_open(&format!("{text}{}", &guard[..8])).unwrap();
        assert_eq!((read.sequence, read.revision), (12_345, 7));
        assert_eq!(read_open(&format!("{text}00000000")), None);
    }
}
