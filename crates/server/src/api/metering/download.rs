//! The ZIP of a finished job, for some days after it ended.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;

use super::find;
use crate::api::artifact::{self, Absence};
use crate::app::App;
use crate::auth::Caller;
use crate::error::{ApiResult, Code};

const ABSENCE: Absence = Absence {
    expired: Code::MeteringExpired,
    not_ready: Code::MeteringNotFinished,
    lost: Code::MeteringLost,
};

/// Gives the ZIP of a job of any kind, for some days after it ended.
#[utoipa::path(
    get, path = "/saas/public/core/v3/license/metering/ExportMeteringData/{jobId}/download",
    tag = "metering", params(("jobId" = String, Path)),
    responses(
        (status = 200, content_type = "application/zip"),
        (status = 206, content_type = "application/zip", description = "The asked range"),
        (status = 304, description = "If-None-Match names what is there"),
        (status = 400, description = "Not finished, or failed"),
        (status = 401), (status = 403),
        (status = 404, description = "No such job, or not the caller's"),
        (status = 410, description = "Expired, or damaged and not to be made again"),
        (status = 416), (status = 503, description = "Damaged, and being made again")
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
    let artifact = artifact::finished(&app, &export, &ABSENCE)?;
    artifact::send(&app, &export, artifact, &headers).await
}
