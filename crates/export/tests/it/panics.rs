//! Workers that panic begin again, and their jobs are made.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use export::{Workers, tasks};
use metadata::ExportStatus;
use tokio::sync::Notify;
use usage::query::{Batches, EventsQuery, ScanQuery, StoredEvent, TotalRow, TotalsQuery};
use usage::traits::SequencedBatch;
use usage::{EmbeddedStore, UsageStore};

use crate::jobs::{linked, usage};
use crate::world::{LEASE_SECONDS, World};

/// A store that panics once when it is looked at, and once when a job begins.
#[derive(Debug)]
struct Defective {
    store: Arc<EmbeddedStore>,
    was_looked_at: AtomicBool,
    was_begun: AtomicBool,
    begun: Notify,
}

#[async_trait]
impl UsageStore for Defective {
    async fn insert(&self, batch: SequencedBatch) -> usage::Result<()> {
        self.store.insert(batch).await
    }

    async fn scan(&self, query: ScanQuery, as_of: u64) -> usage::Result<Batches> {
        self.store.scan(query, as_of).await
    }

    async fn totals(&self, query: TotalsQuery, as_of: u64) -> usage::Result<Vec<TotalRow>> {
        self.store.totals(query, as_of).await
    }

    async fn events(&self, query: EventsQuery, as_of: u64) -> usage::Result<Vec<StoredEvent>> {
        self.store.events(query, as_of).await
    }

    async fn watermark(&self) -> usage::Result<u64> {
        assert!(
            self.was_looked_at.swap(true, Ordering::SeqCst),
            "a defect of a look"
        );
        self.store.watermark().await
    }

    async fn check(&self, as_of: u64) -> usage::Result<()> {
        if !self.was_begun.swap(true, Ordering::SeqCst) {
            self.begun.notify_one();
            panic!("a defect of a job");
        }
        self.store.check(as_of).await
    }
}

fn panics_of(name: &str) -> u64 {
    let all = tasks::panics();
    let found = all.iter().find(|(known, _)| *known == name);
    found.map_or(0, |(_, count)| *count)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_panics_begins_again_and_makes_its_job() {
    let world = World::new().await;
    let store = Arc::new(Defective {
        store: Arc::clone(&world.store),
        was_looked_at: AtomicBool::new(false),
        was_begun: AtomicBool::new(false),
        begun: Notify::new(),
    });
    let before = panics_of("export worker");
    world.take(&usage(0, 10)).await;
    let job = world.ask(linked).await;
    let worker = world.worker_with(Arc::<Defective>::clone(&store), |options| {
        options.workers = 1;
        options.express_budget_ms = 0;
    });
    let mut ends = worker.ends().subscribe();
    let workers = Workers::start(&worker);
    store.begun.notified().await;
    // The lease of the job that was broken off ends.
    world.pass(LEASE_SECONDS + 1);
    assert_eq!(ends.recv().await.unwrap(), job);
    assert_eq!(world.export(job).await.status, ExportStatus::Success);
    assert_eq!(panics_of("export worker"), before + 2);
    workers.stop().await;
}
