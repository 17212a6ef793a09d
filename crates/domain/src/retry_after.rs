//! The header `Retry-After`, as servers send it.

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

/// The seconds a `Retry-After` asks for, in seconds or as a date; 0 for a date that has passed.
///
/// They have no bound: who waits sets one.
pub fn seconds(text: &str, now: Timestamp) -> Option<u64> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Digits that do not fit ask for longer than anybody waits.
        return Some(text.parse().unwrap_or(u64::MAX));
    }
    let date = DateTimeParser::new().parse_timestamp(text).ok()?;
    let seconds = date.as_second().saturating_sub(now.as_second());
    Some(u64::try_from(seconds).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_asks_in_seconds_or_by_date() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("99999999999999999999", Some(u64::MAX)),
            ("Thu, 01 Jan 2026 00:10:00 GMT", Some(600)),
            ("Wed, 31 Dec 2025 00:00:00 GMT", Some(0)),
            ("-5", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(seconds(text, now), expected, "{text:?}");
        }
    }
}
