//! A stored event with its number: what the journal, segments and reads agree on.

use domain::Timestamp;
use domain::event::EventTexts;
use domain::ids::OrganizationId;

/// One stored event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Number of the event in the store: unique, ascending, without gaps, from 1.
    pub sequence: u64,
    /// Organization that owns the credential it came with.
    pub namespace: OrganizationId,
    /// Organization the use belongs to.
    pub organization: OrganizationId,
    /// What it says in words.
    pub texts: EventTexts,
    /// Instant the use ended, in nanoseconds since 1970 UTC.
    pub time_ns: i64,
    /// Instant of receipt, in nanoseconds since 1970 UTC.
    pub received_ns: i64,
    /// Sequence of the event that had the same key first; such a row counts in no reading.
    pub conflict_with: Option<u64>,
}

impl Row {
    /// The event time.
    pub fn time(&self) -> Timestamp {
        instant(self.time_ns)
    }
}

/// The instant `nanoseconds` after 1970; every `i64` is one.
pub fn instant(nanoseconds: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(nanoseconds)).expect("jiff covers every i64 of ns")
}

/// Nanoseconds since 1970, clamped to what 64 bits hold (the years 1678 to 2262).
pub fn nanoseconds(instant: Timestamp) -> i64 {
    let bound = |value: i128| value.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
    i64::try_from(bound(instant.as_nanosecond())).expect("clamped")
}
