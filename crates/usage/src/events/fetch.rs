//! Fetches whole events by their places, and only those.

use std::collections::BTreeMap;
use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{TimestampNanosecondType, UInt64Type};
use arrow_array::{Array, RecordBatch};
use domain::meter::{Meter, validation_error};
use parquet::arrow::arrow_reader::RowSelection;

use super::newest::{Candidate, Place};
use crate::columns::{Column, Strings, Texts, parse};
use crate::error::{Error, Result};
use crate::query::StoredEvent;
use crate::row::{Row, instant};
use crate::segment::Ask;
use crate::snapshot::Snapshot;

/// Events fetched at once.
const BATCH_ROWS: usize = 1024;

/// Columns of a whole event.
const EVENT_COLUMNS: [Column; 10] = [
    Column::Sequence,
    Column::Organization,
    Column::EventType,
    Column::Subject,
    Column::Source,
    Column::Id,
    Column::Time,
    Column::Received,
    Column::ConflictWith,
    Column::Data,
];

/// The events at `candidates`, in their order, each with why it counts nowhere.
pub(super) fn fetch(
    snapshot: &Snapshot,
    meters: &[Meter],
    candidates: &[Candidate],
) -> Result<Vec<StoredEvent>> {
    let mut found: BTreeMap<u64, StoredEvent> = BTreeMap::new();
    let mut groups: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
    for candidate in candidates {
        match candidate.place {
            Place::Tail { chunk, row } => {
                let row = &snapshot.tail[chunk as usize].rows[row as usize];
                found.insert(row.sequence, event_of(row, meters)?);
            }
            Place::Segment {
                segment,
                group,
                row,
            } => groups.entry((segment, group)).or_default().push(row),
        }
    }
    for ((segment, group), mut rows) in groups {
        rows.sort_unstable();
        let segment = &snapshot.segments[segment];
        let total = segment.groups()?[group].rows;
        let ranges = rows.iter().map(|row| Range {
            start: *row,
            end: row + 1,
        });
        let selection = RowSelection::from_consecutive_ranges(ranges, total);
        let ask = Ask {
            columns: EVENT_COLUMNS.to_vec(),
            texts: Texts::Plain,
            batch_rows: BATCH_ROWS,
        };
        for batch in segment.read_rows(group, selection, &ask)? {
            events_of(&batch?, meters, &mut found)?;
        }
    }
    let missing = || Error::Internal("an event is not where it was seen".into());
    candidates
        .iter()
        .map(|candidate| found.remove(&candidate.sequence).ok_or_else(missing))
        .collect()
}

/// Why an event counts nowhere.
fn error_of(
    meters: &[Meter],
    conflict_with: Option<u64>,
    event_type: &str,
    data: Option<&str>,
    sequence: u64,
) -> Result<Option<String>> {
    if conflict_with.is_some() {
        let error = "conflicts with an earlier event of the same source and id";
        return Ok(Some(error.into()));
    }
    Ok(validation_error(
        meters,
        event_type,
        &parse(data, sequence)?,
    ))
}

fn event_of(row: &Row, meters: &[Meter]) -> Result<StoredEvent> {
    let texts = row.texts.parts();
    let error = error_of(
        meters,
        row.conflict_with,
        texts.event_type,
        texts.data,
        row.sequence,
    )?;
    Ok(StoredEvent {
        sequence: row.sequence,
        organization: row.organization,
        event_type: texts.event_type.to_owned(),
        subject: texts.subject.to_owned(),
        source: texts.source.to_owned(),
        id: texts.id.to_owned(),
        time: row.time(),
        received: instant(row.received_ns),
        data: texts.data.map(Into::into),
        validation_error: error,
    })
}

fn events_of(
    batch: &RecordBatch,
    meters: &[Meter],
    found: &mut BTreeMap<u64, StoredEvent>,
) -> Result<()> {
    let text = |column: usize| Strings::of(batch.column(column));
    let (organization, event_type, subject) = (text(1), text(2), text(3));
    let (source, id, data) = (text(4), text(5), text(9));
    let sequence = batch.column(0).as_primitive::<UInt64Type>();
    let time = batch.column(6).as_primitive::<TimestampNanosecondType>();
    let received = batch.column(7).as_primitive::<TimestampNanosecondType>();
    let conflict = batch.column(8).as_primitive::<UInt64Type>();
    for row in 0..batch.num_rows() {
        let number = sequence.value(row);
        let conflict_with = conflict.is_valid(row).then(|| conflict.value(row));
        let parsed = organization.at(row).parse();
        let error = error_of(
            meters,
            conflict_with,
            event_type.at(row),
            data.get(row),
            number,
        )?;
        let event = StoredEvent {
            sequence: number,
            organization: parsed.map_err(|error| Error::Internal(format!("{error}")))?,
            event_type: event_type.at(row).to_owned(),
            subject: subject.at(row).to_owned(),
            source: source.at(row).to_owned(),
            id: id.at(row).to_owned(),
            time: instant(time.value(row)),
            received: instant(received.value(row)),
            data: data.get(row).map(Into::into),
            validation_error: error,
        };
        found.insert(number, event);
    }
    Ok(())
}
