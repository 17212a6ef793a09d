//! Which subjects and which values of a group a meter has readings of.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use domain::Timestamp;
use domain::meter::Meter;
use domain::range::TimeRange;
use jiff::SignedDuration;
use usage::query::{GroupKey, TotalsQuery};

use super::{find, group_key};
use crate::api::parameters::{FromParameters, Parameters, Query, range, recent};
use crate::app::App;
use crate::auth::{Caller, Permission};
use crate::error::ApiResult;

/// Hours of which values of a group are listed when the client names no start.
const HOURS_DEFAULT: i64 = 24;

/// When the readings are that values are listed of.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RangeQuery {
    /// First instant.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// First instant after.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
}

impl FromParameters for RangeQuery {
    fn read(sent: &Parameters) -> ApiResult<Self> {
        Ok(Self {
            from: sent.instant("from")?,
            to: sent.instant("to")?,
        })
    }
}

/// Lists the subjects that a meter has readings of, of all time unless `from` is given.
#[utoipa::path(
    get, path = "/api/v1/meters/{meterIdOrSlug}/subjects", tag = "usage",
    params(("meterIdOrSlug" = String, Path), RangeQuery),
    responses((status = 200, body = Vec<String>), (status = 400),
        (status = 404, description = "No such meter")),
    security(("bearer" = []), ("key" = []), ("session" = []))
)]
pub async fn list_meter_subjects(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    Query(asked): Query<RangeQuery>,
) -> ApiResult<Json<Vec<String>>> {
    caller.may(Permission::Read)?;
    let meter = find(&caller, &name)?;
    let range = range(asked.from, asked.to)?;
    let subjects = values(&app, &caller, meter, GroupKey::Subject, range);
    Ok(Json(subjects.await?))
}

/// Lists the values of a group that a meter has readings of, of the last 24 hours unless `from` is
/// given.
#[utoipa::path(
    get, path = "/api/v1/meters/{meterIdOrSlug}/group-by/{groupByKey}/values", tag = "usage",
    params(("meterIdOrSlug" = String, Path), ("groupByKey" = String, Path), RangeQuery),
    responses((status = 200, body = Vec<String>),
        (status = 400, description = "The meter declares no such group"),
        (status = 404, description = "No such meter")),
    security(("bearer" = []), ("key" = []), ("session" = []))
)]
pub async fn list_group_by_values(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((name, group)): Path<(String, String)>,
    Query(asked): Query<RangeQuery>,
) -> ApiResult<Json<Vec<String>>> {
    caller.may(Permission::Read)?;
    let meter = find(&caller, &name)?;
    let hours = SignedDuration::from_hours(HOURS_DEFAULT);
    let range = recent(asked.from, asked.to, app.now(), hours)?;
    let key = group_key(meter, &group)?;
    Ok(Json(values(&app, &caller, meter, key, range).await?))
}

/// The distinct values of a key, in order.
async fn values(
    app: &App,
    caller: &Caller,
    meter: &Meter,
    key: GroupKey,
    range: TimeRange,
) -> ApiResult<Vec<String>> {
    let query = TotalsQuery {
        scope: caller.scope_under(None)?.within(range),
        meters: caller.control.meter_versions(meter.id)?.to_vec(),
        windows: None,
        group_by: vec![key],
        filters: Vec::new(),
        spans: false,
    };
    let as_of = app.usage.watermark().await?;
    let rows = app.usage.totals(query, as_of).await?;
    let mut values: Vec<String> = rows
        .into_iter()
        .flat_map(|row| row.keys)
        .flatten()
        .collect();
    values.sort_unstable();
    values.dedup();
    Ok(values)
}
