//! Databases made by earlier releases: what is in them is there after the migrations.

use std::collections::BTreeSet;
use std::path::Path;

use domain::Timestamp;
use domain::ids::AccountId;
use domain::kind::Kind;
use domain::number::NumberRule;
use metadata::{ControlSnapshot, Metadata, Options};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::PgPool;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use sqlx::{AssertSqlSafe, SqlSafeStr};

use crate::servers;

const ACCOUNT: &str = "0000000000000000000001";
const METER: &str = "0000000000000000000002";
const RATE: &str = "0000000000000000000003";
const ROOT: &str = "0000000000000000000004";

/// What a release with six migrations wrote: a meter of two versions and its rate, ended.
const ROWS: &str = "
    UPDATE control_revision SET revision = 3;
    INSERT INTO accounts VALUES ('0000000000000000000001', '0000000000000000000004', 0, 1);
    INSERT INTO organizations (id, account_id, kind, created_at, revision)
        VALUES ('0000000000000000000004', '0000000000000000000001', 'production', 0, 1);
    INSERT INTO organization_versions
        VALUES ('0000000000000000000004', 'Root', NULL, NULL, 'monthly', 1, 1, 'USD', TRUE,
            -9223372036854775808, 9223372036854775807, 1, NULL);
    INSERT INTO meters VALUES ('0000000000000000000002', '0000000000000000000001', 5, 6);
    INSERT INTO meter_versions
        VALUES ('0000000000000000000002', '0000000000000000000001', 'hours', 'Old', '', '', '',
            '', 'h', 'flight', 'SUM', '$.hours', '[]', '{}', 'HOURS', 1, '', NULL, FALSE,
            -9223372036854775808, 9223372036854775807, 1, 2),
        ('0000000000000000000002', '0000000000000000000001', 'hours', 'Old', '', '', '',
            '', 'h', 'flight', 'SUM', '$.hours', '[]', '{}', 'HOURS', 1, '', NULL, FALSE,
            -9223372036854775808, 1000, 2, NULL),
        ('0000000000000000000002', '0000000000000000000001', 'hours', 'New', '', '', '',
            '', 'h', 'flight', 'SUM', '$.hours', '[]', '{}', 'HOURS', 1, '', 'generic', TRUE,
            1000, 9223372036854775807, 2, NULL);
    INSERT INTO rates VALUES ('0000000000000000000003', '0000000000000000000001', 7, 8);
    INSERT INTO rate_versions
        VALUES ('0000000000000000000003', '0000000000000000000002', '0000000000000000000004',
            'ipu', 1, 'h', '[{\"price\":\"0.16\"}]', '0', TRUE, NULL, 'sub', NULL, NULL,
            -9223372036854775808, 2000, 3, NULL);
";

/// The migrations up to a number, as a release that ended there had them.
fn migrations(last: i64) -> Migrator {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let files = folder.read_dir().unwrap().map(|file| file.unwrap().path());
    let migrations = files.filter_map(|file| {
        let name = file.file_stem().unwrap().to_str().unwrap();
        let (number, description) = name.split_once('_').unwrap();
        let number = number.parse().unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        let text = AssertSqlSafe(text).into_sql_str();
        let description = description.to_owned().into();
        let kind = MigrationType::Simple;
        (number <= last).then(|| Migration::new(number, description, kind, text, false))
    });
    let mut migrations: Vec<_> = migrations.collect();
    migrations.sort_by_key(|migration| migration.version);
    Migrator::with_migrations(migrations)
}

async fn check_rows(metadata: &Metadata) {
    let account: AccountId = ACCOUNT.parse().unwrap();
    let newest = metadata.snapshot(account, None).await.unwrap();
    let micros = |bound: Option<Timestamp>| bound.map(Timestamp::as_microsecond);
    let versions = newest.meters().unwrap().iter();
    let versions: Vec<_> = versions
        .map(|meter| {
            let id = meter.id.to_string();
            assert_eq!((id.as_str(), meter.slug.as_str()), (METER, "hours"));
            (
                meter.name.clone(),
                micros(meter.valid.start),
                meter.zero_rows,
            )
        })
        .collect();
    let expected = [
        ("Old".to_owned(), None, false),
        ("New".to_owned(), Some(1_000), true),
    ];
    assert_eq!(versions, expected);
    let rules = |control: &ControlSnapshot| {
        let meters = control.meters().unwrap().iter();
        let mut rules: Vec<_> = meters.map(|meter| meter.rule.numbers).collect();
        rules.dedup();
        rules
    };
    // Opened for the first time by this release, at revision 3.
    assert_eq!(newest.revision(), 4);
    assert_eq!(rules(&newest), [NumberRule::Value]);
    let upgraded = metadata.snapshot(account, Some(3)).await.unwrap();
    assert_eq!(rules(&upgraded), [NumberRule::Spelling]);
    assert_eq!(upgraded.meters().unwrap().len(), 2);
    let before = metadata.snapshot(account, Some(1)).await.unwrap();
    assert_eq!(
        (
            before.meters().unwrap().len(),
            before.rates().unwrap().len()
        ),
        (1, 0)
    );
    let [rate] = newest.rates().unwrap() else {
        panic!("expected one rate, found {:?}", newest.rates().unwrap());
    };
    let organization = rate.organization.map(|id| id.to_string());
    assert_eq!(
        (rate.id.to_string(), rate.meter.to_string(), organization),
        (RATE.to_owned(), METER.to_owned(), Some(ROOT.to_owned()))
    );
    assert_eq!(micros(rate.valid.end), Some(2_000));
    let meter = METER.parse().unwrap();
    let record = metadata.find_meter(account, meter).await.unwrap().unwrap();
    let times = (record.created_at, record.updated_at);
    assert_eq!(
        (micros(Some(times.0)), micros(Some(times.1))),
        (Some(5), Some(6))
    );
    metadata.close().await;
}

#[tokio::test]
async fn meters_and_rates_of_six_migrations_are_kept_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metadata.db");
    let options = SqliteConnectOptions::new().filename(&path);
    let raw = SqlitePool::connect_with(options.create_if_missing(true));
    let raw = raw.await.unwrap();
    migrations(6).run(&raw).await.unwrap();
    sqlx::raw_sql(ROWS).execute(&raw).await.unwrap();
    raw.close().await;
    check_rows(&Metadata::open(Options::file(&path)).await.unwrap()).await;
    // Opening once more finds nothing to do.
    check_rows(&Metadata::open(Options::file(&path)).await.unwrap()).await;
}

#[tokio::test]
async fn meters_and_rates_of_six_migrations_are_kept_on_a_server() {
    let url = servers::postgres_url().await;
    let raw = PgPool::connect(&url).await.unwrap();
    migrations(6).run(&raw).await.unwrap();
    sqlx::raw_sql(ROWS).execute(&raw).await.unwrap();
    raw.close().await;
    check_rows(&Metadata::open(Options::postgres(url)).await.unwrap()).await;
}

#[tokio::test]
async fn tables_that_are_made_again_lose_no_column() {
    let columns = async |last: i64| {
        let raw = SqlitePool::connect("sqlite::memory:").await.unwrap();
        migrations(last).run(&raw).await.unwrap();
        let columns = "SELECT t.name || '.' || c.name FROM sqlite_schema t
            JOIN pragma_table_info(t.name) c WHERE t.name NOT LIKE '!_sqlx%' ESCAPE '!'";
        let columns: Vec<String> = sqlx::query_scalar(columns).fetch_all(&raw).await.unwrap();
        raw.close().await;
        columns.into_iter().collect::<BTreeSet<_>>()
    };
    let (before, after) = (columns(10).await, columns(11).await);
    let lost: Vec<_> = before.difference(&after).collect();
    assert!(before.len() > 100 && lost.is_empty(), "{lost:?}");
}

#[tokio::test]
async fn a_damaged_meter_keeps_nothing_from_opening_and_is_not_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metadata.db");
    let options = || SqliteConnectOptions::new().filename(&path);
    let raw = SqlitePool::connect_with(options().create_if_missing(true));
    let raw = raw.await.unwrap();
    migrations(6).run(&raw).await.unwrap();
    sqlx::raw_sql(ROWS).execute(&raw).await.unwrap();
    raw.close().await;
    check_rows(&Metadata::open(Options::file(&path)).await.unwrap()).await;
    let raw = SqlitePool::connect_with(options()).await.unwrap();
    // As if a bit had changed before this release came.
    let damage = "UPDATE meter_versions SET number_rule = NULL, slug = 'h0urs'
        WHERE ended_revision IS NULL";
    sqlx::raw_sql(damage).execute(&raw).await.unwrap();
    raw.close().await;
    let metadata = Metadata::open(Options::file(&path)).await.unwrap();
    assert_eq!(metadata.control_revision().await.unwrap(), 4);
    let account: AccountId = ACCOUNT.parse().unwrap();
    let newest = metadata.snapshot(account, None).await.unwrap();
    assert_eq!(newest.meters().unwrap_err().kind(), Kind::Corrupt);
    let before = metadata.snapshot(account, Some(3)).await.unwrap();
    assert_eq!(before.meters().unwrap().len(), 2);
}
