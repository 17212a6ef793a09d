//! API keys: shown once, listed without their secret, rotated and revoked.

use domain::tree::OrganizationKind;
use insta::assert_snapshot;
use metadata::Role;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, TestServer};

const PATH: &str = "/api/v1/keys";

fn secret(made: &Value) -> String {
    made["secret"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_key_shows_its_secret_once_and_works() {
    let server = TestServer::start().await;
    let owner = server.key(server.root().await, Role::Owner).await;
    let body = r#"{"name":"ingest","role":"analyst","expiresAt":"2026-07-01T00:00:00Z"}"#;
    let made = server.post(&owner, PATH, body).await;
    let secret = secret(&made.json());
    assert_snapshot!(made.show().replace(&secret, "[secret]"), @r#"
    201 application/json
    {
      "createdAt": "2026-06-01T12:00:00Z",
      "expiresAt": "2026-07-01T00:00:00Z",
      "id": "[id]",
      "lastUsedAt": null,
      "name": "ingest",
      "organizationId": "[id]",
      "replaces": null,
      "revokedAt": null,
      "role": "analyst",
      "secret": "[secret]",
      "state": "live"
    }
    "#);
    let path = format!("{PATH}/{}", made.json()["id"].as_str().unwrap());
    let read = server.get(&owner, &path).await;
    assert!(!read.body.contains("secret"), "{}", read.body);
    assert_eq!(
        server.get(&secret, "/api/v1/organizations").await.status,
        200
    );
    server.advance(40 * 24 * 3600);
    assert_eq!(
        server.get(&secret, "/api/v1/organizations").await.status,
        401
    );
    assert_eq!(server.get(&owner, &path).await.json()["state"], "expired");
}

#[tokio::test]
async fn a_rotated_key_ends_at_once_or_after_its_overlap() {
    let server = TestServer::start().await;
    let root = server.root().await;
    let owner = server.key(root, Role::Owner).await;
    let works = async |key: &str| server.get(key, "/api/v1/organizations").await.status == 200;
    let body = r#"{"name":"k","role":"analyst"}"#;
    let first = server.post(&owner, PATH, body).await.json();
    let path = format!("{PATH}/{}/rotate", first["id"].as_str().unwrap());
    let second = server
        .post(&owner, &path, r#"{"overlap":600}"#)
        .await
        .json();
    assert_eq!(second["replaces"], first["id"]);
    assert!(works(&secret(&first)).await && works(&secret(&second)).await);
    server.advance(601);
    assert!(!works(&secret(&first)).await && works(&secret(&second)).await);
    let path = format!("{PATH}/{}/rotate", second["id"].as_str().unwrap());
    let third = server.post(&owner, &path, "{}").await.json();
    assert!(!works(&secret(&second)).await && works(&secret(&third)).await);
    let refused = server.post(&owner, &path, r#"{"overlap":2592001}"#).await;
    assert_eq!(refused.status, 400, "{}", refused.body);
}

#[tokio::test]
async fn a_revoked_key_ends_at_once_and_stays_listed() {
    let server = TestServer::start().await;
    let owner = server.key(server.root().await, Role::Owner).await;
    let made = server
        .post(&owner, PATH, r#"{"name":"k","role":"writer"}"#)
        .await
        .json();
    let path = format!("{PATH}/{}", made["id"].as_str().unwrap());
    let patched = server
        .patch(&owner, &path, r#"{"name":"renamed"}"#)
        .await
        .json();
    assert_eq!(patched["name"], "renamed");
    assert_eq!(server.delete(&owner, &path).await.status, 204);
    assert_eq!(server.delete(&owner, &path).await.status, 204);
    assert_eq!(
        server.get(&secret(&made), "/api/v1/meters").await.status,
        401
    );
    let listed = server.get(&owner, PATH).await.json();
    let states: Vec<_> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| &key["state"])
        .collect();
    assert_eq!(states.len(), 2);
    assert!(states.contains(&&json!("revoked")));
}

#[tokio::test]
async fn keys_of_others_look_like_no_keys() {
    let server = TestServer::start().await;
    let root = server.root().await;
    let sub = OrganizationKind::SubOrganization;
    let child = server.organization("Child", sub, root).await;
    let (above, below) = (
        server.key(root, Role::Owner).await,
        server.key(child, Role::Owner).await,
    );
    let made = server
        .post(&above, PATH, r#"{"name":"k","role":"owner"}"#)
        .await
        .json();
    let path = format!("{PATH}/{}", made["id"].as_str().unwrap());
    for answer in [
        server.get(&below, &path).await,
        server.patch(&below, &path, "{}").await,
        server.delete(&below, &path).await,
        server.post(&below, &format!("{path}/rotate"), "{}").await,
        server.get(&below, &format!("{PATH}/x")).await,
    ] {
        assert_eq!(answer.json()["detail"], "no such key");
    }
    let body = json!({"name": "k", "role": "owner", "organizationId": root}).to_string();
    assert_eq!(server.post(&below, PATH, &body).await.status, 404);
    assert_eq!(
        server.get(&below, PATH).await.json()["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn only_owners_with_a_credential_handle_keys() {
    let server = TestServer::start().await;
    let operator = server.key(server.root().await, Role::Operator).await;
    assert_eq!(server.get(&operator, PATH).await.status, 403);
    let body = r#"{"name":"k","role":"analyst"}"#;
    assert_eq!(server.post(&operator, PATH, body).await.status, 403);
    for method in [Method::GET, Method::POST] {
        let answer = Answer::of(server.request(method, PATH)).await;
        assert_eq!(answer.status, 401);
    }
    let owner = server.key(server.root().await, Role::Owner).await;
    let unknown_role = server
        .post(&owner, PATH, r#"{"name":"k","role":"king"}"#)
        .await;
    let detail = unknown_role.json()["detail"].as_str().unwrap().to_owned();
    assert_snapshot!(detail, @r#""king" is no role: expected owner, operator, writer, analyst"#);
}
