//! Control data with a flipped bit: what needs it is corrupt, and verifying names it.

use std::path::Path;

use domain::kind::Kind;
use domain::quantity::Quantity;
use metadata::{Error, FileCheck, Metadata, Options};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::world::{World, at};

/// What every database gives for a change by hand.
async fn by_hand(path: &Path, text: &str) {
    let raw = SqliteConnectOptions::new().filename(path);
    let raw = SqlitePool::connect_with(raw).await.unwrap();
    let done = sqlx::query(AssertSqlSafe(text.to_owned())).execute(&raw);
    assert!(done.await.unwrap().rows_affected() > 0, "{text}");
    raw.close().await;
}

/// The small account with an alias.
async fn world(options: Options) -> World {
    let world = World::create(Metadata::open(options).await.unwrap()).await;
    let aliases = ["under".to_owned()];
    world
        .change(async |change| change.put_aliases(world.sub, &aliases).await)
        .await;
    world
}

async fn damaged(statement: &str) -> (World, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metadata.db");
    let world = world(Options::file(&path)).await;
    by_hand(&path, statement).await;
    (world, folder)
}

async fn told(world: &World) -> String {
    let report = world.metadata.verify_control().await.unwrap();
    assert!(report.rows > 0);
    let told = report.damage.iter();
    let told = told.map(|one| format!("{}: {}", one.place, one.reason));
    told.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_flipped_bit_in_a_rate_is_corrupt_for_what_needs_rates_alone() {
    let (world, _folder) =
        damaged("UPDATE rate_versions SET tiers = replace(tiers, '0', '1')").await;
    let snapshot = world.metadata.snapshot_for(world.sub).await.unwrap();
    let refused = snapshot.rates().unwrap_err();
    assert_eq!(refused.kind(), Kind::Corrupt);
    assert_eq!(snapshot.meters().unwrap().len(), 1);
    let found = world.metadata.find_rate(world.rate.id).await;
    assert_eq!(found.unwrap_err().kind(), Kind::Corrupt);
    let told = told(&world).await;
    let named = format!("rate_versions: the row of rate_id \"{}\"", world.rate.id);
    assert!(told.starts_with(&named), "{told}");
    // A change does not write the damage again under a new checksum.
    let mut change = world.metadata.begin_change(at(9)).await.unwrap();
    let ended = change.end_rate(world.rate.id, at(9)).await;
    assert_eq!(ended.unwrap_err().kind(), Kind::Corrupt);
}

#[tokio::test]
async fn a_flipped_bit_in_a_meter_is_corrupt_for_what_needs_meters_alone() {
    let (world, _folder) = damaged("UPDATE meter_versions SET scalar_factor = 64").await;
    let snapshot = world.metadata.snapshot_for(world.sub).await.unwrap();
    assert_eq!(snapshot.meters().unwrap_err().kind(), Kind::Corrupt);
    let by_id = snapshot.meter(world.meter.id.as_str());
    assert_eq!(by_id.unwrap_err().kind(), Kind::Corrupt);
    assert_eq!(snapshot.rates().unwrap().len(), 1);
    let told = told(&world).await;
    assert!(told.starts_with("meter_versions: the row of"), "{told}");
}

#[tokio::test]
async fn a_flipped_bit_in_the_tree_is_corrupt_for_its_account() {
    for (table, statement) in [
        (
            "organization_edges",
            "UPDATE organization_edges SET valid_from = valid_from + 1024",
        ),
        (
            "organization_edges",
            "UPDATE organization_edges SET checksum = NULL",
        ),
        (
            "organization_versions",
            "UPDATE organization_versions SET anchor_day = 3 WHERE anchor_day = 1",
        ),
        (
            "organizations",
            "UPDATE organizations SET archived_at = 1, archived_revision = 1",
        ),
        (
            "organization_aliases",
            "UPDATE organization_aliases SET alias = alias || '1'",
        ),
    ] {
        let (world, _folder) = damaged(statement).await;
        let refused = world.metadata.snapshot_for(world.sub).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Corrupt, "{statement}");
        assert!(
            matches!(&refused, Error::DamagedRow { table: named, .. } if *named == table),
            "{refused}"
        );
        let told = told(&world).await;
        assert!(told.starts_with(table), "{told}");
    }
}

const TABLES: [&str; 6] = [
    "organizations",
    "organization_versions",
    "organization_aliases",
    "organization_edges",
    "meter_versions",
    "rate_versions",
];

#[tokio::test]
async fn rows_of_before_get_a_checksum_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metadata.db");
    let world = world(Options::file(&path)).await;
    let expected = world.metadata.snapshot_for(world.sub).await.unwrap();
    world.metadata.close().await;
    for table in TABLES {
        by_hand(&path, &format!("UPDATE {table} SET checksum = NULL")).await;
    }
    by_hand(&path, "UPDATE checksum_fill SET is_filled = FALSE").await;
    let filled = Metadata::open(Options::file(&path)).await.unwrap();
    let report = filled.verify_control().await.unwrap();
    assert_eq!(report.damage, []);
    assert_eq!(report.file_check, FileCheck::Sound);
    let snapshot = filled.snapshot_for(world.sub).await.unwrap();
    assert_eq!(snapshot.rates().unwrap(), expected.rates().unwrap());
    filled.close().await;

    by_hand(&path, "UPDATE rate_versions SET checksum = NULL").await;
    let again = Metadata::open(Options::file(&path)).await.unwrap();
    let snapshot = again.snapshot_for(world.sub).await.unwrap();
    assert_eq!(snapshot.rates().unwrap_err().kind(), Kind::Corrupt);
}

#[tokio::test]
async fn rows_of_before_get_a_checksum_in_postgres_too() {
    let url = crate::servers::postgres_url().await;
    let world = world(Options::postgres(&url)).await;
    let mut raw = PgConnection::connect(&url).await.unwrap();
    let unsealed = TABLES.map(|table| format!("UPDATE {table} SET checksum = NULL"));
    let unfilled = "UPDATE checksum_fill SET is_filled = FALSE".to_owned();
    for text in unsealed.into_iter().chain([unfilled]) {
        let done = sqlx::query(AssertSqlSafe(text)).execute(&mut raw).await;
        assert!(done.unwrap().rows_affected() > 0);
    }
    let report = world.metadata.verify_control().await.unwrap();
    assert_eq!(report.damage.len() as u64, report.rows);
    world.metadata.close().await;
    let filled = Metadata::open(Options::postgres(&url)).await.unwrap();
    let report = filled.verify_control().await.unwrap();
    assert_eq!(report.damage, []);
    assert_eq!(report.file_check, FileCheck::NotApplicable);
    filled.snapshot_for(world.sub).await.unwrap();
    filled.close().await;
}

/// Every way to write control data, after which every row fits its checksum.
pub(crate) async fn every_change_leaves_rows_that_fit_their_checksums(metadata: Metadata) {
    let world = World::create(metadata).await;
    let mut change = world.metadata.begin_change(at(10)).await.unwrap();
    let mut meter = world.meter.clone();
    "Renamed".clone_into(&mut meter.name);
    meter.valid.start = Some(at(10));
    change.put_meter(world.account, &meter).await.unwrap();
    let mut rate = world.rate.clone();
    rate.tiers[0].price = Quantity::ONE;
    rate.valid.start = Some(at(11));
    change.put_rate(&rate).await.unwrap();
    let known = change.find_organization(world.sub).await.unwrap().unwrap();
    let mut attributes = known.attributes;
    "Other".clone_into(&mut attributes.name);
    let moved = change.move_organization(world.sub, world.root, Some(at(12)));
    let moved = moved.await;
    change
        .put_organization(world.sub, &attributes, Some(at(13)))
        .await
        .unwrap();
    let aliases = ["other".to_owned()];
    change.put_aliases(world.sub, &aliases).await.unwrap();
    change.put_aliases(world.sub, &[]).await.unwrap();
    change.archive_organization(world.sandbox).await.unwrap();
    change.end_rate(rate.id, at(20)).await.unwrap();
    let archived = change.archive_meter(world.account, meter.id, at(20));
    archived.await.unwrap();
    change.commit().await.unwrap();
    moved.unwrap();
    let report = world.metadata.verify_control().await.unwrap();
    assert_eq!(report.damage, []);
    world.metadata.snapshot_for(world.sub).await.unwrap();
}
