//! Health, metrics, documents, fallbacks, request ids and the life of a server.

use insta::assert_snapshot;
use reqwest::Method;

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
