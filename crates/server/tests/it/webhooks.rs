//! Webhooks: made, shown without their secret, tested, listed, replayed, rotated, given up.

use std::net::{IpAddr, Ipv4Addr};

use domain::tree::OrganizationKind;
use insta::assert_snapshot;
use metadata::Role;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::harness::{Answer, TestServer};
use crate::metering::{EXPORTS, flights_with, post, summary};

const PATH: &str = "/api/v1/webhooks";
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap().to_owned()
}

/// Makes a webhook of the caller's own organization and gives its path and body.
async fn made(server: &TestServer, owner: &str, body: Value) -> (String, Value) {
    let made = server.post(owner, PATH, &body.to_string()).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let made = made.json();
    (format!("{PATH}/{}", text(&made, "id")), made)
}

/// Answers one post with a status line and gives it.
async fn answer(listener: &TcpListener, status: &str) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"}") {
        let read = stream.read_buf(&mut request).await.unwrap();
        assert_ne!(read, 0, "a whole request");
    }
    let answer = format!("HTTP/1.1 {status}\r\n\r\n");
    stream.write_all(answer.as_bytes()).await.unwrap();
    String::from_utf8(request).unwrap()
}

#[tokio::test]
async fn a_webhook_shows_its_secret_once() {
    let server = TestServer::start().await;
    let owner = server.key(server.root().await, Role::Owner).await;
    let body = r#"{"url":"https://example.com/hook","description":"ours",
        "eventTypes":["export.settled"]}"#;
    let mut made = server.post(&owner, PATH, body).await;
    let secret = text(&made.json(), "secret");
    assert!(
        secret.starts_with("whsec_") && secret.len() == 50,
        "{secret}"
    );
    // Before ids are replaced: a part of it may look like one.
    made.body = made.body.replace(&secret, "[secret]");
    assert_snapshot!(made.show(), @r#"
    201 application/json
    {
      "callbacks": false,
      "createdAt": "2026-06-01T12:00:00Z",
      "deletedAt": null,
      "description": "ours",
      "disabled": false,
      "disabledReason": null,
      "eventTypes": [
        "export.settled"
      ],
      "id": "[id]",
      "oldSecretUntil": null,
      "organizationId": "[id]",
      "secret": "[secret]",
      "state": "live",
      "updatedAt": "2026-06-01T12:00:00Z",
      "url": "https://example.com/hook"
    }
    "#);
    let path = format!("{PATH}/{}", text(&made.json(), "id"));
    for path in [PATH, &path] {
        let read = server.get(&owner, path).await;
        assert_eq!(read.status, 200);
        assert!(
            read.body.contains("ours") && !read.body.contains("whsec_"),
            "{}",
            read.body
        );
    }
    let body = r#"{"description":"x","eventTypes":[],"disabled":true}"#;
    let patched = server.patch(&owner, &path, body).await.json();
    assert_eq!(patched["description"], "x");
    assert_eq!(patched["state"], "disabled");
    assert_eq!(patched["url"], "https://example.com/hook");
    let patched = server.patch(&owner, &path, r#"{"disabled":false}"#).await;
    assert_eq!(patched.json()["state"], "live");
    for _ in 0..2 {
        assert_eq!(server.delete(&owner, &path).await.status, 204);
    }
    assert_eq!(server.get(&owner, &path).await.json()["state"], "deleted");
    for (step, body) in [("rotate", "{}"), ("test", "")] {
        let refused = server.post(&owner, &format!("{path}/{step}"), body).await;
        assert_eq!(refused.status, 409, "{step}: {}", refused.body);
    }
}

#[tokio::test]
async fn what_cannot_work_is_refused_when_it_is_made() {
    let server = TestServer::start().await;
    let owner = server.key(server.root().await, Role::Owner).await;
    let mut shown = String::new();
    for body in [
        json!({}),
        json!({"url": "ftp://example.com"}),
        json!({"url": "http://0x7f.1/"}),
        json!({"url": "https://user:word@example.com/"}),
        json!({"url": format!("https://example.com/{}", "x".repeat(2_048))}),
        json!({"url": "https://example.com", "eventTypes": ["export.setled"]}),
        json!({"url": "https://example.com", "secret": "whsec_c2hvcnQ="}),
    ] {
        let refused = server.post(&owner, PATH, &body.to_string()).await;
        assert_eq!(refused.status, 400, "{}", refused.body);
        shown += &format!("{}\n", text(&refused.json(), "detail"));
    }
    assert_snapshot!(shown, @r#"
    url is missing: give it, or callbacks as true
    url cannot be posted to: scheme ftp is not http or https
    url cannot be posted to: 127.0.0.1 is not a public address
    url holds a user name or password: it would be listed
    url is longer than 2048 characters
    "export.setled" is no event type: expected export.settled, webhook.test
    the secret is not whsec_ followed by the base64 of 24 to 64 bytes
    "#);
    let callbacks = r#"{"callbacks":true}"#;
    assert_eq!(server.post(&owner, PATH, callbacks).await.status, 201);
    assert_eq!(server.post(&owner, PATH, callbacks).await.status, 409);
    for _ in 1..20 {
        made(&server, &owner, json!({"url": "https://example.com"})).await;
    }
    let over = server
        .post(&owner, PATH, r#"{"url":"https://example.com"}"#)
        .await;
    assert_eq!(over.status, 409, "{}", over.body);
    let page = server.get(&owner, &format!("{PATH}?limit=15")).await.json();
    let next = text(&page, "next");
    let rest = server
        .get(&owner, &format!("{PATH}?limit=15&cursor={next}"))
        .await;
    assert_eq!(rest.json()["items"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn a_test_is_posted_listed_and_replayed() {
    let server = TestServer::start_with(|config| {
        config.exports.callback_addresses = vec![LOOPBACK];
    })
    .await;
    let owner = server.key(server.root().await, Role::Owner).await;
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (path, hook) = made(&server, &owner, json!({"url": url})).await;
    let sent = server.post(&owner, &format!("{path}/test"), "").await;
    assert_eq!(sent.status, 202, "{}", sent.body);
    let outbox = &server.app().exports.outbox;
    let (tried, request) = tokio::join!(outbox.tick(), answer(&listener, "500 No"));
    assert_eq!(tried.unwrap(), 1);
    let id = text(&sent.json(), "id");
    assert!(
        request.contains(&format!("webhook-id: {id}\r\n")),
        "{request}"
    );
    assert!(request.contains("webhook-signature: v1,"), "{request}");
    let data = format!(r#""data":{{"webhookId":"{}"}}}}"#, text(&hook, "id"));
    assert!(request.ends_with(&data), "{request}");
    let replay = format!("{path}/deliveries/{id}/replay");
    assert_eq!(
        server.post(&owner, &replay, "").await.status,
        409,
        "pending"
    );
    server.advance(100);
    let (tried, _) = tokio::join!(outbox.tick(), answer(&listener, "204 Thanks"));
    assert_eq!(tried.unwrap(), 1);
    let log = format!("{path}/deliveries");
    let mut listed = server
        .get(&owner, &format!("{log}?state=delivered"))
        .await
        .json();
    assert!(listed["items"][0]["responseTimeMs"].is_u64());
    listed["items"][0]["responseTimeMs"] = json!("[ms]");
    let shown = listed
        .to_string()
        .replace(&id, "[id]")
        .replace(&url, "[url]");
    assert_snapshot!(shown.replace(",\"", ",\n\""), @r#"
    {"items":[{"attempts":2,
    "createdAt":"2026-06-01T12:00:00Z",
    "eventType":"webhook.test",
    "exportId":null,
    "id":"[id]",
    "lastAttemptAt":"2026-06-01T12:01:40Z",
    "lastError":null,
    "lastStatus":204,
    "nextAttemptAt":null,
    "responseTimeMs":"[ms]",
    "state":"delivered",
    "url":"[url]"}]}
    "#);
    for (state, status) in [("failed", 200), ("lost", 400)] {
        let other = server.get(&owner, &format!("{log}?state={state}")).await;
        assert_eq!(other.status, status);
        assert!(!other.body.contains(&id), "{}", other.body);
    }
    let replayed = server.post(&owner, &replay, "").await;
    assert_eq!(
        (replayed.status, &replayed.json()["state"]),
        (202, &json!("pending"))
    );
}

#[tokio::test]
async fn a_callback_is_signed_by_two_secrets_while_they_overlap() {
    let (server, session) = flights_with(|config| {
        config.exports.callback_addresses = vec![LOOPBACK];
    })
    .await;
    let owner = server.key(server.root().await, Role::Owner).await;
    let (path, first) = made(&server, &owner, json!({"callbacks": true})).await;
    let rotated = server
        .post(&owner, &format!("{path}/rotate"), r#"{"overlap":60}"#)
        .await;
    assert_eq!(rotated.status, 200, "{}", rotated.body);
    let rotated = rotated.json();
    assert_ne!(rotated["secret"], first["secret"]);
    assert_eq!(rotated["oldSecretUntil"], "2026-06-01T12:01:00Z");
    let long = server
        .post(&owner, &format!("{path}/rotate"), r#"{"overlap":2592001}"#)
        .await;
    assert_eq!(long.status, 400);
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let mut body = summary();
    body["callbackUrl"] = json!(format!("http://{}/done", listener.local_addr().unwrap()));
    let job = post(&server, &session, EXPORTS, &body).await;
    server.run_jobs_until_idle().await;
    let outbox = &server.app().exports.outbox;
    let (tried, request) = tokio::join!(outbox.tick(), answer(&listener, "200 OK"));
    assert_eq!(tried.unwrap(), 1);
    assert!(
        request.contains("content-type: application/json\r\n"),
        "{request}"
    );
    let signatures = request
        .lines()
        .find(|line| line.starts_with("webhook-signature: "));
    assert_eq!(signatures.unwrap().matches("v1,").count(), 2, "{request}");
    let (_, body) = request.split_once("\r\n\r\n").unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["data"]["id"], job.json()["jobId"]);
    assert_eq!(body["data"]["status"], "SUCCESS");
    let listed = server
        .get(&owner, &format!("{path}/deliveries"))
        .await
        .json();
    assert_eq!(listed["items"][0]["state"], "delivered");
}

#[tokio::test]
async fn webhooks_of_others_look_like_no_webhooks() {
    let server = TestServer::start().await;
    let root = server.root().await;
    let sub = OrganizationKind::SubOrganization;
    let child = server.organization("Child", sub, root).await;
    let (above, below) = (
        server.key(root, Role::Owner).await,
        server.key(child, Role::Owner).await,
    );
    let body = json!({"url": "https://example.com"});
    let (path, _) = made(&server, &above, body).await;
    let delivery = server
        .post(&above, &format!("{path}/test"), "")
        .await
        .json();
    let replay = format!("{path}/deliveries/{}/replay", text(&delivery, "id"));
    for answer in [
        server.get(&below, &path).await,
        server.patch(&below, &path, "{}").await,
        server.delete(&below, &path).await,
        server.post(&below, &format!("{path}/rotate"), "{}").await,
        server.post(&below, &format!("{path}/test"), "").await,
        server.get(&below, &format!("{path}/deliveries")).await,
        server.post(&below, &replay, "").await,
        server.get(&below, &format!("{PATH}/x")).await,
    ] {
        assert_eq!(answer.json()["detail"], "no such webhook");
    }
    let body = json!({"url": "https://example.com", "organizationId": root}).to_string();
    assert_eq!(server.post(&below, PATH, &body).await.status, 404);
    let of_child = json!({"url": "https://example.com", "organizationId": child});
    let (own, _) = made(&server, &above, of_child).await;
    assert_eq!(server.get(&below, &own).await.status, 200);
    let other = format!("{own}/deliveries/{}/replay", text(&delivery, "id"));
    assert_eq!(server.post(&above, &other, "").await.status, 404);
    let listed = server.get(&below, PATH).await.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn only_owners_with_a_credential_handle_webhooks() {
    let server = TestServer::start().await;
    let root = server.root().await;
    let owner = server.key(root, Role::Owner).await;
    let (path, _) = made(&server, &owner, json!({"url": "https://example.com"})).await;
    let requests = [
        (Method::GET, PATH.to_owned()),
        (Method::POST, PATH.to_owned()),
        (Method::GET, path.clone()),
        (Method::PATCH, path.clone()),
        (Method::DELETE, path.clone()),
        (Method::POST, format!("{path}/rotate")),
        (Method::POST, format!("{path}/test")),
        (Method::GET, format!("{path}/deliveries")),
        (Method::POST, format!("{path}/deliveries/x/replay")),
    ];
    let operator = server.key(root, Role::Operator).await;
    for (method, path) in requests {
        let body = r#"{"url":"https://example.com"}"#;
        let request = || {
            let request = server.request(method.clone(), &path);
            request.header("content-type", "application/json")
        };
        let nobody = Answer::of(request().body(body)).await;
        assert_eq!(nobody.status, 401, "{method} {path}");
        let body = if path.ends_with("rotate") { "{}" } else { body };
        let refused = Answer::of(request().bearer_auth(&operator).body(body)).await;
        assert_eq!(refused.status, 403, "{method} {path}: {}", refused.body);
    }
    assert_eq!(server.get(&owner, &path).await.json()["state"], "live");
}
