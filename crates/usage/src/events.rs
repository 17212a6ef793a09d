//! Lists the newest events for people to look at.

mod fetch;
mod narrow;
mod newest;

use std::sync::Arc;

use arrow_array::{Array, RecordBatch};
use domain::meter::validation_error;

use crate::columns::{Keys, Texts, parse};
use crate::error::Result;
use crate::query::{EventText, EventsQuery, StoredEvent};
use crate::row::{Row, instant};
use crate::segment::{Ask, Segment};
use crate::snapshot::Snapshot;
use crate::tail;
use crate::visible::{Visible, check_as_of};

use newest::{Candidate, Newest, Place};

/// Rows looked at together.
const BATCH_ROWS: usize = 8 * 1024;

/// The newest events of `query` known at `as_of`. Blocks: call it from a thread that may.
///
/// Conflicting copies are listed too. Events that retention removed are not.
pub fn events(snapshot: &Snapshot, query: &EventsQuery, as_of: u64) -> Result<Vec<StoredEvent>> {
    check_as_of(snapshot, as_of)?;
    let scope = query.scope.within(query.range);
    let mut visible = Visible::new(&scope, &[], as_of);
    for floor in &snapshot.retention {
        visible.cut(floor.organization.as_str(), floor.before_ns);
    }
    visible.conflicts = true;
    let search = Search { query, visible };
    let mut newest = Newest::new(query.limit, query.after);
    search.look_through_tail(snapshot, &mut newest)?;
    search.look_through_segments(snapshot, &mut newest)?;
    fetch::fetch(snapshot, &query.meters, &newest.into_sorted())
}

struct Search<'q> {
    query: &'q EventsQuery,
    visible: Visible,
}

impl Search<'_> {
    fn look_through_tail(&self, snapshot: &Snapshot, newest: &mut Newest) -> Result<()> {
        let mut failed = None;
        tail::each_row(snapshot, &self.visible, |(chunk, row), found| {
            let candidate = Candidate {
                time_ns: found.time_ns,
                sequence: found.sequence,
                place: Place::Tail { chunk, row },
            };
            if !newest.takes(&candidate) || !self.lists(found) {
                return;
            }
            match self.lists_error_of(found) {
                Ok(true) => newest.push(candidate),
                Ok(false) => {}
                Err(error) => failed = Some(error),
            }
        });
        failed.map_or(Ok(()), Err)
    }

    /// Looks at row groups from the latest on and stops where none can hold a newer event.
    fn look_through_segments(&self, snapshot: &Snapshot, newest: &mut Newest) -> Result<()> {
        let mut groups: Vec<(i64, usize, usize)> = Vec::new();
        for (index, segment) in snapshot.segments.iter().enumerate() {
            for group in self.visible.groups(segment)? {
                let latest = segment.groups()?[group].time_ns.1;
                groups.push((latest, index, group));
            }
        }
        groups.sort_unstable_by(|left, right| right.cmp(left));
        for (latest, segment, group) in groups {
            if !newest.may_take(latest) {
                break;
            }
            self.look_through_group(&snapshot.segments, segment, group, newest)?;
        }
        Ok(())
    }

    fn look_through_group(
        &self,
        segments: &[Arc<Segment>],
        segment: usize,
        group: usize,
        newest: &mut Newest,
    ) -> Result<()> {
        let ask = Ask {
            columns: narrow::columns(self.query),
            texts: Texts::Coded,
            batch_rows: BATCH_ROWS,
        };
        let mut first = 0;
        for batch in segments[segment].read(vec![group], &ask)? {
            let batch = batch?;
            self.look_through_batch(&batch, newest, |row| Place::Segment {
                segment,
                group,
                row: first + row,
            })?;
            first += batch.num_rows();
        }
        Ok(())
    }

    fn look_through_batch(
        &self,
        batch: &RecordBatch,
        newest: &mut Newest,
        place: impl Fn(usize) -> Place,
    ) -> Result<()> {
        let keys = Keys::of(batch);
        let narrowing = narrow::View::of(batch, self.query);
        self.visible.each_stretch(&keys, |run, _, rows| {
            // The latest of a stretch come last: once one is too old, so are all before it.
            for row in rows.rev() {
                let candidate = Candidate {
                    time_ns: keys.time[row],
                    sequence: keys.sequence[row],
                    place: place(row),
                };
                if newest.is_too_old(&candidate) {
                    break;
                }
                if !newest.takes(&candidate) {
                    continue;
                }
                let listed = self.visible.counts(&keys, row)
                    && narrowing.lists(row, run.event_type, keys.time[row]);
                let conflicts = keys.conflict.is_valid(row);
                let data = narrowing.data(row);
                let sequence = keys.sequence[row];
                if listed && self.lists_error(conflicts, run.event_type, data, sequence)? {
                    newest.push(candidate);
                }
            }
            Ok(())
        })
    }

    fn lists(&self, row: &Row) -> bool {
        let texts = row.texts.parts();
        let text = |text| match text {
            EventText::Id => texts.id,
            EventText::Source => texts.source,
            EventText::Subject => texts.subject,
            EventText::Type => texts.event_type,
        };
        narrow::lists(self.query, text, row.time(), || instant(row.received_ns))
    }

    fn lists_error_of(&self, row: &Row) -> Result<bool> {
        let conflicts = row.conflict_with.is_some();
        self.lists_error(
            conflicts,
            row.texts.event_type(),
            row.texts.data(),
            row.sequence,
        )
    }

    fn lists_error(
        &self,
        conflicts: bool,
        event_type: &str,
        data: Option<&str>,
        sequence: u64,
    ) -> Result<bool> {
        let Some(wanted) = self.query.with_error else {
            return Ok(true);
        };
        let data = parse(data, sequence)?;
        let fits = validation_error(&self.query.meters, event_type, &data).is_none();
        Ok((conflicts || !fits) == wanted)
    }
}
