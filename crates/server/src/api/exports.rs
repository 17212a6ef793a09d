//! Our own exports: steps 1 and 9 of usage out, over the same jobs as the metering family.

mod as_of;
mod body;
pub mod files;
mod out;
mod view;
mod wait;

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::{Extension, Json};
use domain::ids::{ExportId, RequestId};
use metadata::{Export, NewExport};

use self::body::{Checked, ExportIn};
pub(super) use self::body::{Selected, Selection, callback_url, fields, plan, user};
pub(super) use self::out::PeriodOut;
use self::out::{ExportOut, ListQuery};
pub(super) use self::view::View;
use self::wait::WaitQuery;
use super::client::Client;
use super::page::{PageOut, PageQuery, id};
use crate::api::body::Body;
use crate::api::parameters::Query;
use crate::app::App;
use crate::auth::{Caller, Permission};
use crate::error::{ApiError, ApiResult, Code};

/// Where an answer says its resource is found.
type Located = [(header::HeaderName, String); 1];

/// Asks for an export.
///
/// With the same `Idempotency-Key` the same request again gives the same export.
#[utoipa::path(
    post, path = "/api/v1/exports", tag = "exports", request_body = ExportIn,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII")),
    responses(
        (status = 202, body = ExportOut),
        (status = 200, body = ExportOut, description = "The export of an earlier request"),
        (status = 400), (status = 401), (status = 403),
        (status = 404, description = "No such organization or meter"),
        (status = 410, description = "The usage was removed by retention"),
        (status = 422, description = "The key came with another request"),
        (status = 429, description = "As many unfinished exports as there may be")
    )
)]
pub async fn create_export(
    State(app): State<Arc<App>>,
    caller: Caller,
    client: Client,
    Extension(request_id): Extension<RequestId>,
    headers: HeaderMap,
    Body(body): Body<ExportIn>,
) -> ApiResult<(StatusCode, Located, Json<ExportOut>)> {
    caller.may(Permission::Read)?;
    let key = body::idempotency_key(&headers)?;
    let (status, export) = match body.check(&app, &caller, key, request_id).await? {
        Checked::Repeated(export) => (StatusCode::OK, *export),
        Checked::New(new) => insert(&app, *new).await?,
    };
    let export = ExportOut::of(export, &app, &client);
    let location = export.location().to_owned();
    Ok((status, [(header::LOCATION, location)], Json(export)))
}

/// Lists exports of the caller's organization and everything under it, newest first.
///
/// Jobs of the metering family are among them.
#[utoipa::path(
    get, path = "/api/v1/exports", tag = "exports", params(PageQuery, ListQuery),
    responses((status = 200, body = PageOut<ExportOut>), (status = 400), (status = 401),
        (status = 403), (status = 404, description = "No such organization"))
)]
pub async fn list_exports(
    State(app): State<Arc<App>>,
    caller: Caller,
    client: Client,
    Query(page): Query<PageQuery>,
    Query(asked): Query<ListQuery>,
) -> ApiResult<Json<PageOut<ExportOut>>> {
    let reach = caller.reach(Permission::Read)?;
    let (filter, page, now) = (
        asked.filter(&caller)?,
        page.request(reach.organization)?,
        app.now(),
    );
    let found = app
        .metadata
        .list_exports(reach.tops.as_slice(), now, filter, &page)
        .await?;
    let wire = |export| Some(ExportOut::of(export, &app, &client));
    Ok(Json(PageOut::of(found, wire)))
}

/// Tells how far an export is; with `wait`, once it has ended or so many seconds have passed.
#[utoipa::path(
    get, path = "/api/v1/exports/{id}", tag = "exports", params(WaitQuery),
    responses((status = 200, body = ExportOut), (status = 400), (status = 401), (status = 403),
        (status = 404), (status = 429, description = "Too many requests wait already"))
)]
pub async fn get_export(
    State(app): State<Arc<App>>,
    caller: Caller,
    client: Client,
    Path(text): Path<String>,
    Query(wait): Query<WaitQuery>,
) -> ApiResult<Json<ExportOut>> {
    let export = find(&app, &caller, &text).await?;
    let export = wait.until_ended(&app, export).await?;
    Ok(Json(ExportOut::of(export, &app, &client)))
}

/// Cancels an export that has not ended.
#[utoipa::path(
    delete, path = "/api/v1/exports/{id}", tag = "exports",
    responses((status = 200, body = ExportOut), (status = 401), (status = 403), (status = 404),
        (status = 409, description = "It has ended, or is a job of the metering family"))
)]
pub async fn cancel_export(
    State(app): State<Arc<App>>,
    caller: Caller,
    client: Client,
    Path(text): Path<String>,
) -> ApiResult<Json<ExportOut>> {
    let export = find(&app, &caller, &text).await?;
    let cancelled = app.metadata.cancel_export(export.id, app.now()).await;
    let cancelled = cancelled.map_err(|error| match error {
        metadata::Error::WrongStatus { .. } => ApiError::new(Code::ExportEnded, error.to_string()),
        error => error.into(),
    })?;
    app.exports.cancelled(cancelled.id);
    Ok(Json(ExportOut::of(cancelled, &app, &client)))
}

/// Writes the job of a request and tells a worker; gives what the answer says of it.
async fn insert(app: &App, new: NewExport) -> ApiResult<(StatusCode, Export)> {
    let limit = app.config.exports.active_per_organization;
    let inserted = app.metadata.insert_export_within(new, limit, app.now());
    let inserted = inserted.await.map_err(body::refusal)?;
    if inserted.is_new {
        app.exports.wake();
        return Ok((StatusCode::ACCEPTED, inserted.export));
    }
    Ok((StatusCode::OK, inserted.export))
}

/// An export of either door whose organization is the caller's or under it.
async fn find(app: &App, caller: &Caller, text: &str) -> ApiResult<Export> {
    caller.may(Permission::Read)?;
    let found = app.metadata.find_export(id::<ExportId>(text, "export")?);
    let found = found.await?;
    let visible = |export: &Export| {
        let organization = export.request.organization;
        caller
            .under(Permission::Read, organization, app.now())
            .is_ok()
    };
    found
        .filter(visible)
        .ok_or_else(|| ApiError::not_found("export"))
}
