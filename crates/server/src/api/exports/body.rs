//! Bodies that ask for exports, now or by schedule: strict, and planned before they are accepted.

use axum::http::HeaderMap;
use domain::export::{AsOf, FileFormat, Packing, Parameters, midnight, parameters, utc_date};
use domain::ids::RequestId;
use domain::range::TimeRange;
use domain::{Timestamp, kind::Kind};
use jiff::ToSpan;
use jiff::civil::Date;
use metadata::{Export, ExportKind, ExportSource, NewExport};
use serde::Serialize;
use usage::query::TotalsQuery;

use super::as_of::reached;
use super::view::View;
use crate::api::metering::request::{CALLBACK_CHARS_MAX, is_callback_url};
use crate::app::App;
use crate::auth::{Caller, Permission, Who, sha256};
use crate::error::{ApiError, ApiResult, Code};

/// Days one export may cover.
const RANGE_DAYS_MAX: i32 = 366;
/// Characters of an idempotency key.
const KEY_CHARS_MAX: usize = 255;
/// Characters of a column's header.
const COLUMN_CHARS_MAX: usize = 255;

/// Declares a body: fields of its own, then what every request for exports may choose.
macro_rules! fields {
    ($(#[$doc:meta])* $visible:vis struct $name:ident { $($own:tt)* }) => {
        $(#[$doc])*
        #[derive(Debug, serde::Deserialize, utoipa::ToSchema)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        $visible struct $name {
            $($own)*
            /// `SUMMARY`, `PROJECT_FOLDER`, `ASSET`, `JOB_LEVEL` or `USAGE`.
            kind: String,
            /// Ids or aliases, up to 1,000; the caller's organization and everything under it
            /// unless given.
            #[serde(default)]
            organizations: Vec<String>,
            /// Ids or slugs, up to 1,000; all unless given.
            #[serde(default)]
            meters: Vec<String>,
            /// Whether one file holds all organizations.
            #[serde(default)]
            combined: bool,
            /// Headers of the columns wanted, in order, up to 100; all of the kind unless given,
            /// of `USAGE` the usual ones.
            #[serde(default)]
            columns: Vec<String>,
            /// `csv` or `parquet`.
            #[serde(default)]
            #[schema(value_type = String, default = "csv")]
            format: domain::export::FileFormat,
            /// `zip`, or `gzip` where there is one file.
            #[serde(default)]
            #[schema(value_type = String, default = "zip")]
            packing: domain::export::Packing,
            /// Whether texts that begin with `=`, `+`, `-`, `@`, tab or CR get an apostrophe before
            /// them, so that spreadsheets run none of them; for `csv` only.
            #[serde(default)]
            csv_safe: bool,
            /// Told when an export ends.
            callback_url: Option<String>,
        }

        impl $name {
            fn selection(&self) -> $crate::api::exports::Selection {
                $crate::api::exports::Selection {
                    kind: self.kind.clone(),
                    organizations: self.organizations.clone(),
                    meters: self.meters.clone(),
                    combined: self.combined,
                    columns: self.columns.clone(),
                    format: self.format,
                    packing: self.packing,
                    csv_safe: self.csv_safe,
                    callback_url: self.callback_url.clone(),
                }
            }
        }
    };
}

pub(in crate::api) use fields;

fields! {
    /// An export to make.
    pub struct ExportIn {
        /// First day: a date such as 2026-01-01, or an RFC 3339 instant at its UTC midnight.
        from: String,
        /// First day no longer covered, up to 366 days later.
        to: String,
        /// An earlier watermark to read at; that of the start of work unless given.
        as_of: Option<String>,
    }
}

/// What a request for exports chooses, as sent.
#[derive(Debug, Clone, Serialize)]
pub(in crate::api) struct Selection {
    pub(in crate::api) kind: String,
    pub(in crate::api) organizations: Vec<String>,
    pub(in crate::api) meters: Vec<String>,
    pub(in crate::api) combined: bool,
    pub(in crate::api) columns: Vec<String>,
    pub(in crate::api) format: FileFormat,
    pub(in crate::api) packing: Packing,
    pub(in crate::api) csv_safe: bool,
    pub(in crate::api) callback_url: Option<String>,
}

/// A request that was checked.
#[derive(Debug)]
pub(super) enum Checked {
    /// It repeats the one that made this export.
    Repeated(Box<Export>),
    /// It can be planned.
    New(Box<NewExport>),
}

/// What a request for exports chooses, by ids.
#[derive(Debug, Clone)]
pub(in crate::api) struct Selected {
    pub(in crate::api) kind: ExportKind,
    pub(in crate::api) combined: bool,
    pub(in crate::api) parameters: Parameters,
    pub(in crate::api) callback_url: Option<String>,
}

impl ExportIn {
    /// The checked request: a new one can be planned at this moment.
    ///
    /// Names become ids here, once: at the revision of `asOf` where one is given.
    pub(super) async fn check(
        self,
        app: &App,
        caller: &Caller,
        key: Option<String>,
        request_id: RequestId,
    ) -> ApiResult<Checked> {
        let (first, last) = range(&self.from, &self.to)?;
        let as_of = match &self.as_of {
            Some(text) => Some(reached(app, text).await?),
            None => None,
        };
        let request_sha256 = Some(self.digest(caller, (first, last), as_of));
        // A repetition is answered although the world may have changed since.
        let before = match &key {
            Some(key) => earlier(app, caller, key).await?,
            None => None,
        };
        let repeated = before.as_ref().map(|before| before.request.organization);
        let is_same = |before: &Export| before.request.request_sha256 == request_sha256;
        if let Some(before) = before.filter(is_same) {
            return Ok(Checked::Repeated(Box::new(before)));
        }
        let view = match as_of {
            Some(as_of) => View::at(app, caller, as_of).await?,
            None => View::newest(caller)?,
        };
        let new = NewExport {
            idempotency_key: key,
            as_of,
            request_id: Some(request_id),
            request_sha256,
            ..self
                .selection()
                .resolve(&view)?
                .export(caller, &view, (first, last))?
        };
        if repeated != Some(new.organization) {
            plan(app, &view, &new).await?;
        }
        Ok(Checked::New(Box::new(new)))
    }

    /// What tells this request from others: all of it as sent, names in any order.
    fn digest(&self, caller: &Caller, days: (Date, Date), as_of: Option<AsOf>) -> [u8; 32] {
        let mut sent = self.selection();
        for names in [&mut sent.organizations, &mut sent.meters] {
            names.sort_unstable();
            names.dedup();
        }
        let as_of = as_of.map(|as_of| {
            let micros = as_of.time.as_microsecond();
            (as_of.sequence, as_of.revision, micros)
        });
        let whole = serde_json::to_string(&(user(caller), days, as_of, sent));
        sha256(&whole.expect("texts, numbers and dates are JSON"))
    }
}

impl Selection {
    /// Checks bounds and turns names into ids; foreign organizations look unknown.
    pub(in crate::api) fn resolve(self, view: &View) -> ApiResult<Selected> {
        let kind = kind(&self.kind)?;
        if self.combined && kind == ExportKind::JobLevel {
            let message = format!("combined: {} has no such form", kind.as_str());
            return Err(ApiError::new(Code::InvalidExport, message));
        }
        if self.csv_safe && self.format != FileFormat::Csv {
            let message = "csvSafe is true: expected false, or format csv";
            return Err(ApiError::new(Code::InvalidExport, message));
        }
        bounded(
            "organizations",
            &self.organizations,
            parameters::ORGANIZATIONS_MAX,
        )?;
        bounded("meters", &self.meters, parameters::METERS_MAX)?;
        bounded("columns", &self.columns, parameters::COLUMNS_MAX)?;
        let mut parameters = Parameters::default();
        parameters.organizations = each(&self.organizations, |name| view.organization(name))?;
        parameters.meters = each(&self.meters, |name| view.meter(name))?;
        parameters.columns = self.columns;
        parameters.format = self.format;
        parameters.packing = self.packing;
        parameters.csv_safe = self.csv_safe;
        Ok(Selected {
            kind,
            combined: self.combined,
            parameters,
            callback_url: callback_url(self.callback_url)?,
        })
    }
}

impl Selected {
    /// The request of these days; the row keeps the first and the last one.
    fn export(self, caller: &Caller, view: &View, days: (Date, Date)) -> ApiResult<NewExport> {
        Ok(NewExport {
            id: None,
            kind: self.kind,
            source: ExportSource::Own,
            organization: caller.reader_of(&view.control, &self.parameters.organizations)?,
            user: user(caller),
            start: days.0.to_string(),
            end: days.1.to_string(),
            meter: None,
            all_meters: self.kind == ExportKind::JobLevel,
            combined: self.combined,
            all_linked_orgs: true,
            parameters: Some(self.parameters.to_json()),
            callback_url: self.callback_url,
            idempotency_key: None,
            as_of: None,
            request_id: None,
            request_sha256: None,
        })
    }
}

/// The export that a request with this key made before, for any organization the caller acts for.
async fn earlier(app: &App, caller: &Caller, key: &str) -> ApiResult<Option<Export>> {
    for organization in &caller.reach(Permission::Read)?.tops {
        let found = app.metadata.find_export_by_key(*organization, key).await?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// What names stand for, once each: neither their order nor a repetition is another request.
fn each<I: Ord>(names: &[String], find: impl Fn(&String) -> ApiResult<I>) -> ApiResult<Vec<I>> {
    let mut found = names.iter().map(find).collect::<ApiResult<Vec<_>>>()?;
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// The user of a session.
pub(in crate::api) fn user(caller: &Caller) -> Option<domain::ids::UserId> {
    match caller.who {
        Who::Session { user, .. } => Some(user),
        Who::Key(_) | Who::Local => None,
    }
}

/// A callback URL, when it is one.
pub(in crate::api) fn callback_url(sent: Option<String>) -> ApiResult<Option<String>> {
    if sent.as_deref().is_none_or(is_callback_url) {
        return Ok(sent);
    }
    Err(ApiError::invalid(format!(
        "callbackUrl is not an http or https URL of at most {CALLBACK_CHARS_MAX} characters"
    )))
}

/// Plans a request on the control data it will be read at; refuses what cannot be planned, and
/// usage that is gone.
pub(in crate::api) async fn plan(app: &App, view: &View, new: &NewExport) -> ApiResult<()> {
    let as_of = new.as_of.unwrap_or_else(|| AsOf {
        sequence: 0,
        revision: view.control.revision(),
        time: app.now(),
    });
    export::check(new, &view.control, as_of).map_err(|error| match error.kind() {
        Kind::Invalid | Kind::NotFound => ApiError::new(Code::InvalidExport, error.to_string()),
        _ => error.into(),
    })?;
    is_kept(app, view, new).await
}

/// Refuses a range whose usage retention has removed.
async fn is_kept(app: &App, view: &View, new: &NewExport) -> ApiResult<()> {
    let days = [&new.start, &new.end].map(|day| day.parse::<Date>());
    let [Ok(first), Ok(last)] = days else {
        return Ok(());
    };
    let range = TimeRange::between(midnight(first), midnight(last.saturating_add(1.day())));
    let parameters = new.parameters.as_deref().and_then(Parameters::from_json);
    let mut scopes: Vec<_> = parameters.map_or(Vec::new(), |parameters| {
        let organizations = parameters.organizations.into_iter();
        organizations.map(|one| view.scope.only(one)).collect()
    });
    if scopes.is_empty() {
        scopes.push(view.scope.clone());
    }
    for scope in scopes {
        let query = TotalsQuery {
            scope: scope.within(range),
            meters: Vec::new(),
            windows: None,
            group_by: Vec::new(),
            filters: Vec::new(),
            spans: false,
        };
        // Where the usage is away for another reason, the job waits for it or tells.
        if let Err(error) = app.usage.totals(query, 0).await
            && error.kind() == Kind::Gone
        {
            return Err(error.into());
        }
    }
    Ok(())
}

fn kind(word: &str) -> ApiResult<ExportKind> {
    let refused = |message: String| Err(ApiError::new(Code::ExportKind, message));
    match ExportKind::from_word(word) {
        Some(ExportKind::Cost) => refused("kind COST is not available yet".to_owned()),
        Some(ExportKind::SummaryAllLinked) | None => {
            let shown: String = word.chars().take(64).collect();
            refused(format!(
                "kind is {shown:?}: expected SUMMARY, PROJECT_FOLDER, ASSET, JOB_LEVEL or USAGE"
            ))
        }
        Some(kind) => Ok(kind),
    }
}

fn bounded(field: &str, sent: &[String], most: usize) -> ApiResult<()> {
    if sent.len() > most {
        let message = format!(
            "{field} has {} members: expected at most {most}",
            sent.len()
        );
        return Err(ApiError::invalid(message));
    }
    let long = |text: &&String| text.chars().count() > COLUMN_CHARS_MAX;
    match sent.iter().find(long) {
        Some(_) => Err(ApiError::invalid(format!(
            "{field} has a member of over {COLUMN_CHARS_MAX} characters"
        ))),
        None => Ok(()),
    }
}

/// The first and the last day of a half-open range.
fn range(from: &str, to: &str) -> ApiResult<(Date, Date)> {
    let (first, end) = (day("from", from)?, day("to", to)?);
    let days = end.since(first).map_or(i32::MAX, |span| span.get_days());
    if !(1..=RANGE_DAYS_MAX).contains(&days) {
        let message = format!(
            "from {first} to {end}: expected to after from, and at most {RANGE_DAYS_MAX} days"
        );
        return Err(ApiError::new(Code::ExportRange, message));
    }
    Ok((first, end.saturating_sub(1.day())))
}

fn day(field: &str, text: &str) -> ApiResult<Date> {
    let at_midnight = |instant: Timestamp| {
        let day = utc_date(instant);
        (midnight(day) == instant).then_some(day)
    };
    let instant = text.parse().ok().and_then(at_midnight);
    // A text of ten characters has no time of day that would go unnoticed.
    let date = || text.parse().ok().filter(|_| text.len() == 10);
    instant.or_else(date).ok_or_else(|| {
        let shown: String = text.chars().take(64).collect();
        let message = format!(
            "{field} is {shown:?}: expected a date such as 2026-01-31, or an instant at UTC \
             midnight"
        );
        ApiError::new(Code::ExportRange, message)
    })
}

/// The key of a request that may be repeated.
pub(super) fn idempotency_key(headers: &HeaderMap) -> ApiResult<Option<String>> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let is_visible = |text: &&str| {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        visible && (1..=KEY_CHARS_MAX).contains(&text.len())
    };
    let key = value.to_str().ok().filter(is_visible);
    let key = key.map(|key| Some(key.to_owned()));
    key.ok_or_else(|| {
        ApiError::invalid(format!(
            "Idempotency-Key: expected 1 to {KEY_CHARS_MAX} visible ASCII characters"
        ))
    })
}

/// What the metadata store's refusal of a request means here.
pub(super) fn refusal(error: metadata::Error) -> ApiError {
    match error {
        metadata::Error::TooManyExports { .. } => {
            ApiError::new(Code::TooManyExports, error.to_string()).retry_after(10)
        }
        metadata::Error::Taken {
            constraint: "exports_idempotency_unique",
            ..
        } => {
            let code = Code::IdempotencyKeyReused;
            ApiError::new(code, code.meaning())
        }
        error => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_whole_utc_days_and_half_open() {
        let read = |from: &str, to: &str| match range(from, to) {
            Ok((first, last)) => format!("{first} {last}"),
            Err(error) => error.message,
        };
        assert_eq!(read("2026-01-01", "2026-02-01"), "2026-01-01 2026-01-31");
        assert_eq!(
            read("2026-01-01T00:00:00Z", "2026-01-02T02:00:00+02:00"),
            "2026-01-01 2026-01-01"
        );
        assert_eq!(read("2024-01-01", "2025-01-01"), "2024-01-01 2024-12-31");
        for (from, to) in [
            ("2026-01-01", "2026-01-01"),
            ("2026-01-02", "2026-01-01"),
            ("2024-01-01", "2025-01-02"),
            ("2026-01-01T00:00:01Z", "2026-02-01"),
            ("2026-01-01T00:00:00", "2026-02-01"),
            ("01.01.2026", "2026-02-01"),
        ] {
            assert!(range(from, to).is_err(), "{from} {to}");
        }
    }
}
