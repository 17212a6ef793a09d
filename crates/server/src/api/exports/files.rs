//! What a finished export gives out: its file, and what the file says of itself.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use metadata::{Artifact, Export, ExportStatus};

use super::find;
use crate::api::artifact;
use crate::app::App;
use crate::auth::Caller;
use crate::error::{ApiError, ApiResult, Code};

/// Gives the file of an export, for some days after it ended.
#[utoipa::path(
    get, path = "/api/v1/exports/{id}/download", tag = "exports",
    responses(
        (status = 200, content_type = "application/zip"),
        (status = 206, content_type = "application/zip", description = "The asked range"),
        (status = 304, description = "If-None-Match names what is there"),
        (status = 401), (status = 403), (status = 404),
        (status = 409, description = "Not finished, failed or cancelled"),
        (status = 410, description = "Expired"), (status = 416)
    )
)]
pub async fn download_export(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(text): Path<String>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let export = find(&app, &caller, &text).await?;
    artifact::send(&app, finished(&app, &export)?, &headers).await
}

/// Gives the manifest of an export: its files with their rows, control sums and SHA-256.
#[utoipa::path(
    get, path = "/api/v1/exports/{id}/manifest", tag = "exports",
    responses(
        (status = 200, content_type = "application/json", body = Object),
        (status = 401), (status = 403), (status = 404),
        (status = 409, description = "Not finished, failed or cancelled"),
        (status = 410, description = "Expired")
    )
)]
pub async fn export_manifest(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(text): Path<String>,
) -> ApiResult<Response> {
    let export = find(&app, &caller, &text).await?;
    finished(&app, &export)?;
    let manifest = app.exports.artifacts().manifest(export.id).await?;
    let media_type = [(header::CONTENT_TYPE, "application/json")];
    Ok((media_type, manifest).into_response())
}

/// The artifact of an export that has one now.
fn finished<'e>(app: &App, export: &'e Export) -> ApiResult<&'e Artifact> {
    let refused = |code: Code| Err(ApiError::new(code, code.meaning()));
    match (&export.artifact, export.status) {
        (_, ExportStatus::Expired) => refused(Code::ExportExpired),
        (Some(artifact), ExportStatus::Success | ExportStatus::PartialSuccess) => {
            if artifact.expires_at <= app.now() {
                return refused(Code::ExportExpired);
            }
            Ok(artifact)
        }
        _ => refused(Code::ExportNotReady),
    }
}
