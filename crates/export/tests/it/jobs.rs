//! What happens to a job when workers die, come late, fail or see other data.

use std::fmt::Write;
use std::sync::Arc;

use domain::export::{AsOf, LAYOUT_VERSION};
use export::Error;
use export::build::Gauge;
use metadata::{Claim, ExportStatus, Lane, Pins};
use sha2::{Digest, Sha256};

use domain::ids::ExportId;
use export::Workers;

use crate::world::{LEASE_SECONDS, ROOT, SANDBOX, SUB, World, meter, meter_id, organization, rate};

pub(crate) fn linked(new: &mut metadata::NewExport) {
    new.all_linked_orgs = true;
}

/// So many jobs of the sub-organization, spread over January.
pub(crate) fn usage(from: usize, to: usize) -> String {
    let mut lines = String::new();
    for index in from..to {
        let (day, hour, minute) = (index % 28 + 1, index / 28 % 24, index % 60);
        let time = format!("2013-01-{day:02}T{hour:02}:{minute:02}:00Z");
        writeln!(
            lines,
            r#"{SUB} {time} {{"n1":{index}.25,"taskName":"task {index}"}}"#
        )
        .unwrap();
    }
    lines
}

async fn change_everything(world: &World) {
    let mut change = world.metadata.begin_change(world.now()).await.unwrap();
    let renamed = metadata::OrganizationAttributes::named("Another name");
    change
        .put_organization(organization(SUB), &renamed, None)
        .await
        .unwrap();
    let (sub, sandbox) = (organization(SUB), organization(SANDBOX));
    change.move_organization(sub, sandbox, None).await.unwrap();
    let mut renamed = meter(1, None);
    renamed.name = "Another meter".into();
    change.put_meter(world.account, &renamed).await.unwrap();
    change.put_rate(&rate(1, "99")).await.unwrap();
    change.commit().await.unwrap();
}

#[tokio::test]
async fn another_worker_makes_the_same_bytes_after_a_crash_whatever_changed_since() {
    let world = World::new().await;
    world.take(&usage(0, 400)).await;
    let summary = world.ask(linked).await;
    let gauge = Arc::new(Gauge::default());
    let lost = world.worker(1);
    let claimed = lost.claim().await.unwrap().unwrap();
    let built = lost.build(&claimed, &gauge).await.unwrap();
    let made = lost.publish(&claimed, built, &gauge).await.unwrap();
    assert_eq!(world.export(summary).await.status, ExportStatus::Processing);

    change_everything(&world).await;
    world.take(&usage(400, 500)).await;
    world.store.flush_now().unwrap();
    assert_eq!(
        world.worker(3).run_until_idle().await.unwrap(),
        0,
        "the lease still holds"
    );
    world.pass(LEASE_SECONDS + 1);
    assert_eq!(world.worker(3).run_until_idle().await.unwrap(), 1);

    let export = world.export(summary).await;
    let artifact = export.artifact.unwrap();
    assert_eq!((export.status, export.fence), (ExportStatus::Success, 2));
    assert_eq!(artifact.sha256, made.stored.sha256, "byte for byte");
    let zip = world.zip(summary).await;
    assert_eq!(<[u8; 32]>::from(Sha256::digest(&zip)), artifact.sha256);
    assert_eq!(zip.len() as u64, artifact.size_bytes);

    let again = world.ask(linked).await;
    world.worker(1).run_until_idle().await.unwrap();
    assert!(
        world.files(again).await.contains("Another name"),
        "a new job sees the changes"
    );
}

/// One of many changes of control data; each is allowed at any time.
async fn change_something(world: &World, choice: u64) {
    let mut change = world.metadata.begin_change(world.now()).await.unwrap();
    let since = [None, Some(world.now()), "2013-01-09T12:30:00Z".parse().ok()];
    let since = since[usize::try_from(choice / 5 % 3).unwrap()];
    let (sub, root, sandbox) = (organization(SUB), organization(ROOT), organization(SANDBOX));
    match choice % 5 {
        0 => {
            let renamed = metadata::OrganizationAttributes::named(format!("Name {choice}"));
            change.put_organization(sub, &renamed, since).await.unwrap();
        }
        1 => change.move_organization(sub, sandbox, since).await.unwrap(),
        2 => change.move_organization(sub, root, since).await.unwrap(),
        3 => {
            let mut rate = rate(1, &choice.to_string());
            rate.valid.start = since;
            change.put_rate(&rate).await.unwrap();
        }
        _ => {
            let mut meter = meter(1, None);
            meter.name = format!("Meter {choice}");
            meter.valid.start = since;
            change.put_meter(world.account, &meter).await.unwrap();
        }
    }
    change.commit().await.unwrap();
}

#[tokio::test]
async fn random_changes_between_two_runs_of_one_job_change_no_byte() {
    let world = World::new().await;
    let (mut state, mut seen) = (20_130_101_u64, std::collections::BTreeSet::new());
    for round in 0..12 {
        world.take(&usage(round * 20, round * 20 + 20)).await;
        let combined = |new: &mut metadata::NewExport| {
            new.all_linked_orgs = true;
            new.combined = round % 2 == 0;
        };
        let export = world.ask(combined).await;
        let worker = world.worker(1);
        let claimed = worker.claim().await.unwrap().unwrap();
        let gauge = Arc::new(Gauge::default());
        let before = worker.build(&claimed, &gauge).await.unwrap();
        let first = before.sha256().unwrap();
        for _ in 0..3 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            change_something(&world, state >> 33).await;
            world.pass(1);
        }
        world.take(&usage(1_000 + round, 1_001 + round)).await;
        world.pass(LEASE_SECONDS);
        assert_eq!(world.worker(2).run_until_idle().await.unwrap(), 1);
        let sha256 = world.export(export).await.artifact.unwrap().sha256;
        let stored = worker.publish(&claimed, before, &gauge).await;
        assert!(matches!(stored, Err(Error::TakenOver(_))), "{stored:?}");
        assert_eq!(first, sha256, "round {round}");
        assert!(seen.insert(sha256), "round {round} differs from all before");
    }
}

/// Seconds for which a job waits after so many workers have ended while they made it.
fn wait_after(attempts: u32) -> i64 {
    match attempts {
        0..5 => 0,
        5 => 60,
        6 => 120,
        _ => 240,
    }
}

#[tokio::test]
async fn a_job_that_ends_every_worker_waits_longer_and_longer_and_is_given_up_after_an_hour() {
    let world = World::new().await;
    let export = world.ask(linked).await;
    let mut waited = 0;
    for attempt in 1..=20 {
        let claimed = world.worker(1).claim().await.unwrap().unwrap();
        assert_eq!(claimed.export.attempts, attempt);
        world.pass(LEASE_SECONDS + 1);
        if wait_after(attempt) > 0 {
            world.pass(wait_after(attempt) - 2);
            assert!(world.worker(1).claim().await.unwrap().is_none());
            world.pass(2);
        }
        waited += LEASE_SECONDS + 1 + wait_after(attempt);
    }
    assert!(waited > 3_600, "{waited}");
    assert_eq!(world.worker(1).tick().await.unwrap(), Some(export));
    let ended = world.export(export).await;
    assert_eq!(ended.status, ExportStatus::Failed);
    let message = ended.error_message.unwrap();
    assert!(message.starts_with("20 workers in a row"), "{message}");
}

#[tokio::test]
async fn a_job_an_older_release_left_unfinished_is_made_in_the_layout_of_this_one() {
    let world = World::new().await;
    world.take(&usage(0, 10)).await;
    let export = world.ask(linked).await;
    let as_of = AsOf {
        sequence: 10,
        revision: world.metadata.control_revision().await.unwrap(),
        time: world.now(),
    };
    let older = Claim {
        worker: "older".into(),
        pins: Pins {
            layout_version: LAYOUT_VERSION - 1,
            ..export::request::pins(as_of)
        },
        lease_ms: 1_000,
        lane: Lane::Ordinary,
    };
    let claimed = world.metadata.claim_export(&older, world.now()).await;
    assert_eq!(claimed.unwrap().unwrap().pins, older.pins);
    world.take(&usage(10, 20)).await;
    world.pass(LEASE_SECONDS + 1);
    assert_eq!(world.worker(1).tick().await.unwrap(), Some(export));

    let ended = world.export(export).await;
    assert_eq!(ended.status, ExportStatus::Success, "{ended:?}");
    assert_eq!(ended.pins, Some(export::request::pins(as_of)));
    let manifest = world.artifacts.manifest(export).await.unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["layout"], LAYOUT_VERSION);
    assert_eq!(manifest["asOf"]["sequence"], 10, "the watermark stays");
}

#[tokio::test]
async fn a_late_worker_publishes_and_settles_nothing() {
    let world = World::new().await;
    world.take(&usage(0, 10)).await;
    let export = world.ask(linked).await;
    let gauge = Arc::new(Gauge::default());
    let late = world.worker(1);
    let claimed = late.claim().await.unwrap().unwrap();
    let built = late.build(&claimed, &gauge).await.unwrap();
    world.pass(LEASE_SECONDS + 1);
    let next = world.worker(1);
    let reclaimed = next.claim().await.unwrap().unwrap();
    assert_eq!(reclaimed.pins, claimed.pins, "pinned once");

    let refused = late.publish(&claimed, built, &gauge).await;
    assert!(
        matches!(refused, Err(Error::TakenOver(id)) if id == export),
        "{refused:?}"
    );
    assert!(
        world.artifacts.manifest(export).await.is_err(),
        "nothing was put"
    );
    let built = next.build(&reclaimed, &gauge).await.unwrap();
    let made = next.publish(&reclaimed, built, &gauge).await.unwrap();
    let other = export::Made {
        rows: 7,
        ..made.clone()
    };
    let refused = late.settle(&claimed, other).await;
    assert!(matches!(refused, Err(Error::TakenOver(_))), "{refused:?}");
    assert_eq!(world.export(export).await.status, ExportStatus::Processing);
    next.settle(&reclaimed, made).await.unwrap();
    let rows = world.export(export).await.progress.rows;
    assert_eq!(rows, 18, "nine days of it and of its parent");
}

#[tokio::test]
async fn jobs_at_one_watermark_give_the_same_bytes_whenever_they_are_made() {
    let world = World::new().await;
    world.take(&usage(0, 10)).await;
    let first = world.ask(linked).await;
    world.pass(3_600);
    world.worker(1).run_until_idle().await.unwrap();
    let first = world.export(first).await;
    let as_of = first.pins.unwrap().as_of;
    assert!(first.created_at < as_of.time, "the instant of the claim");

    change_everything(&world).await;
    world.take(&usage(10, 20)).await;
    world.pass(86_400);
    let newest = world.ask(linked).await;
    let same = |new: &mut metadata::NewExport| {
        linked(new);
        new.as_of = Some(as_of);
    };
    let same = world.ask(same).await;
    world.worker(2).run_until_idle().await.unwrap();
    let sha256 = |export: metadata::Export| export.artifact.unwrap().sha256;
    let first = sha256(first);
    assert_eq!(sha256(world.export(same).await), first);
    assert_ne!(sha256(world.export(newest).await), first);
    let zip = world.zip(same).await;
    let year_and_month = u16::from_le_bytes([zip[12], zip[13]]) >> 5;
    let expected = as_of.time.to_zoned(jiff::tz::TimeZone::UTC);
    let expected = (expected.year() - 1980) * 16 + i16::from(expected.month());
    assert_eq!(
        i32::from(year_and_month),
        i32::from(expected),
        "the entries' date"
    );
}

#[tokio::test]
async fn threads_flushes_and_compactions_change_no_byte() {
    let world = World::new().await;
    let job_level = |new: &mut metadata::NewExport| {
        new.organization = organization(SUB);
        new.kind = metadata::ExportKind::JobLevel;
        new.meter = Some(meter_id(1));
    };
    let mut shas = Vec::new();
    world.take(&usage(0, 3_000)).await;
    for (threads, step) in [1, 2, 5].into_iter().zip(0..) {
        for ask in [world.ask(job_level).await, world.ask(linked).await] {
            world.worker(threads).run_until_idle().await.unwrap();
            shas.push(world.export(ask).await.artifact.unwrap().sha256);
        }
        match step {
            0 => world.store.flush_now().unwrap(),
            _ => world.store.compact_now().unwrap(),
        }
    }
    let (first, rest) = shas.split_at(2);
    assert_ne!(first[0], first[1]);
    assert_eq!(rest, [first, first].concat());
}

#[tokio::test]
async fn artifacts_go_after_three_days_and_their_jobs_stay() {
    let world = World::new().await;
    let export = world.ask(linked).await;
    let worker = world.worker(1);
    worker.run_until_idle().await.unwrap();
    world.pass(3 * 24 * 3600 - 1);
    assert_eq!(worker.sweep().await.unwrap(), 0);
    let path = world.export(export).await.artifact.unwrap().path;
    assert!(world.artifacts.read(&path, Some(0..4)).await.is_ok());
    world.pass(1);
    assert_eq!(worker.sweep().await.unwrap(), 1);
    assert_eq!(world.export(export).await.status, ExportStatus::Expired);
    assert!(world.artifacts.read(&path, None).await.is_err());
    assert_eq!(worker.sweep().await.unwrap(), 0);
}

#[tokio::test]
async fn an_artifact_that_cannot_be_removed_is_tried_again_by_the_next_sweep() {
    let world = World::new().await;
    let export = world.ask(linked).await;
    let worker = world.worker(1);
    worker.run_until_idle().await.unwrap();
    world.pass(3 * 24 * 3600);
    let path = world.export(export).await.artifact.unwrap().path;
    let in_the_way = world.folder.path().join("artifacts").join(path);
    std::fs::remove_file(&in_the_way).unwrap();
    std::fs::create_dir(&in_the_way).unwrap();
    worker.sweep().await.unwrap_err();
    assert_eq!(world.export(export).await.status, ExportStatus::Success);
    std::fs::remove_dir(&in_the_way).unwrap();
    assert_eq!(worker.sweep().await.unwrap(), 1);
    assert_eq!(world.export(export).await.status, ExportStatus::Expired);
}

/// Waits for the end of a job that others work on.
pub(crate) async fn ended(world: &World, export: ExportId) -> ExportStatus {
    loop {
        let status = world.export(export).await.status;
        if !status.is_active() {
            return status;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_in_the_background_find_jobs_and_end_when_told() {
    let world = World::new().await;
    world.take(&usage(0, 10)).await;
    let before = world.ask(linked).await;
    let workers = Workers::start(&world.worker(1));
    assert_eq!(ended(&world, before).await, ExportStatus::Success);
    let later = world.ask(linked).await;
    workers.wake();
    assert_eq!(ended(&world, later).await, ExportStatus::Success);
    workers.stop().await;
    let unseen = world.ask(linked).await;
    assert_eq!(world.export(unseen).await.status, ExportStatus::Created);
}

#[tokio::test]
async fn verify_names_a_manifest_that_is_of_another_export() {
    let world = World::new().await;
    world.take(&usage(0, 10)).await;
    let (one, other) = (world.ask(linked).await, world.ask(linked).await);
    assert_eq!(world.worker(1).run_until_idle().await.unwrap(), 2);
    assert_eq!(world.zip(one).await, world.zip(other).await);
    let verify = async || {
        let verified = export::verify_artifacts(&world.metadata, &world.artifacts, world.now());
        verified.await.unwrap().damage
    };
    assert_eq!(verify().await, []);
    let folder = world.folder().join("artifacts");
    for extension in ["json", "blocks"] {
        let of = |export| folder.join(format!("{export}.{extension}"));
        std::fs::copy(of(other), of(one)).unwrap();
    }
    let damage = verify().await;
    assert_eq!(damage.len(), 1, "{damage:?}");
    assert!(
        damage[0].path.ends_with(&format!("{one}.json")),
        "{damage:?}"
    );
    assert_eq!(
        damage[0].reason,
        format!("it is of export \"{other}\": expected {one}")
    );
}

#[tokio::test]
async fn a_job_begun_before_usage_was_given_up_fails_by_name() {
    let world = World::new().await;
    world.take(&usage(0, 10)).await;
    let export = world.ask(linked).await;
    world.worker(1).claim().await.unwrap().unwrap();
    world.pass(LEASE_SECONDS + 1);
    // What a start that accepts a loss does; the sequences of the job name other events now.
    world.metadata.forget_usage(world.now()).await.unwrap();
    assert_eq!(world.worker(1).tick().await.unwrap(), Some(export));
    let ended = world.export(export).await;
    assert_eq!(ended.status, ExportStatus::Failed);
    let told = ended.error_message.unwrap();
    assert!(
        told.contains("before usage was lost and given up"),
        "{told}"
    );
    let again = world.ask(linked).await;
    assert_eq!(world.worker(1).tick().await.unwrap(), Some(again));
    assert_eq!(world.export(again).await.status, ExportStatus::Success);
}
