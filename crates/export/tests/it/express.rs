//! The express lane: small jobs end while long ones hold every worker.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::ids::{ExportId, OrganizationId};
use domain::tree::OrganizationKind;
use export::Workers;
use metadata::{ExportStatus, NewExport, NewOrganization, OrganizationAttributes};
use tokio::sync::{Notify, Semaphore};
use usage::query::{Batches, EventsQuery, ScanQuery, StoredEvent, TotalRow, TotalsQuery};
use usage::traits::SequencedBatch;
use usage::{EmbeddedStore, UsageStore};

use crate::jobs::{ended, linked, usage};
use crate::world::{ROOT, SANDBOX, World, organization};

/// What a job may take in the express lane, of the worker's options.
const BUDGET: Duration = Duration::from_secs(2);
/// Organizations whose jobs are long, and how many each has.
const CROWD: u128 = 20;
const JOBS_EACH: usize = 5;

/// A store that is slow for all organizations but one, until it is opened.
#[derive(Debug)]
struct Slow {
    store: Arc<EmbeddedStore>,
    quick: OrganizationId,
    waits: Notify,
    gate: Semaphore,
}

#[async_trait]
impl UsageStore for Slow {
    async fn insert(&self, batch: SequencedBatch) -> usage::Result<()> {
        self.store.insert(batch).await
    }

    async fn scan(&self, query: ScanQuery, as_of: u64) -> usage::Result<Batches> {
        self.store.scan(query, as_of).await
    }

    async fn totals(&self, query: TotalsQuery, as_of: u64) -> usage::Result<Vec<TotalRow>> {
        if !query.scope.knows(self.quick) {
            self.waits.notify_one();
            // A closed gate lets everybody through.
            let _through = self.gate.acquire().await;
        }
        self.store.totals(query, as_of).await
    }

    async fn events(&self, query: EventsQuery, as_of: u64) -> usage::Result<Vec<StoredEvent>> {
        self.store.events(query, as_of).await
    }

    async fn watermark(&self) -> usage::Result<u64> {
        self.store.watermark().await
    }
}

fn slow(world: &World) -> Arc<Slow> {
    Arc::new(Slow {
        store: Arc::clone(&world.store),
        quick: organization(SANDBOX),
        waits: Notify::new(),
        gate: Semaphore::new(0),
    })
}

fn small(new: &mut NewExport) {
    new.organization = organization(SANDBOX);
}

/// Jobs of many organizations at once; all of them are long.
async fn crowd(world: &World) -> Vec<ExportId> {
    let ids = (0..CROWD).map(|number| OrganizationId::from_random(1_000 + number));
    let ids: Vec<_> = ids.collect();
    let mut change = world.metadata.begin_change(world.now()).await.unwrap();
    for id in &ids {
        let new = NewOrganization {
            id: Some(*id),
            kind: OrganizationKind::SubOrganization,
            attributes: OrganizationAttributes::named(format!("Organization {id}")),
            aliases: Vec::new(),
            parent: Some((organization(ROOT), None)),
        };
        change
            .insert_organization(world.account, new)
            .await
            .unwrap();
    }
    change.commit().await.unwrap();
    let mut jobs = Vec::new();
    for id in ids {
        for _ in 0..JOBS_EACH {
            jobs.push(world.ask(|new| new.organization = id).await);
        }
    }
    jobs
}

#[tokio::test]
async fn a_job_too_long_for_the_express_lane_is_handed_back_and_made_as_ever() {
    let world = World::new().await;
    world.take(&usage(0, 10)).await;
    let export = world.ask(linked).await;
    let slow = slow(&world);
    let express = world.worker_on(Arc::<Slow>::clone(&slow), 1).express();
    let lane = express.clone();
    let job = tokio::spawn(async move { lane.tick().await });
    slow.waits.notified().await;
    let tried = world.export(export).await;
    tokio::time::pause();
    tokio::time::advance(BUDGET).await;
    assert_eq!(job.await.unwrap().unwrap(), Some(export));
    tokio::time::resume();

    let back = world.export(export).await;
    assert_eq!((back.status, back.attempts), (ExportStatus::Processing, 0));
    assert_eq!(
        express.tick().await.unwrap(),
        None,
        "it is known to be long"
    );
    world.take(&usage(10, 20)).await;
    world.pass(1);
    assert_eq!(world.worker(2).tick().await.unwrap(), Some(export));
    slow.gate.close();

    let made = world.export(export).await;
    assert_eq!((made.status, made.attempts), (ExportStatus::Success, 1));
    assert_eq!(made.pins, tried.pins);
    let same = |new: &mut NewExport| {
        linked(new);
        new.as_of = tried.pins.map(|pins| pins.as_of);
    };
    let same = world.ask(same).await;
    assert_eq!(world.worker(1).tick().await.unwrap(), Some(same));
    assert_eq!(world.zip(same).await, world.zip(export).await);
}

#[tokio::test]
async fn a_small_job_behind_many_long_ones_waits_for_one_budget_at_most() {
    let world = World::new().await;
    crowd(&world).await;
    let slow = slow(&world);
    let worker = world.worker_on(Arc::<Slow>::clone(&slow), 1);
    // Long jobs hold both workers and, for the moment, the express lane.
    let mut held = Vec::new();
    for worker in [worker.clone(), worker.clone(), worker.express()] {
        held.push(tokio::spawn(async move { worker.tick().await }));
        slow.waits.notified().await;
    }
    let last = held.pop().unwrap();
    world.pass(1);
    let small = world.ask(small).await;
    tokio::time::pause();
    tokio::time::advance(BUDGET).await;
    assert_ne!(last.await.unwrap().unwrap(), Some(small));
    tokio::time::resume();

    let next = worker.express().tick().await.unwrap();
    assert_eq!(next, Some(small), "it goes before ninety-seven others");
    assert_eq!(world.export(small).await.status, ExportStatus::Success);
    slow.gate.close();
    for job in held {
        assert!(job.await.unwrap().unwrap().is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_end_a_small_job_while_long_ones_last_and_then_all_of_them() {
    let world = World::new().await;
    let long = crowd(&world).await;
    let slow = slow(&world);
    let store = Arc::<Slow>::clone(&slow);
    let worker = world.worker_with(store, |options| options.express_budget_ms = 1_000);
    let workers = Workers::start(&worker);
    slow.waits.notified().await;
    world.pass(1);
    let small = world.ask(small).await;
    workers.wake();
    assert_eq!(ended(&world, small).await, ExportStatus::Success);
    for export in &long {
        assert!(world.export(*export).await.status.is_active());
    }
    slow.gate.close();
    for export in long {
        assert_eq!(ended(&world, export).await, ExportStatus::Success);
        assert_eq!(world.export(export).await.attempts, 1);
    }
    workers.stop().await;
}
