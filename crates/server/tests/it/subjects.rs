//! `/api/v1/subjects`.

use insta::assert_snapshot;
use metadata::Role;
use reqwest::Method;

use crate::harness::{Answer, TestServer};

#[tokio::test]
async fn putting_a_subject_again_renames_it() {
    let server = TestServer::start().await;
    let key = server.key(server.root().await, Role::Operator).await;
    let first = r#"[{"key": "customer-1"}, {"key": "customer-2", "displayName": "Two"}]"#;
    assert_eq!(
        server.post(&key, "/api/v1/subjects", first).await.status,
        200
    );
    let again = r#"[{"key": "customer-1", "displayName": "One"}]"#;
    assert_eq!(
        server.post(&key, "/api/v1/subjects", again).await.status,
        200
    );
    assert_snapshot!(server.get(&key, "/api/v1/subjects").await.show(), @r#"
    200 application/json
    [
      {
        "createdAt": "2026-06-01T12:00:00Z",
        "displayName": "One",
        "key": "customer-1",
        "updatedAt": "2026-06-01T12:00:00Z"
      },
      {
        "createdAt": "2026-06-01T12:00:00Z",
        "displayName": "Two",
        "key": "customer-2",
        "updatedAt": "2026-06-01T12:00:00Z"
      }
    ]
    "#);
    let page = server.get(&key, "/api/v1/subjects?limit=1").await;
    assert_eq!(page.json().as_array().unwrap().len(), 1);
    let next = page
        .header("link")
        .split(['<', '>'])
        .nth(1)
        .unwrap()
        .to_owned();
    let last = server.get(&key, &next).await;
    assert_eq!(last.json()[0]["key"], "customer-2");
    assert_eq!(last.header("link"), "");
}

#[tokio::test]
async fn subjects_are_refused_to_writers_strangers_and_without_a_key() {
    let server = TestServer::start().await;
    let writer = server.key(server.root().await, Role::Writer).await;
    assert_eq!(server.get(&writer, "/api/v1/subjects").await.status, 403);
    assert_eq!(
        server.post(&writer, "/api/v1/subjects", "[]").await.status,
        403
    );
    let request = server.request(Method::GET, "/api/v1/subjects");
    assert_eq!(Answer::of(request).await.status, 401);
    let owner = server.key(server.root().await, Role::Owner).await;
    let long = format!(r#"[{{"key": "{}"}}]"#, "k".repeat(1025));
    assert_snapshot!(server.post(&owner, "/api/v1/subjects", &long).await.show(), @r#"
    400 application/problem+json
    {
      "code": "invalid_request",
      "detail": "key has 1025 bytes: expected 1 to 1024",
      "requestId": "[id]",
      "status": 400,
      "title": "Bad Request",
      "type": "about:blank"
    }
    "#);
}
