//! Steps 3 to 5 of usage in: callers prepare in parallel, one writer decides and makes durable.

use std::sync::Arc;

use domain::event::{Event, Refusal};
use domain::ids::OrganizationId;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

pub(crate) mod prepare;
pub(crate) mod writer;

use crate::error::{Error, Result};
use crate::options::{BATCH_BYTES_MAX, BATCH_EVENTS_MAX, INLINE_EVENTS_MAX, QUEUE_UNIT_BYTES};
use crate::row::Row;
use crate::series::{Ticket, Turn};
use crate::shared::Shared;
use crate::traits::{Outcome, SequencedBatch};
use prepare::{Prepared, held_bytes};
use writer::Command;

/// A prepared request on its way to the writer.
#[derive(Debug)]
pub(crate) struct Request {
    /// What to decide.
    pub(crate) prepared: Prepared,
    /// Who waits for it.
    pub(crate) reply: oneshot::Sender<Result<Vec<Outcome>>>,
    /// Its place in its series, and whether it is still waited for.
    pub(crate) ticket: Arc<Ticket>,
    /// Its share of the queue, given back when the request is answered.
    pub(crate) permit: OwnedSemaphorePermit,
}

/// Rows that were numbered elsewhere, on their way to the writer.
#[derive(Debug)]
pub(crate) struct Insertion {
    /// The rows, with contiguous sequences.
    pub(crate) rows: Vec<Row>,
    /// Who waits for it.
    pub(crate) reply: oneshot::Sender<Result<()>>,
    /// Its share of the queue.
    pub(crate) permit: OwnedSemaphorePermit,
}

/// Takes a batch of drafts through steps 3 to 5, in its turn.
pub(crate) async fn accept(
    shared: &Arc<Shared>,
    namespace: OrganizationId,
    drafts: Vec<Result<Event, Refusal>>,
    mut turn: Turn,
) -> Result<Vec<Outcome>> {
    shared.check_writable()?;
    if drafts.is_empty() {
        turn.admit(async {}).await?;
        turn.hand_over(|| Ok(())).await?;
        return Ok(Vec::new());
    }
    check_limit(
        "the number of events in a batch",
        drafts.len(),
        BATCH_EVENTS_MAX,
    )?;
    let events = drafts.iter().flatten();
    let size = events.map(|event| held_bytes(&event.texts)).sum();
    check_limit("the size of a batch in bytes", size, BATCH_BYTES_MAX)?;
    let permit = turn.admit(admit(shared, size)).await??;
    let prepared = prepare(shared, namespace, drafts, &mut turn).await?;
    let (reply, answer) = oneshot::channel();
    let ticket = turn.ticket();
    let request = Command::Accept(Request {
        prepared,
        reply,
        ticket: Arc::clone(&ticket),
        permit,
    });
    turn.hand_over(|| shared.commands.send(request)).await?;
    wait_or_give_up(shared, answer, &ticket, turn).await
}

/// Makes rows and keys and asks the runs. Many events are prepared on another thread, so that the
/// runtime's own stay free for those who read.
async fn prepare(
    shared: &Arc<Shared>,
    namespace: OrganizationId,
    drafts: Vec<Result<Event, Refusal>>,
    turn: &mut Turn,
) -> Result<Prepared> {
    let own = Arc::clone(shared);
    if drafts.len() > INLINE_EVENTS_MAX {
        let prepare = move || look_up(&own, Prepared::new(&own, namespace, drafts));
        return on_thread(shared, turn, prepare).await;
    }
    let prepared = Prepared::new(shared, namespace, drafts);
    if !prepared.has_candidates() {
        return Ok(prepared);
    }
    on_thread(shared, turn, move || look_up(&own, prepared)).await
}

/// Asks the runs, where they may know something. Blocks.
fn look_up(shared: &Shared, mut prepared: Prepared) -> Result<Prepared> {
    if prepared.has_candidates() {
        let found = prepared.look_up(&shared.keys);
        found.inspect_err(|error| shared.break_down(&error.to_string()))?;
    }
    Ok(prepared)
}

/// Runs what blocks or takes long on a thread that may, once one is free.
async fn on_thread(
    shared: &Shared,
    turn: &mut Turn,
    work: impl FnOnce() -> Result<Prepared> + Send + 'static,
) -> Result<Prepared> {
    let thread = Arc::clone(&shared.look_ups).acquire_owned();
    let thread = turn.wait_for(thread).await?.map_err(|_| Error::Closed)?;
    let prepared = tokio::task::spawn_blocking(move || {
        let _thread = thread;
        work()
    });
    prepared
        .await
        .map_err(|error| Error::Internal(format!("a batch was not prepared: {error}")))?
}

/// Takes rows that were numbered elsewhere.
pub(crate) async fn insert(shared: &Arc<Shared>, batch: SequencedBatch) -> Result<()> {
    shared.check_writable()?;
    let rows = batch.rows;
    check_limit(
        "the number of rows in a batch",
        rows.len(),
        BATCH_EVENTS_MAX,
    )?;
    let size = rows.iter().map(|row| held_bytes(&row.texts)).sum();
    check_limit("the size of a batch in bytes", size, BATCH_BYTES_MAX)?;
    let contiguous = rows.windows(2).all(
        |pair| matches!(pair, [one, next] if one.sequence.checked_add(1) == Some(next.sequence)),
    );
    if rows.is_empty() || !contiguous {
        return Err(Error::Internal(
            "a batch to insert must be contiguous".to_owned(),
        ));
    }
    let permit = admit(shared, size).await?;
    let (reply, answer) = oneshot::channel();
    shared.commands.send(Command::Insert(Insertion {
        rows,
        reply,
        permit,
    }))?;
    wait(shared, answer).await
}

/// Waits as long as the turn says, and to the end once the writer has begun the batch.
async fn wait_or_give_up(
    shared: &Shared,
    answer: oneshot::Receiver<Result<Vec<Outcome>>>,
    ticket: &Ticket,
    mut turn: Turn,
) -> Result<Vec<Outcome>> {
    let mut answer = std::pin::pin!(wait(shared, answer));
    match turn.wait_for(answer.as_mut()).await {
        Ok(answered) => answered,
        Err(busy) if ticket.give_up() => Err(busy),
        Err(_) => answer.await,
    }
}

async fn wait<T>(shared: &Shared, answer: oneshot::Receiver<Result<T>>) -> Result<T> {
    match answer.await {
        Ok(answer) => answer,
        Err(_) => Err(shared.check_writable().err().unwrap_or(Error::Closed)),
    }
}

/// Waits for room in the queue.
async fn admit(shared: &Arc<Shared>, size: usize) -> Result<OwnedSemaphorePermit> {
    let whole = (shared.options.queue_bytes_max / QUEUE_UNIT_BYTES).max(1);
    let units = size.div_ceil(QUEUE_UNIT_BYTES).clamp(1, whole);
    let units = u32::try_from(units).unwrap_or(u32::MAX);
    let queue = Arc::clone(&shared.queue);
    queue
        .acquire_many_owned(units)
        .await
        .map_err(|_| Error::Closed)
}

fn check_limit(what: &'static str, asked: usize, limit: usize) -> Result<()> {
    if asked > limit {
        let (asked, limit) = (asked as u64, limit as u64);
        return Err(Error::OverLimit { what, asked, limit });
    }
    Ok(())
}
