//! Instants as texts: RFC 3339, with fractions of a second of any length.

use jiff::Timestamp;

/// What a text should be that is no instant.
pub const EXPECTED: &str = "an RFC 3339 instant such as 2026-01-31T12:00:00Z";

/// Digits of a fraction that are kept: nanoseconds.
const FRACTION_DIGITS: usize = 9;

/// Reads an instant; digits beyond the nanosecond are cut off.
pub fn parse(text: &str) -> Option<Timestamp> {
    if let Ok(instant) = text.parse() {
        return Some(instant);
    }
    let (seconds, rest) = text.split_once('.')?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    if digits <= FRACTION_DIGITS {
        return None;
    }
    let (fraction, zone) = (&rest[..FRACTION_DIGITS], &rest[digits..]);
    format!("{seconds}.{fraction}{zone}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_may_have_any_length() {
        let read = |text: &str| parse(text).map(|instant| instant.to_string());
        let long = "2026-01-31T12:00:00.1234567899999999999999+01:00";
        assert_eq!(
            read(long).as_deref(),
            Some("2026-01-31T11:00:00.123456789Z")
        );
        let most = format!("2026-01-31T12:00:00.{}Z", "0".repeat(1_000));
        assert_eq!(read(&most).as_deref(), Some("2026-01-31T12:00:00Z"));
        for bad in [
            "2026-01-31T12:00:00.1234567891",
            "2026-01-31.1234567891T12:00:00Z",
            "2026-01-31T12:00:00.1234567891x",
            ".1234567891Z",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
