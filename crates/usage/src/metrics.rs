//! Plain numbers of the store, for whoever exports them.

/// Numbers since the store was opened, and sizes as they are now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Metrics {
    /// Journal frames written.
    pub frames_total: u64,
    /// Bytes written to the journal.
    pub journal_bytes_total: u64,
    /// Journal syncs.
    pub syncs_total: u64,
    /// Time spent in journal syncs, in nanoseconds.
    pub sync_nanoseconds_total: u64,
    /// Flushes that ended well.
    pub flushes_total: u64,
    /// Segment joins and rewrites that ended well.
    pub compactions_total: u64,
    /// Merges of key runs that ended well.
    pub run_merges_total: u64,
    /// Rows not yet in a segment.
    pub unflushed_rows: u64,
    /// Memory held by rows not yet in a segment, in bytes.
    pub unflushed_bytes: u64,
    /// Segments.
    pub segments: u64,
    /// Bytes of all segments.
    pub segment_bytes: u64,
    /// Runs of seen keys.
    pub runs: u64,
    /// Keys in all runs.
    pub run_keys: u64,
    /// The newest durable sequence.
    pub watermark: u64,
    /// Threads of the store that panicked, after which it takes nothing in.
    pub panics_total: u64,
}
