//! `/api/v1/meters`: what is counted, in the form of OpenMeter v1 with fields of our own.

mod patch;
mod query;
mod table;
mod wire;

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::meter::Meter;
use metadata::{Cursor, MeterRecord};

pub use patch::{__path_patch_meter, patch_meter};
pub use query::{__path_post_query_meter, __path_query_meter, post_query_meter, query_meter};
pub use table::MeterTable;
pub use wire::{MeterIn, MeterOut};

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
        .find_meter(meter.id)
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
    caller.may(Permission::Read)?;
    let sent = Parameters::parse(query.as_deref());
    let page = app
        .metadata
        .list_meters(caller.account, &sent.page()?)
        .await?;
    let live = page
        .items
        .into_iter()
        .filter(|record| !is_archived(record, &app));
    let meters: Vec<_> = live.map(|record| MeterOut::new(record, &app)).collect();
    Ok((next_link(page.next), Json(meters)).into_response())
}

/// The header that names the next page, as the body is a bare array.
fn next_link(next: Option<Cursor>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(next) = next {
        let link = format!("</api/v1/meters?cursor={next}>; rel=\"next\"");
        headers.insert(
            header::LINK,
            HeaderValue::try_from(link).expect("hex is ascii"),
        );
    }
    headers
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
    let record = app.metadata.find_meter(id).await?.ok_or_else(no_meter)?;
    Ok(Json(MeterOut::new(record, &app)))
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
    change.archive_meter(id, app.now()).await?;
    app.commit(change).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn find<'c>(caller: &'c Identity, name: &str) -> ApiResult<&'c Meter> {
    caller.control.meter(name).ok_or_else(no_meter)
}

fn no_meter() -> ApiError {
    ApiError::not_found("meter")
}

fn is_archived(record: &MeterRecord, app: &App) -> bool {
    record.meter.valid.end.is_some_and(|end| end <= app.now())
}
