//! Streams rows of a scope in order (step 4 of export out).

use arrow_array::RecordBatch;
use futures::StreamExt;
use tokio::sync::mpsc;

use crate::columns::{Column, KEY_COLUMNS, Texts};
use crate::error::{Error, Result};
use crate::merge::{Merge, Source};
use crate::query::{Batch, Batches, ScanQuery};
use crate::segment::Ask;
use crate::snapshot::Snapshot;
use crate::tail::TailRows;
use crate::visible::{Visible, check_as_of, check_retention};

/// Rows read from each source at once.
const SOURCE_ROWS: usize = 2 * 1024;
/// Most rows of one batch given out.
pub const BATCH_ROWS_MAX: usize = 4 * 1024;
/// Batches waiting for a slow reader.
const QUEUE_BATCHES_MAX: usize = 2;

/// Streams the rows of `query` known at `as_of` from a pinned state.
///
/// Returns at once and needs a Tokio runtime: reading happens on a blocking thread that stops when
/// the stream is dropped. A stream that does not end with an error gave every row.
pub fn scan(snapshot: Snapshot, query: ScanQuery, as_of: u64) -> Result<Batches> {
    check_as_of(&snapshot, as_of)?;
    check_retention(&snapshot, &query.scope)?;
    let (sender, receiver) = mpsc::channel(QUEUE_BATCHES_MAX);
    tokio::task::spawn_blocking(move || {
        let dimensions = query.dimensions.len();
        match rows(&snapshot, &query, as_of) {
            Ok(rows) => send(rows, dimensions, &sender),
            // A reader that went away needs no answer.
            Err(error) => drop(sender.blocking_send(Message::Batch(Err(error)))),
        }
    });
    Ok(stream(receiver))
}

enum Message {
    Batch(Result<Batch>),
    End,
}

fn send(
    rows: impl Iterator<Item = Result<RecordBatch>>,
    dimensions: usize,
    to: &mpsc::Sender<Message>,
) {
    for columns in rows {
        let failed = columns.is_err();
        let batch = columns.map(|columns| Batch {
            columns,
            dimensions,
        });
        if to.blocking_send(Message::Batch(batch)).is_err() || failed {
            return;
        }
    }
    drop(to.blocking_send(Message::End));
}

/// Turns messages into a stream that fails when the thread died before its last one.
fn stream(receiver: mpsc::Receiver<Message>) -> Batches {
    let stream = futures::stream::unfold(Some(receiver), |receiver| async {
        let mut receiver = receiver?;
        match receiver.recv().await {
            Some(Message::Batch(Ok(batch))) => Some((Ok(batch), Some(receiver))),
            Some(Message::Batch(Err(error))) => Some((Err(error), None)),
            Some(Message::End) => None,
            None => Some((Err(Error::Internal("a scan ended early".into())), None)),
        }
    });
    stream.boxed()
}

/// The rows of `query`, with the columns of a [`Batch`]. Blocks.
pub(crate) fn rows(
    snapshot: &Snapshot,
    query: &ScanQuery,
    as_of: u64,
) -> Result<impl Iterator<Item = Result<RecordBatch>> + use<>> {
    let visible = Visible::new(&query.scope, &query.event_types, as_of);
    let mut columns = KEY_COLUMNS.to_vec();
    columns.push(Column::Subject);
    let (dimensions, numbers) = (query.dimensions.iter().copied(), query.numbers());
    columns.extend(dimensions.map(|dimension| Column::dimension(dimension, numbers)));
    columns.extend(query.rules.iter().cloned().map(Column::Reading));
    let ask = Ask {
        columns,
        texts: Texts::Plain,
        batch_rows: SOURCE_ROWS,
    };
    let merge = Merge::new(sources(snapshot, &visible, &ask)?, BATCH_ROWS_MAX);
    let shape: Vec<usize> = [3, 0, 1, 2]
        .into_iter()
        .chain(KEY_COLUMNS.len()..ask.columns.len())
        .collect();
    Ok(merge.map(move |batch| {
        batch?
            .project(&shape)
            .map_err(|error| Error::Internal(format!("a scan's columns differ: {error}")))
    }))
}

/// One source per segment that may hold rows that are seen, and one for the tail.
fn sources(snapshot: &Snapshot, visible: &Visible, ask: &Ask) -> Result<Vec<Source>> {
    let mut sources: Vec<Source> = Vec::new();
    for segment in &snapshot.segments {
        let groups = visible.groups(segment)?;
        if groups.is_empty() {
            continue;
        }
        let visible = visible.clone();
        let seen = segment
            .read(groups, ask)?
            .filter_map(move |batch| batch.and_then(|batch| visible.filter(&batch)).transpose());
        sources.push(Box::new(seen));
    }
    let tail = TailRows::new(snapshot, visible, ask);
    sources.push(Box::new(tail));
    Ok(sources)
}
