//! `/api/v1/meters`: what is counted, in the form of OpenMeter v1 with fields of our own.

mod asked;
mod list;
mod patch;
mod put;
mod query;
mod table;
mod values;
mod wire;

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use domain::meter::Meter;
use metadata::MeterRecord;
use usage::query::GroupKey;

pub use list::{__path_list_meters, list_meters};
pub use patch::{__path_patch_meter, patch_meter};
pub use put::{__path_put_meter, put_meter};
pub use query::{__path_post_query_meter, __path_query_meter, post_query_meter, query_meter};
pub use table::MeterTable;
pub use values::{
    __path_list_group_by_values, __path_list_meter_subjects, list_group_by_values,
    list_meter_subjects,
};
pub use wire::{MeterIn, MeterOut};

use crate::api::{body::Body, notes};
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
    Body(sent): Body<MeterIn>,
) -> ApiResult<(StatusCode, Json<MeterOut>)> {
    caller.may_declare_for_account()?;
    let metadata = notes::to_store(sent.metadata.as_ref())?;
    let meter = sent.into_meter()?;
    let mut change = app.metadata.begin_change(app.now()).await?;
    change.insert_meter(caller.account, &meter).await?;
    if metadata.is_some() {
        let noted = metadata.as_deref();
        change
            .put_meter_metadata(caller.account, meter.id, noted)
            .await?;
    }
    app.commit(change).await?;
    app.declare_readings().await?;
    let record = app
        .metadata
        .find_meter(caller.account, meter.id)
        .await?
        .ok_or_else(no_meter)?;
    Ok((StatusCode::CREATED, Json(MeterOut::new(record, &app)?)))
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
    Ok(Json(MeterOut::new(found.ok_or_else(no_meter)?, &app)?))
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

/// What a name of a group stands for.
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

fn no_meter() -> ApiError {
    ApiError::not_found("meter")
}

fn is_archived(record: &MeterRecord, app: &App) -> bool {
    record.meter.valid.end.is_some_and(|end| end <= app.now())
}
