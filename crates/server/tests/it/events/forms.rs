//! Every form and encoding a body of events may have.

use async_compression::tokio::bufread::{GzipEncoder, ZstdEncoder};
use insta::assert_snapshot;
use metadata::Role;
use reqwest::Method;
use reqwest::header::HeaderValue;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{PATH, event};
use crate::harness::{Answer, TestServer, fold};

#[tokio::test]
async fn one_event_or_many_come_in_every_media_type_with_or_without_charset() {
    let server = TestServer::start().await;
    let key = server.key(server.root().await, Role::Owner).await;
    let one = |id: &str| event(id).to_string();
    let many = |id: &str| format!("[{}]", event(id));
    for (media, body) in [
        ("application/cloudevents+json", one("1")),
        ("application/cloudevents+json; charset=utf-8", one("2")),
        ("application/cloudevents-batch+json", many("3")),
        (
            "application/cloudevents-batch+json;charset=UTF-8",
            many("4"),
        ),
        ("application/json", one("5")),
        ("application/json; charset=utf-8", many("6")),
        ("application/x-ndjson", one("7")),
    ] {
        let answer = server.send(&key, PATH, media, &body).await;
        assert_eq!(answer.status, 204, "{media}: {}", answer.body);
    }
    assert_eq!(
        server
            .get(&key, PATH)
            .await
            .json()
            .as_array()
            .unwrap()
            .len(),
        7
    );
}

#[tokio::test]
async fn a_form_that_is_not_the_announced_one_is_refused_whole() {
    let server = TestServer::start().await;
    let key = server.key(server.root().await, Role::Owner).await;
    let array = format!("[{}]", event("a"));
    let cut = format!("[{}, {{", event("a"));
    let mut shown = String::new();
    for (media, body) in [
        ("application/cloudevents+json", array.as_str()),
        ("application/cloudevents-batch+json", "{}"),
        ("application/json", cut.as_str()),
        ("text/plain", "{}"),
    ] {
        let answer = server.send(&key, PATH, media, body).await;
        shown += &format!("{} {}\n", answer.status, answer.json()["detail"]);
    }
    assert_snapshot!(fold(&shown), @r#"
    400 "the body is an array: expected one event, or
      application/cloudevents-batch+json"
    400 "the body is no array: expected one, or application/cloudevents+json"
    400 "the body is no JSON: EOF while parsing an object at line 1 column 156"
    415 "Content-Type is \"text/plain\": expected application/cloudevents+json,
      application/cloudevents-batch+json, application/json or application/x-ndjson"
    "#);
    assert_eq!(server.get(&key, PATH).await.body, "[]");
}

#[tokio::test]
async fn binary_mode_takes_attributes_from_headers() {
    let server = TestServer::start().await;
    let key = server.key(server.root().await, Role::Owner).await;
    let binary = |media: &str| {
        let request = server.request(Method::POST, PATH).bearer_auth(&key);
        request
            .header("ce-specversion", "1.0")
            .header("ce-id", "a")
            .header("ce-source", "caf%C3%A9")
            .header("ce-type", "use")
            .header("ce-subject", "customer-1")
            .header("content-type", media)
            .body(r#"{"hours": 1.50}"#)
    };
    assert_eq!(
        Answer::of(binary("application/json; charset=utf-8"))
            .await
            .status,
        204
    );
    assert_eq!(Answer::of(binary("application/xml")).await.status, 400);
    let listed = server.get(&key, PATH).await;
    assert_eq!(listed.json()[0]["event"]["source"], "caf\u{e9}");
    assert_eq!(listed.json()[0]["event"]["time"], crate::harness::NOW);
    assert!(
        listed.body.contains(r#""data":{"hours": 1.50}"#),
        "{}",
        listed.body
    );
}

#[tokio::test]
async fn attributes_in_headers_are_read_without_losing_or_merging_a_byte() {
    let server = TestServer::start().await;
    let key = server.key(server.root().await, Role::Owner).await;
    let send = async |id: &[u8]| {
        let request = server.request(Method::POST, PATH).bearer_auth(&key);
        let request = request
            .header("ce-specversion", "1.0")
            .header("ce-id", HeaderValue::from_bytes(id).unwrap())
            .header("ce-source", "s")
            .header("ce-type", "use")
            .header("ce-subject", "customer-1")
            .header("content-type", "application/json");
        Answer::of(request.body(r#"{"hours": 5}"#)).await
    };
    let refused: [&[u8]; 5] = [b"x%FE", b"x%FF", b"b\xE4r", b"%C0%A0", b"\"open"];
    for id in refused {
        let answer = send(id).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
        let message = answer.json()["events"][0]["message"].to_string();
        assert!(message.contains("the header ce-id is "), "{message}");
    }
    let taken = [
        ("20%+5 off", "20%+5 off"),
        ("\"quoted \\\" text\"", "quoted \" text"),
        ("b%C3%A4r", "b\u{e4}r"),
        ("b\u{f6}r", "b\u{f6}r"),
    ];
    for (id, _) in taken {
        let answer = send(id.as_bytes()).await;
        assert_eq!(answer.status, 204, "{}", answer.body);
    }
    let listed = server.get(&key, PATH).await.json();
    let mut stored: Vec<&str> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|listed| listed["event"]["id"].as_str().unwrap())
        .collect();
    stored.sort_unstable();
    let mut meant = taken.map(|(_, meant)| meant);
    meant.sort_unstable();
    assert_eq!(stored, meant);
}

#[tokio::test]
async fn a_query_that_is_not_utf8_is_refused_rather_than_guessed_at() {
    let server = TestServer::start().await;
    let key = server.key(server.root().await, Role::Owner).await;
    let answer = server.get(&key, &format!("{PATH}?subject=x%FE")).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert!(
        answer
            .body
            .contains("in the URL: expected escapes that make UTF-8"),
        "{}",
        answer.body
    );
    assert_eq!(
        server
            .get(&key, &format!("{PATH}?subject=b%C3%A4r"))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn compressed_bodies_are_read_and_bounded_after_decompression() {
    let server = TestServer::start_with(|config| {
        config.limits.events_body_bytes_max = 100_000;
    })
    .await;
    let key = server.key(server.root().await, Role::Owner).await;
    let post = async |encoding: &str, body: Vec<u8>| {
        let request = server.request(Method::POST, PATH).bearer_auth(&key);
        let request = request.header("content-type", "application/json");
        Answer::of(request.header("content-encoding", encoding).body(body)).await
    };
    let one = |id: &str| event(id).to_string().into_bytes();
    let gzip = packed(GzipEncoder::new(one("a").as_slice())).await;
    assert_eq!(post("gzip", gzip).await.status, 204);
    let zstd = packed(ZstdEncoder::new(one("b").as_slice())).await;
    assert_eq!(post("zstd", zstd).await.status, 204);
    assert_eq!(
        server
            .get(&key, PATH)
            .await
            .json()
            .as_array()
            .unwrap()
            .len(),
        2
    );

    let bomb = vec![b' '; 50_000_000];
    let bomb = packed(ZstdEncoder::new(bomb.as_slice())).await;
    assert!(bomb.len() < 10_000, "the bomb is small on the wire");
    assert_snapshot!(post("zstd", bomb).await.show(), @r#"
    413 application/problem+json
    {
      "code": "body_too_large",
      "detail": "the body has more than 100000 bytes (limits.events_body_bytes_max):
      send fewer events at once or application/x-ndjson; nothing is stored",
      "requestId": "[id]",
      "status": 413,
      "title": "Payload Too Large",
      "type": "about:blank"
    }
    "#);
    assert_eq!(post("gzip", one("c")).await.status, 400);
    assert_eq!(post("br", one("c")).await.status, 415);
}

async fn packed(mut encoder: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut bytes = Vec::new();
    encoder.read_to_end(&mut bytes).await.unwrap();
    bytes
}

#[tokio::test]
async fn more_outcomes_than_are_given_store_nothing() {
    let server = TestServer::start().await;
    let key = server.key(server.root().await, Role::Owner).await;
    let many: Vec<_> = (0..10_001)
        .map(|number| event(&number.to_string()))
        .collect();
    let request = server.request(Method::POST, PATH).bearer_auth(&key);
    let request = request
        .header("prefer", "return=representation")
        .json(&many);
    let refused = Answer::of(request).await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    assert_eq!(server.get(&key, PATH).await.body, "[]");
}
