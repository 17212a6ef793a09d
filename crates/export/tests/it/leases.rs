//! Leases, step by step: a worker that lives keeps its job, one that stopped loses it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::ids::ExportId;
use export::build::Gauge;
use export::{Error, Result};
use metadata::ExportStatus;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;
use usage::query::{Batches, EventsQuery, ScanQuery, StoredEvent, TotalRow, TotalsQuery};
use usage::traits::SequencedBatch;
use usage::{EmbeddedStore, UsageStore};

use crate::jobs::{linked, usage};
use crate::world::{LEASE_SECONDS, World};

/// A step longer than a third of a lease, the time between two heartbeats.
const STEP_SECONDS: u32 = 11;

/// A store whose totals wait until it is opened.
#[derive(Debug)]
pub(crate) struct Gated {
    store: Arc<EmbeddedStore>,
    waits: Notify,
    gate: Semaphore,
}

#[async_trait]
impl UsageStore for Gated {
    async fn insert(&self, batch: SequencedBatch) -> usage::Result<()> {
        self.store.insert(batch).await
    }

    async fn scan(&self, query: ScanQuery, as_of: u64) -> usage::Result<Batches> {
        self.store.scan(query, as_of).await
    }

    async fn totals(&self, query: TotalsQuery, as_of: u64) -> usage::Result<Vec<TotalRow>> {
        self.waits.notify_one();
        self.gate.acquire().await.unwrap().forget();
        self.store.totals(query, as_of).await
    }

    async fn events(&self, query: EventsQuery, as_of: u64) -> usage::Result<Vec<StoredEvent>> {
        self.store.events(query, as_of).await
    }

    async fn watermark(&self) -> usage::Result<u64> {
        self.store.watermark().await
    }
}

impl Gated {
    pub(crate) fn new(store: &Arc<EmbeddedStore>) -> Arc<Self> {
        Arc::new(Self {
            store: Arc::clone(store),
            waits: Notify::new(),
            gate: Semaphore::new(0),
        })
    }

    /// Waits until somebody waits for the gate.
    pub(crate) async fn is_waited_for(&self) {
        self.waits.notified().await;
    }

    /// Lets everybody through from now on.
    pub(crate) fn open(&self) {
        self.gate.add_permits(1_000);
    }

    /// Lets one read pass.
    fn step(&self) {
        self.gate.add_permits(1);
    }
}

/// A job whose worker is in the middle of it; from here on, time passes in steps only.
async fn in_the_middle(
    world: &World,
) -> (ExportId, Arc<Gated>, JoinHandle<Result<Option<ExportId>>>) {
    world.take(&usage(0, 10)).await;
    let export = world.ask(linked).await;
    let gated = Gated::new(&world.store);
    let worker = world.worker_on(Arc::<Gated>::clone(&gated), 1);
    let job = tokio::spawn(async move { worker.tick().await });
    gated.is_waited_for().await;
    tokio::time::pause();
    (export, gated, job)
}

#[tokio::test]
async fn a_job_longer_than_its_lease_stays_with_its_worker_while_that_lives() {
    let world = World::new().await;
    let (export, gated, job) = in_the_middle(&world).await;
    for _ in 0..9 {
        let before = world.export(export).await.lease_expires_at;
        world.pass(i64::from(STEP_SECONDS));
        tokio::time::advance(Duration::from_secs(u64::from(STEP_SECONDS))).await;
        while world.export(export).await.lease_expires_at == before {
            tokio::task::yield_now().await;
        }
        let other = world.worker(1).tick().await.unwrap();
        assert_eq!(other, None, "nobody takes it over");
    }
    tokio::time::resume();
    gated.open();
    assert_eq!(job.await.unwrap().unwrap(), Some(export));
    let done = world.export(export).await;
    assert_eq!((done.status, done.fence), (ExportStatus::Success, 1));
}

#[tokio::test]
async fn a_stopped_worker_is_replaced_and_publishes_nothing_when_it_wakes() {
    let world = World::new().await;
    let (export, gated, job) = in_the_middle(&world).await;
    world.pass(LEASE_SECONDS + 1);
    assert_eq!(world.worker(1).tick().await.unwrap(), Some(export));
    let done = world.export(export).await;
    assert_eq!((done.status, done.fence), (ExportStatus::Success, 2));
    world.artifacts.remove(export).await.unwrap();

    tokio::time::resume();
    gated.open();
    assert_eq!(
        job.await.unwrap().unwrap(),
        Some(export),
        "it wakes and gives up"
    );
    assert_eq!(world.export(export).await, done);
    let put = world.artifacts.manifest(export).await;
    assert!(put.is_err(), "nothing was put again");
}

#[tokio::test]
async fn progress_is_written_while_the_job_runs() {
    let world = World::new().await;
    world.take(&usage(0, 10)).await;
    let export = world.ask(linked).await;
    let gated = Gated::new(&world.store);
    let store: Arc<Gated> = Arc::clone(&gated);
    // Looks at how far it is come three times a lease.
    let worker = world.worker_with(store, |options| options.lease_ms = 60);
    let job = tokio::spawn(async move { worker.tick().await });
    let running = async {
        for _ in 0..4 {
            gated.is_waited_for().await;
            gated.step();
        }
        loop {
            let seen = world.export(export).await;
            if seen.progress.percent > 0 {
                break seen;
            }
        }
    };
    let limit = Duration::from_mins(1);
    let running = tokio::time::timeout(limit, running).await;
    let running = running.expect("it never moved");
    assert_eq!(running.status, ExportStatus::Processing);
    assert!(running.progress.percent < 100, "{running:?}");
    gated.open();
    job.await.unwrap().unwrap();
    assert_eq!(world.export(export).await.progress.percent, 100);
}

#[tokio::test]
async fn a_cancelled_job_stops_at_once_and_publishes_nothing() {
    let world = World::new().await;
    world.take(&usage(0, 10)).await;
    let export = world.ask(linked).await;
    let gated = Gated::new(&world.store);
    let worker = world.worker_on(Arc::<Gated>::clone(&gated), 1);
    let ends = worker.ends().clone();
    let job = tokio::spawn(async move { worker.tick().await });
    gated.is_waited_for().await;
    world
        .metadata
        .cancel_export(export, world.now())
        .await
        .unwrap();
    ends.send(export).unwrap();
    // The next heartbeat by itself would come after a third of the lease.
    let third = Duration::from_millis(u64::try_from(LEASE_SECONDS).unwrap() * 1_000 / 3);
    let stopped = tokio::time::timeout(third / 2, job).await.unwrap();
    assert_eq!(stopped.unwrap().unwrap(), Some(export));
    gated.open();
    assert_eq!(world.export(export).await.status, ExportStatus::Cancelled);
    assert!(world.artifacts.manifest(export).await.is_err());
}

#[tokio::test]
async fn what_was_put_before_a_cancellation_is_removed_again() {
    let world = World::new().await;
    let export = world.ask(linked).await;
    let (worker, gauge) = (world.worker(1), Arc::default());
    let claimed = worker.claim().await.unwrap().unwrap();
    let built = worker.build(&claimed, &gauge).await.unwrap();
    let made = worker.publish(&claimed, built, &gauge).await.unwrap();
    assert!(world.artifacts.manifest(export).await.is_ok());
    world
        .metadata
        .cancel_export(export, world.now())
        .await
        .unwrap();
    assert!(worker.settle(&claimed, made).await.is_err());
    assert_eq!(world.export(export).await.status, ExportStatus::Cancelled);
    assert!(world.artifacts.manifest(export).await.is_err());
}

#[tokio::test]
async fn a_worker_stopped_before_its_last_word_changes_nothing_when_it_wakes() {
    let world = World::new().await;
    world.take(&usage(0, 10)).await;
    let export = world.ask(linked).await;
    let (late, gauge) = (world.worker(1), Arc::new(Gauge::default()));
    let claimed = late.claim().await.unwrap().unwrap();
    let built = late.build(&claimed, &gauge).await.unwrap();
    let made = late.publish(&claimed, built, &gauge).await.unwrap();
    let built_too_late = late.build(&claimed, &gauge).await.unwrap();

    world.take(&usage(10, 20)).await;
    world.pass(LEASE_SECONDS + 1);
    assert_eq!(world.worker(2).tick().await.unwrap(), Some(export));
    let done = world.export(export).await;
    assert_eq!((done.status, done.fence), (ExportStatus::Success, 2));
    let sha256 = done.artifact.as_ref().unwrap().sha256;
    assert_eq!(
        made.stored.sha256, sha256,
        "what it had put were the same bytes"
    );
    let zip = world.zip(export).await;

    let put = late.publish(&claimed, built_too_late, &gauge).await;
    assert!(matches!(put, Err(Error::TakenOver(_))), "{put:?}");
    let settled = late.settle(&claimed, made).await;
    assert!(matches!(settled, Err(Error::TakenOver(_))), "{settled:?}");
    assert_eq!(world.export(export).await, done);
    assert_eq!(world.zip(export).await, zip);
}
