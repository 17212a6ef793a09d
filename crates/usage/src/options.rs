//! What an operator may set, and every bound of the store with its unit.

use std::path::PathBuf;

/// Milliseconds a batch waits for the writer where nobody says otherwise.
pub const WRITER_WAIT_MS: u64 = 60_000;
/// Events one call of `accept` may bring.
pub const BATCH_EVENTS_MAX: usize = 100_000;
/// Bytes of rows one call of `accept` may bring.
pub const BATCH_BYTES_MAX: usize = 64 << 20;
/// Events up to which a batch is prepared where its caller runs; more of them take milliseconds.
pub const INLINE_EVENTS_MAX: usize = 256;
/// Bytes of rows after which a journal frame takes no further request.
pub const FRAME_BYTES_MAX: usize = 8 << 20;
/// Requests one journal frame may hold.
pub const FRAME_REQUESTS_MAX: usize = 4096;
/// Bytes a request counts for at least while it waits for the writer.
pub const QUEUE_UNIT_BYTES: usize = 4096;
/// Milliseconds until a mark that found no space is tried again.
pub const MARK_RETRY_MS: u64 = 1_000;
/// Rows collected before they become one chunk of the unflushed tail.
pub const CHUNK_ROWS_MAX: usize = 8192;
/// Milliseconds that joins wait after a flush that was due by size: the cores are needed elsewhere.
pub const JOIN_REST_MS: u64 = 2_000;
/// Segments below the size that rests with which joins wait no longer.
pub const JOIN_DEBT_SEGMENTS_MAX: usize = 64;
/// Seen-key runs of one size class that are merged into one of the next.
pub const RUNS_PER_TIER_MAX: usize = 8;
/// Keys one filter block covers; building one takes about 40 bytes per key.
pub const FILTER_KEYS_MAX: usize = 1 << 18;

/// How the store is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The folder the store lives in; created when missing.
    pub folder: PathBuf,
    /// Who opens it, as another process is told.
    pub holder: String,
    /// A sequence known to have been durable; a store that ends before it is damaged.
    pub durable_through: u64,
    /// Time without a further frame after which an answered one is followed by a mark, in
    /// milliseconds.
    pub mark_after_ms: u64,
    /// Unflushed rows that start a flush.
    pub flush_rows: u64,
    /// Bytes of unflushed rows in memory that start a flush.
    pub flush_bytes: u64,
    /// Age of the oldest unflushed row that starts a flush, in milliseconds.
    pub flush_age_ms: u64,
    /// Unflushed rows at which ingest waits.
    pub unflushed_rows_max: u64,
    /// Bytes of unflushed rows in memory at which ingest waits.
    pub unflushed_bytes_max: u64,
    /// Bytes of requests that may wait for the writer; further callers wait before preparing.
    pub queue_bytes_max: usize,
}

impl Options {
    /// The defaults, for a store in `folder`.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            holder: format!("process {}", std::process::id()),
            durable_through: 0,
            mark_after_ms: 10,
            flush_rows: 250_000,
            flush_bytes: 32 << 20,
            flush_age_ms: 60_000,
            unflushed_rows_max: 1_000_000,
            unflushed_bytes_max: 56 << 20,
            queue_bytes_max: 12 << 20,
        }
    }
}
