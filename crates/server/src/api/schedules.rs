//! Schedules: exports of every day or month that ended.

mod wire;

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderName, StatusCode, header};
use domain::export::utc_date;
use domain::ids::ScheduleId;
use metadata::Schedule;

use self::wire::{ScheduleIn, ScheduleOut, SchedulePatchIn};
use super::client::Client;
use super::exports::{View, plan};
use super::page::{PageOut, PageQuery, id};
use crate::api::body::Body;
use crate::api::parameters::Query;
use crate::app::App;
use crate::auth::{Caller, Permission};
use crate::error::{ApiError, ApiResult};

/// Creates a schedule; its first export covers the day or month that runs now.
///
/// Names stand for what they mean now: its exports keep to these organizations and meters.
#[utoipa::path(
    post, path = "/api/v1/export-schedules", tag = "exports", request_body = ScheduleIn,
    responses((status = 201, body = ScheduleOut), (status = 400), (status = 401), (status = 403),
        (status = 404, description = "No such organization or meter"),
        (status = 409, description = "As many schedules as there may be"))
)]
pub async fn create_schedule(
    State(app): State<Arc<App>>,
    caller: Caller,
    client: Client,
    Body(body): Body<ScheduleIn>,
) -> ApiResult<(StatusCode, [(HeaderName, String); 1], Json<ScheduleOut>)> {
    caller.may(Permission::Read)?;
    let (view, now) = (View::newest(&caller)?, app.now());
    let new = body.check(&caller, &view)?;
    let first = new.rhythm.around(utc_date(now));
    plan(&app, &view, &new.export(first)).await?;
    let schedule = app.metadata.insert_schedule(&new, first, now).await?;
    let schedule = ScheduleOut::of(schedule, &client);
    let location = [(header::LOCATION, schedule.location().to_owned())];
    Ok((StatusCode::CREATED, location, Json(schedule)))
}

/// Lists the schedules of the caller's organization and everything under it.
#[utoipa::path(
    get, path = "/api/v1/export-schedules", tag = "exports", params(PageQuery),
    responses((status = 200, body = PageOut<ScheduleOut>), (status = 400), (status = 401),
        (status = 403))
)]
pub async fn list_schedules(
    State(app): State<Arc<App>>,
    caller: Caller,
    client: Client,
    Query(page): Query<PageQuery>,
) -> ApiResult<Json<PageOut<ScheduleOut>>> {
    let reach = caller.reach(Permission::Read)?;
    let (page, now) = (page.request(reach.organization)?, app.now());
    let found = app
        .metadata
        .list_schedules(reach.tops.as_slice(), now, &page)
        .await?;
    let wire = |schedule| Some(ScheduleOut::of(schedule, &client));
    Ok(Json(PageOut::of(found, wire)))
}

/// Gives one schedule.
#[utoipa::path(
    get, path = "/api/v1/export-schedules/{id}", tag = "exports",
    responses((status = 200, body = ScheduleOut), (status = 401), (status = 403), (status = 404))
)]
pub async fn get_schedule(
    State(app): State<Arc<App>>,
    caller: Caller,
    client: Client,
    Path(text): Path<String>,
) -> ApiResult<Json<ScheduleOut>> {
    let schedule = find(&app, &caller, &text).await?;
    Ok(Json(ScheduleOut::of(schedule, &client)))
}

/// Pauses or resumes a schedule, or changes its delay or callback.
///
/// What its exports contain stays: another content is another schedule.
#[utoipa::path(
    patch, path = "/api/v1/export-schedules/{id}", tag = "exports",
    request_body = SchedulePatchIn,
    responses((status = 200, body = ScheduleOut), (status = 400), (status = 401), (status = 403),
        (status = 404))
)]
pub async fn patch_schedule(
    State(app): State<Arc<App>>,
    caller: Caller,
    client: Client,
    Path(text): Path<String>,
    Body(body): Body<SchedulePatchIn>,
) -> ApiResult<Json<ScheduleOut>> {
    let schedule = find(&app, &caller, &text).await?;
    let patch = body.check()?;
    let patched = app.metadata.patch_schedule(schedule.id, &patch, app.now());
    Ok(Json(ScheduleOut::of(patched.await?, &client)))
}

/// Deletes a schedule; the exports it made stay.
#[utoipa::path(
    delete, path = "/api/v1/export-schedules/{id}", tag = "exports",
    responses((status = 204), (status = 401), (status = 403), (status = 404))
)]
pub async fn delete_schedule(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(text): Path<String>,
) -> ApiResult<StatusCode> {
    let schedule = find(&app, &caller, &text).await?;
    app.metadata.delete_schedule(schedule.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A schedule whose organization is the caller's or under it.
async fn find(app: &App, caller: &Caller, text: &str) -> ApiResult<Schedule> {
    caller.may(Permission::Read)?;
    let found = app
        .metadata
        .find_schedule(id::<ScheduleId>(text, "schedule")?);
    let visible = |schedule: &Schedule| {
        let organization = schedule.new.organization;
        caller
            .under(Permission::Read, organization, app.now())
            .is_ok()
    };
    let found = found.await?.filter(visible);
    found.ok_or_else(|| ApiError::not_found("schedule"))
}
