//! Bad days of a disk: full, failing, or without power.

use std::collections::{BTreeMap, BTreeSet};

use usage::disk::faulty::Fault;
use usage::manifest::Layout;
use usage::{EmbeddedStore, Error, Intake, UsageStore};

use super::fixture::*;

#[tokio::test]
async fn a_full_disk_refuses_batches_until_there_is_room() {
    let ground = Ground::new(1);
    let store = ground.open();
    send(&store, vec![event("a", 1)]).await;
    ground.disk.set_space(Some(100));
    let batch = || {
        (0..50)
            .map(|number| event(&format!("f{number}"), 1))
            .collect::<Vec<_>>()
    };
    let error = store.accept(organization(OWN), batch()).await.unwrap_err();
    assert!(matches!(error, Error::DiskFull { .. }), "{error}");
    assert_eq!(store.read_only_reason(), None);
    ground.disk.set_space(None);
    assert_eq!(send(&store, batch()).await[49], "accepted 51");
    drop(store);
    ground.disk.restart();
    let store = ground.open();
    assert_eq!(store.read_only_reason(), None);
    assert_eq!(counted(&store).await.len(), 51);
    assert_eq!(
        conserved(&store).received,
        51,
        "a refused batch was not received"
    );
}

#[tokio::test]
async fn a_flush_without_space_is_made_up_for_later() {
    let mut ground = Ground::new(1);
    ground.options.unflushed_rows_max = 20;
    let store = ground.open();
    let batch = |from: u64| {
        (from..from + 20)
            .map(|id| event(&id.to_string(), 1))
            .collect()
    };
    send(&store, batch(0)).await;
    ground.disk.set_space(Some(500));
    assert!(matches!(
        store.flush_now().unwrap_err(),
        Error::DiskFull { .. }
    ));
    let waits = store.waits_for_space().unwrap();
    assert!(waits.starts_with("no space left to write"), "{waits}");
    let error = store
        .accept(organization(OWN), batch(20))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::DiskFull { .. }), "{error}");
    ground.disk.set_space(None);
    store.flush_now().unwrap();
    assert_eq!(store.waits_for_space(), None);
    send(&store, batch(20)).await;
    store.close().unwrap();
    assert_eq!(ground.verify().damage, []);
    assert_eq!(counted(&ground.open()).await.len(), 40);
}

#[tokio::test]
async fn a_failed_sync_stops_writing_until_the_next_start() {
    let ground = Ground::new(1);
    let store = ground.open();
    send(&store, vec![event("a", 1)]).await;
    // Operations of a frame: its write, then its sync.
    ground.disk.fail(ground.disk.operations() + 1, Fault::Error);
    let error = store
        .accept(organization(OWN), vec![event("b", 1)])
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Io { action: "sync", .. }), "{error}");
    let error = store
        .accept(organization(OWN), vec![event("b", 1)])
        .await
        .unwrap_err();
    assert!(matches!(error, Error::ReadOnly { .. }), "{error}");
    assert!(store.read_only_reason().unwrap().contains("could not sync"));
    assert_eq!(counted(&store).await.len(), 1, "reads go on");
    drop(store);
    // The next process sees the frame in the system's cache, although the disk lost it.
    ground.disk.kill();
    let store = ground.open();
    assert_eq!(
        send(&store, vec![event("b", 1), event("c", 1)]).await[0],
        "duplicate of 2"
    );
    drop(store);
    ground.disk.restart();
    let store = ground.open();
    assert_eq!(store.read_only_reason(), None);
    assert_eq!(counted(&store).await.len(), 3);
}

/// Whatever operation of a flush fails, and whether the process or the machine ends after it.
#[tokio::test]
async fn a_flush_that_fails_at_any_operation_loses_nothing() {
    for fault in [Fault::Error, Fault::Full, Fault::PowerCut] {
        for operation in 0..32 {
            for restart in [false, true] {
                let story = format!("{fault:?} at {operation}, restart {restart}");
                let ground = Ground::new(operation);
                let store = ground.open();
                send(&store, (0..3).map(|id| event(&id.to_string(), 1)).collect()).await;
                ground
                    .disk
                    .fail(ground.disk.operations() + operation, fault);
                drop(store.flush_now());
                drop(store);
                ground.disk.forget_plan();
                if restart || ground.disk.is_off() {
                    ground.disk.restart();
                }
                ground.disk.kill();
                let store = ground.open();
                assert_eq!(store.read_only_reason(), None, "{story}");
                assert_eq!(counted(&store).await.len(), 3, "{story}");
                let told = send(&store, vec![event("1", 1), event("3", 1)]).await;
                assert_eq!(told, ["duplicate of 2", "accepted 4"], "{story}");
                store.close().unwrap();
                assert_eq!(ground.verify().damage, [], "{story}");
            }
        }
    }
}

#[tokio::test]
async fn a_store_that_waits_for_room_can_be_stopped() {
    let mut ground = Ground::new(1);
    ground.options.unflushed_rows_max = 1;
    ground.options.flush_rows = 1_000;
    let store = ground.open();
    ground.disk.set_space(Some(10_000));
    let mut refused = 0;
    for id in 0..100 {
        let batch = vec![event(&id.to_string(), 1)];
        refused += u64::from(store.accept(organization(OWN), batch).await.is_err());
    }
    assert!(refused > 0);
    drop(store);
    ground.disk.set_space(None);
    ground.disk.kill();
    let counted = counted(&ground.open()).await.len() as u64;
    assert_eq!(counted, 100 - refused);
}

/// What a client did, and was told.
#[derive(Debug, Default)]
struct Ledger {
    sent: BTreeSet<String>,
    acknowledged: BTreeMap<String, u64>,
    refused: u64,
}

impl Ledger {
    async fn send(&mut self, store: &EmbeddedStore, random: &mut Random, name: &str) {
        let size = 1 + random.below(12);
        let ids: Vec<String> = (0..size)
            .map(|number| match random.below(4) {
                0 => format!("shared-{}", random.below(30)),
                _ => format!("{name}-{number}"),
            })
            .collect();
        let drafts = ids.iter().map(|id| event(id, 1)).collect();
        self.sent.extend(ids.iter().cloned());
        match store.accept(organization(OWN), drafts).await {
            Ok(outcomes) => {
                for (id, outcome) in ids.iter().zip(outcomes) {
                    let (usage::traits::Outcome::Accepted { sequence }
                    | usage::traits::Outcome::Duplicate { sequence }) = outcome
                    else {
                        panic!("{id}: {}", spell(&outcome));
                    };
                    let before = self.acknowledged.insert(id.clone(), sequence);
                    assert!(before.is_none_or(|before| before == sequence), "{id} moved");
                }
            }
            Err(_) => self.refused += 1,
        }
    }

    async fn check(&self, store: &EmbeddedStore, story: &str) {
        assert_eq!(store.read_only_reason(), None, "{story}");
        let counted = counted(store).await;
        for (id, sequence) in &self.acknowledged {
            assert_eq!(
                counted.get(id),
                Some(sequence),
                "{story}: {id} was acknowledged"
            );
        }
        for id in counted.keys() {
            assert!(self.sent.contains(id), "{story}: {id} was never sent");
        }
        conserved(store);
    }
}

/// One life of the store on a disk that may fail at any operation.
async fn live(ground: &Ground, ledger: &mut Ledger, random: &mut Random, life: u64) {
    let Ok(store) = EmbeddedStore::open(ground.options.clone(), ground.disk(), Layout::default())
    else {
        return;
    };
    for step in 0..8 {
        match random.below(8) {
            0 => drop(store.flush_now()),
            1 => drop(store.compact_now()),
            _ => ledger.send(&store, random, &format!("{life}-{step}")).await,
        }
    }
    if random.below(2) == 0 {
        drop(store.close());
    }
}

async fn lives(seed: u64, fault: Fault) {
    let mut random = Random(seed);
    let mut ground = Ground::new(seed);
    ground.options.flush_rows = 25;
    let mut ledger = Ledger::default();
    for life in 0..6 {
        ground.options.mark_after_ms = random.below(2) * 3_600_000;
        let at = ground.disk.operations() + random.below(60);
        ground.disk.fail(at, fault);
        live(&ground, &mut ledger, &mut random, life).await;
        ground.disk.restart();
        let story = format!("{fault:?}, seed {seed}, life {life}");
        let store = ground
            .try_open()
            .unwrap_or_else(|error| panic!("{story}: {error}"));
        ledger.check(&store, &story).await;
        drop(store);
        ground.disk.kill();
        let damage = ground.verify().damage;
        assert_eq!(damage, [], "{story}");
    }
    assert!(!ledger.acknowledged.is_empty());
}

#[tokio::test]
async fn acknowledged_events_survive_a_power_cut_at_any_operation() {
    for seed in 0..40 {
        lives(seed, Fault::PowerCut).await;
    }
}

#[tokio::test]
async fn acknowledged_events_survive_an_error_at_any_operation_and_a_power_cut_after_it() {
    for seed in 100..130 {
        lives(seed, Fault::Error).await;
    }
}

#[tokio::test]
async fn acknowledged_events_survive_a_full_disk_at_any_operation_and_a_power_cut_after_it() {
    for seed in 200..230 {
        lives(seed, Fault::Full).await;
    }
}

#[tokio::test]
async fn a_kept_watermark_reads_the_same_after_a_restart() {
    let ground = Ground::new(3);
    let store = ground.open();
    send(&store, vec![event("a", 1), event("b", 1)]).await;
    let before = counted(&store).await;
    store.flush_now().unwrap();
    ground.disk.restart();
    drop(store);
    let store = ground.open();
    assert_eq!(store.watermark().await.unwrap(), 2);
    assert_eq!(counted(&store).await, before);
}
