//! What a read sees: pinned in one step.

use std::sync::Arc;

use crate::manifest::RetentionFloor;
use crate::row::Row;
use crate::segment::Segment;

/// Rows not yet in a segment, ascending by sequence.
#[derive(Debug)]
pub struct TailChunk {
    /// The rows.
    pub rows: Vec<Row>,
}

impl TailChunk {
    /// Wraps rows in ascending order.
    pub fn new(rows: Vec<Row>) -> Self {
        Self { rows }
    }
}

/// Segments and rows as of one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Segments by sequence.
    pub segments: Vec<Arc<Segment>>,
    /// Rows up to here come from segments only.
    pub flushed_through: u64,
    /// Later rows.
    pub tail: Vec<Arc<TailChunk>>,
    /// The newest durable sequence.
    pub watermark: u64,
    /// Usage that is gone by rule.
    pub retention: Vec<RetentionFloor>,
}
