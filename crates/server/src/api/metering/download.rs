//! The ZIP of a finished job, for some days after it ended.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use metadata::{Artifact, Export, ExportStatus};

use super::find;
use crate::api::artifact;
use crate::app::App;
use crate::auth::Caller;
use crate::error::{ApiError, ApiResult, Code};

/// Gives the ZIP of a job of any kind, for some days after it ended.
#[utoipa::path(
    get, path = "/saas/public/core/v3/license/metering/ExportMeteringData/{jobId}/download",
    tag = "metering", params(("jobId" = String, Path)),
    responses(
        (status = 200, content_type = "application/zip"),
        (status = 206, content_type = "application/zip", description = "The asked range"),
        (status = 304, description = "If-None-Match names what is there"),
        (status = 400, description = "Not finished, or failed"),
        (status = 401), (status = 403), (status = 404, description = "No such job, or not the caller's"),
        (status = 410, description = "Expired"), (status = 416)
    ),
    security(("session" = []))
)]
pub async fn download_export(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(job): Path<String>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let export = find(&app, &caller, &job).await?;
    let artifact = finished(&app, &export)?;
    artifact::send(&app, artifact, &headers).await
}

/// The artifact of a job that has one now.
fn finished<'e>(app: &App, export: &'e Export) -> ApiResult<&'e Artifact> {
    let refused = |code: Code| Err(ApiError::new(code, code.meaning()));
    match (&export.artifact, export.status) {
        (_, ExportStatus::Expired) => refused(Code::MeteringExpired),
        (Some(artifact), ExportStatus::Success | ExportStatus::PartialSuccess) => {
            if artifact.expires_at <= app.now() {
                return refused(Code::MeteringExpired);
            }
            Ok(artifact)
        }
        _ => refused(Code::MeteringNotFinished),
    }
}
