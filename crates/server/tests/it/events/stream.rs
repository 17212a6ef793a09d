//! Streams of lines.

use futures::StreamExt;
use insta::assert_snapshot;
use metadata::Role;
use reqwest::{Body, Method};

use super::{PATH, event};
use crate::harness::{Answer, TestServer};

#[tokio::test]
async fn a_stream_answers_counts_and_what_was_not_accepted() {
    let server = TestServer::start().await;
    let key = server.key(server.root().await, Role::Owner).await;
    let lines = [
        event("a").to_string(),
        String::new(),
        "{not json".to_owned(),
        event("a").to_string(),
        event("b").to_string(),
    ];
    let request = server.request(Method::POST, PATH).bearer_auth(&key);
    let request = request
        .header("prefer", "return=representation")
        .header("content-type", "application/x-ndjson")
        .body(lines.join("\n"));
    assert_snapshot!(Answer::of(request).await.show(), @r#"
    200 application/json
    {
      "counts": {
        "accepted": 2,
        "conflict": 0,
        "duplicate": 1,
        "received": 4,
        "refused": 1
      },
      "notAccepted": [
        {
          "code": "malformed_event",
          "index": 2,
          "message": "the event is not a CloudEvents object: key must be a string at
      line 1 column 2",
          "outcome": "refused"
        },
        {
          "index": 3,
          "outcome": "duplicate"
        }
      ]
    }
    "#);
    let body = lines.join("\n");
    let minimal = server.send(&key, PATH, "application/x-ndjson", &body).await;
    assert_snapshot!(minimal.show(), @r#"
    400 application/problem+json
    {
      "code": "malformed_events",
      "detail": "1 of 4 events are malformed and were not taken; the others are stored,
      and sending all again is harmless",
      "events": [
        {
          "code": "malformed_event",
          "index": 2,
          "message": "the event is not a CloudEvents object: key must be a string at
      line 1 column 2"
        }
      ],
      "received": 4,
      "refused": 1,
      "requestId": "[id]",
      "status": 400,
      "stored": 3,
      "title": "Bad Request",
      "type": "about:blank"
    }
    "#);
}

#[tokio::test]
async fn a_long_stream_in_small_pieces_is_stored_whole_and_in_order() {
    let server = TestServer::start().await;
    let key = server.key(server.root().await, Role::Owner).await;
    let events = 9_000;
    let lines = (0..events).map(|number| event(&number.to_string()).to_string());
    let lines: Vec<String> = lines.chain(["{".to_owned()]).collect();
    let body = lines.join("\n").into_bytes();
    assert!(body.len() > 1_000_000, "it takes several batches");
    let pieces: Vec<Vec<u8>> = body.chunks(7_001).map(<[u8]>::to_vec).collect();
    let pieces = futures::stream::iter(pieces).map(Ok::<_, std::io::Error>);
    let request = server.request(Method::POST, PATH).bearer_auth(&key);
    let request = request
        .header("prefer", "return=representation")
        .header("content-type", "application/x-ndjson")
        .body(Body::wrap_stream(pieces));
    let answer = Answer::of(request).await.json();
    assert_eq!(answer["counts"]["accepted"], events);
    assert_eq!(answer["notAccepted"][0]["index"], events);
    assert_eq!(server.app().usage.watermark().await.unwrap(), 9_000);
}

#[tokio::test]
async fn a_line_over_the_limit_is_refused_alone() {
    let server = TestServer::start_with(|config| {
        config.limits.events_line_bytes_max = 1_000;
    })
    .await;
    let key = server.key(server.root().await, Role::Owner).await;
    let body = format!("{}\n{}\n{}\n", event("a"), "x".repeat(50_000), event("b"));
    let answer = server.send(&key, PATH, "application/x-ndjson", &body).await;
    assert_snapshot!(format!("{:#}", answer.json()["events"]), @r#"
    [
      {
        "code": "malformed_event",
        "index": 1,
        "message": "the line has more than 1000 bytes (limits.events_line_bytes_max)"
      }
    ]
    "#);
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
}
