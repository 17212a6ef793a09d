//! Rates: what usage of the account's meters is worth. The root declares them.

mod wire;

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use metadata::RateRecord;

use self::wire::{RateIn, RateOut, RatePatch};
use super::page::{PageOut, PageQuery, id};
use crate::api::body::Body;
use crate::api::parameters::Query;
use crate::app::App;
use crate::auth::{Caller, Permission};
use crate::error::{ApiError, ApiResult};

/// Lists the account's rates: the default ones and those for what the caller sees.
///
/// A page may hold fewer items than its limit.
#[utoipa::path(
    get, path = "/api/v1/rates", tag = "control", params(PageQuery),
    responses((status = 200, body = PageOut<RateOut>), (status = 400), (status = 401),
        (status = 403))
)]
pub async fn list_rates(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> ApiResult<Json<PageOut<RateOut>>> {
    let page = page.request(caller.may(Permission::Read)?)?;
    let found = app.metadata.list_rates(&caller.control, &page).await?;
    // Each shows the slug of its meter.
    caller.control.meters()?;
    let wire = |record| {
        let shown = visible(&caller, &record).then(|| RateOut::of(record, &caller.control));
        shown.and_then(Result::ok)
    };
    Ok(Json(PageOut::of(found, wire)))
}

/// Gives one rate's newest version.
#[utoipa::path(
    get, path = "/api/v1/rates/{id}", tag = "control",
    responses((status = 200, body = RateOut), (status = 401), (status = 403), (status = 404))
)]
pub async fn get_rate(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(text): Path<String>,
) -> ApiResult<Json<RateOut>> {
    caller.may(Permission::Read)?;
    let record = find(&app, &caller, &text).await?;
    Ok(Json(RateOut::of(record, &caller.control)?))
}

/// Creates a rate.
#[utoipa::path(
    post, path = "/api/v1/rates", tag = "control", request_body = RateIn,
    responses((status = 201, body = RateOut), (status = 400), (status = 401), (status = 403),
        (status = 404, description = "No such meter or organization"),
        (status = 409, description = "Another rate prices the same usage"))
)]
pub async fn create_rate(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(body): Body<RateIn>,
) -> ApiResult<(StatusCode, Json<RateOut>)> {
    caller.may_declare_for_account()?;
    let rate = body.check(&caller, app.now())?;
    let mut change = app.metadata.begin_change(app.now()).await?;
    change.insert_rate(caller.account, &rate).await?;
    app.commit(change).await?;
    let record = find(&app, &caller, rate.id.as_str()).await?;
    Ok((
        StatusCode::CREATED,
        Json(RateOut::of(record, &caller.control)?),
    ))
}

/// Makes a new version of a rate from `since` on; earlier usage keeps its price.
#[utoipa::path(
    patch, path = "/api/v1/rates/{id}", tag = "control", request_body = RatePatch,
    responses((status = 200, body = RateOut), (status = 400), (status = 401), (status = 403),
        (status = 404), (status = 409))
)]
pub async fn patch_rate(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(text): Path<String>,
    Body(body): Body<RatePatch>,
) -> ApiResult<Json<RateOut>> {
    caller.may_declare_for_account()?;
    let before = find(&app, &caller, &text).await?;
    let rate = body.over(before.rate, app.now())?;
    let mut change = app.metadata.begin_change(app.now()).await?;
    change.put_rate(&rate).await?;
    app.commit(change).await?;
    let record = find(&app, &caller, &text).await?;
    Ok(Json(RateOut::of(record, &caller.control)?))
}

/// Ends a rate now; usage before keeps its price.
#[utoipa::path(
    delete, path = "/api/v1/rates/{id}", tag = "control",
    responses((status = 204), (status = 401), (status = 403), (status = 404))
)]
pub async fn end_rate(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(text): Path<String>,
) -> ApiResult<StatusCode> {
    caller.may_declare_for_account()?;
    let record = find(&app, &caller, &text).await?;
    let mut change = app.metadata.begin_change(app.now()).await?;
    change.end_rate(record.rate.id, app.now()).await?;
    app.commit(change).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn find(app: &App, caller: &Caller, text: &str) -> ApiResult<RateRecord> {
    let id = id(text, "rate")?;
    let record = app.metadata.find_rate(id).await?;
    let record = record.filter(|record| record.account == caller.account);
    let record = caller.control.confirm_rate(id, record)?;
    record
        .filter(|record| visible(caller, record))
        .ok_or_else(|| ApiError::not_found("rate"))
}

fn visible(caller: &Caller, record: &RateRecord) -> bool {
    let organization = record.rate.organization;
    let reach = caller.reach(Permission::Read);
    organization.is_none_or(|organization| reach.is_ok_and(|reach| reach.scope.knows(organization)))
}
