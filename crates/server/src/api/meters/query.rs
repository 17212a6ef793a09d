//! `GET, POST /api/v1/meters/{meterIdOrSlug}/query`: totals of one meter by window and group.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use domain::Timestamp;
use domain::aggregation::Fold;
use domain::meter::Meter;
use domain::range::TimeRange;
use domain::tree::Scope;
use domain::window::{WindowSize, Windows};
use jiff::tz::TimeZone;
use serde::Deserialize;
use usage::query::{GroupFilter, GroupKey, TotalsQuery};
use utoipa::ToSchema;

use super::table::{Asked, MeterTable};
use super::{find, no_meter};
use crate::api::parameters::Parameters;
use crate::app::App;
use crate::auth::{Caller, Permission};
use crate::error::{ApiError, ApiResult};

/// What a query may ask for.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct QueryIn {
    /// First instant; all of time if absent.
    #[schema(value_type = Option<String>)]
    from: Option<Timestamp>,
    /// First instant after.
    #[schema(value_type = Option<String>)]
    to: Option<Timestamp>,
    /// `MINUTE`, `HOUR`, `DAY` or `MONTH`; one row over all if absent.
    #[schema(value_type = Option<String>)]
    window_size: Option<WindowSize>,
    /// Zone whose clock and calendar cut the windows; UTC if absent.
    window_time_zone: Option<String>,
    /// Only these subjects; they are told apart.
    subject: Vec<String>,
    /// `subject`, `organization`, or names the meter's `groupBy` declares.
    group_by: Vec<String>,
    /// Values to keep, by name of a group.
    filter_group_by: BTreeMap<String, Vec<String>>,
    /// Only this organization and what lies under it, by id or alias.
    organization: Option<String>,
    /// Whether texts that begin with `=`, `+`, `-`, `@`, tab or CR get an apostrophe before them,
    /// so that spreadsheets run none of them; only where CSV is asked for.
    csv_safe: bool,
}

impl QueryIn {
    fn parse(sent: &Parameters) -> ApiResult<Self> {
        let window_size = match sent.first("windowSize") {
            None => None,
            Some(text) => Some(window_size(text)?),
        };
        let mut filter_group_by: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in sent.iter() {
            let key = name.strip_prefix("filterGroupBy[");
            if let Some(key) = key.and_then(|key| key.split(']').next()) {
                filter_group_by
                    .entry(key.to_owned())
                    .or_default()
                    .push(value.to_owned());
            }
        }
        Ok(Self {
            from: sent.instant("from")?,
            to: sent.instant("to")?,
            window_size,
            window_time_zone: sent.first("windowTimeZone").map(str::to_owned),
            subject: sent.all("subject"),
            group_by: sent.all("groupBy"),
            filter_group_by,
            organization: sent.first("organization").map(str::to_owned),
            csv_safe: sent.parsed("csvSafe", "true or false")?.unwrap_or(false),
        })
    }

    fn windows(&self) -> ApiResult<Option<Windows>> {
        let name = self.window_time_zone.as_deref().unwrap_or("UTC");
        let zone = TimeZone::get(name).map_err(|_| {
            let message =
                format!("windowTimeZone is {name:?}: expected a name such as Europe/Paris");
            ApiError::invalid(message)
        })?;
        Ok(self.window_size.map(|size| Windows { size, zone }))
    }

    fn range(&self) -> TimeRange {
        TimeRange {
            start: self.from,
            end: self.to,
        }
    }

    /// The groups by name: asked subjects are told apart even when not grouped by.
    fn groups(&self, meter: &Meter) -> ApiResult<Vec<(String, GroupKey)>> {
        let mut names = self.group_by.clone();
        if !self.subject.is_empty() && !names.iter().any(|name| name == "subject") {
            names.insert(0, "subject".to_owned());
        }
        names.dedup();
        names
            .into_iter()
            .map(|name| group_key(meter, &name).map(|key| (name, key)))
            .collect()
    }

    fn filters(&self, meter: &Meter) -> ApiResult<Vec<GroupFilter>> {
        let named = self.filter_group_by.iter().map(|(name, values)| {
            group_key(meter, name).map(|key| GroupFilter {
                key,
                values: values.clone(),
            })
        });
        let mut filters = named.collect::<ApiResult<Vec<_>>>()?;
        if !self.subject.is_empty() {
            filters.push(GroupFilter {
                key: GroupKey::Subject,
                values: self.subject.clone(),
            });
        }
        Ok(filters)
    }
}

fn window_size(text: &str) -> ApiResult<WindowSize> {
    match text.to_ascii_uppercase().as_str() {
        "MINUTE" => Ok(WindowSize::Minute),
        "HOUR" => Ok(WindowSize::Hour),
        "DAY" => Ok(WindowSize::Day),
        "MONTH" => Ok(WindowSize::Month),
        _ => Err(ApiError::invalid(format!(
            "windowSize is {text:?}: expected MINUTE, HOUR, DAY or MONTH"
        ))),
    }
}

fn group_key(meter: &Meter, name: &str) -> ApiResult<GroupKey> {
    if let Some(path) = meter.group_by.get(name) {
        return Ok(GroupKey::Path(path.clone()));
    }
    match name {
        "subject" => Ok(GroupKey::Subject),
        "organization" => Ok(GroupKey::Organization),
        _ => {
            let known: Vec<&str> = meter.group_by.keys().map(String::as_str).collect();
            Err(ApiError::invalid(format!(
                "no group {name:?}: expected subject, organization or one of {known:?}"
            )))
        }
    }
}

/// Totals of a meter, of the caller's organization and everything under it.
///
/// Rows are ordered by time; empty windows are left out. CSV when `Accept` asks for `text/csv`.
#[utoipa::path(
    get, path = "/api/v1/meters/{meterIdOrSlug}/query", tag = "usage",
    params(
        ("meterIdOrSlug" = String, Path),
        ("from" = Option<String>, Query, description = "First instant"),
        ("to" = Option<String>, Query, description = "First instant after"),
        ("windowSize" = Option<String>, Query, description = "MINUTE, HOUR, DAY or MONTH"),
        ("windowTimeZone" = Option<String>, Query, description = "Such as Europe/Paris"),
        ("subject" = Option<Vec<String>>, Query, description = "Only these, told apart"),
        ("groupBy" = Option<Vec<String>>, Query, description = "subject, organization, declared"),
        ("filterGroupBy" = Option<std::collections::HashMap<String, String>>, Query,
            description = "filterGroupBy[name]=value, repeated"),
        ("organization" = Option<String>, Query, description = "Only what lies under this one"),
    ),
    responses(
        (status = 200, content((MeterTable = "application/json"), (String = "text/csv"))),
        (status = 400, description = "A parameter cannot have its value"),
        (status = 404, description = "No such meter or organization"),
    ),
    security(("bearer" = []), ("key" = []), ("session" = []))
)]
pub async fn query_meter(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let asked = QueryIn::parse(&Parameters::parse(query.as_deref()))?;
    answer(&app, &caller, &name, asked, &headers).await
}

/// The same as a body, for long lists of subjects.
#[utoipa::path(
    post, path = "/api/v1/meters/{meterIdOrSlug}/query", tag = "usage",
    params(("meterIdOrSlug" = String, Path)),
    request_body = QueryIn,
    responses(
        (status = 200, content((MeterTable = "application/json"), (String = "text/csv"))),
        (status = 400, description = "A field cannot have its value"),
        (status = 404, description = "No such meter or organization"),
    ),
    security(("bearer" = []), ("key" = []), ("session" = []))
)]
pub async fn post_query_meter(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    headers: HeaderMap,
    Json(asked): Json<QueryIn>,
) -> ApiResult<Response> {
    answer(&app, &caller, &name, asked, &headers).await
}

async fn answer(
    app: &App,
    caller: &Caller,
    name: &str,
    asked: QueryIn,
    headers: &HeaderMap,
) -> ApiResult<Response> {
    caller.may(Permission::Read)?;
    let (is_csv, is_safe) = (wants_csv(headers), asked.csv_safe);
    if is_safe && !is_csv {
        let message = "csvSafe is true: expected false, or Accept: text/csv";
        return Err(ApiError::invalid(message));
    }
    let newest = find(caller, name)?;
    let groups = asked.groups(newest)?;
    let query = TotalsQuery {
        scope: scope(caller, &asked)?,
        meters: caller.control.meter_versions(newest.id)?.to_vec(),
        windows: asked.windows()?,
        group_by: groups.iter().map(|(_, key)| key.clone()).collect(),
        filters: asked.filters(newest)?,
    };
    if query.meters.is_empty() {
        return Err(no_meter());
    }
    let as_of = app.usage.watermark().await?;
    let totals = app.usage.totals(query, as_of).await?;
    let is_single = groups.is_empty() && asked.window_size.is_none();
    let asked = Asked {
        range: asked.range(),
        names: groups.into_iter().map(|(name, _)| name).collect(),
        empty: is_single.then(|| Fold::new(newest.rule.aggregation)),
    };
    let table = MeterTable::new(totals, &asked);
    if is_csv {
        return table.csv(is_safe);
    }
    Ok(Json(table).into_response())
}

fn scope(caller: &Caller, asked: &QueryIn) -> ApiResult<Scope> {
    let scope = caller.scope_under(asked.organization.as_deref())?;
    Ok(scope.within(asked.range()))
}

/// CSV is given only when it is asked for and JSON is not.
fn wants_csv(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT);
    let accept = accept.and_then(|value| value.to_str().ok()).unwrap_or("");
    accept.contains("text/csv") && !accept.contains("application/json")
}
