//! A pinned state of the store: what one read sees from its first row to its last.

use std::sync::Arc;

use crate::manifest::RetentionFloor;
use crate::row::Row;
use crate::segment::Segment;

/// Segments and unflushed rows that belong together. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Segments, by sequence.
    pub segments: Vec<Arc<Segment>>,
    /// Rows up to here come only from segments, later ones only from `tail`.
    pub flushed_through: u64,
    /// Rows in memory, by sequence; may still hold some that segments hold too.
    pub tail: Vec<Arc<TailChunk>>,
    /// The newest durable sequence.
    pub watermark: u64,
    /// Usage removed by retention.
    pub retention: Vec<RetentionFloor>,
}

/// Some rows with contiguous sequences that no segment holds yet.
#[derive(Debug)]
pub struct TailChunk {
    /// The rows, by sequence.
    pub rows: Vec<Row>,
}

impl TailChunk {
    /// Keeps rows, by sequence, for reads; fewer than 2^32 of them.
    pub fn new(mut rows: Vec<Row>) -> Self {
        // Rows stay for a while: room for more of them would be as large as they are.
        rows.shrink_to_fit();
        Self { rows }
    }
}
