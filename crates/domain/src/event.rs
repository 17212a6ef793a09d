//! Step 2 of usage in: a draft as sent becomes an [`Event`] or a [`Refusal`].

use std::hash::Hasher;

use jiff::{Timestamp, ToSpan};
use serde::Deserialize;
use serde_json::value::RawValue;
use siphasher::sip::SipHasher13;

mod binary;
mod names;
pub mod reader;
mod texts;

use self::binary::{base64_data, raw, two_data};
use self::names::Names;
use crate::ids::OrganizationId;
use crate::instant;
use crate::json::{Gathered, Json, hash_text};
use crate::limits::{ATTRIBUTE_BYTES_MAX, DATA_BYTES_MAX, DATA_DEPTH_MAX, TIME_YEARS_MAX};

pub use texts::{EventTexts, TextParts};

/// A CloudEvents 1.0 event in JSON form, as a client sent it.
///
/// Extension attributes other than `organization` are ignored.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Draft<'a> {
    /// Version of the CloudEvents specification: `1.0`.
    pub specversion: Option<String>,
    /// Identifier, unique within the source.
    pub id: Option<String>,
    /// Context the event happened in.
    pub source: Option<String>,
    /// Kind of the event, matched by meters.
    #[serde(rename = "type")]
    pub event_type: Option<String>,
    /// Free dimension: whom or what the use belongs to.
    pub subject: Option<String>,
    /// RFC 3339 instant the use ended; absent, the server's clock counts.
    pub time: Option<String>,
    /// Media type of `data`; only JSON is taken.
    pub datacontenttype: Option<String>,
    /// Organization the use belongs to, by id or alias; absent, the credential's own.
    pub organization: Option<String>,
    /// The data as sent: a JSON object, null or absent.
    #[serde(borrow)]
    pub data: Option<&'a RawValue>,
    /// The data as base64 of JSON, in the place of `data`.
    pub data_base64: Option<&'a RawValue>,
}

/// A valid event, ready to be told apart from those already known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What it says in words.
    pub texts: EventTexts,
    /// Organization the use belongs to.
    pub organization: OrganizationId,
    /// Instant the use ended.
    pub time: Timestamp,
    /// Instant of receipt.
    pub received: Timestamp,
    /// What tells a repeated event from a conflicting one.
    pub fingerprint: Fingerprint,
}

/// 64 bits over what the client sent: 40 for the content, 24 for the time (zero when none was).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub u64);

const TIME_BITS: u32 = 24;

impl Fingerprint {
    fn new(content: u64, time: Option<Timestamp>) -> Self {
        let time = time.map_or(0, |time| {
            let mut hasher = SipHasher13::new();
            hasher.write(&time.as_nanosecond().to_le_bytes());
            (hasher.finish() >> (64 - TIME_BITS)).max(1)
        });
        Self(content >> TIME_BITS << TIME_BITS | time)
    }

    /// Whether two copies of one event say the same: time counts only when both carry one.
    pub fn matches(self, other: Self) -> bool {
        let time = |fingerprint: Self| fingerprint.0 & ((1 << TIME_BITS) - 1);
        let same_content = self.0 >> TIME_BITS == other.0 >> TIME_BITS;
        same_content && (time(self) == time(other) || time(self) == 0 || time(other) == 0)
    }
}

/// Why an event was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Stable code for programs.
    pub code: RefusalCode,
    /// What is wrong, with the value, what was expected and what to do.
    pub message: String,
    /// Organization to count it for; `None` where it is unknown.
    pub organization: Option<OrganizationId>,
}

/// Stable codes of refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalCode {
    /// The text is not a JSON object of the expected form.
    MalformedEvent,
    /// A required attribute is missing or empty.
    MissingAttribute,
    /// An attribute is longer than allowed.
    AttributeTooLong,
    /// `specversion` is not `1.0`.
    UnsupportedSpecversion,
    /// `datacontenttype` is not JSON, or the data is binary.
    UnsupportedDatacontenttype,
    /// `data` is neither an object nor null.
    DataNotObject,
    /// `data` is larger or deeper than allowed.
    DataTooLarge,
    /// `time` is no RFC 3339 instant or too far from now.
    InvalidTime,
    /// `organization` is unknown to this credential.
    UnknownOrganization,
}

impl RefusalCode {
    /// The code as it appears on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MalformedEvent => "malformed_event",
            Self::MissingAttribute => "missing_attribute",
            Self::AttributeTooLong => "attribute_too_long",
            Self::UnsupportedSpecversion => "unsupported_specversion",
            Self::UnsupportedDatacontenttype => "unsupported_datacontenttype",
            Self::DataNotObject => "data_not_object",
            Self::DataTooLarge => "data_too_large",
            Self::InvalidTime => "invalid_time",
            Self::UnknownOrganization => "unknown_organization",
        }
    }
}

/// What validation needs to know beside the draft.
#[derive(Debug, Clone, Copy)]
pub struct Receipt<R> {
    /// Organization that owns the credential.
    pub own: OrganizationId,
    /// Instant of receipt.
    pub received: Timestamp,
    /// Finds an organization the credential may write for, by id or alias.
    pub resolve: R,
}

impl<'a> Draft<'a> {
    /// Reads one event in JSON form.
    pub fn parse(text: &'a str) -> Result<Self, Refusal> {
        let malformed = |message| Refusal {
            code: RefusalCode::MalformedEvent,
            message,
            organization: None,
        };
        let not_an_event =
            |error| malformed(format!("the event is not a CloudEvents object: {error}"));
        let draft = serde_json::from_str(text).map_err(not_an_event)?;
        let Names(misspelled) = serde_json::from_str(text).map_err(not_an_event)?;
        match misspelled {
            None => Ok(draft),
            Some((name, expected)) => Err(malformed(format!(
                "{name} is no attribute of an event: expected {expected}, in lower case"
            ))),
        }
    }

    /// Checks the draft; pure, so one bad event never fails its neighbours.
    pub fn validate<R>(self, receipt: &Receipt<R>) -> Result<Event, Refusal>
    where
        R: Fn(&str) -> Option<OrganizationId>,
    {
        let organization = self.organization(receipt)?;
        self.check(organization, receipt.received)
            .map_err(|(code, message)| Refusal {
                code,
                message,
                organization: Some(organization),
            })
    }

    fn organization<R>(&self, receipt: &Receipt<R>) -> Result<OrganizationId, Refusal>
    where
        R: Fn(&str) -> Option<OrganizationId>,
    {
        match self.organization.as_deref() {
            None | Some("") => Ok(receipt.own),
            Some(name) => (receipt.resolve)(name).ok_or_else(|| Refusal {
                code: RefusalCode::UnknownOrganization,
                message: format!(
                    "organization {:?} is unknown to this credential: expected the id or an alias \
                     of its organization or of one under it",
                    clip(name)
                ),
                organization: None,
            }),
        }
    }

    fn check(&self, organization: OrganizationId, received: Timestamp) -> Checked<Event> {
        let sent_organization = self.organization.as_deref().unwrap_or_default();
        if self.specversion.as_deref() != Some("1.0") {
            let version = self.specversion.as_deref().unwrap_or_default();
            let message = format!("specversion is {:?}: expected \"1.0\"", clip(version));
            return Err((RefusalCode::UnsupportedSpecversion, message));
        }
        check_media_type(self.datacontenttype.as_deref())?;
        let decoded = self.data_base64.map(base64_data).transpose()?.flatten();
        let data = match (&decoded, self.data) {
            (None, data) => data,
            (Some(decoded), None) => Some(raw(decoded)?),
            (Some(_), Some(_)) => return Err(two_data()),
        };
        let id = attribute("id", self.id.as_deref())?;
        let source = attribute("source", self.source.as_deref())?;
        let event_type = attribute("type", self.event_type.as_deref())?;
        let subject = attribute("subject", self.subject.as_deref())?;
        let time = self
            .time
            .as_deref()
            .map(|time| check_time(time, received))
            .transpose()?;

        let mut hasher = Gathered::new();
        hash_text(b'T', event_type, &mut hasher);
        hash_text(b'S', subject, &mut hasher);
        hash_text(b'O', sent_organization, &mut hasher);
        let data = check_data(data, &mut hasher)?;
        let texts = TextParts {
            event_type,
            subject,
            source,
            id,
            data,
        };
        Ok(Event {
            texts: texts.into(),
            organization,
            time: time.unwrap_or(received),
            received,
            fingerprint: Fingerprint::new(hasher.finish(), time),
        })
    }
}

type Checked<T> = Result<T, (RefusalCode, String)>;

fn attribute<'a>(name: &str, value: Option<&'a str>) -> Checked<&'a str> {
    match value {
        Some(value) if value.len() > ATTRIBUTE_BYTES_MAX => {
            let message = format!(
                "{name} has {} bytes: expected at most {ATTRIBUTE_BYTES_MAX}",
                value.len()
            );
            Err((RefusalCode::AttributeTooLong, message))
        }
        Some(value) if !value.is_empty() => Ok(value),
        _ => {
            let message = format!("{name} is missing: expected a text that is not empty");
            Err((RefusalCode::MissingAttribute, message))
        }
    }
}

fn check_media_type(media_type: Option<&str>) -> Checked<()> {
    let essence = media_type
        .and_then(|text| text.split(';').next())
        .map(str::trim);
    let json = essence.is_none_or(|essence| {
        let essence = essence.to_ascii_lowercase();
        essence == "application/json" || essence == "text/json" || essence.ends_with("+json")
    });
    if json {
        return Ok(());
    }
    let message = format!(
        "datacontenttype is {:?}: expected \"application/json\"",
        clip(media_type.unwrap_or_default())
    );
    Err((RefusalCode::UnsupportedDatacontenttype, message))
}

fn check_time(text: &str, received: Timestamp) -> Checked<Timestamp> {
    let time = instant::parse(text).ok_or_else(|| {
        let message = format!("time is {:?}: expected {}", clip(text), instant::EXPECTED);
        (RefusalCode::InvalidTime, message)
    })?;
    // A year of 366 days, so that no calendar makes an instant within the reach too old.
    let reach = (TIME_YEARS_MAX * 366 * 24).hours();
    let earliest = received.saturating_sub(reach).unwrap_or(Timestamp::MIN);
    let latest = received.saturating_add(reach).unwrap_or(Timestamp::MAX);
    if (earliest..=latest).contains(&time) {
        return Ok(time);
    }
    let message =
        format!("time is {time}: expected an instant within {TIME_YEARS_MAX} years of {received}");
    Err((RefusalCode::InvalidTime, message))
}

fn check_data<'a>(data: Option<&'a RawValue>, hasher: &mut Gathered) -> Checked<Option<&'a str>> {
    let Some(text) = data.map(RawValue::get).filter(|text| *text != "null") else {
        Json::Null.hash_canonical(hasher);
        return Ok(None);
    };
    if !text.starts_with('{') {
        let message = format!("data is {}: expected an object or null", clip(text));
        return Err((RefusalCode::DataNotObject, message));
    }
    if text.len() > DATA_BYTES_MAX {
        let message = format!(
            "data has {} bytes: expected at most {DATA_BYTES_MAX}",
            text.len()
        );
        return Err((RefusalCode::DataTooLarge, message));
    }
    let json = Json::parse(text).map_err(|error| {
        (
            RefusalCode::MalformedEvent,
            format!("data is no JSON: {error}"),
        )
    })?;
    if json.is_too_deep() {
        let message = format!("data nests deeper than {DATA_DEPTH_MAX} levels");
        return Err((RefusalCode::DataTooLarge, message));
    }
    json.hash_canonical(hasher);
    Ok(Some(text))
}

/// Shortens a refused value for a message.
fn clip(text: &str) -> &str {
    text.char_indices()
        .nth(64)
        .map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests;
