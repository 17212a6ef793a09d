//! Memory for bodies: what does not fit waits or is sent again, and malformed lines take little.

use async_compression::tokio::bufread::GzipEncoder;
use metadata::Role;
use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{PATH, event};
use crate::harness::{Answer, TestServer};

const MEGABYTE: usize = 1 << 20;

/// A server with 3 MiB for large bodies and 1 MiB for small ones.
async fn small_server() -> TestServer {
    TestServer::start_with(|config| {
        config.limits.bodies_bytes_max = 8 * MEGABYTE;
        config.limits.bodies_wait_ms = 50;
    })
    .await
}

/// Announces a body of so many bytes.
async fn announced(server: &TestServer, key: &str, bytes: usize) -> TcpStream {
    let url = server.url("");
    let mut stream = TcpStream::connect(&url["http://".len()..]).await.unwrap();
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\nexpect: 100-continue\r\n\
         content-length: {bytes}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// Begins a body of so many bytes and leaves it so; the server has room for it.
async fn held(server: &TestServer, key: &str, bytes: usize) -> TcpStream {
    let mut stream = announced(server, key, bytes).await;
    let mut said = [0; 25];
    stream.read_exact(&mut said).await.unwrap();
    assert!(said.starts_with(b"HTTP/1.1 100 Continue"));
    stream
}

fn padded(bytes: usize) -> String {
    format!("[{}{}]", " ".repeat(bytes), event("a"))
}

#[tokio::test]
async fn a_body_there_is_no_room_for_is_refused_for_now() {
    let server = small_server().await;
    let key = server.key(server.root().await, Role::Owner).await;
    let holder = held(&server, &key, 5 * MEGABYTE / 2).await;
    let body = padded(MEGABYTE);
    let refused = server.post(&key, PATH, &body).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, "1"));
    assert!(
        refused.body.contains("limits.bodies_bytes_max"),
        "{}",
        refused.body
    );
    // Every route that reads a whole body asks for room.
    let subjects = server
        .post(&key, "/api/v1/subjects", &padded(MEGABYTE / 2))
        .await;
    assert_eq!(subjects.status, 503, "{}", subjects.body);
    // Small bodies have room of their own.
    let small = server.post(&key, PATH, &event("b").to_string()).await;
    assert_eq!(small.status, 204, "{}", small.body);
    assert_eq!(server.log_in("nobody", "wrong").await.status, 401);
    drop(holder);
    let mut again = server.post(&key, PATH, &body).await;
    while again.status == 503 {
        again = server.post(&key, PATH, &body).await;
    }
    assert_eq!(again.status, 204, "{}", again.body);
}

#[tokio::test]
async fn room_is_asked_for_what_a_body_becomes_not_for_what_is_sent() {
    let server = small_server().await;
    let key = server.key(server.root().await, Role::Owner).await;
    let _holder = held(&server, &key, 5 * MEGABYTE / 2).await;
    let refused = send_packed(&server, &key, "application/json", &padded(MEGABYTE)).await;
    assert_eq!(refused.status, 503, "{}", refused.body);
}

#[tokio::test]
async fn a_body_larger_than_its_limit_takes_no_room() {
    let server = small_server().await;
    let key = server.key(server.root().await, Role::Owner).await;
    let _holder = held(&server, &key, 5 * MEGABYTE / 2).await;
    let mut refused = String::new();
    let mut stream = announced(&server, &key, 33 * MEGABYTE).await;
    stream.read_to_string(&mut refused).await.unwrap();
    assert!(refused.starts_with("HTTP/1.1 413 "), "{refused}");
}

#[tokio::test]
async fn a_stream_ends_after_too_many_malformed_lines_and_says_what_is_stored() {
    let server = TestServer::start().await;
    let key = server.key(server.root().await, Role::Owner).await;
    let body = format!("{}\n{}{}\n", event("a"), "x\n".repeat(400_000), event("b"));
    let answer = send_packed(&server, &key, "application/x-ndjson", &body).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    let answer = answer.json();
    let number = |member: &str| answer[member].as_u64().unwrap();
    assert_eq!(number("stored"), 1);
    assert!((100_000..250_000).contains(&number("refused")), "{answer}");
    assert_eq!(number("received"), number("refused") + 1);
    assert_eq!(number("received"), number("linesRead"));
    assert_eq!(server.app().usage.watermark().await.unwrap(), 1);
}

#[tokio::test]
async fn a_body_of_too_many_malformed_events_is_refused_whole() {
    let server = TestServer::start().await;
    let key = server.key(server.root().await, Role::Owner).await;
    let body = format!("[{},{}0]", event("a"), "0,".repeat(150_000));
    let answer = server.post(&key, PATH, &body).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert!(
        answer.body.contains("more than 100000 malformed"),
        "{}",
        answer.body
    );
    assert_eq!(server.app().usage.watermark().await.unwrap(), 0);
}

async fn send_packed(server: &TestServer, key: &str, media: &str, body: &str) -> Answer {
    let mut packed = Vec::new();
    let mut encoder = GzipEncoder::new(body.as_bytes());
    encoder.read_to_end(&mut packed).await.unwrap();
    let request = server.request(Method::POST, PATH).bearer_auth(key);
    let request = request.header("content-type", media);
    Answer::of(request.header("content-encoding", "gzip").body(packed)).await
}
