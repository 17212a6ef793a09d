//! Moves blocks through threads: one reads, all cores convert, and they are delivered in order.

use std::num::NonZero;
use std::sync::Arc;

use futures::stream::{self, Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_util::task::AbortOnDropHandle;
use usage::Series;

use super::source::Raw;
use super::target::{Delivered, Load, Target};
use super::{BATCHES_MAX, BLOCKS_MAX, Convert, Error, PATIENCE, Result, Source};

/// Delivers a whole source in order and calls `each` for all that was delivered at once.
///
/// The events are decided in the order of the source. Memory is bounded by [`BLOCKS_MAX`] blocks in
/// each stage. Says whether the source was read to its end rather than to its limit.
pub(crate) async fn run(
    source: Source,
    convert: Convert,
    target: Arc<Target>,
    mut each: impl FnMut(&Delivered) -> Result<()>,
) -> Result<bool> {
    let (sender, receiver) = mpsc::channel(BLOCKS_MAX);
    let reader = spawn_blocking(move || read(source, &sender));
    let loads = loads(receiver, convert, Arc::clone(&target));
    let mut deliveries = match *target {
        Target::Store(_) => in_turns(loads, target).boxed(),
        Target::Http(_) => in_requests(loads, target).boxed(),
    };
    while let Some(delivered) = deliveries.next().await {
        each(&delivered?)?;
    }
    reader.await.map_err(|_| Error::Broken)
}

fn read(mut source: Source, sender: &mpsc::Sender<Result<Raw>>) -> bool {
    while let Some(raw) = source.next().transpose() {
        let failed = raw.is_err();
        if sender.blocking_send(raw).is_err() || failed {
            return false;
        }
    }
    source.is_complete()
}

/// Converts on all cores; the loads come in the order of the source.
fn loads(
    receiver: mpsc::Receiver<Result<Raw>>,
    convert: Convert,
    target: Arc<Target>,
) -> impl Stream<Item = Result<Load>> + Send + 'static {
    let convert = Arc::new(convert);
    let loads = received(receiver).map(move |raw| {
        let (convert, target) = (Arc::clone(&convert), Arc::clone(&target));
        spawn_blocking(move || raw.map(|raw| target.load(convert.lines(raw))))
    });
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let loads = loads.buffered(cores.min(BLOCKS_MAX));
    loads.map(|load| load.map_err(|_| Error::Broken)?)
}

/// Several batches are prepared side by side; their turns keep the order.
fn in_turns(
    loads: impl Stream<Item = Result<Load>> + Send + 'static,
    target: Arc<Target>,
) -> impl Stream<Item = Result<Delivered>> + Send {
    let mut series = Series::default();
    let deliveries = loads.map(move |load| {
        let turn = series.next(PATIENCE);
        let target = Arc::clone(&target);
        async move {
            let load = load?;
            // On a thread of its own: what delivering prepares goes on beside other blocks.
            let delivery = tokio::spawn(async move { target.deliver(load, turn).await });
            let delivered = AbortOnDropHandle::new(delivery).await;
            delivered.map_err(|_| Error::Broken)?
        }
    });
    deliveries.buffered(BATCHES_MAX)
}

/// One request after the other, each of all that became ready meanwhile: a request that must be
/// sent again holds back everything behind it.
fn in_requests(
    loads: impl Stream<Item = Result<Load>> + Send + 'static,
    target: Arc<Target>,
) -> impl Stream<Item = Result<Delivered>> + Send {
    let (sender, receiver) = mpsc::channel(BLOCKS_MAX);
    let collecting = AbortOnDropHandle::new(tokio::spawn(async move {
        let mut loads = std::pin::pin!(loads);
        while let Some(load) = loads.next().await {
            if sender.send(load).await.is_err() {
                break;
            }
        }
    }));
    let ready = Ready {
        receiver,
        held: None,
        _collecting: collecting,
    };
    let loads = stream::unfold(ready, |mut ready| async {
        ready.next().await.map(|load| (load, ready))
    });
    loads.then(move |load| {
        let target = Arc::clone(&target);
        async move { target.deliver(load?, usage::Turn::alone(PATIENCE)).await }
    })
}

/// Loads that wait for the next request.
struct Ready {
    receiver: mpsc::Receiver<Result<Load>>,
    /// One that did not fit into the last request.
    held: Option<Result<Load>>,
    _collecting: AbortOnDropHandle<()>,
}

impl Ready {
    /// Everything that is ready and fits into one request; waits for the first of it.
    async fn next(&mut self) -> Option<Result<Load>> {
        let first = match self.held.take() {
            Some(held) => held,
            None => self.receiver.recv().await?,
        };
        let mut load = match first {
            Ok(load) => load,
            Err(error) => return Some(Err(error)),
        };
        while let Ok(next) = self.receiver.try_recv() {
            match next {
                Ok(next) if load.has_room_for(&next) => load.append(next),
                next => {
                    self.held = Some(next);
                    break;
                }
            }
        }
        Some(Ok(load))
    }
}

fn received(receiver: mpsc::Receiver<Result<Raw>>) -> impl Stream<Item = Result<Raw>> {
    stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|raw| (raw, receiver))
    })
}
