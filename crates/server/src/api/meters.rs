//! `/api/v1/meters`: what is counted, in the form of OpenMeter v1 with fields of our own.

mod patch;
mod query;
mod table;
mod wire;

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use domain::meter::Meter;
use metadata::MeterRecord;

pub use patch::{__path_patch_meter, patch_meter};
pub use query::{__path_post_query_meter, __path_query_meter, post_query_meter, query_meter};
pub use table::MeterTable;
pub use wire::{MeterIn, MeterOut};

use super::page::next_link;
use super::parameters::Parameters;
use crate::app::App;
use crate::auth::{Caller, Identity, Permission};
use crate::error::{ApiError, ApiResult};

/// Declares a meter; usage already stored counts as well, from `since` on.
#[utoipa::path(
    post, path = "/api/v1/meters", tag = "usage",
    request_body = MeterIn,
    responses(
        (status = 201, body = MeterOut),
        (status = 400, description = "A field cannot have its value"),
        (status = 403, description = "Only operators of the account's root declare meters"),
        (status = 409, description = "The slug is in use"),
    ),
    security(("bearer" = []), ("key" = []), ("session" = []))
)]
pub async fn create_meter(
    State(app): State<Arc<App>>,
    caller: Caller,
    Json(sent): Json<MeterIn>,
) -> ApiResult<(StatusCode, Json<MeterOut>)> {
    caller.may_declare_for_account()?;
    let meter = sent.into_meter()?;
    let mut change = app.metadata.begin_change(app.now()).await?;
    change.insert_meter(caller.account, &meter).await?;
    app.commit(change).await?;
    app.declare_readings().await?;
    let record = app
        .metadata
        .find_meter(caller.account, meter.id)
        .await?
        .ok_or_else(no_meter)?;
    Ok((StatusCode::CREATED, Json(MeterOut::new(record, &app))))
}

/// Lists the account's meters.
///
/// The header `Link` names the next page, where there is one.
#[utoipa::path(
    get, path = "/api/v1/meters", tag = "usage",
    params(
        ("limit" = Option<u32>, Query, description = "Meters per page; 100 if absent"),
        ("cursor" = Option<String>, Query, description = "Where the page starts"),
    ),
    responses((status = 200, body = Vec<MeterOut>)),
    security(("bearer" = []), ("key" = []), ("session" = []))
)]
pub async fn list_meters(
    State(app): State<Arc<App>>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> ApiResult<Response> {
    let sent = Parameters::parse(query.as_deref());
    let page = sent.page(caller.may(Permission::Read)?)?;
    let page = app.metadata.list_meters(&caller.control, &page).await?;
    let live = page
        .items
        .into_iter()
        .filter(|record| !is_archived(record, &app));
    let meters: Vec<_> = live.map(|record| MeterOut::new(record, &app)).collect();
    let link = next_link("/api/v1/meters", page.next);
    Ok((link, Json(meters)).into_response())
}

/// Shows a meter.
#[utoipa::path(
    get, path = "/api/v1/meters/{meterIdOrSlug}", tag = "usage",
    params(("meterIdOrSlug" = String, Path)),
    responses((status = 200, body = MeterOut), (status = 404, description = "No such meter")),
    security(("bearer" = []), ("key" = []), ("session" = []))
)]
pub async fn get_meter(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
) -> ApiResult<Json<MeterOut>> {
    caller.may(Permission::Read)?;
    let id = find(&caller, &name)?.id;
    let found = app.metadata.find_meter(caller.account, id).await?;
    let found = caller.control.confirm_meter(id, found)?;
    Ok(Json(MeterOut::new(found.ok_or_else(no_meter)?, &app)))
}

/// Archives a meter: it reads nothing new and its slug is free again.
#[utoipa::path(
    delete, path = "/api/v1/meters/{meterIdOrSlug}", tag = "usage",
    params(("meterIdOrSlug" = String, Path)),
    responses((status = 204), (status = 404, description = "No such meter")),
    security(("bearer" = []), ("key" = []), ("session" = []))
)]
pub async fn delete_meter(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
) -> ApiResult<StatusCode> {
    caller.may_declare_for_account()?;
    let id = find(&caller, &name)?.id;
    let mut change = app.metadata.begin_change(app.now()).await?;
    change.archive_meter(caller.account, id, app.now()).await?;
    app.commit(change).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn find<'c>(caller: &'c Identity, name: &str) -> ApiResult<&'c Meter> {
    caller.control.meter(name)?.ok_or_else(no_meter)
}

fn no_meter() -> ApiError {
    ApiError::not_found("meter")
}

fn is_archived(record: &MeterRecord, app: &App) -> bool {
    record.meter.valid.end.is_some_and(|end| end <= app.now())
}
