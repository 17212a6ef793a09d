//! The manifest: the one file that says which files are the store.

use std::collections::BTreeMap;

use domain::ids::OrganizationId;
use domain::meter::ReadingRule;
use domain::path::JsonPath;
use serde::{Deserialize, Serialize};

pub(crate) mod file;

/// Version of the manifest's form this release writes.
pub const MANIFEST_FORMAT: u32 = 1;

/// Everything the store consists of besides the journal. Replaced as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this form.
    pub format: u32,
    /// Random identity of the store, as 32 hexadecimal digits.
    pub store: String,
    /// Secret of the key digests and of the journal's checksums, as 32 hexadecimal digits.
    pub secret: String,
    /// Counts up with every replacement.
    pub generation: u64,
    /// Rows up to here are in segments, later ones in the journal.
    pub flushed_through: u64,
    /// Number of the first journal file whose frames are not flushed.
    pub journal_from: u64,
    /// Segments by sequence: disjoint, contiguous, from 1 to `flushed_through`.
    pub segments: Vec<SegmentEntry>,
    /// Runs of seen keys.
    pub runs: Vec<RunEntry>,
    /// Conservation counters up to `flushed_through`, by organization id or `unattributed`.
    pub counters: BTreeMap<String, Counters>,
    /// Usage removed by retention.
    pub retention: Vec<RetentionFloor>,
}

/// One segment file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentEntry {
    /// Version of the segment's form.
    pub format: u32,
    /// Name in the `segments` folder.
    pub file: String,
    /// First sequence inside.
    pub first: u64,
    /// Last sequence inside.
    pub last: u64,
    /// Rows inside; fewer than the sequences once retention or erasure rewrote it.
    pub rows: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// XXH3 (64 bits) of the whole file, as 16 hexadecimal digits.
    pub checksum: String,
    /// Bytes at the end of the file that hold the checksums of all blocks before them.
    pub tail_bytes: u64,
    /// XXH3 (64 bits) of these bytes, as 16 hexadecimal digits.
    pub tail_checksum: String,
    /// Earliest event time, in nanoseconds since 1970.
    pub time_min_ns: i64,
    /// Latest event time, in nanoseconds since 1970.
    pub time_max_ns: i64,
    /// Event types inside, sorted.
    pub event_types: Vec<String>,
    /// What is there as columns.
    pub layout: Layout,
    /// Hourly totals of its rows, by level (1 or 2).
    pub rollups: Vec<RollupEntry>,
    /// Whether a dimension may hold a number that was sent with an exponent, which segments
    /// spell with a sign. Entries of releases that did not look have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exponents: Option<bool>,
}

/// The readings and paths that have columns of their own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Layout {
    /// Rules of the declared meters, by [`ReadingRule::key`]; equal keys once.
    pub rules: Vec<ReadingRule>,
    /// Declared group-by paths of meters that take numbers as they are spelled, sorted.
    pub paths: Vec<JsonPath>,
    /// Declared group-by paths of meters that take numbers by value, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<JsonPath>,
}

/// One file of hourly totals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollupEntry {
    /// 1: organization, rule, hour. 2: also project, folder, asset, environment, tag, app.
    pub level: u8,
    /// Name in the `segments` folder.
    pub file: String,
    /// Rows inside.
    pub rows: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// XXH3 (64 bits) of the whole file, as 16 hexadecimal digits.
    pub checksum: String,
    /// Bytes at the end of the file that hold the checksums of all blocks before them.
    pub tail_bytes: u64,
    /// XXH3 (64 bits) of these bytes, as 16 hexadecimal digits.
    pub tail_checksum: String,
}

/// One run of seen keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunEntry {
    /// Version of the run's form.
    pub format: u32,
    /// Name in the `keys` folder.
    pub file: String,
    /// First sequence whose key is inside.
    pub first: u64,
    /// Last sequence whose key is inside.
    pub last: u64,
    /// Keys inside.
    pub keys: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// XXH3 (64 bits) of the whole file, as 16 hexadecimal digits.
    pub checksum: String,
}

/// What became of the events received for one organization: the conservation law is
/// `received = stored + duplicate + conflict + refused`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counters {
    /// Events received and answered.
    pub received: u64,
    /// Accepted and stored.
    pub stored: u64,
    /// Known already and the same.
    pub duplicate: u64,
    /// Known already but different.
    pub conflict: u64,
    /// Not taken.
    pub refused: u64,
}

/// Usage of `organization` timed before `before_ns` was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionFloor {
    /// Whose usage.
    pub organization: OrganizationId,
    /// First event time kept, in nanoseconds since 1970.
    pub before_ns: i64,
}
