//! Which rows a read may see: scope, event types, `as_of`, and no conflicting copies.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Array, RecordBatch};
use domain::tree::Scope;

use crate::columns::Keys;
use crate::error::{Error, Result};
use crate::row::{Row, instant, nanoseconds};
use crate::segment::{Bounds, GroupBounds, Segment};
use crate::snapshot::Snapshot;

/// Half-open range of event time in nanoseconds since 1970.
pub(crate) type Nanoseconds = Range<i64>;

/// The rows a read may see.
#[derive(Debug, Clone)]
pub(crate) struct Visible {
    /// Ranges by organization, each list ascending and disjoint.
    scope: BTreeMap<String, Vec<Nanoseconds>>,
    /// `None` for all.
    event_types: Option<Vec<String>>,
    pub(crate) as_of: u64,
    /// Whether conflicting copies are seen.
    pub(crate) conflicts: bool,
}

/// Consecutive rows of one organization and event type.
#[derive(Debug, Clone)]
pub(crate) struct Run<'a> {
    pub(crate) organization: &'a str,
    pub(crate) event_type: &'a str,
    pub(crate) rows: Range<usize>,
}

/// Checks that `as_of` is durable.
pub(crate) fn check_as_of(snapshot: &Snapshot, as_of: u64) -> Result<()> {
    if as_of > snapshot.watermark {
        return Err(Error::BeyondWatermark {
            asked: as_of,
            watermark: snapshot.watermark,
        });
    }
    Ok(())
}

/// Checks that nothing of `scope` was removed by retention.
pub(crate) fn check_retention(snapshot: &Snapshot, scope: &Scope) -> Result<()> {
    for floor in &snapshot.retention {
        let before = instant(floor.before_ns);
        let below = scope.entries().iter().any(|entry| {
            entry.organization == floor.organization
                && entry.range.start.is_none_or(|start| start < before)
                && !entry.range.is_empty()
        });
        if below {
            return Err(Error::Retired {
                organization: floor.organization,
                before,
            });
        }
    }
    Ok(())
}

impl Visible {
    pub(crate) fn new(scope: &Scope, event_types: &[String], as_of: u64) -> Self {
        let mut ranges: BTreeMap<String, Vec<Nanoseconds>> = BTreeMap::new();
        for entry in scope
            .entries()
            .iter()
            .filter(|entry| !entry.range.is_empty())
        {
            let start = entry.range.start.map_or(i64::MIN, nanoseconds);
            let end = entry.range.end.map_or(i64::MAX, nanoseconds);
            let known = ranges.entry(entry.organization.as_str().to_owned());
            known.or_default().push(start..end);
        }
        Self {
            scope: ranges,
            event_types: (!event_types.is_empty()).then(|| event_types.to_vec()),
            as_of,
            conflicts: false,
        }
    }

    /// Hides what an organization used before an instant.
    pub(crate) fn cut(&mut self, organization: &str, before_ns: i64) {
        let ranges = self.scope.get_mut(organization).into_iter().flatten();
        ranges.for_each(|range| range.start = range.start.max(before_ns));
    }

    /// The same with other ranges in the place of each.
    pub(crate) fn with_ranges(&self, instead: impl Fn(&Nanoseconds) -> Vec<Nanoseconds>) -> Self {
        let mut other = self.clone();
        for ranges in other.scope.values_mut() {
            *ranges = ranges.iter().flat_map(&instead).collect();
        }
        other
    }

    /// The ranges of an organization.
    pub(crate) fn ranges(&self, organization: &str) -> &[Nanoseconds] {
        self.scope.get(organization).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn reads(&self, event_type: &str) -> bool {
        let listed = |types: &Vec<String>| types.iter().any(|listed| listed == event_type);
        self.event_types.as_ref().is_none_or(listed)
    }

    /// Whether a row in memory is seen.
    pub(crate) fn sees(&self, row: &Row) -> bool {
        let ranges = || self.ranges(row.organization.as_str());
        row.sequence <= self.as_of
            && (self.conflicts || row.conflict_with.is_none())
            && self.reads(row.texts.event_type())
            && ranges().iter().any(|range| range.contains(&row.time_ns))
    }

    /// The row groups of a segment that may hold rows that are seen.
    pub(crate) fn groups(&self, segment: &Arc<Segment>) -> Result<Vec<usize>> {
        let entry = segment.entry();
        let times = (entry.time_min_ns, entry.time_max_ns);
        let type_inside = || entry.event_types.iter().any(|held| self.reads(held));
        let time_inside = || self.scope.values().any(|ranges| meet(ranges, times));
        if entry.rows == 0 || entry.first > self.as_of || !type_inside() || !time_inside() {
            return Ok(Vec::new());
        }
        let groups = segment.groups()?.iter().enumerate();
        Ok(groups
            .filter(|(_, bounds)| self.may_see(bounds))
            .map(|(index, _)| index)
            .collect())
    }

    fn may_see(&self, bounds: &GroupBounds) -> bool {
        let type_inside = |types: &Vec<String>| {
            types
                .iter()
                .any(|listed| inside(listed, &bounds.event_type))
        };
        bounds.sequence.0 <= self.as_of
            && self.event_types.as_ref().is_none_or(type_inside)
            && self.may_lie_in(&bounds.organization, bounds.time_ns)
    }

    /// Whether an organization between the bounds is seen at a time between the bounds.
    pub(crate) fn may_lie_in(&self, organization: &Bounds<Vec<u8>>, time: Bounds<i64>) -> bool {
        // Bounds may be cut inside a character: what is whole before it lies no higher.
        let least = organization.0.utf8_chunks().next();
        let least = least.map_or("", |chunk| chunk.valid()).to_owned();
        self.scope
            .range(least..)
            .take_while(|(id, _)| inside(id, organization))
            .any(|(_, ranges)| meet(ranges, time))
    }

    /// Calls `seen` with each run, each range of its organization, and the rows inside both.
    pub(crate) fn each_stretch<'a>(
        &self,
        keys: &Keys<'a>,
        mut seen: impl FnMut(&Run<'a>, &Nanoseconds, Range<usize>) -> Result<()>,
    ) -> Result<()> {
        for run in runs(keys) {
            if !self.reads(run.event_type) {
                continue;
            }
            for range in self.ranges(run.organization) {
                let rows = stretch(keys.time, &run.rows, range);
                if !rows.is_empty() {
                    seen(&run, range, rows)?;
                }
            }
        }
        Ok(())
    }

    /// Whether the row is known at `as_of` and counts.
    pub(crate) fn counts(&self, keys: &Keys<'_>, row: usize) -> bool {
        keys.sequence[row] <= self.as_of && (self.conflicts || keys.conflict.is_null(row))
    }

    /// Keeps of a batch that starts with the key columns the rows that are seen.
    pub(crate) fn filter(&self, batch: &RecordBatch) -> Result<Option<RecordBatch>> {
        let keys = Keys::of(batch);
        let mut seen = vec![false; batch.num_rows()];
        self.each_stretch(&keys, |_, _, rows| {
            for row in rows {
                seen[row] = self.counts(&keys, row);
            }
            Ok(())
        })?;
        if seen.iter().all(|seen| *seen) {
            return Ok(Some(batch.clone()));
        }
        if !seen.contains(&true) {
            return Ok(None);
        }
        arrow_select::filter::filter_record_batch(batch, &seen.into())
            .map(Some)
            .map_err(|error| Error::Internal(format!("rows could not be filtered: {error}")))
    }
}

fn inside(text: &str, (min, max): &Bounds<Vec<u8>>) -> bool {
    min.as_slice() <= text.as_bytes() && text.as_bytes() <= max.as_slice()
}

fn meet(ranges: &[Nanoseconds], (min, max): (i64, i64)) -> bool {
    ranges
        .iter()
        .any(|range| range.start <= max && min < range.end)
}

/// The part of `rows`, sorted by time, whose time lies in `range`.
pub(crate) fn stretch(time: &[i64], rows: &Range<usize>, range: &Nanoseconds) -> Range<usize> {
    let inside = &time[rows.clone()];
    let start = rows.start + inside.partition_point(|time| *time < range.start);
    let end = rows.start + inside.partition_point(|time| *time < range.end);
    start..end.max(start)
}

/// Cuts a batch into runs.
pub(crate) fn runs<'a>(keys: &Keys<'a>) -> Vec<Run<'a>> {
    let rows = keys.time.len();
    let mut runs = Vec::new();
    let mut start = 0;
    for row in 1..=rows {
        let goes_on =
            row < rows && keys.organization.same(start, row) && keys.event_type.same(start, row);
        if !goes_on && start < rows {
            runs.push(Run {
                organization: keys.organization.at(start),
                event_type: keys.event_type.at(start),
                rows: start..row,
            });
            start = row;
        }
    }
    runs
}
