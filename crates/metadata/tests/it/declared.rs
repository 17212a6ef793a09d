//! Names that older releases stored: what setup files find again, and what is no longer taken.

use domain::ids::{AccountId, OrganizationId};
use metadata::{Maker, Metadata, NewKey, Options, OrganizationAttributes, Role};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};

use crate::opening::of_schema;
use crate::world::{World, at};

const EVER: &str = "-9223372036854775808";
const ALWAYS: &str = "9223372036854775807";

/// Number, account, the name it was made with, what it calls itself since, parent, revision.
type Row = (
    u128,
    u128,
    &'static str,
    Option<&'static str>,
    Option<u128>,
    u64,
);

const ROWS: [Row; 9] = [
    (1, 1, "United", None, None, 1),
    (2, 1, "Express", Some("Trial"), Some(1), 1),
    (3, 1, "Later", None, Some(1), 2),
    (4, 1, "Own", None, Some(2), 3),
    (5, 1, "Twin", None, Some(1), 4),
    (6, 1, "Twin", None, Some(1), 5),
    (7, 2, "Default", None, None, 6),
    (8, 3, "Default", None, None, 7),
    (9, 3, "Below", None, Some(8), 7),
];

fn id(number: u128) -> OrganizationId {
    OrganizationId::from_random(number)
}

fn account(number: u128) -> AccountId {
    AccountId::from_random(number)
}

async fn run(raw: &SqlitePool, text: String) {
    let statement = sqlx::query(sqlx::AssertSqlSafe(text));
    statement.execute(raw).await.unwrap();
}

async fn write(raw: &SqlitePool, row: Row) {
    let (number, owner, name, renamed, parent, revision) = row;
    let (id, owner) = (id(number), account(owner));
    let organization = format!(
        "INSERT INTO organizations (id, account_id, kind, created_at, revision)
            VALUES ('{id}', '{owner}', 'sandbox', 0, {revision})"
    );
    run(raw, organization).await;
    let version = |name: &str, revision: u64, ended: &str| {
        format!(
            "INSERT INTO organization_versions VALUES ('{id}', '{name}', NULL, NULL, 'monthly',
                1, 1, 'USD', TRUE, {EVER}, {ALWAYS}, {revision}, {ended})"
        )
    };
    let ended = if renamed.is_some() { "9" } else { "NULL" };
    run(raw, version(name, revision, ended)).await;
    if let Some(renamed) = renamed {
        run(raw, version(renamed, 9, "NULL")).await;
    }
    if let Some(parent) = parent {
        let parent = OrganizationId::from_random(parent);
        let edge = format!(
            "INSERT INTO organization_edges
                VALUES ('{id}', '{parent}', {EVER}, {ALWAYS}, {revision}, NULL)"
        );
        run(raw, edge).await;
    }
}

/// The rows above, as the release before wrote them, opened by this one.
async fn opened(folder: &std::path::Path) -> Metadata {
    let path = folder.join("metadata.db");
    let raw = of_schema(&path, 7).await;
    for (number, root) in [(1, 1), (2, 7), (3, 8)] {
        let (account, root) = (account(number), id(root));
        let text = format!("INSERT INTO accounts VALUES ('{account}', '{root}', 0, 1)");
        run(&raw, text).await;
    }
    for row in ROWS {
        write(&raw, row).await;
    }
    run(&raw, "UPDATE control_revision SET revision = 9".to_owned()).await;
    raw.close().await;
    Metadata::open(Options::file(&path)).await.unwrap()
}

#[tokio::test]
async fn organizations_of_an_older_release_are_found_by_the_names_they_were_made_with() {
    let folder = tempfile::tempdir().unwrap();
    let metadata = opened(folder.path()).await;
    let mut found = Vec::new();
    for number in 1..4 {
        for one in metadata.list_declarations(account(number)).await.unwrap() {
            found.push((one.name, one.organization, one.maker));
        }
    }
    let made = |name: &str, number, maker| (name.to_owned(), id(number), maker);
    let expected = [
        made("Express", 2, Maker::Setup),
        made("Later", 3, Maker::Setup),
        made("United", 1, Maker::Setup),
        made("Default", 7, Maker::FirstStart),
        made("Below", 9, Maker::Setup),
        made("Default", 8, Maker::Setup),
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn equal_names_of_an_older_release_stay_and_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let metadata = opened(folder.path()).await;
    let equal = metadata.list_equal_names(10).await.unwrap();
    let equal: Vec<_> = equal
        .iter()
        .map(|one| (one.parent, one.name.as_str(), one.organizations))
        .collect();
    assert_eq!(equal, [(id(1), "Twin", 2)]);
    let edit = async |number, name: &str, currency: &str| {
        let mut change = metadata.begin_change(at(0)).await.unwrap();
        let attributes = OrganizationAttributes {
            currency: currency.to_owned(),
            ..OrganizationAttributes::named(name)
        };
        let put = change.put_organization(id(number), &attributes, None);
        put.await.unwrap();
        change.commit().await.map(drop)
    };
    edit(5, "Twin", "EUR").await.unwrap();
    let refused = edit(3, "Twin", "USD").await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "organization name or alias is already in use"
    );
    edit(6, "Single", "USD").await.unwrap();
    assert_eq!(metadata.list_equal_names(10).await.unwrap(), []);
}

#[tokio::test]
async fn a_stored_name_that_is_no_longer_taken_loads_and_other_fields_change() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metadata.db");
    let metadata = Metadata::open(Options::file(&path)).await.unwrap();
    let world = World::create(metadata).await;
    let key = NewKey {
        id: None,
        secret_sha256: [7; 32],
        name: "k".to_owned(),
        organization: world.sub,
        role: Role::Owner,
        expires_at: None,
    };
    let key = world.metadata.insert_key(key, at(0)).await.unwrap();
    world.metadata.close().await;
    put_a_mark_into_stored_names(&path).await;
    let metadata = Metadata::open(Options::file(&path)).await.unwrap();
    let sub = metadata
        .find_organization(world.sub)
        .await
        .unwrap()
        .unwrap();
    let key = metadata.find_key(key.id).await.unwrap().unwrap();
    assert_eq!(
        (sub.attributes.name.as_str(), key.name.as_str()),
        ("x\u{202E}Sub", "x\u{202E}k")
    );
    metadata
        .put_key(key.id, &key.name, Some(at(9)))
        .await
        .unwrap();
    metadata
        .put_key(key.id, "y\u{202E}", None)
        .await
        .unwrap_err();
    let snapshot = metadata.snapshot_for(world.root).await.unwrap();
    let mut meter = snapshot.meters().unwrap()[0].clone();
    meter.zero_rows = !meter.zero_rows;
    let put = async |name: &str, meter: &domain::meter::Meter| {
        let mut change = metadata.begin_change(at(1)).await.unwrap();
        let attributes = OrganizationAttributes {
            name: name.to_owned(),
            currency: "EUR".to_owned(),
            ..sub.attributes.clone()
        };
        change
            .put_organization(world.sub, &attributes, None)
            .await?;
        change.put_meter(world.account, meter).await?;
        change.commit().await
    };
    put(&sub.attributes.name, &meter).await.unwrap();
    put("z\u{FEFF}", &meter).await.unwrap_err();
    meter.name.push('\u{2066}');
    put(&sub.attributes.name, &meter).await.unwrap_err();
}

/// Changes rows as only an earlier release, which took such names, could have written them.
async fn put_a_mark_into_stored_names(path: &std::path::Path) {
    let raw = SqlitePool::connect_with(SqliteConnectOptions::new().filename(path));
    let raw = raw.await.unwrap();
    for table in ["organization_versions", "api_keys", "meter_versions"] {
        let text = format!("UPDATE {table} SET name = 'x\u{202E}' || name");
        sqlx::query(sqlx::AssertSqlSafe(text))
            .execute(&raw)
            .await
            .unwrap();
    }
    // An earlier release wrote no checksums and no totals.
    for text in [
        "UPDATE organization_versions SET checksum = NULL",
        "UPDATE meter_versions SET checksum = NULL",
        "UPDATE checksum_fill SET is_filled = FALSE, has_totals = FALSE",
    ] {
        sqlx::query(text).execute(&raw).await.unwrap();
    }
    raw.close().await;
}
