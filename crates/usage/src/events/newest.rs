//! The newest few of many, without keeping the many.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use domain::Timestamp;

use crate::row::nanoseconds;

/// Where an event lies in a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Tail {
        chunk: u32,
        row: u32,
    },
    Segment {
        segment: usize,
        group: usize,
        row: usize,
    },
}

/// An event that may be listed: ordered by time, then by sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    pub(super) time_ns: i64,
    pub(super) sequence: u64,
    pub(super) place: Place,
}

/// At most `limit` candidates, the newest of those pushed.
#[derive(Debug)]
pub(super) struct Newest {
    limit: usize,
    /// Time and sequence from which on none is taken.
    before: Option<(i64, u64)>,
    heap: BinaryHeap<Reverse<Candidate>>,
}

impl Newest {
    /// Takes those that come after the event of a time and sequence, newest first.
    pub(super) fn new(limit: usize, after: Option<(Timestamp, u64)>) -> Self {
        Self {
            limit,
            before: after.map(|(time, sequence)| (nanoseconds(time), sequence)),
            heap: BinaryHeap::new(),
        }
    }

    /// Whether `candidate` is newer than one that is held, or there is room.
    pub(super) fn takes(&self, candidate: &Candidate) -> bool {
        let place = (candidate.time_ns, candidate.sequence);
        if self.before.is_some_and(|before| place >= before) {
            return false;
        }
        if self.heap.len() < self.limit {
            return true;
        }
        let oldest = self.heap.peek();
        oldest.is_some_and(|Reverse(oldest)| candidate > oldest)
    }

    /// Whether neither `candidate` nor an older one is taken any more.
    pub(super) fn is_too_old(&self, candidate: &Candidate) -> bool {
        let oldest = self.heap.peek().filter(|_| self.heap.len() >= self.limit);
        self.limit == 0 || oldest.is_some_and(|Reverse(oldest)| candidate <= oldest)
    }

    /// Whether an event at `time_ns` could be taken.
    pub(super) fn may_take(&self, time_ns: i64) -> bool {
        if self.heap.len() < self.limit {
            return true;
        }
        let oldest = self.heap.peek();
        oldest.is_some_and(|Reverse(oldest)| time_ns >= oldest.time_ns)
    }

    pub(super) fn push(&mut self, candidate: Candidate) {
        self.heap.push(Reverse(candidate));
        if self.heap.len() > self.limit {
            self.heap.pop();
        }
    }

    /// What is held, newest first.
    pub(super) fn into_sorted(self) -> Vec<Candidate> {
        let sorted = self.heap.into_sorted_vec();
        sorted.into_iter().map(|Reverse(held)| held).collect()
    }
}
