//! Steps 1 and 2 of usage in at once, for events written as programs write them.

use std::borrow::Cow;
use std::hash::Hasher;

use jiff::Timestamp;
use siphasher::sip::SipHasher13;

use super::names::misspelled;
use super::{Draft, Event, Fingerprint, Receipt, Refusal, TextParts};
use crate::ids::OrganizationId;
use crate::instant;
use crate::json::canonical::Canonical;
use crate::json::scan::Scanner;
use crate::json::{Gathered, hash_text};
use crate::limits::{ATTRIBUTE_BYTES_MAX, DATA_BYTES_MAX, DATA_DEPTH_MAX, TIME_YEARS_MAX};

/// Seconds around its receipt within which an event's time lies surely close enough.
const NEAR_SECONDS: u64 = TIME_YEARS_MAX.unsigned_abs() * 365 * 86_400;

/// Days of the months of a year without a leap day.
const MONTH_DAYS: [i64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// Reads many events one after the other.
///
/// It gives what [`Draft::parse`] and [`Draft::validate`] give, at a fraction of their time where
/// nothing is wrong: one pass over the text, no tree, and room that is used again. Anything else
/// is left to them.
#[derive(Debug, Default)]
pub struct EventReader {
    data: Canonical,
    attributes: Gathered,
}

/// The attributes of an event as they are in the text.
#[derive(Debug, Default)]
struct Attributes<'a> {
    specversion: Option<Cow<'a, str>>,
    id: Option<Cow<'a, str>>,
    source: Option<Cow<'a, str>>,
    event_type: Option<Cow<'a, str>>,
    subject: Option<Cow<'a, str>>,
    time: Option<Cow<'a, str>>,
    datacontenttype: Option<Cow<'a, str>>,
    organization: Option<Cow<'a, str>>,
    data: Option<&'a str>,
    /// Which ones were there, `null` or not.
    seen: u16,
}

impl EventReader {
    /// Reads and checks one event in JSON form.
    pub fn read<R>(&mut self, text: &str, receipt: &Receipt<R>) -> Result<Event, Refusal>
    where
        R: Fn(&str) -> Option<OrganizationId>,
    {
        match self.quick(text, receipt) {
            Some(event) => Ok(event),
            None => Draft::parse(text)?.validate(receipt),
        }
    }

    /// A valid event; `None` for one that may be none.
    fn quick<R>(&mut self, text: &str, receipt: &Receipt<R>) -> Option<Event>
    where
        R: Fn(&str) -> Option<OrganizationId>,
    {
        self.data.clear();
        let sent = Attributes::scan(text, &mut self.data)?;
        let media_type = sent.datacontenttype.as_deref();
        if sent.specversion? != "1.0" || !matches!(media_type, None | Some("application/json")) {
            return None;
        }
        let time = match sent.time {
            Some(text) => Some(near(&text, receipt.received)?),
            None => None,
        };
        let named = sent.organization.unwrap_or_default();
        let organization = match named.as_ref() {
            "" => receipt.own,
            name => (receipt.resolve)(name)?,
        };
        let texts = TextParts {
            event_type: attribute(sent.event_type.as_ref())?,
            subject: attribute(sent.subject.as_ref())?,
            source: attribute(sent.source.as_ref())?,
            id: attribute(sent.id.as_ref())?,
            data: sent.data,
        };
        let fingerprint = self.fingerprint([texts.event_type, texts.subject, &named], time);
        Some(Event {
            texts: texts.into(),
            organization,
            time: time.unwrap_or(receipt.received),
            received: receipt.received,
            fingerprint,
        })
    }

    fn fingerprint(&mut self, attributes: [&str; 3], time: Option<Timestamp>) -> Fingerprint {
        self.attributes.clear();
        for (tag, text) in [b'T', b'S', b'O'].into_iter().zip(attributes) {
            hash_text(tag, text, &mut self.attributes);
        }
        let mut hasher = SipHasher13::new();
        hasher.write(self.attributes.bytes());
        hasher.write(self.data.bytes());
        Fingerprint::new(hasher.finish(), time)
    }
}

impl<'a> Attributes<'a> {
    /// Takes an event apart and puts its data into the canonical form.
    fn scan(text: &'a str, canonical: &mut Canonical) -> Option<Self> {
        let mut scanner = Scanner::new(text);
        let mut sent = Self::default();
        let mut more = scanner.starts(b'{', b'}')?;
        while more {
            let key = scanner.key()?;
            if let Some((bit, place)) = sent.place(&key) {
                text_or_null(place, &mut scanner)?;
                sent.note(bit)?;
            } else if key == "data" {
                object_or_null(&mut sent.data, &mut scanner, canonical)?;
                sent.note(1 << 8)?;
            } else if key == "data_base64" {
                scanner.word("null")?;
                sent.note(1 << 9)?;
            } else if misspelled(&key).is_some() {
                return None;
            } else {
                scanner.skip(DATA_DEPTH_MAX)?;
            }
            more = scanner.goes_on(b'}')?;
        }
        if sent.data.is_none() {
            canonical.clear();
            canonical.null();
        }
        scanner.is_at_end().then_some(sent)
    }

    /// Where an attribute that is a text goes.
    fn place(&mut self, key: &str) -> Option<(u16, &mut Option<Cow<'a, str>>)> {
        Some(match key {
            "specversion" => (1, &mut self.specversion),
            "id" => (1 << 1, &mut self.id),
            "source" => (1 << 2, &mut self.source),
            "type" => (1 << 3, &mut self.event_type),
            "subject" => (1 << 4, &mut self.subject),
            "time" => (1 << 5, &mut self.time),
            "datacontenttype" => (1 << 6, &mut self.datacontenttype),
            "organization" => (1 << 7, &mut self.organization),
            _ => return None,
        })
    }

    /// Notes that an attribute was there; `None` the second time.
    fn note(&mut self, bit: u16) -> Option<()> {
        let first = self.seen & bit == 0;
        self.seen |= bit;
        first.then_some(())
    }
}

fn text_or_null<'a>(place: &mut Option<Cow<'a, str>>, scanner: &mut Scanner<'a>) -> Option<()> {
    if scanner.peek()? != b'"' {
        return scanner.word("null");
    }
    *place = Some(scanner.string()?);
    Some(())
}

/// Takes an object within the limits, or null.
fn object_or_null<'a>(
    place: &mut Option<&'a str>,
    scanner: &mut Scanner<'a>,
    canonical: &mut Canonical,
) -> Option<()> {
    if scanner.peek()? != b'{' {
        return scanner.word("null");
    }
    let start = scanner.at();
    canonical.value(scanner, DATA_DEPTH_MAX)?;
    let text = scanner.since(start)?;
    *place = Some(text);
    (text.len() <= DATA_BYTES_MAX).then_some(())
}

fn attribute<'a>(value: Option<&'a Cow<'_, str>>) -> Option<&'a str> {
    let value = value?.as_ref();
    (1..=ATTRIBUTE_BYTES_MAX)
        .contains(&value.len())
        .then_some(value)
}

/// An instant that is surely not too far from its receipt.
fn near(text: &str, received: Timestamp) -> Option<Timestamp> {
    let time = in_utc(text).or_else(|| instant::parse(text))?;
    let distance = time.as_second().abs_diff(received.as_second());
    (distance < NEAR_SECONDS).then_some(time)
}

/// An instant of the form `2026-01-31T12:00:00Z`, with a fraction or without.
fn in_utc(text: &str) -> Option<Timestamp> {
    let (date, rest) = text.as_bytes().split_first_chunk::<11>()?;
    let (clock, fraction) = rest.split_first_chunk::<8>()?;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T'] = *date else {
        return None;
    };
    let [h1, h2, b':', n1, n2, b':', s1, s2] = *clock else {
        return None;
    };
    let year = number(&[y1, y2, y3, y4])?;
    let (month, day) = (number(&[m1, m2])?, number(&[d1, d2])?);
    let (hour, minute, second) = (number(&[h1, h2])?, number(&[n1, n2])?, number(&[s1, s2])?);
    // Leap days, leap seconds and what does not exist are left to the full parser.
    let length = *MONTH_DAYS.get(usize::try_from(month - 1).ok()?)?;
    if !(1..=length).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Timestamp::new(seconds, nanoseconds(fraction)?).ok()
}

/// What a fraction and the `Z` after it are worth.
fn nanoseconds(text: &[u8]) -> Option<i32> {
    let text = text.strip_suffix(b"Z")?;
    if text.is_empty() {
        return Some(0);
    }
    let digits = text.strip_prefix(b".")?;
    let missing = 9_u32.checked_sub(u32::try_from(digits.len()).ok()?)?;
    let value = number(digits)? * 10_i64.pow(missing);
    (!digits.is_empty()).then(|| i32::try_from(value).ok())?
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |number, byte| {
        byte.is_ascii_digit()
            .then(|| number * 10 + i64::from(byte - b'0'))
    })
}

/// Days from 1970 to a date of the Gregorian calendar, counted from March so that leap days come
/// last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leaps + (month * 153 + 2) / 5 + day - 719_469
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json::scan::tests::{damaged, json};

    fn receipt() -> Receipt<impl Fn(&str) -> Option<OrganizationId>> {
        Receipt {
            own: OrganizationId::from_random(1),
            received: "2026-06-01T00:00:00Z".parse().unwrap(),
            resolve: |name: &str| (name == "child").then(|| OrganizationId::from_random(2)),
        }
    }

    fn plain(text: &str) -> Result<Event, Refusal> {
        Draft::parse(text)?.validate(&receipt())
    }

    fn is_quick(text: &str) -> bool {
        EventReader::default().quick(text, &receipt()).is_some()
    }

    const HEAD: &str = r#"{"specversion":"1.0","id":"1","source":"s","type":"t","subject":"u""#;

    #[test]
    fn events_as_programs_write_them_take_the_short_way() {
        for rest in [
            "}",
            r#","data":{"b":1.50,"a":[true,null,{"x":"\u00e9\"\n"}]}}"#,
            r#","data":null,"data_base64":null,"datacontenttype":null,"organization":"child"}"#,
            r#","time":"2026-05-31T23:59:59.123Z","traceparent":"00-1","n":[{"a":-1e5}]}"#,
            r#","time":"2026-05-31T23:00:00+02:00","datacontenttype":"application/json"} "#,
        ] {
            let text = format!("{HEAD}{rest}");
            assert!(is_quick(&text), "{text}");
            assert_eq!(EventReader::default().read(&text, &receipt()), plain(&text));
        }
    }

    #[test]
    fn what_may_be_refused_is_left_to_the_full_parser() {
        for rest in [
            "",
            "}}",
            r#","id":"2"}"#,
            r#","data":[1]}"#,
            r#","data":{"a":01}}"#,
            r#","data":{"a":"\ud800"}}"#,
            r#","data":{"$serde_json::private::Number":"1"}}"#,
            r#","data_base64":""}"#,
            r#","datacontenttype":""}"#,
            r#","time":"2026-02-30T00:00:00Z"}"#,
            r#","time":"1900-01-01T00:00:00Z"}"#,
            r#","organization":"sibling"}"#,
            r#","Organization":"child"}"#,
        ] {
            let text = format!("{HEAD}{rest}");
            assert!(!is_quick(&text), "{text}");
        }
        let long = format!(
            "{HEAD},\"data\":{{\"a\":\"{}\"}}}}",
            "x".repeat(DATA_BYTES_MAX)
        );
        assert!(!is_quick(&long));
    }

    fn value() -> impl Strategy<Value = String> {
        prop_oneof![
            4 => "\"[a-c1]{0,3}\"",
            1 => Just("\"child\"".to_owned()),
            1 => Just("\"1.0\"".to_owned()),
            1 => Just("\"application/json\"".to_owned()),
            1 => Just("null".to_owned()),
            1 => json(),
        ]
    }

    fn time() -> impl Strategy<Value = String> {
        concat!(
            "\"20[0-3][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]",
            "(\\.[0-9]{0,10})?(Z|[+]01:00)\"",
        )
    }

    fn member() -> impl Strategy<Value = String> {
        let names = "specversion id source type subject datacontenttype organization data \
            data_base64 other";
        let names: Vec<&str> = names.split_whitespace().collect();
        prop_oneof![
            2 => (prop::sample::select(names), value()).prop_map(|(k, v)| format!("\"{k}\":{v}")),
            2 => json().prop_map(|v| format!("\"data\":{v}")),
            1 => time().prop_map(|v| format!("\"time\":{v}")),
        ]
    }

    /// Mostly an event that is whole, with further members of any kind.
    fn event() -> impl Strategy<Value = String> {
        let members = prop::collection::vec(member(), 0..4);
        (members, prop::bool::weighted(0.8)).prop_map(|(members, whole)| {
            let head = if whole { HEAD } else { r#"{"id":"1""# };
            let rest = members.iter().map(|member| format!(",{member}"));
            format!("{head}{}}}", rest.collect::<String>())
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        #[test]
        fn both_ways_agree(texts in prop::collection::vec(event(), 1..4)) {
            let mut reader = EventReader::default();
            for text in texts {
                prop_assert_eq!(reader.read(&text, &receipt()), plain(&text), "{}", text);
            }
        }

        #[test]
        fn both_ways_agree_on_damaged_events(text in damaged(event())) {
            let mut reader = EventReader::default();
            prop_assert_eq!(reader.read(&text, &receipt()), plain(&text), "{}", text);
        }

        #[test]
        fn both_ways_agree_on_times(time in time()) {
            let text = time.trim_matches('"');
            if let Some(time) = in_utc(text) {
                prop_assert_eq!(Some(time), text.parse().ok(), "{}", text);
            }
        }
    }
}
