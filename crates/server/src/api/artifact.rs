//! Finished artifacts as HTTP gives them out: whole, in parts, or not again.
//!
//! Each block is compared with its checksum before a byte of it is sent. Where one does not fit,
//! the connection breaks, and the artifact is made again.

mod damage;
mod range;

use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::StreamExt;
use metadata::{Artifact, Export, ExportStatus};

use self::damage::Reader;
use self::range::{Wanted, wanted};
use crate::app::App;
use crate::error::{ApiError, ApiResult, Code};

/// Media types by the end of a file's name.
const MEDIA_TYPES: [(&str, &str); 3] = [
    (".zip", "application/zip"),
    (".gz", "application/gzip"),
    (".parquet", "application/vnd.apache.parquet"),
];

/// What a family of routes answers where there is no file.
pub(super) struct Absence {
    /// Its time is over.
    pub(super) expired: Code,
    /// It has yet to be made, or never will be.
    pub(super) not_ready: Code,
    /// It was damaged and could not be made again.
    pub(super) lost: Code,
}

/// The artifact of an export that has one now.
pub(super) fn finished<'e>(
    app: &App,
    export: &'e Export,
    absence: &Absence,
) -> ApiResult<&'e Artifact> {
    let refused = |code: Code| Err(ApiError::new(code, code.meaning()));
    let is_over = |artifact: &Artifact| artifact.expires_at <= app.now();
    match (&export.artifact, export.status) {
        (_, ExportStatus::Expired) => refused(absence.expired),
        (_, ExportStatus::Failed) if export.damaged_at.is_some() => refused(absence.lost),
        (Some(artifact), _) if is_over(artifact) => refused(absence.expired),
        (Some(artifact), ExportStatus::Success | ExportStatus::PartialSuccess) => Ok(artifact),
        (Some(_), status) if status.is_active() => Err(damage::being_made_again()),
        _ => refused(absence.not_ready),
    }
}

/// The name an artifact is saved under: the last part of where it lies.
pub(super) fn file_name(artifact: &Artifact) -> &str {
    let path = artifact.path.as_str();
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// The media type of an artifact.
pub(super) fn media_type(artifact: &Artifact) -> &'static str {
    let known = MEDIA_TYPES
        .iter()
        .find(|(end, _)| artifact.path.ends_with(end));
    known.map_or("application/octet-stream", |(_, media_type)| media_type)
}

/// SHA-256 of an artifact in lower-case hexadecimal digits.
pub(super) fn sha256(artifact: &Artifact) -> String {
    artifact.sha256.map(|byte| format!("{byte:02x}")).concat()
}

/// The manifest of an export that has an artifact now.
pub(super) async fn manifest(
    app: &Arc<App>,
    export: &Export,
    artifact: &Artifact,
) -> ApiResult<Bytes> {
    let manifest = app.exports.artifacts();
    let manifest = manifest.checked_manifest(export.id, artifact).await;
    Reader::of(app, export).refuse(manifest).await
}

/// Streams the artifact of an export as the headers of a request ask for it.
pub(super) async fn send(
    app: &Arc<App>,
    export: &Export,
    artifact: &Artifact,
    headers: &HeaderMap,
) -> ApiResult<Response> {
    // The strong entity tag is the SHA-256 of the bytes.
    let tag = text(&format!("\"{}\"", sha256(artifact)));
    if names(headers, &header::IF_NONE_MATCH, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    let (status, part) = match wanted(range_of(headers, &tag), artifact.size_bytes) {
        Wanted::Whole => (StatusCode::OK, None),
        Wanted::Part(part) => (StatusCode::PARTIAL_CONTENT, Some(part)),
        Wanted::Nothing => return Err(not_there(artifact.size_bytes)),
    };
    let reader = Reader::of(app, export);
    let artifacts = app.exports.artifacts();
    let bytes = artifacts.open(export.id, artifact, part.clone()).await;
    let bytes = reader.refuse(bytes).await?;
    let bytes = bytes.then(move |part| reader.clone().notice(part));
    let mut response = (status, Body::from_stream(bytes)).into_response();
    let headers = response.headers_mut();
    describe(headers, artifact, tag);
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

fn not_there(size_bytes: u64) -> ApiError {
    let message = format!("the range lies outside of the file's {size_bytes} bytes");
    ApiError::new(Code::RangeNotSatisfiable, message)
}

fn describe(headers: &mut HeaderMap, artifact: &Artifact, tag: HeaderValue) {
    let name = format!("attachment; filename=\"{}\"", file_name(artifact));
    let media_type = HeaderValue::from_static(media_type(artifact));
    headers.insert(header::CONTENT_TYPE, media_type);
    headers.insert(header::CONTENT_DISPOSITION, text(&name));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::ETAG, tag);
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
