//! Finished artifacts as HTTP gives them out: whole, in parts, or not again.

mod range;

use std::ops::Range;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use metadata::Artifact;

use self::range::{Wanted, wanted};
use crate::app::App;
use crate::error::{ApiError, ApiResult, Code};

/// Media types by the end of a file's name.
const MEDIA_TYPES: [(&str, &str); 3] = [
    (".zip", "application/zip"),
    (".gz", "application/gzip"),
    (".parquet", "application/vnd.apache.parquet"),
];

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

/// Streams an artifact as the headers of a request ask for it.
pub(super) async fn send(
    app: &App,
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
    let artifacts = app.exports.artifacts();
    let bytes = artifacts.read(&artifact.path, part.clone()).await?;
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
