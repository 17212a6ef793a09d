//! What a finished export gives out: its file, and what the file says of itself.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use export::manifest::with_text;

use super::find;
use crate::api::artifact::{self, Absence};
use crate::app::App;
use crate::auth::Caller;
use crate::error::{ApiError, ApiResult, Code};

const ABSENCE: Absence = Absence {
    expired: Code::ExportExpired,
    not_ready: Code::ExportNotReady,
    lost: Code::ExportLost,
};

/// Gives the file of an export, for some days after it ended.
#[utoipa::path(
    get, path = "/api/v1/exports/{id}/download", tag = "exports",
    responses(
        (status = 200, content_type = "application/zip"),
        (status = 206, content_type = "application/zip", description = "The asked range"),
        (status = 304, description = "If-None-Match names what is there"),
        (status = 401), (status = 403), (status = 404),
        (status = 409, description = "Not finished, failed or cancelled"),
        (status = 410, description = "Expired, or damaged and not to be made again"),
        (status = 416), (status = 503, description = "Damaged, and being made again")
    )
)]
pub async fn download_export(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(text): Path<String>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let export = find(&app, &caller, &text).await?;
    let artifact = artifact::finished(&app, &export, &ABSENCE)?;
    artifact::send(&app, &export, artifact, &headers).await
}

/// Gives the manifest of an export: its files with their rows, control sums and SHA-256.
#[utoipa::path(
    get, path = "/api/v1/exports/{id}/manifest", tag = "exports",
    responses(
        (status = 200, content_type = "application/json", body = Object),
        (status = 401), (status = 403), (status = 404),
        (status = 409, description = "Not finished, failed or cancelled"),
        (status = 410, description = "Expired, or damaged and not to be made again"),
        (status = 503, description = "Damaged, and being made again")
    )
)]
pub async fn export_manifest(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(text): Path<String>,
) -> ApiResult<Response> {
    let export = find(&app, &caller, &text).await?;
    let artifact = artifact::finished(&app, &export, &ABSENCE)?;
    let stored = artifact::manifest(&app, &export, artifact).await?;
    let as_of = export.pins.map(|pins| app.seal.text(pins.as_of));
    let manifest = with_text(&stored, as_of.as_deref()).map_err(ApiError::internal)?;
    let media_type = [(header::CONTENT_TYPE, "application/json")];
    Ok((media_type, manifest).into_response())
}
