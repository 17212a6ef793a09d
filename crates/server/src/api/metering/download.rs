//! The ZIP of a finished job, streamed from where artifacts are kept.

use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use metadata::{Artifact, Export, ExportStatus};

use super::find;
use super::range::{Wanted, wanted};
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
    let tag = tag(artifact);
    if names(&headers, &header::IF_NONE_MATCH, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    let (status, part) = match wanted(range_of(&headers, &tag), artifact.size_bytes) {
        Wanted::Whole => (StatusCode::OK, None),
        Wanted::Part(part) => (StatusCode::PARTIAL_CONTENT, Some(part)),
        Wanted::Nothing => return Err(not_there(artifact.size_bytes)),
    };
    let artifacts = app.exports.artifacts();
    let bytes = artifacts.read(&artifact.path, part.clone()).await?;
    let mut response = (status, Body::from_stream(bytes)).into_response();
    let headers = response.headers_mut();
    describe(headers, &export, tag);
    measure(headers, artifact.size_bytes, part);
    Ok(response)
}

/// The range asked for, unless the file is not the one its asker knows.
fn range_of<'h>(headers: &'h HeaderMap, tag: &HeaderValue) -> Option<&'h str> {
    let conditional = headers.contains_key(header::IF_RANGE);
    if conditional && !names(headers, &header::IF_RANGE, tag) {
        return None;
    }
    headers.get(header::RANGE)?.to_str().ok()
}

/// Says how many bytes follow, and which.
fn measure(headers: &mut HeaderMap, size_bytes: u64, part: Option<Range<u64>>) {
    let sent = part.clone().unwrap_or(0..size_bytes);
    let length = HeaderValue::from(sent.end - sent.start);
    headers.insert(header::CONTENT_LENGTH, length);
    if let Some(part) = part {
        let which = format!("bytes {}-{}/{size_bytes}", part.start, part.end - 1);
        headers.insert(header::CONTENT_RANGE, text(&which));
    }
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

fn not_there(size_bytes: u64) -> ApiError {
    let message = format!("the range lies outside of the file's {size_bytes} bytes");
    ApiError::new(Code::RangeNotSatisfiable, message)
}

fn describe(headers: &mut HeaderMap, export: &Export, tag: HeaderValue) {
    let name = format!("attachment; filename=\"{}.zip\"", export.id);
    let zip = HeaderValue::from_static("application/zip");
    headers.insert(header::CONTENT_TYPE, zip);
    headers.insert(header::CONTENT_DISPOSITION, text(&name));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::ETAG, tag);
}

/// The strong entity tag: the SHA-256 of the bytes.
fn tag(artifact: &Artifact) -> HeaderValue {
    let hex = artifact.sha256.map(|byte| format!("{byte:02x}")).concat();
    text(&format!("\"{hex}\""))
}

/// Whether a conditional header names the tag or anything there is.
fn names(headers: &HeaderMap, name: &HeaderName, tag: &HeaderValue) -> bool {
    let sent = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut tags = sent.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|sent| sent == "*" || sent.strip_prefix("W/").unwrap_or(sent).as_bytes() == tag)
}

fn text(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).expect("ids, numbers and hex are ascii")
}
