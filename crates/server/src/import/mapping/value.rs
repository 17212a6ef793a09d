//! How the text of a cell becomes a JSON value.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use serde_json::value::RawValue;

/// What a cell is read as.
#[derive(Debug)]
pub(super) enum ValueType {
    /// Text as it is.
    Text,
    /// A number, written with all its digits.
    Number,
    /// `true` or `false`, in any case.
    Boolean,
    /// JSON as it is.
    Json,
    /// An instant, written as RFC 3339 in UTC.
    Time(TimeForm, TimeZone),
}

/// How an instant is written in a cell.
#[derive(Debug)]
pub(super) enum TimeForm {
    /// RFC 3339, or the same without an offset in the mapping's zone.
    Iso,
    /// Units since 1970 UTC, so many to a second.
    Unix(i64),
    /// A pattern in the manner of strftime.
    Pattern(String),
}

impl ValueType {
    /// Reads the type of a member of a mapping.
    pub(super) fn read(
        name: &str,
        format: Option<&str>,
        zone: Option<&str>,
    ) -> Result<Self, String> {
        if name != "time" && (format.is_some() || zone.is_some()) {
            return Err(format!("type is {name:?}: format and zone belong to time"));
        }
        match name {
            "string" => Ok(Self::Text),
            "number" => Ok(Self::Number),
            "boolean" => Ok(Self::Boolean),
            "json" => Ok(Self::Json),
            "time" => {
                let zone = zone.map_or(Ok(TimeZone::UTC), TimeZone::get).map_err(|_| {
                    let zone = zone.unwrap_or_default();
                    format!("zone is {zone:?}: expected a time zone such as Europe/Berlin")
                })?;
                Ok(Self::Time(TimeForm::read(format), zone))
            }
            _ => {
                let known = "expected string, number, boolean, json or time";
                Err(format!("type is {name:?}: {known}"))
            }
        }
    }

    /// Writes `text` as this type, or as a JSON string when it is none.
    pub(super) fn write(&self, text: &str, out: &mut Vec<u8>) {
        let written = match self {
            Self::Text => None,
            Self::Number => raw(text).filter(|json| {
                json.starts_with(|first: char| first == '-' || first.is_ascii_digit())
            }),
            Self::Boolean => ["true", "false"]
                .into_iter()
                .find(|known| known.eq_ignore_ascii_case(text))
                .map(str::to_owned),
            Self::Json => raw(text),
            Self::Time(form, zone) => form
                .instant(text, zone)
                .map(|instant| format!("\"{instant}\"")),
        };
        match written {
            Some(json) => out.extend_from_slice(json.as_bytes()),
            None => write_text(text, out),
        }
    }
}

impl TimeForm {
    fn read(format: Option<&str>) -> Self {
        match format {
            None | Some("iso") => Self::Iso,
            Some("unix_s") => Self::Unix(1),
            Some("unix_ms") => Self::Unix(1_000),
            Some("unix_us") => Self::Unix(1_000_000),
            Some("unix_ns") => Self::Unix(1_000_000_000),
            Some(pattern) => Self::Pattern(pattern.to_owned()),
        }
    }

    fn instant(&self, text: &str, zone: &TimeZone) -> Option<Timestamp> {
        let local = |time: DateTime| zone.to_timestamp(time).ok();
        match self {
            Self::Iso => text
                .parse()
                .ok()
                .or_else(|| text.parse().ok().and_then(local)),
            Self::Unix(units) => {
                let nanoseconds = i128::from(1_000_000_000 / units);
                let count: i64 = text.parse().ok()?;
                Timestamp::from_nanosecond(i128::from(count) * nanoseconds).ok()
            }
            Self::Pattern(pattern) => {
                let parts = strtime::parse(pattern, text).ok()?;
                match parts.offset() {
                    Some(_) => parts.to_timestamp().ok(),
                    None => local(parts.to_datetime().ok()?),
                }
            }
        }
    }
}

/// The text when it is JSON, on one line.
fn raw(text: &str) -> Option<String> {
    let json: &RawValue = serde_json::from_str(text).ok()?;
    if json.get().contains(['\n', '\r']) {
        let json: serde_json::Value = serde_json::from_str(text).ok()?;
        return Some(json.to_string());
    }
    Some(json.get().to_owned())
}

/// Writes a JSON string.
pub(super) fn write_text(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("writing to memory cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(format: Option<&str>, zone: &str, text: &str) -> String {
        let value_type = ValueType::read("time", format, Some(zone)).unwrap();
        let mut out = Vec::new();
        value_type.write(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn instants_are_read_in_the_form_and_zone_of_the_mapping() {
        let new_york = "America/New_York";
        let noon = "\"2013-03-10T16:00:00Z\"";
        assert_eq!(time(None, new_york, "2013-03-10 12:00:00"), noon);
        assert_eq!(time(None, new_york, "2013-03-10T17:00:00+01:00"), noon);
        assert_eq!(time(Some("unix_ms"), new_york, "1362931200000"), noon);
        assert_eq!(
            time(Some("%m/%d/%Y %H:%M"), new_york, "03/10/2013 12:00"),
            noon
        );
        assert_eq!(
            time(Some("%Y%m%d %H%M %z"), new_york, "20130310 1600 +0000"),
            noon
        );
        assert_eq!(time(Some("unix_s"), new_york, "noon"), "\"noon\"");
    }
}
