//! When the first and the last reading of each total were.

use std::collections::{BTreeSet, HashMap};

use domain::Timestamp;

use crate::query::TotalRow;
use crate::row::{instant, nanoseconds};

/// The time between the first and the last reading of a group, both included.
#[derive(Debug, Clone, Copy)]
struct Span {
    first: i64,
    last: i64,
    /// Whether the first reading lies somewhere in the hour that begins at `first`.
    is_open: bool,
}

/// A span for each place of a group.
#[derive(Debug, Default)]
pub(super) struct Spans(HashMap<usize, Span>);

impl Spans {
    /// Takes a reading in.
    pub(super) fn extend(&mut self, place: usize, time: i64) {
        let span = self.0.entry(place).or_insert(Span {
            first: time,
            last: time,
            is_open: false,
        });
        if time < span.first {
            (span.first, span.is_open) = (time, false);
        }
        span.last = span.last.max(time);
    }

    /// Takes the readings of an hour in, of which only the last is known to the instant.
    pub(super) fn extend_by_hour(&mut self, place: usize, hour: i64, last: i64) {
        let span = self.0.entry(place).or_insert(Span {
            first: i64::MAX,
            last,
            is_open: false,
        });
        if hour <= span.first {
            (span.first, span.is_open) = (hour, true);
        }
        span.last = span.last.max(last);
    }

    /// The hours in which first readings lie somewhere.
    pub(super) fn open_hours(&self) -> BTreeSet<i64> {
        let open = self.0.values().filter(|span| span.is_open);
        open.map(|span| span.first).collect()
    }

    pub(super) fn get(&self, place: usize) -> Option<(Timestamp, Timestamp)> {
        let span = self.0.get(&place)?;
        Some((instant(span.first), instant(span.last)))
    }
}

/// Puts the first readings that `rows` of the open hours hold in the place of those hours.
pub(super) fn close(totals: &mut [TotalRow], rows: &[TotalRow], open_hours: &BTreeSet<i64>) {
    let known: HashMap<_, _> = rows
        .iter()
        .map(|row| ((row.meter, &row.keys), row.span))
        .collect();
    for total in totals {
        let exact = known.get(&(total.meter, &total.keys)).copied().flatten();
        if let (Some((first, _)), Some(span)) = (exact, &mut total.span)
            && open_hours.contains(&nanoseconds(span.0))
        {
            span.0 = first;
        }
    }
}
