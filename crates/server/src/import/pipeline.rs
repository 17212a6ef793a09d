//! Moves blocks through threads: one reads, all cores convert, a few are being delivered.

use std::num::NonZero;
use std::sync::Arc;

use futures::stream::{self, Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_util::task::AbortOnDropHandle;

use super::source::Raw;
use super::target::{Delivered, Target};
use super::{BLOCKS_MAX, Convert, Error, Result, Source};

/// Delivers a whole source in order and calls `each` for every delivered block.
///
/// Memory is bounded by [`BLOCKS_MAX`] blocks in each stage. Says whether the source was read to
/// its end rather than to its limit.
pub(crate) async fn run(
    source: Source,
    convert: Convert,
    target: Arc<Target>,
    mut each: impl FnMut(&Delivered) -> Result<()>,
) -> Result<bool> {
    let (sender, receiver) = mpsc::channel(BLOCKS_MAX);
    let reader = spawn_blocking(move || read(source, &sender));
    let convert = Arc::new(convert);
    let loads = received(receiver).map(|raw| {
        let (convert, target) = (Arc::clone(&convert), Arc::clone(&target));
        spawn_blocking(move || raw.map(|raw| target.load(convert.lines(raw))))
    });
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let deliveries = loads.buffered(cores.min(BLOCKS_MAX)).map(|load| {
        let target = Arc::clone(&target);
        async move {
            let load = load.map_err(|_| Error::Broken)??;
            // On a thread of its own: what delivering prepares goes on beside other blocks.
            let delivery = tokio::spawn(async move { target.deliver(load).await });
            let delivered = AbortOnDropHandle::new(delivery).await;
            delivered.map_err(|_| Error::Broken)?
        }
    });
    let mut deliveries = std::pin::pin!(deliveries.buffered(target.loads_max()));
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

fn received(receiver: mpsc::Receiver<Result<Raw>>) -> impl Stream<Item = Result<Raw>> {
    stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|raw| (raw, receiver))
    })
}
