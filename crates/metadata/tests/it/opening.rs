//! Opening a database again, and refusing one of a newer release.

use domain::kind::Kind;
use metadata::{Error, Metadata, Options};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};

use crate::world::World;

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
