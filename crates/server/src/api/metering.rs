//! Export jobs of the metering family: steps 1 and 9 of usage out.

pub mod download;
mod job;
pub(super) mod request;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::{Extension, Json};
use domain::ids::{ExportId, OrganizationId, RequestId};
use metadata::{Export, ExportSource, NewExport};

use self::job::JobOut;
use self::request::{ExportIn, Wanted};
use super::page::id;
use crate::app::App;
use crate::auth::{Caller, Permission, Who};
use crate::error::{ApiError, ApiResult, Code};

/// Asks for a summary, or for consumption by project and folder or by asset.
#[utoipa::path(
    post, path = "/saas/public/core/v3/license/metering/ExportMeteringData", tag = "metering",
    request_body = ExportIn,
    responses((status = 200, body = JobOut), (status = 400), (status = 401), (status = 403)),
    security(("session" = []))
)]
pub async fn create_export(
    State(app): State<Arc<App>>,
    caller: Caller,
    Extension(request_id): Extension<RequestId>,
    body: Bytes,
) -> ApiResult<Json<JobOut>> {
    let wanted = ExportIn::read(&body)?.by_job_type(&caller.control)?;
    insert(&app, &caller, request_id, wanted).await
}

/// Asks for a summary of the organization and everything under it: the older resource.
#[utoipa::path(
    post,
    path = "/saas/public/core/v3/license/metering/ExportMeteringDataAllLinkedOrgsAcrossRegion",
    tag = "metering", request_body = ExportIn,
    responses((status = 200, body = JobOut), (status = 400), (status = 401), (status = 403)),
    security(("session" = []))
)]
pub async fn create_linked_export(
    State(app): State<Arc<App>>,
    caller: Caller,
    Extension(request_id): Extension<RequestId>,
    body: Bytes,
) -> ApiResult<Json<JobOut>> {
    let wanted = ExportIn::read(&body)?.all_linked()?;
    insert(&app, &caller, request_id, wanted).await
}

/// Asks for every job of one meter, or of all that have a report.
#[utoipa::path(
    post, path = "/saas/public/core/v3/license/metering/ExportServiceJobLevelMeteringData",
    tag = "metering", request_body = ExportIn,
    responses((status = 200, body = JobOut), (status = 400), (status = 401), (status = 403)),
    security(("session" = []))
)]
pub async fn create_job_level_export(
    State(app): State<Arc<App>>,
    caller: Caller,
    Extension(request_id): Extension<RequestId>,
    body: Bytes,
) -> ApiResult<Json<JobOut>> {
    let wanted = ExportIn::read(&body)?.job_level(&caller.control)?;
    insert(&app, &caller, request_id, wanted).await
}

/// Tells how far a job of any kind is.
#[utoipa::path(
    get, path = "/saas/public/core/v3/license/metering/ExportMeteringData/{jobId}",
    tag = "metering", params(("jobId" = String, Path)),
    responses((status = 200, body = JobOut), (status = 401), (status = 403),
        (status = 404, description = "No such job, or not the caller's")),
    security(("session" = []))
)]
pub async fn get_export(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(job): Path<String>,
) -> ApiResult<Json<JobOut>> {
    let export = find(&app, &caller, &job).await?;
    Ok(Json(JobOut::of(export)))
}

async fn insert(
    app: &App,
    caller: &Caller,
    request_id: RequestId,
    wanted: Wanted,
) -> ApiResult<Json<JobOut>> {
    let organization = enter(app, caller)?;
    let new = NewExport {
        id: None,
        kind: wanted.kind,
        source: ExportSource::Vendor,
        organization,
        user: match caller.who {
            Who::Session { user, .. } => Some(user),
            Who::Key(_) | Who::Local => None,
        },
        start: wanted.start,
        end: wanted.end,
        meter: wanted.meter,
        all_meters: wanted.all_meters,
        combined: wanted.combined,
        all_linked_orgs: wanted.all_linked_orgs,
        parameters: None,
        callback_url: wanted.callback_url,
        idempotency_key: None,
        as_of: None,
        request_id: Some(request_id),
        request_sha256: None,
    };
    let inserted = app.metadata.insert_export(new, app.now()).await;
    let export = inserted.map_err(refusal)?;
    app.exports.wake();
    Ok(Json(JobOut::accepted(export)))
}

/// The caller's organization, when it may read and the family is open to it.
fn enter(app: &App, caller: &Caller) -> ApiResult<OrganizationId> {
    let organization = caller.may(Permission::Read)?;
    let control = caller.control.organization(organization);
    if !control.is_some_and(|organization| organization.at(app.now()).metering_enabled) {
        let code = Code::MeteringDisabled;
        return Err(ApiError::new(code, code.meaning()));
    }
    Ok(organization)
}

fn refusal(error: metadata::Error) -> ApiError {
    match error {
        metadata::Error::TooManyExports { .. } => {
            ApiError::new(Code::MeteringActiveJobs, error.to_string())
        }
        error => error.into(),
    }
}

/// A job of this door whose organization is the caller's or under it.
async fn find(app: &App, caller: &Caller, job: &str) -> ApiResult<Export> {
    enter(app, caller)?;
    let found = app
        .metadata
        .find_export(id::<ExportId>(job, "job")?)
        .await?;
    let visible = |export: &Export| {
        let organization = export.request.organization;
        export.request.source == ExportSource::Vendor
            && caller
                .under(Permission::Read, organization, app.now())
                .is_ok()
    };
    found
        .filter(visible)
        .ok_or_else(|| ApiError::not_found("job"))
}
