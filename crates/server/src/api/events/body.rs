//! The bytes of a body: what form they are in, decompressed and bounded.

use std::io;

use async_compression::tokio::bufread::{GzipDecoder, ZstdDecoder};
use async_compression::zstd::DParameter;
use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use domain::ids::OrganizationId;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use tokio::io::AsyncRead;
use tokio_util::io::{ReaderStream, StreamReader};

use crate::bodies::{Bodies, STEP_BYTES, Share};
use crate::error::{ApiError, ApiResult, Code};

/// Window of a zstd frame, as a power of two: bounds what a decoder keeps in memory to 8 MiB.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Bytes a decoder gives at once.
const DECODED_CHUNK_BYTES: usize = 64 * 1024;

/// The form of a body of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// One event as JSON.
    One,
    /// An array of events.
    Array,
    /// Either.
    OneOrArray,
    /// One event: attributes in `ce-` headers, data in the body.
    Binary,
    /// One event per line.
    Lines,
}

impl Form {
    /// The form the headers announce.
    pub(super) fn of(headers: &HeaderMap) -> ApiResult<Self> {
        let sent = headers.get(header::CONTENT_TYPE);
        let sent = sent.map_or("", |value| value.to_str().unwrap_or(""));
        let essence = sent.split(';').next().unwrap_or("").trim();
        let is = |name: &str| essence.eq_ignore_ascii_case(name);
        if is("application/cloudevents+json") {
            Ok(Self::One)
        } else if is("application/cloudevents-batch+json") {
            Ok(Self::Array)
        } else if headers.contains_key("ce-specversion") || headers.contains_key("ce-id") {
            Ok(Self::Binary)
        } else if is("application/json") {
            Ok(Self::OneOrArray)
        } else if is("application/x-ndjson") {
            Ok(Self::Lines)
        } else {
            let message = format!(
                "Content-Type is {sent:?}: expected application/cloudevents+json, \
                 application/cloudevents-batch+json, application/json or application/x-ndjson"
            );
            Err(ApiError::new(Code::UnsupportedMediaType, message))
        }
    }
}

/// A body as it arrives, decompressed.
pub(super) type Chunks = BoxStream<'static, io::Result<Bytes>>;

/// The decompressed chunks of a body. Others have their turn after each: a small body may become a
/// large one without ever waiting for the client.
pub(super) fn decoded(headers: &HeaderMap, body: Body) -> ApiResult<Chunks> {
    let raw = body.into_data_stream().map_err(io::Error::other);
    let encoding = headers.get(header::CONTENT_ENCODING);
    let encoding = encoding.map_or("", |value| value.to_str().unwrap_or("?"));
    match encoding.trim().to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(raw.boxed()),
        "gzip" | "x-gzip" => {
            let mut decoder = GzipDecoder::new(StreamReader::new(raw));
            decoder.multiple_members(true);
            Ok(in_turn(decoder))
        }
        "zstd" => {
            let bound = DParameter::window_log_max(ZSTD_WINDOW_LOG_MAX);
            let mut decoder = ZstdDecoder::with_params(StreamReader::new(raw), &[bound]);
            decoder.multiple_members(true);
            Ok(in_turn(decoder))
        }
        _ => {
            let message = format!("Content-Encoding is {encoding:?}: expected gzip or zstd");
            Err(ApiError::new(Code::UnsupportedMediaType, message))
        }
    }
}

fn in_turn(decoder: impl AsyncRead + Send + 'static) -> Chunks {
    let chunks = ReaderStream::with_capacity(decoder, DECODED_CHUNK_BYTES);
    let chunks = chunks.then(async |chunk| {
        tokio::task::yield_now().await;
        chunk
    });
    chunks.boxed()
}

/// A body that is held whole, and the memory it takes.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) bytes: Bytes,
    _room: Share,
}

/// Reads a whole body of at most `bytes_max` bytes, for which it waits until there is room; a body
/// of one chunk is not copied. `declared` is how many bytes there will be, where that is known.
pub(super) async fn whole(
    mut chunks: Chunks,
    declared: Option<u64>,
    bytes_max: usize,
    (bodies, owner): (&Bodies, OrganizationId),
) -> ApiResult<Whole> {
    let declared = declared.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    check(declared.unwrap_or(0), bytes_max)?;
    let pool = bodies.pool(declared.unwrap_or(bytes_max));
    let owner = Some(owner);
    let mut room = pool
        .take(owner, declared.unwrap_or(STEP_BYTES), bodies.wait())
        .await?;
    let mut all = BytesMut::new();
    let mut one = None;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(broken)?;
        let bytes = all.len() + chunk.len();
        check(bytes, bytes_max)?;
        if all.is_empty() && declared == Some(bytes) {
            one = Some(chunk);
            continue;
        }
        if bytes > all.capacity() {
            let capacity = declared
                .unwrap_or(2 * bytes)
                .clamp(bytes, bytes_max.max(bytes));
            pool.grow(&mut room, owner, capacity, bodies.wait()).await?;
            all.reserve(capacity - all.len());
        }
        all.extend_from_slice(&chunk);
    }
    let bytes = one.unwrap_or_else(|| all.freeze());
    Ok(Whole { bytes, _room: room })
}

fn check(bytes: usize, bytes_max: usize) -> ApiResult<()> {
    if bytes <= bytes_max {
        return Ok(());
    }
    let message = format!(
        "the body has more than {bytes_max} bytes (limits.events_body_bytes_max): send fewer \
         events at once or application/x-ndjson; nothing is stored"
    );
    Err(ApiError::new(Code::BodyTooLarge, message))
}

/// The client went away or sent bytes that do not decompress.
#[expect(clippy::needless_pass_by_value, reason = "used to map errors")]
pub(super) fn broken(error: io::Error) -> ApiError {
    ApiError::invalid(format!("the body could not be read: {error}"))
}
