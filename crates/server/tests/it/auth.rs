//! Credentials at the doors.

use insta::assert_snapshot;
use metadata::Role;
use reqwest::Method;

use crate::harness::{Answer, TestServer};

#[tokio::test]
async fn every_credential_of_a_key_opens_the_same_door() {
    let server = TestServer::start().await;
    let key = server.key(server.root().await, Role::Analyst).await;
    let get = || server.request(Method::GET, "/api/v1/subjects");
    for request in [
        get().header("authorization", format!("Key {key}")),
        get().header("authorization", format!("Bearer {key}")),
        get().header("authorization", format!("bearer {}", server.token())),
    ] {
        assert_eq!(Answer::of(request).await.status, 200);
    }
    let two = get().bearer_auth(&key).header("icSessionId", "s");
    assert_snapshot!(Answer::of(two).await.show(), @r#"
    400 application/problem+json
    {
      "code": "two_credentials",
      "detail": "The request carries more than one credential; send one.",
      "requestId": "[id]",
      "status": 400,
      "title": "Bad Request",
      "type": "about:blank"
    }
    "#);
    assert_snapshot!(Answer::of(get().bearer_auth("tp_unknown")).await.show(), @r#"
    401 application/problem+json
    {
      "code": "unauthenticated",
      "detail": "The credential is missing, unknown, expired or revoked.",
      "requestId": "[id]",
      "status": 401,
      "title": "Unauthorized",
      "type": "about:blank"
    }
    "#);
}

#[tokio::test]
async fn a_revoked_key_ends_at_once() {
    let server = TestServer::start().await;
    let key = server.key(server.root().await, Role::Owner).await;
    assert_eq!(server.get(&key, "/api/v1/subjects").await.status, 200);
    let app = server.app();
    let hash = server::auth::sha256(&key);
    let known = app.metadata.find_key_by_hash(&hash).await.unwrap().unwrap();
    app.metadata.revoke_key(known.id, app.now()).await.unwrap();
    app.credentials.forget_all();
    assert_eq!(server.get(&key, "/api/v1/subjects").await.status, 401);
}

#[tokio::test]
async fn a_key_over_its_rate_waits_for_the_next_second() {
    let server = TestServer::start_with(|config| config.limits.requests_per_second = 2).await;
    let key = server.key(server.root().await, Role::Owner).await;
    let other = server.key(server.root().await, Role::Owner).await;
    let status = async |key: &str| server.get(key, "/api/v1/subjects").await.status;
    assert_eq!([status(&key).await, status(&key).await], [200, 200]);
    let refused = server.get(&key, "/api/v1/subjects").await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, "1"));
    assert_eq!(status(&other).await, 200);
    server.advance(1);
    assert_eq!(status(&key).await, 200);
}
