//! Rows that do not come although they were written: a read is right or it is corrupt.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use domain::ids::AccountId;
use domain::kind::Kind;
use domain::quantity::Quantity;
use domain::tree::OrganizationKind;
use metadata::{ControlSnapshot, Error, Metadata, Options, PageRequest};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::servers;
use crate::world::{World, at, meter, node, organization, rate};

/// Bytes of a page of SQLite, unless it is created with another size.
const PAGE_BYTES: usize = 4_096;
/// Pages of b-trees: inner and outer ones, of indexes and of tables.
const TREE_PAGES: [u8; 4] = [2, 5, 10, 13];

/// Statements by hand, past what keeps totals.
async fn by_hand(path: &Path, text: &str) {
    let raw = SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(false);
    let raw = SqlitePool::connect_with(raw).await.unwrap();
    let done = sqlx::query(AssertSqlSafe(text.to_owned())).execute(&raw);
    assert!(done.await.unwrap().rows_affected() > 0, "{text}");
    raw.close().await;
}

/// What a snapshot says, in one text.
fn shown(snapshot: &ControlSnapshot) -> Result<String, Error> {
    Ok(format!(
        "{:?} {:?} {:?} {:?}",
        snapshot.organizations(),
        snapshot.edges(),
        snapshot.meters()?,
        snapshot.rates()?
    ))
}

async fn read(
    metadata: &Metadata,
    account: AccountId,
    revision: Option<u64>,
) -> Result<String, Error> {
    shown(&metadata.snapshot(account, revision).await?)
}

/// An account of several pages a table, with a history.
async fn large(metadata: Metadata) -> World {
    let world = World::create(metadata).await;
    let mut change = world.metadata.begin_change(at(1)).await.unwrap();
    for number in 10..60 {
        let kind = OrganizationKind::SubOrganization;
        let name = format!("Sub {number}");
        let mut new = node(organization(number), kind, &name, Some(world.additional));
        new.aliases = vec![format!("alias-{number}")];
        change
            .insert_organization(world.account, new)
            .await
            .unwrap();
        let meter = meter(number, &format!("meter-{number}"));
        change.insert_meter(world.account, &meter).await.unwrap();
        let priced = rate(number, meter.id, None, "0.5");
        change.insert_rate(world.account, &priced).await.unwrap();
    }
    change.commit().await.unwrap();
    for second in 2..6 {
        let mut change = world.metadata.begin_change(at(second)).await.unwrap();
        for number in 10..20 {
            let meter = meter(number, &format!("meter-{number}"));
            let mut priced = rate(number, meter.id, None, "0.5");
            priced.tiers[0].price = second.to_string().parse::<Quantity>().unwrap();
            priced.valid.start = Some(at(second));
            change.put_rate(&priced).await.unwrap();
        }
        change.commit().await.unwrap();
    }
    world
}

#[tokio::test]
async fn a_row_that_is_missing_or_one_too_many_is_corrupt_at_every_revision_that_has_it() {
    let other = "0000000000000000000009";
    let cases = [
        "DELETE FROM rate_versions",
        "DELETE FROM meter_versions",
        "DELETE FROM organization_edges WHERE rowid = 1",
        "DELETE FROM organization_aliases",
        "DELETE FROM organization_versions WHERE rowid = 2",
        "DELETE FROM control_totals",
        "DELETE FROM accounts",
        "UPDATE accounts SET root_id = '0000000000000000000009'",
        "UPDATE control_revision SET revision = 0",
        "INSERT INTO rate_versions SELECT * FROM rate_versions",
        "UPDATE control_totals SET rate_versions_sum = rate_versions_sum + 256",
    ];
    for statement in cases {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metadata.db");
        let world = World::create(Metadata::open(Options::file(&path)).await.unwrap()).await;
        let aliases = [other.to_owned()];
        world
            .change(async |change| change.put_aliases(world.sub, &aliases).await)
            .await;
        read(&world.metadata, world.account, None).await.unwrap();
        by_hand(&path, statement).await;
        let refused = read(&world.metadata, world.account, None).await;
        assert_eq!(refused.unwrap_err().kind(), Kind::Corrupt, "{statement}");
    }
}

#[tokio::test]
async fn verify_names_the_table_whose_rows_are_missing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metadata.db");
    let world = World::create(Metadata::open(Options::file(&path)).await.unwrap()).await;
    by_hand(&path, "DELETE FROM rate_versions").await;
    let report = world.metadata.verify_control().await.unwrap();
    let damage: Vec<_> = report.damage.iter().map(|one| &one.place).collect();
    assert_eq!(damage, ["rate_versions"]);
    let reason = &report.damage[0].reason;
    assert!(reason.contains("0 found, 1 written"), "{reason}");
}

/// A file that a flipped bit was written to.
fn flipped(sound: &[u8], folder: &Path, page: usize, bit: usize) -> PathBuf {
    let mut bytes = sound.to_vec();
    bytes[page * PAGE_BYTES + bit / 8] ^= 1 << (bit % 8);
    let path = folder.join("flipped.db");
    for beside in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{beside}", path.display()));
    }
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Places in a page that matter: its header, its list of cells, and bytes of the cells.
fn places(page: usize, bytes: &[u8]) -> Vec<usize> {
    let cells = usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
    let start = usize::from(u16::from_be_bytes([bytes[5], bytes[6]]));
    let list = 8 + (page * 31) % (2 * cells).max(1);
    let content = |step: usize| start + (page * 7 + step * 997) % (PAGE_BYTES - start).max(1);
    vec![
        if page.is_multiple_of(2) { 3 } else { list },
        content(1),
        content(2),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_flipped_bit_in_a_page_of_the_database_gives_other_control_data() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metadata.db");
    let world = large(Metadata::open(Options::file(&path)).await.unwrap()).await;
    let mut expected = BTreeMap::new();
    for revision in [3, 6] {
        let shown = read(&world.metadata, world.account, Some(revision)).await;
        expected.insert(revision, shown.unwrap());
    }
    let account = world.account;
    world.metadata.close().await;
    let sound = std::fs::read(&path).unwrap();
    let (mut right, mut corrupt) = (0, 0);
    for (page, bytes) in sound.chunks(PAGE_BYTES).enumerate().skip(1) {
        if !TREE_PAGES.contains(&bytes[0]) {
            continue;
        }
        for (turn, place) in places(page, bytes).into_iter().enumerate() {
            let path = flipped(&sound, folder.path(), page, place * 8 + (page + turn) % 8);
            let Ok(metadata) = Metadata::open(Options::file(&path)).await else {
                corrupt += 1;
                continue;
            };
            for (revision, expected) in &expected {
                match read(&metadata, account, Some(*revision)).await {
                    Ok(shown) => {
                        assert_eq!(&shown, expected, "page {page}, byte {place}");
                        right += 1;
                    }
                    Err(error) => {
                        // A schema that is damaged is one that a statement does not fit.
                        let kind = error.kind();
                        let is_damage = matches!(kind, Kind::Corrupt | Kind::Internal);
                        assert!(is_damage, "page {page}: {error:?}");
                        corrupt += 1;
                    }
                }
            }
            metadata.close().await;
        }
    }
    assert!(
        right > 100 && corrupt > 100,
        "{right} right, {corrupt} corrupt"
    );
}

#[tokio::test]
async fn an_account_of_before_gets_totals_of_every_revision_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metadata.db");
    let world = large(Metadata::open(Options::file(&path)).await.unwrap()).await;
    let mut expected = Vec::new();
    for revision in 1..=6 {
        let shown = read(&world.metadata, world.account, Some(revision)).await;
        expected.push(shown.unwrap());
    }
    world.metadata.close().await;
    by_hand(&path, "DELETE FROM control_totals").await;
    by_hand(&path, "UPDATE checksum_fill SET has_totals = FALSE").await;
    let filled = Metadata::open(Options::file(&path)).await.unwrap();
    for (revision, expected) in (1..).zip(&expected) {
        let shown = read(&filled, world.account, Some(revision)).await.unwrap();
        assert_eq!(&shown, expected);
    }
    assert_eq!(filled.verify_control().await.unwrap().damage, []);
    filled.close().await;

    // A row that is hidden already is not taken for one that never was.
    by_hand(&path, "UPDATE checksum_fill SET has_totals = FALSE").await;
    hide(&path, b"alias-10");
    let refused = Metadata::open(Options::file(&path)).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Corrupt, "{refused:?}");
}

/// Flips a bit of a text wherever pages of indexes have it.
fn hide(path: &Path, text: &[u8]) {
    let mut bytes = std::fs::read(path).unwrap();
    let mut hidden = 0;
    for page in bytes.chunks_mut(PAGE_BYTES).filter(|page| page[0] == 10) {
        while let Some(place) = page.windows(text.len()).position(|window| window == text) {
            page[place] ^= 1;
            hidden += 1;
        }
    }
    assert!(hidden > 0);
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn rows_that_a_page_of_an_index_hides_are_missed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metadata.db");
    let world = large(Metadata::open(Options::file(&path)).await.unwrap()).await;
    let control = world.metadata.snapshot(world.account, None).await.unwrap();
    let account = world.account;
    world.metadata.close().await;
    let meter = meter(10, "").id;
    hide(&path, format!("{account}{meter}").as_bytes());
    let metadata = Metadata::open(Options::file(&path)).await.unwrap();
    let refused = read(&metadata, account, None).await;
    assert_eq!(refused.unwrap_err().kind(), Kind::Corrupt);
    let page = PageRequest::default();
    let rates = metadata.list_rates(&control, &page).await.map(drop);
    let meters = metadata.list_meters(&control, &page).await.map(drop);
    assert!(rates.is_err() || meters.is_err(), "{rates:?} {meters:?}");
    metadata.close().await;
}

/// Changes at the same time add up, and every account has totals of its own.
pub(crate) async fn totals_hold_for_parallel_changes_of_several_accounts(metadata: Metadata) {
    let one = World::create(metadata.clone()).await;
    let two = World::numbered(metadata.clone(), 100).await;
    let mut changes = Vec::new();
    for number in 0..8_u128 {
        let (world, offset) = if number % 2 == 0 {
            (&one, 0)
        } else {
            (&two, 100)
        };
        let (metadata, account) = (world.metadata.clone(), world.account);
        changes.push(tokio::spawn(async move {
            let mut change = metadata.begin_change(at(1)).await.unwrap();
            let meter = meter(offset + 10 + number, &format!("m-{number}"));
            change.insert_meter(account, &meter).await.unwrap();
            let priced = rate(offset + 10 + number, meter.id, None, "1");
            change.insert_rate(account, &priced).await.unwrap();
            change.commit().await.unwrap();
        }));
    }
    for change in changes {
        change.await.unwrap();
    }
    for account in [one.account, two.account] {
        let newest = metadata.snapshot(account, None).await.unwrap();
        assert_eq!(newest.rates().unwrap().len(), 5);
        assert_eq!(newest.meters().unwrap().len(), 5);
    }
    assert_eq!(metadata.verify_control().await.unwrap().damage, []);
}

/// A list does not leave out what the account has.
pub(crate) async fn lists_leave_out_nothing_of_what_a_snapshot_has(metadata: Metadata) {
    let world = World::create(metadata.clone()).await;
    let control = metadata.snapshot(world.account, None).await.unwrap();
    let page = PageRequest::default();
    let rates = metadata.list_rates(&control, &page).await.unwrap();
    assert_eq!(rates.items[0].rate, world.rate);
    let meters = metadata.list_meters(&control, &page).await.unwrap();
    assert_eq!(meters.items[0].meter, world.meter);
}

#[tokio::test]
async fn a_hidden_row_of_postgres_is_corrupt_too() {
    let url = servers::postgres_url().await;
    let world = World::create(Metadata::open(Options::postgres(&url)).await.unwrap()).await;
    let control = world.metadata.snapshot(world.account, None).await.unwrap();
    let mut raw = PgConnection::connect(&url).await.unwrap();
    let gone = sqlx::query("DELETE FROM rate_versions")
        .execute(&mut raw)
        .await;
    assert_eq!(gone.unwrap().rows_affected(), 1);
    let snapshot = world.metadata.snapshot_for(world.sub).await.unwrap();
    assert_eq!(snapshot.rates().unwrap_err().kind(), Kind::Corrupt);
    assert_eq!(snapshot.meters().unwrap().len(), 1);
    let page = PageRequest::default();
    let listed = world.metadata.list_rates(&control, &page).await;
    assert_eq!(listed.unwrap_err().kind(), Kind::Corrupt);
    world.metadata.close().await;
}
