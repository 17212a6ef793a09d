//! The same request at the same watermark gives the same archive, byte for byte, whatever happened
//! in between.

use std::sync::Arc;

use domain::export::AsOf;
use domain::rate::Tier;
use export::build::Gauge;
use metadata::{ExportKind, ExportStatus, NewExport, OrganizationAttributes};
use sha2::{Digest, Sha256};
use usage::manifest::Layout;

use crate::jobs::usage;
use crate::world::{LEASE_SECONDS, ROOT, SANDBOX, SUB, World, meter, meter_id, organization, rate};

type Sha = [u8; 32];
type Request = fn(&mut NewExport);

/// Every kind of request: its name, and what makes it.
const REQUESTS: [(&str, Request); 9] = [
    ("summary", |_| {}),
    ("summary of all linked", |new| new.all_linked_orgs = true),
    ("combined summary", |new| {
        new.all_linked_orgs = true;
        new.combined = true;
    }),
    ("older summary", |new| {
        new.kind = ExportKind::SummaryAllLinked;
    }),
    ("project and folder", |new| {
        new.kind = ExportKind::ProjectFolder;
        new.all_linked_orgs = true;
    }),
    ("combined project and folder", |new| {
        new.kind = ExportKind::ProjectFolder;
        new.all_linked_orgs = true;
        new.combined = true;
    }),
    ("asset", |new| new.kind = ExportKind::Asset),
    ("job level of one meter", |new| {
        new.kind = ExportKind::JobLevel;
        new.organization = organization(SUB);
        new.meter = Some(meter_id(1));
    }),
    ("job level of all meters", |new| {
        new.kind = ExportKind::JobLevel;
        new.organization = organization(SUB);
        new.all_meters = true;
    }),
];

/// Usage of two organizations with projects, folders, assets and several meters.
const MORE: &str = r#"
    000000000000000000Root 2013-01-05T10:00:00Z {"n1":1.5,"n2":3,"project":"P","folder":"f","asset":"a"}
    000000000000000000Root 2013-01-05T11:00:00Z {"n1":"0.000000000001","project":"P","asset":"b"}
    000000000000000000Root 2013-01-06T10:00:00Z {"n1":2,"n3":7,"project":"Q","folder":"g","asset":"a"}
    0000000000000000000Sub 2013-01-06T10:00:00Z {"n2":2,"n3":5,"project":"Q","taskName":"t"}
    000000000000000Sandbox 2013-01-07T10:00:00Z {"n1":4,"project":"R"}
"#;

async fn sha256(world: &World, export: domain::ids::ExportId) -> Sha {
    let made = world.export(export).await;
    assert_eq!(
        made.status,
        ExportStatus::Success,
        "{:?}",
        made.error_message
    );
    let sha = Sha256::digest(world.zip(export).await).into();
    assert_eq!(made.artifact.unwrap().sha256, sha);
    sha
}

/// Asks for every kind at a watermark, or the newest, and gives what was made.
async fn make(world: &World, as_of: Option<AsOf>, threads: usize) -> Vec<(&'static str, Sha)> {
    let mut made = Vec::new();
    for (name, request) in REQUESTS {
        let change = |new: &mut NewExport| {
            request(new);
            new.as_of = as_of;
        };
        let export = world.ask(change).await;
        assert_eq!(
            world.worker(threads).run_until_idle().await.unwrap(),
            1,
            "{name}"
        );
        made.push((name, sha256(world, export).await));
    }
    made
}

/// A further meter, which reads what was stored before it was declared.
async fn declare_late(world: &World) {
    let mut change = world.metadata.begin_change(world.now()).await.unwrap();
    let mut late = meter(5, Some(domain::meter::JobLevelLayout::Generic));
    late.rule = meter(1, None).rule;
    change.insert_meter(world.account, &late).await.unwrap();
    change.commit().await.unwrap();
    let rules = (1..=4).map(|number| meter(number, None).rule);
    let layout = Layout {
        rules: rules.collect(),
        ..Layout::default()
    };
    world.store.set_layout(layout);
    world.store.compact_now().unwrap();
}

async fn rename(world: &World) {
    let mut change = world.metadata.begin_change(world.now()).await.unwrap();
    for (id, since) in [(ROOT, None), (SUB, "2013-01-09T00:00:00Z".parse().ok())] {
        let renamed = OrganizationAttributes::named(format!("Renamed {id}"));
        let put = change.put_organization(organization(id), &renamed, since);
        put.await.unwrap();
    }
    let mut renamed = meter(1, Some(domain::meter::JobLevelLayout::DataIntegration));
    renamed.name = "Renamed".into();
    change.put_meter(world.account, &renamed).await.unwrap();
    change.commit().await.unwrap();
}

async fn relocate(world: &World) {
    let mut change = world.metadata.begin_change(world.now()).await.unwrap();
    let (sub, sandbox) = (organization(SUB), organization(SANDBOX));
    let since = "2013-01-10T12:30:00Z".parse().ok();
    change.move_organization(sub, sandbox, since).await.unwrap();
    change.commit().await.unwrap();
}

async fn reprice(world: &World) {
    let mut change = world.metadata.begin_change(world.now()).await.unwrap();
    let mut tiered = rate(1, "99");
    let first = Tier {
        up_to: Some("10".parse().unwrap()),
        price: "1.5".parse().unwrap(),
    };
    tiered.tiers.insert(0, first);
    change.put_rate(&tiered).await.unwrap();
    change.commit().await.unwrap();
}

/// Usage that came later, and of times that were exported before.
async fn go_on(world: &World) {
    world.take(&usage(300, 400)).await;
    world
        .take(&MORE.replace(r#""n1":"#, r#""late":1,"n1":"#))
        .await;
}

#[tokio::test]
async fn nothing_that_happens_later_changes_a_byte() {
    let mut world = World::new().await;
    world.take(&usage(0, 200)).await;
    world.take(MORE).await;
    let first = make(&world, None, 1).await;
    let as_of = AsOf {
        sequence: usage::UsageStore::watermark(world.store.as_ref())
            .await
            .unwrap(),
        revision: world.metadata.control_revision().await.unwrap(),
        time: world.now(),
    };
    world.pass(3_600);
    let check = async |world: &World, what: &str, threads| {
        assert_eq!(
            make(world, Some(as_of), threads).await,
            first,
            "after {what}"
        );
    };
    check(&world, "an hour", 3).await;
    world.store.flush_now().unwrap();
    check(&world, "a flush", 2).await;
    world.restart().await;
    check(&world, "a restart", 1).await;
    go_on(&world).await;
    check(&world, "further usage", 2).await;
    world.store.flush_now().unwrap();
    world.store.compact_now().unwrap();
    check(&world, "a compaction", 4).await;
    declare_late(&world).await;
    check(&world, "a late meter", 1).await;
    rename(&world).await;
    check(&world, "renamings", 1).await;
    relocate(&world).await;
    check(&world, "a move", 1).await;
    reprice(&world).await;
    check(&world, "new rates", 1).await;
    world.restart().await;
    check(&world, "all of it and a restart", 5).await;
    for (now, before) in make(&world, None, 1).await.iter().zip(&first) {
        assert_ne!(now.1, before.1, "a newer watermark shows in {}", now.0);
    }
}

#[tokio::test]
async fn a_try_that_follows_a_crash_gives_the_bytes_the_first_would_have_given() {
    let mut world = World::new().await;
    world.take(&usage(0, 200)).await;
    world.take(MORE).await;
    for (name, request) in REQUESTS {
        let export = world.ask(request).await;
        let (worker, gauge) = (world.worker(1), Arc::new(Gauge::default()));
        let claimed = worker.claim().await.unwrap().unwrap();
        let built = worker.build(&claimed, &gauge).await.unwrap();
        let before = built.sha256().unwrap();
        go_on(&world).await;
        rename(&world).await;
        world.restart().await;
        world.pass(LEASE_SECONDS + 1);
        assert_eq!(world.worker(3).run_until_idle().await.unwrap(), 1, "{name}");
        assert_eq!(sha256(&world, export).await, before, "{name}");
    }
}
