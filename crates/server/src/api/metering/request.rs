//! Bodies of export requests: lenient in form, strict in meaning.

use domain::Timestamp;
use domain::ids::MeterId;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use metadata::{ControlSnapshot, ExportKind};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::error::{ApiError, ApiResult, Code};

/// Characters of a callback URL.
pub(in crate::api) const CALLBACK_CHARS_MAX: usize = 2_048;
/// Days between the first and the last date of SUMMARY and of job-level exports: the limit of 180
/// and the day of slack that clients' inclusive ranges need.
const LONG_SPAN_DAYS_MAX: i32 = 181;
/// The same for PROJECT_FOLDER and ASSET.
const SHORT_SPAN_DAYS_MAX: i32 = 31;

/// Body of an export request. Fields that do not belong to the kind are ignored.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExportIn {
    /// RFC 3339; the day in UTC counts, the time of day does not.
    #[schema(value_type = String)]
    start_date: Option<Value>,
    /// RFC 3339; its day is included.
    #[schema(value_type = String)]
    end_date: Option<Value>,
    /// `SUMMARY`, `PROJECT_FOLDER` or `ASSET`.
    #[schema(value_type = Option<String>)]
    job_type: Option<Value>,
    /// Whether one file holds all organizations: `TRUE` or `FALSE`.
    #[schema(value_type = Option<String>)]
    combined_meter_usage: Option<Value>,
    /// Whether everything under the organization is wanted: `TRUE` or `FALSE`.
    #[schema(value_type = Option<String>)]
    all_linked_orgs: Option<Value>,
    /// Job-level only: `TRUE` or `FALSE`.
    #[schema(value_type = Option<String>)]
    all_meters: Option<Value>,
    /// One meter.
    #[schema(value_type = Option<String>)]
    meter_id: Option<Value>,
    /// Told when the job ends.
    #[schema(value_type = Option<String>)]
    callback_url: Option<Value>,
}

/// A checked request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) kind: ExportKind,
    /// As sent.
    pub(super) start: String,
    /// As sent.
    pub(super) end: String,
    pub(super) combined: bool,
    pub(super) all_linked_orgs: bool,
    pub(super) all_meters: bool,
    pub(super) meter: Option<MeterId>,
    pub(super) callback_url: Option<String>,
}

impl ExportIn {
    /// Reads a body of whatever content type clients send.
    pub(super) fn read(body: &[u8]) -> ApiResult<Self> {
        let object: Result<Map<String, Value>, _> = serde_json::from_slice(body);
        let read = object.and_then(|object| serde_json::from_value(Value::Object(object)));
        read.map_err(|error| {
            let message = format!("the body is not the JSON object expected here: {error}");
            ApiError::new(Code::MeteringBody, message)
        })
    }

    /// Checks a request of the resource that selects by `jobType`.
    pub(super) fn by_job_type(self, control: &ControlSnapshot) -> ApiResult<Wanted> {
        let word = text("jobType", self.job_type.as_ref())?;
        let word = word.ok_or_else(|| missing("jobType"))?;
        let (kind, span_days_max) = match word.as_str() {
            "SUMMARY" => (ExportKind::Summary, LONG_SPAN_DAYS_MAX),
            "PROJECT_FOLDER" => (ExportKind::ProjectFolder, SHORT_SPAN_DAYS_MAX),
            "ASSET" => (ExportKind::Asset, SHORT_SPAN_DAYS_MAX),
            _ => {
                let message =
                    format!("jobType is {word:?}: expected SUMMARY, PROJECT_FOLDER or ASSET");
                return Err(ApiError::new(Code::MeteringJobType, message));
            }
        };
        let (start, end) = self.range(span_days_max)?;
        let linked = kind != ExportKind::Asset;
        let flag = |name, value: &Option<Value>| {
            if linked {
                flag(name, value.as_ref())
            } else {
                Ok(false)
            }
        };
        let meter = match kind {
            ExportKind::Asset => meter(self.meter_id.as_ref(), control, false)?,
            _ => None,
        };
        Ok(Wanted {
            kind,
            start,
            end,
            combined: flag("combinedMeterUsage", &self.combined_meter_usage)?,
            all_linked_orgs: flag("allLinkedOrgs", &self.all_linked_orgs)?,
            all_meters: false,
            meter,
            callback_url: callback(self.callback_url.as_ref())?,
        })
    }

    /// Checks a request of the older resource for summaries.
    pub(super) fn all_linked(self) -> ApiResult<Wanted> {
        let (start, end) = self.range(LONG_SPAN_DAYS_MAX)?;
        Ok(Wanted {
            kind: ExportKind::SummaryAllLinked,
            start,
            end,
            combined: flag("combinedMeterUsage", self.combined_meter_usage.as_ref())?,
            all_linked_orgs: true,
            all_meters: false,
            meter: None,
            callback_url: callback(self.callback_url.as_ref())?,
        })
    }

    /// Checks a request of the job-level resource.
    pub(super) fn job_level(self, control: &ControlSnapshot) -> ApiResult<Wanted> {
        let (start, end) = self.range(LONG_SPAN_DAYS_MAX)?;
        let all_meters = flag("allMeters", self.all_meters.as_ref())?;
        let meter = if all_meters {
            None
        } else {
            meter(self.meter_id.as_ref(), control, true)?
        };
        if meter.is_none() && !all_meters {
            let message = "meterId is missing: it is required when allMeters is FALSE";
            return Err(ApiError::new(Code::MeteringFieldMissing, message));
        }
        Ok(Wanted {
            kind: ExportKind::JobLevel,
            start,
            end,
            combined: false,
            all_linked_orgs: false,
            all_meters,
            meter,
            callback_url: callback(self.callback_url.as_ref())?,
        })
    }

    /// Both dates as sent, after checking order and distance of their UTC days: the time of day
    /// does not count, so the end may be earlier on the start's day.
    fn range(&self, span_days_max: i32) -> ApiResult<(String, String)> {
        let (start, first) = date("startDate", self.start_date.as_ref())?;
        let (end, last) = date("endDate", self.end_date.as_ref())?;
        let span_days = last.since(first).map_or(i32::MAX, |span| span.get_days());
        if span_days < 0 || span_days > span_days_max {
            let message = format!(
                "startDate {start} to endDate {end}: expected the end not before the start and at \
                 most {} days",
                span_days_max - 1
            );
            return Err(ApiError::new(Code::MeteringRange, message));
        }
        Ok((start, end))
    }
}

/// A text; null, blank and nothing at all are the same.
fn text(name: &str, value: Option<&Value>) -> ApiResult<Option<String>> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => {
            let message = format!("{name} is {other}: expected a string");
            Err(ApiError::new(Code::MeteringBody, message))
        }
    }
}

/// TRUE or FALSE in any case, or a JSON boolean; FALSE unless given.
fn flag(name: &str, value: Option<&Value>) -> ApiResult<bool> {
    if let Some(Value::Bool(flag)) = value {
        return Ok(*flag);
    }
    match text(name, value)?.as_deref().map(str::trim) {
        None => Ok(false),
        Some(word) if word.eq_ignore_ascii_case("true") => Ok(true),
        Some(word) if word.eq_ignore_ascii_case("false") => Ok(false),
        Some(word) => {
            let message = format!("{name} is {word:?}: expected TRUE or FALSE");
            Err(ApiError::new(Code::MeteringFlag, message))
        }
    }
}

/// A date as sent and the UTC day it lies on.
fn date(name: &'static str, value: Option<&Value>) -> ApiResult<(String, Date)> {
    let sent = text(name, value)?.ok_or_else(|| missing(name))?;
    let instant = sent.parse::<Timestamp>();
    let day = instant.map(|instant| instant.to_zoned(TimeZone::UTC).date());
    if let Ok(day) = day.or_else(|_| sent.parse::<Date>()) {
        return Ok((sent, day));
    }
    let shown: String = sent.chars().take(64).collect();
    let message = format!("{name} is {shown:?}: expected such as 2024-08-12T00:00:00Z");
    Err(ApiError::new(Code::MeteringDate, message))
}

/// The account's meter of that id; with a job-level layout where one is needed.
fn meter(
    value: Option<&Value>,
    control: &ControlSnapshot,
    needs_layout: bool,
) -> ApiResult<Option<MeterId>> {
    let Some(sent) = text("meterId", value)? else {
        return Ok(None);
    };
    let id = sent.parse::<MeterId>().ok();
    let versions = id.map_or(Ok(&[][..]), |id| control.meter_versions(id))?;
    let refused = |code: Code, what: &str| {
        let shown: String = sent.chars().take(64).collect();
        let message = format!("meterId is {shown:?}: {what}");
        Err(ApiError::new(code, message))
    };
    match versions.last() {
        None => refused(Code::MeteringMeter, "no meter of this account"),
        Some(newest) if needs_layout && newest.job_level.is_none() => refused(
            Code::MeteringNoJobLevel,
            "a meter without a job-level report",
        ),
        Some(_) => Ok(id),
    }
}

fn callback(value: Option<&Value>) -> ApiResult<Option<String>> {
    let Some(sent) = text("callbackUrl", value)? else {
        return Ok(None);
    };
    if is_callback_url(&sent) {
        return Ok(Some(sent));
    }
    let message = format!(
        "callbackUrl is not an http or https URL of at most {CALLBACK_CHARS_MAX} characters"
    );
    Err(ApiError::new(Code::MeteringCallback, message))
}

/// Whether a text is a URL messages can be posted to, and not too long.
pub(in crate::api) fn is_callback_url(sent: &str) -> bool {
    let fits = |url: url::Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    url::Url::parse(sent).is_ok_and(fits) && sent.chars().count() <= CALLBACK_CHARS_MAX
}

fn missing(name: &str) -> ApiError {
    ApiError::new(Code::MeteringFieldMissing, format!("{name} is missing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: &str, end: &str, days: i32) -> String {
        let body = format!(r#"{{"startDate":"{start}","endDate":"{end}"}}"#);
        let body = ExportIn::read(body.as_bytes()).unwrap();
        match body.range(days) {
            Ok((start, end)) => format!("{start} {end}"),
            Err(error) => error.code.as_str().to_owned(),
        }
    }

    #[test]
    fn spans_count_calendar_days_and_dates_are_kept_as_sent() {
        let month = |end| range("2024-08-12T00:00:00Z", end, SHORT_SPAN_DAYS_MAX);
        assert_eq!(
            month("2024-09-12T23:59:59Z"),
            "2024-08-12T00:00:00Z 2024-09-12T23:59:59Z"
        );
        assert_eq!(month("2024-09-13T00:00:00Z"), "METERING_RANGE");
        assert_eq!(month("2024-08-11T23:59:59Z"), "METERING_RANGE");
        assert_eq!(
            month("2024-08-12T00:00:00Z"),
            "2024-08-12T00:00:00Z 2024-08-12T00:00:00Z"
        );
        let same_day = range("2024-08-12T10:00:00Z", "2024-08-12T09:59:59Z", 31);
        assert_eq!(same_day, "2024-08-12T10:00:00Z 2024-08-12T09:59:59Z");
        let same_day = range("2024-08-12T10:00:00Z", "2024-08-13T01:00:00+02:00", 31);
        assert_eq!(same_day, "2024-08-12T10:00:00Z 2024-08-13T01:00:00+02:00");
        let before = range("2024-08-12T00:00:00Z", "2024-08-12T01:00:00+02:00", 31);
        assert_eq!(before, "METERING_RANGE");
        assert_eq!(month("12.08.2024"), "METERING_DATE");
        assert_eq!(
            month("2024-08-12T10:00:00"),
            "2024-08-12T00:00:00Z 2024-08-12T10:00:00"
        );
        let offset = "2024-09-13T01:00:00.5+02:00";
        assert_eq!(month(offset), format!("2024-08-12T00:00:00Z {offset}"));
    }

    #[test]
    fn flags_are_words_of_any_case_or_booleans() {
        let read = |json: &str| {
            let value: Value = serde_json::from_str(json).unwrap();
            flag("f", Some(&value)).map_err(|error| error.code.as_str())
        };
        let read: Vec<_> = [
            r#""TRUE""#,
            r#""false""#,
            "true",
            "null",
            r#""""#,
            r#""yes""#,
            "1",
        ]
        .into_iter()
        .map(read)
        .collect();
        insta::assert_debug_snapshot!(read, @r#"
        [
            Ok(
                true,
            ),
            Ok(
                false,
            ),
            Ok(
                true,
            ),
            Ok(
                false,
            ),
            Ok(
                false,
            ),
            Err(
                "METERING_FLAG",
            ),
            Err(
                "METERING_BODY",
            ),
        ]
        "#);
    }
}
