//! Health, metrics, documents, fallbacks, request ids and the life of a server.

use insta::assert_snapshot;
use metadata::Role;
use reqwest::Method;

use crate::events::event;
use crate::harness::{Answer, TestServer};

#[tokio::test]
async fn what_is_open_needs_no_credential() {
    let server = TestServer::start().await;
    for path in ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"] {
        let answer = Answer::of(server.request(Method::GET, path)).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        assert_eq!(answer.header("x-request-id").len(), 22, "{path}");
    }
}

#[tokio::test]
async fn every_door_refuses_in_its_own_words() {
    let server = TestServer::start().await;
    let mut shown = String::new();
    for (method, path) in [
        (Method::GET, "/api/v1/nothing"),
        (Method::DELETE, "/healthz"),
        (Method::GET, "/saas/public/core/v3/nothing"),
        (Method::GET, "/ma/api/v2/nothing"),
        (Method::GET, "/org/x/nothing"),
        (Method::GET, "/v2/nothing"),
    ] {
        let answer = Answer::of(server.request(method.clone(), path)).await;
        shown += &format!("{method} {path}: {}\n", answer.show());
    }
    assert_snapshot!(shown, @r#"
    GET /api/v1/nothing: 404 application/problem+json
    {
      "code": "not_found",
      "detail": "no such path",
      "requestId": "[id]",
      "status": 404,
      "title": "Not Found",
      "type": "about:blank"
    }
    DELETE /healthz: 405 application/problem+json
    {
      "code": "method_not_allowed",
      "detail": "The path exists but not with this method.",
      "requestId": "[id]",
      "status": 405,
      "title": "Method Not Allowed",
      "type": "about:blank"
    }
    GET /saas/public/core/v3/nothing: 404 application/json
    {
      "error": {
        "code": "not_found",
        "details": null,
        "message": "no such path",
        "requestId": "[id]"
      }
    }
    GET /ma/api/v2/nothing: 404 application/json
    {
      "@type": "error",
      "code": "UI_10000",
      "description": "no such path",
      "statusCode": 404
    }
    GET /org/x/nothing: 404 application/json
    "no such path"
    GET /v2/nothing: 404 application/json
    {
      "action": "There is no such thing, or not for this credential.",
      "cause": "no such path",
      "code": "E404000",
      "correlationId": "[id]",
      "errorId": "ERROR-[id]",
      "status": 404,
      "title": "Not Found"
    }
    "#);
}

#[tokio::test]
async fn the_request_id_of_an_answer_is_the_one_in_its_body() {
    let server = TestServer::start().await;
    let answer = Answer::of(server.request(Method::GET, "/api/v1/nothing")).await;
    assert_eq!(answer.json()["requestId"], answer.header("x-request-id"));
}

#[tokio::test]
async fn the_first_start_creates_an_administrator_and_the_second_does_not() {
    let server = TestServer::start_with(|config| config.admin.user = "root".into()).await;
    let first = server.running().first_admin().cloned().unwrap();
    assert_eq!((first.user.as_str(), first.password.len()), ("root", 20));
    let folder = server.stop().await;
    let again = TestServer::start_with(|config| {
        config.server.data_dir = folder.path().join("data");
    })
    .await;
    assert!(again.running().first_admin().is_none());
}

#[cfg(unix)]
#[tokio::test]
async fn server_json_is_private_and_goes_with_the_server() {
    use std::os::unix::fs::PermissionsExt;

    let server = TestServer::start().await;
    let file = server.data_dir().join("server.json");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let read = server::server_file::ServerFile::read(&server.data_dir())
        .unwrap()
        .unwrap();
    assert_eq!(
        (read.url, read.token),
        (server.url(""), server.token().to_owned())
    );
    let folder = server.stop().await;
    assert!(!folder.path().join("data/server.json").exists());
}

#[test]
fn the_openapi_document_is_the_one_in_the_repository() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    let document = server::api::document().to_pretty_json().unwrap() + "\n";
    keep(path, &document);
}

#[test]
fn the_table_of_codes_in_the_docs_is_the_one_in_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/API.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (before, rest) = text.split_once("<!-- codes -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- end of codes -->").unwrap();
    let table = server::error::Code::table();
    let expected = format!("{before}<!-- codes -->\n{table}<!-- end of codes -->{after}");
    keep(path, &expected);
}

/// Compares a file with what it should hold; `INSTA_UPDATE=always` writes it instead.
fn keep(path: &str, expected: &str) {
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        std::fs::write(path, expected).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        found == expected,
        "{path} is stale: run with INSTA_UPDATE=always"
    );
}

#[tokio::test]
async fn every_metric_has_a_name_a_help_and_a_unit_suffix() {
    let server = TestServer::start().await;
    let key = server.key(server.root().await, Role::Writer).await;
    server.post(&key, "/api/v1/events", "[7]").await;
    let text = Answer::of(server.request(Method::GET, "/metrics"))
        .await
        .body;
    let described: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .collect();
    assert_snapshot!(described.join("\n"), @"
    tallyport_http_requests counter
    tallyport_http_request_seconds histogram
    tallyport_events counter
    tallyport_journal_frames counter
    tallyport_journal_bytes counter
    tallyport_journal_syncs counter
    tallyport_flushes counter
    tallyport_compactions counter
    tallyport_store_panics counter
    tallyport_unflushed_rows gauge
    tallyport_unflushed_bytes gauge
    tallyport_segments gauge
    tallyport_segment_bytes gauge
    tallyport_seen_keys gauge
    tallyport_watermark gauge
    tallyport_organization_events counter
    tallyport_export_mismatches counter
    tallyport_task_panics counter
    ");
    let refused = "tallyport_events_total{outcome=\"refused\"} 1\n";
    assert!(text.contains(refused), "{text}");
    let kept = "organization=\"unattributed\",fate=\"refused\"} 1\n";
    assert!(text.contains(kept), "{text}");
}

#[tokio::test]
async fn a_running_request_is_finished_before_the_server_stops() {
    let server = TestServer::start().await;
    let key = server.key(server.root().await, Role::Writer).await;
    let (lines, body) = futures::channel::mpsc::unbounded::<std::io::Result<String>>();
    let request = server
        .request(Method::POST, "/api/v1/events")
        .bearer_auth(key);
    let request = request
        .header("content-type", "application/x-ndjson")
        .body(reqwest::Body::wrap_stream(body));
    let answer = tokio::spawn(Answer::of(request));
    lines
        .unbounded_send(Ok(event("a").to_string() + "\n"))
        .unwrap();
    while server.app().usage.watermark().await.unwrap() == 0 {
        tokio::task::yield_now().await;
    }
    let stopping = server.app().stopping.clone();
    let stopped = tokio::spawn(server.stop());
    stopping.cancelled().await;
    lines
        .unbounded_send(Ok(event("b").to_string() + "\n"))
        .unwrap();
    drop(lines);
    assert_eq!(answer.await.unwrap().status, 204);
    let again = stopped.await.unwrap();
    let server = TestServer::start_with(|config| {
        config.server.data_dir = again.path().join("data");
    })
    .await;
    assert_eq!(server.app().usage.watermark().await.unwrap(), 2);
}

#[tokio::test]
async fn a_server_without_a_store_names_the_one_that_keeps_the_usage() {
    let keeper = TestServer::start_with(|config| {
        config.server.public_url = "https://usage.example/".to_owned();
    })
    .await;
    let key = keeper.key(keeper.root().await, Role::Owner).await;
    let folder = keeper.data_dir();
    let other = TestServer::start_with(|config| {
        config.server.data_dir = folder.clone();
        config.store.mode = server::config::StoreMode::None;
    })
    .await;
    assert_eq!(other.get(&key, "/api/v1/meters").await.status, 200);
    let refused = other
        .post(&key, "/api/v1/events", &event("a").to_string())
        .await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, "1"));
    let by_url = "usage is kept by https://usage.example: send the request there";
    assert_eq!(refused.json()["detail"], by_url);
    let read = other.get(&key, "/api/v1/events").await;
    assert_eq!((read.status, &read.json()["detail"]), (503, &by_url.into()));
    let verified = other.post(other.token(), "/api/v1/verification", "").await;
    assert_eq!(verified.status, 503, "{}", verified.body);
    assert_eq!(verified.json()["detail"], by_url);

    // The next holder is named as soon as it has the right, and nobody when its lease is over.
    let _folder = keeper.stop().await;
    let detail = async || {
        let refused = other
            .post(&key, "/api/v1/events", &event("a").to_string())
            .await;
        refused.json()["detail"].as_str().unwrap().to_owned()
    };
    let none = "no server keeps the usage now: start the one that has the store";
    assert_eq!(detail().await, none);
    let (metadata, now) = (&other.app().metadata, other.app().now());
    let host = "host.internal:/srv/data";
    for url in [Some("https://next.example"), None] {
        let claimed = metadata.claim_instance(host, url, 10_000, now).await;
        claimed.unwrap();
        let detail = detail().await;
        let named = url.unwrap_or("a process without a URL");
        assert!(
            detail.starts_with(&format!("usage is kept by {named}")),
            "{detail}"
        );
        assert!(!detail.contains("internal"), "{detail}");
    }
    other.advance(11);
    assert_eq!(detail().await, none);
}
