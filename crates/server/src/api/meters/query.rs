//! `GET, POST /api/v1/meters/{meterIdOrSlug}/query`: totals of one meter by window and group.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use domain::aggregation::Fold;
use domain::tree::Scope;
use usage::query::TotalsQuery;

use super::asked::QueryIn;
use super::table::{Asked, MeterTable};
use super::{find, no_meter};
use crate::api::accept;
use crate::api::body::OptionalBody;
use crate::api::parameters::Query;
use crate::app::App;
use crate::auth::{Caller, Permission};
use crate::error::{ApiError, ApiResult};

/// Media types of an answer; the first unless the client weighs the other more.
const JSON: &str = "application/json";
const CSV: &str = "text/csv";

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
            style = DeepObject, explode,
            description = "filterGroupBy[name]=value, repeated"),
        ("advancedMeterGroupByFilters" = Option<String>, Query,
            description = "Conditions on groups as JSON: {\"name\": {\"$in\": [\"a\", \"b\"]}}"),
        ("organization" = Option<String>, Query, description = "Only what lies under this one"),
        ("csvSafe" = Option<bool>, Query,
            description = "Whether spreadsheets run no text of it; only with Accept: text/csv"),
        ("clientId" = Option<String>, Query, description = "Taken, without effect"),
    ),
    responses(
        (status = 200, content((MeterTable = "application/json"), (String = "text/csv"))),
        (status = 400, description = "A parameter is unknown or cannot have its value"),
        (status = 404, description = "No such meter or organization"),
        (status = 406, description = "Accept allows neither JSON nor CSV"),
    ),
    security(("bearer" = []), ("key" = []), ("session" = []))
)]
pub async fn query_meter(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    Query(asked): Query<QueryIn>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    answer(&app, &caller, &name, asked, &headers).await
}

/// The same as a body, for long lists of subjects.
#[utoipa::path(
    post, path = "/api/v1/meters/{meterIdOrSlug}/query", tag = "usage",
    params(("meterIdOrSlug" = String, Path)),
    request_body = Option<QueryIn>,
    responses(
        (status = 200, content((MeterTable = "application/json"), (String = "text/csv"))),
        (status = 400, description = "A member is unknown or cannot have its value"),
        (status = 404, description = "No such meter or organization"),
        (status = 406, description = "Accept allows neither JSON nor CSV"),
    ),
    security(("bearer" = []), ("key" = []), ("session" = []))
)]
pub async fn post_query_meter(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    headers: HeaderMap,
    OptionalBody(asked): OptionalBody<QueryIn>,
) -> ApiResult<Response> {
    answer(&app, &caller, &name, asked.unwrap_or_default(), &headers).await
}

async fn answer(
    app: &App,
    caller: &Caller,
    name: &str,
    asked: QueryIn,
    headers: &HeaderMap,
) -> ApiResult<Response> {
    caller.may(Permission::Read)?;
    asked.check()?;
    let is_csv = accept::preferred(headers, &[JSON, CSV])? == CSV;
    let is_safe = asked.csv_safe();
    if is_safe && !is_csv {
        let message = "csvSafe is true: expected false, or Accept: text/csv";
        return Err(ApiError::invalid(message));
    }
    let table = table(app, caller, name, &asked).await?;
    if is_csv {
        return table.csv(is_safe);
    }
    Ok(Json(table).into_response())
}

async fn table(app: &App, caller: &Caller, name: &str, asked: &QueryIn) -> ApiResult<MeterTable> {
    let newest = find(caller, name)?;
    let groups = asked.groups(newest)?;
    let (range, windows) = (asked.range()?, asked.windows()?);
    let query = TotalsQuery {
        scope: scope(caller, asked)?,
        meters: caller.control.meter_versions(newest.id)?.to_vec(),
        spans: windows.is_none() && (range.start.is_none() || range.end.is_none()),
        windows,
        group_by: groups.iter().map(|(_, key)| key.clone()).collect(),
        filters: asked.filters(newest)?,
    };
    if query.meters.is_empty() {
        return Err(no_meter());
    }
    let as_of = app.usage.watermark().await?;
    let totals = app.usage.totals(query, as_of).await?;
    let is_single = groups.is_empty() && asked.window_size().is_none();
    let asked = Asked {
        range,
        window_size: asked.window_size(),
        names: groups.into_iter().map(|(name, _)| name).collect(),
        empty: is_single.then(|| Fold::new(newest.rule.aggregation)),
    };
    Ok(MeterTable::new(totals, &asked))
}

fn scope(caller: &Caller, asked: &QueryIn) -> ApiResult<Scope> {
    let scope = caller.scope_under(asked.organization.as_deref())?;
    Ok(scope.within(asked.range()?))
}
