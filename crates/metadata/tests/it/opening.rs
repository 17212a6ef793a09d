//! Opening a database again, and refusing one of a newer release.

use domain::kind::Kind;
use metadata::{Error, Metadata, Options};
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};

use crate::world::{World, at};

#[tokio::test]
async fn what_was_committed_is_there_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options::file(folder.path().join("metadata.db"));
    let metadata = Metadata::open(options.clone()).await.unwrap();
    let world = World::create(metadata).await;
    world.metadata.close().await;
    let closed = world.metadata.check_ready().await.unwrap_err();
    assert_eq!(closed.kind(), Kind::Unavailable);

    let again = Metadata::open(options).await.unwrap();
    again.check_ready().await.unwrap();
    let snapshot = again.snapshot_for(world.sub).await.unwrap();
    assert_eq!((snapshot.revision(), snapshot.root()), (1, world.root));
}

#[tokio::test]
async fn a_database_of_a_newer_release_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metadata.db");
    let metadata = Metadata::open(Options::file(&path)).await.unwrap();
    metadata.close().await;
    let raw = SqlitePool::connect_with(SqliteConnectOptions::new().filename(&path));
    let raw = raw.await.unwrap();
    let newer = "INSERT INTO _sqlx_migrations
        (version, description, success, checksum, execution_time) VALUES (99, 'x', TRUE, '', 0)";
    sqlx::query(newer).execute(&raw).await.unwrap();
    raw.close().await;
    let refused = Metadata::open(Options::file(&path)).await.unwrap_err();
    assert!(
        matches!(refused, Error::NewerSchema { found: 99, .. }),
        "{refused:?}"
    );
}

#[tokio::test]
async fn opening_to_read_creates_migrates_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metadata.db");
    let files = || {
        let files = folder.path().read_dir().unwrap();
        let files = files.map(|file| file.unwrap().path());
        let mut files: Vec<_> = files
            .map(|file| (file.clone(), std::fs::read(file).unwrap()))
            .collect();
        files.sort();
        files
    };
    let absent = Metadata::open_to_read(Options::file(&path)).await.unwrap();
    assert_eq!(absent.control_revision().await.unwrap(), 0);
    assert!(absent.find_oldest_account().await.unwrap().is_none());
    absent.close().await;
    assert_eq!(files(), []);

    let world = World::create(Metadata::open(Options::file(&path)).await.unwrap()).await;
    world.metadata.close().await;
    let before = files();
    let read = Metadata::open_to_read(Options::file(&path)).await.unwrap();
    let snapshot = read.snapshot_for(world.sub).await.unwrap();
    assert_eq!((snapshot.revision(), snapshot.root()), (1, world.root));
    read.close().await;
    assert_eq!(files(), before);

    let old = folder.path().join("old.db");
    of_schema(&old, 12).await.close().await;
    let before = files();
    let refused = Metadata::open_to_read(Options::file(&old))
        .await
        .unwrap_err();
    assert!(
        matches!(refused, Error::OlderSchema { found: 12, .. }),
        "{refused:?}"
    );
    assert_eq!(files(), before);
}

#[tokio::test]
async fn a_path_that_cannot_be_opened_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options::file(folder.path().join("missing/metadata.db"));
    let refused = Metadata::open(options).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Unavailable, "{refused:?}");
}

#[tokio::test]
async fn secrets_are_neither_printed_nor_readable_by_others() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metadata.db");
    let metadata = Metadata::open(Options::file(&path)).await.unwrap();
    for file in folder.path().read_dir().unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?}", file.path());
    }
    metadata.close().await;
    let secret = Options::postgres("postgres://user:secret@localhost/db");
    assert!(!format!("{secret:?}").contains("secret"));
}

/// A database file as a release with `schema` left it.
pub(crate) async fn of_schema(path: &std::path::Path, schema: i64) -> SqlitePool {
    let options = SqliteConnectOptions::new().filename(path);
    let raw = SqlitePool::connect_with(options.create_if_missing(true));
    let raw = raw.await.unwrap();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
    let all = Migrator::new(std::path::Path::new(folder)).await.unwrap();
    let old = all.iter().filter(|one| one.version <= schema).cloned();
    let old = Migrator::with_migrations(old.collect());
    old.run(&raw).await.unwrap();
    raw
}

#[tokio::test]
async fn subjects_of_an_older_release_go_to_the_root_and_archived_credentials_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metadata.db");
    let raw = of_schema(&path, 6).await;
    let root = domain::ids::OrganizationId::from_random(1);
    let account = domain::ids::AccountId::from_random(1);
    let gone = domain::ids::OrganizationId::from_random(2);
    let statements = [
        format!("INSERT INTO accounts VALUES ('{account}', '{root}', 0, 1)"),
        format!(
            "INSERT INTO organizations VALUES
            ('{root}', '{account}', 'production', 0, NULL, NULL, 1)"
        ),
        format!(
            "INSERT INTO organizations VALUES
            ('{gone}', '{account}', 'sandbox', 0, 5000000, 3, 2)"
        ),
        format!("INSERT INTO subjects VALUES ('{account}', 'ann', 'Ann', 1, 2)"),
        format!(
            "INSERT INTO api_keys VALUES ('k', '{}', 'k', '{gone}', 'owner',
            NULL, NULL, NULL, NULL, 0)",
            "01".repeat(32)
        ),
        format!(
            "INSERT INTO users VALUES ('u', 'bob', '', '{gone}', 'active', FALSE,
            '', '', '[]', 0, 0)"
        ),
        format!(
            "INSERT INTO sessions VALUES ('{}', 'u', 0, 0)",
            "02".repeat(32)
        ),
    ];
    for statement in statements {
        sqlx::query(sqlx::AssertSqlSafe(statement))
            .execute(&raw)
            .await
            .unwrap();
    }
    raw.close().await;
    let metadata = Metadata::open(Options::file(&path)).await.unwrap();
    let subject = metadata
        .find_subject(root, "ann", at(0))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (subject.organization, subject.display_name.as_deref()),
        (root, Some("Ann"))
    );
    assert!(
        metadata
            .find_subject(gone, "ann", at(0))
            .await
            .unwrap()
            .is_none()
    );
    metadata.close().await;
    let raw = SqlitePool::connect_with(SqliteConnectOptions::new().filename(&path));
    let raw = raw.await.unwrap();
    let ended = "SELECT k.revoked_at, u.status, (SELECT count(*) FROM sessions)
        FROM api_keys k, users u";
    let ended: (i64, String, i64) = sqlx::query_as(ended).fetch_one(&raw).await.unwrap();
    assert_eq!(ended, (5_000_000, "disabled".to_owned(), 0));
}
