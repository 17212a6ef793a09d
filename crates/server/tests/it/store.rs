//! `/api/v1/store`.

use insta::assert_snapshot;
use metadata::Role;

use crate::harness::TestServer;

const PATH: &str = "/api/v1/store";

#[tokio::test]
async fn who_sends_events_learns_which_store_keeps_them_and_nobody_else_does() {
    let server = TestServer::start().await;
    let root = server.root().await;
    let writer = server.key(root, Role::Writer).await;
    let answer = server.get(&writer, PATH).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["organization"], root.to_string());
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(id.len(), 32);
    let again = server.get(&writer, PATH).await.json();
    assert_eq!(again["id"], id);

    let other = TestServer::start().await;
    let key = other.key(other.root().await, Role::Writer).await;
    assert_ne!(other.get(&key, PATH).await.json()["id"], id);

    let analyst = server.key(root, Role::Analyst).await;
    assert_eq!(server.get(&analyst, PATH).await.status, 403);
    assert_snapshot!(server.get("tp_unknown", PATH).await.status, @"401");
}

#[tokio::test]
async fn a_server_without_the_store_does_not_name_one() {
    let server = TestServer::start_with(|config| {
        config.store.mode = server::config::StoreMode::None;
    })
    .await;
    let key = server.key(server.root().await, Role::Writer).await;
    assert_eq!(server.get(&key, PATH).await.status, 503);
}
