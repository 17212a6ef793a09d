//! Connections that ask nothing, send or read too slowly, and more of them than there are places.

use futures::StreamExt;
use metadata::Role;
use reqwest::{Body, Method};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;

use crate::events::event;
use crate::harness::{Answer, TestServer};

/// A login whose body is not all there.
const UNFINISHED_LOGIN: &str = "POST /saas/public/core/v3/login HTTP/1.1\r\nhost: a\r\n\
                                content-length: 100\r\n\r\n{\"username\"";

async fn connect(server: &TestServer) -> TcpStream {
    let url = server.url("");
    let address = url.strip_prefix("http://").unwrap();
    TcpStream::connect(address).await.unwrap()
}

/// What the server says until it closes the connection.
async fn rest(mut stream: TcpStream) -> String {
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    said
}

#[tokio::test]
async fn a_connection_that_does_not_finish_its_question_is_closed() {
    let server = TestServer::start_with(|config| config.limits.header_read_timeout_s = 1).await;
    for begun in ["", "P", "GET /healthz HTTP/1.1\r\nhost: a\r\n"] {
        let mut stream = connect(&server).await;
        stream.write_all(begun.as_bytes()).await.unwrap();
        let said = rest(stream).await;
        assert!(!said.contains("200 OK"), "{begun:?} was answered {said}");
    }
}

#[tokio::test]
async fn a_connection_too_many_waits_for_a_place() {
    let server = TestServer::start_with(|config| {
        config.limits.connections_max = 1;
        config.limits.connections_reserved = 0;
    })
    .await;
    let first = connect(&server).await;
    let mut second = connect(&server).await;
    let question = "GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    second.write_all(question.as_bytes()).await.unwrap();
    let mut byte = [0];
    let early = std::time::Duration::from_millis(200);
    let answered = tokio::time::timeout(early, second.peek(&mut byte)).await;
    assert!(answered.is_err(), "there was no place for it");
    drop(first);
    assert!(rest(second).await.contains("200 OK"));
}

/// Begins a login and leaves it so.
async fn unfinished_login(server: &TestServer) -> TcpStream {
    let mut stream = connect(server).await;
    stream.write_all(UNFINISHED_LOGIN.as_bytes()).await.unwrap();
    stream
}

/// What one request on a connection of its own is answered.
async fn ask(server: &TestServer, head: &str) -> String {
    let mut stream = connect(server).await;
    let request = format!("{head}\r\nhost: a\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    rest(stream).await
}

#[tokio::test]
async fn a_body_that_does_not_move_ends_with_408_and_a_closed_connection() {
    let server = TestServer::start_with(|config| config.limits.slow_window_s = 1).await;
    let said = rest(unfinished_login(&server).await).await;
    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
    assert!(said.contains("connection: close"), "{said}");
    assert!(said.contains("limits.slow_bytes_per_s_min"), "{said}");
    let whole = server.log_in("nobody", "wrong").await;
    assert_eq!(whole.status, 401, "{}", whole.body);
}

#[tokio::test]
async fn over_http2_a_body_that_does_not_move_ends_its_stream_and_then_the_connection() {
    let server = TestServer::start_with(|config| config.limits.slow_window_s = 1).await;
    let (mut client, connection) = h2::client::handshake(connect(&server).await).await.unwrap();
    let connection = tokio::spawn(connection);
    let login = "http://a/saas/public/core/v3/login";
    let login = axum::http::Request::post(login).body(()).unwrap();
    let (answer, mut body) = client.send_request(login, false).unwrap();
    body.send_data(bytes::Bytes::from_static(b"{"), false)
        .unwrap();
    assert_eq!(answer.await.unwrap().status(), 408);
    drop((client, body));
    connection.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stream_by_a_known_caller_may_pause_but_not_for_ever() {
    let server = TestServer::start_with(|config| {
        config.limits.slow_window_s = 1;
        config.limits.stream_pause_s = 4;
    })
    .await;
    let key = server.key(server.root().await, Role::Owner).await;
    let stream = |lines: mpsc::Receiver<String>| {
        let lines =
            futures::stream::unfold(lines, async |mut lines| Some((lines.recv().await?, lines)));
        let request = server.request(Method::POST, "/api/v1/events");
        let request = request.header("content-type", "application/x-ndjson");
        let body = Body::wrap_stream(lines.map(Ok::<_, std::io::Error>));
        tokio::spawn(Answer::of(request.bearer_auth(&key).body(body)))
    };
    let (line, lines) = mpsc::channel(1);
    let answer = stream(lines);
    line.send(format!("{}\n", event("a"))).await.unwrap();
    // It ends when a whole window has passed.
    let other = rest(unfinished_login(&server).await).await;
    assert!(other.starts_with("HTTP/1.1 408 "), "{other}");
    line.send(format!("{}\n", event("b"))).await.unwrap();
    drop(line);
    let answer = answer.await.unwrap();
    assert_eq!(answer.status, 204, "{}", answer.body);

    let (line, lines) = mpsc::channel(1);
    let answer = stream(lines);
    line.send(format!("{}\n", event("c"))).await.unwrap();
    let answer = answer.await.unwrap();
    assert_eq!(answer.status, 408, "{}", answer.body);
    assert!(
        answer.body.contains("limits.stream_pause_s"),
        "{}",
        answer.body
    );
    let stored = server.get(&key, "/api/v1/events").await.json();
    assert_eq!(stored.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn an_answer_that_is_not_read_ends_its_connection() {
    let server = TestServer::start_with(|config| {
        config.limits.connections_max = 1;
        config.limits.connections_reserved = 0;
        config.limits.slow_window_s = 1;
        config.limits.slow_bytes_per_s_min = 65_536;
    })
    .await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let address = server.url("")["http://".len()..].parse().unwrap();
    let mut unread = socket.connect(address).await.unwrap();
    let question = "GET /openapi.json HTTP/1.1\r\nhost: a\r\n\r\n".repeat(200);
    unread.write_all(question.as_bytes()).await.unwrap();
    let said = ask(&server, "GET /healthz HTTP/1.1\r\nconnection: close").await;
    assert!(said.contains("200 OK"), "its place is free again: {said}");
    drop(unread);
}

#[tokio::test]
async fn unfinished_logins_lock_nobody_out_who_is_known() {
    let server = TestServer::start_with(|config| config.limits.connections_max = 8).await;
    let key = server.key(server.root().await, Role::Owner).await;
    let mut unfinished = Vec::new();
    for _ in 0..8 {
        unfinished.push(unfinished_login(&server).await);
    }
    let health = ask(&server, "GET /healthz HTTP/1.1").await;
    assert!(health.contains("200 OK"), "{health}");
    assert!(health.contains("connection: close"), "{health}");
    let ready = ask(&server, "GET /readyz HTTP/1.1").await;
    assert!(ready.contains("200 OK"), "{ready}");
    let known = format!("GET /api/v1/meters HTTP/1.1\r\nauthorization: Bearer {key}");
    let known = ask(&server, &known).await;
    assert!(known.contains("200 OK"), "{known}");
    let unknown = "GET /api/v1/meters HTTP/1.1\r\nauthorization: Bearer tp_nobody";
    for anonymous in [
        "GET /docs HTTP/1.1",
        UNFINISHED_LOGIN.split_once('\r').unwrap().0,
        unknown,
    ] {
        let refused = ask(&server, anonymous).await;
        assert!(
            refused.starts_with("HTTP/1.1 503 "),
            "{anonymous}: {refused}"
        );
        assert!(refused.contains("retry-after: "), "{anonymous}: {refused}");
        assert!(
            refused.contains("connection: close"),
            "{anonymous}: {refused}"
        );
    }
    drop(unfinished);
}

#[tokio::test]
async fn a_reserved_place_is_free_again_when_its_head_does_not_come() {
    let server = TestServer::start_with(|config| {
        config.limits.connections_max = 1;
        config.limits.connections_reserved = 1;
    })
    .await;
    let _unfinished = unfinished_login(&server).await;
    let _silent = connect(&server).await;
    let health = ask(&server, "GET /healthz HTTP/1.1").await;
    assert!(health.contains("200 OK"), "{health}");
}

#[tokio::test]
async fn a_stream_holds_a_reserved_place_for_a_bounded_time_and_for_bounded_bytes() {
    let server = TestServer::start_with(|config| {
        config.limits.connections_max = 1;
        config.limits.connections_reserved = 1;
        config.limits.connections_reserved_s = 1;
        config.limits.connections_reserved_bytes_max = 100_000;
    })
    .await;
    let key = server.key(server.root().await, Role::Owner).await;
    let _general = unfinished_login(&server).await;
    let head = format!(
        "POST /api/v1/events HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\
         content-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    // It is valid and it moves, and still its time is over.
    let mut stream = connect(&server).await;
    let line = chunk(&format!("{}\n", event("a")));
    stream
        .write_all(format!("{head}{line}").as_bytes())
        .await
        .unwrap();
    let said = rest(stream).await;
    assert!(said.starts_with("HTTP/1.1 503 "), "{said}");
    assert!(said.contains("limits.connections_reserved_s"), "{said}");
    let mut stream = connect(&server).await;
    let blank = chunk(&"\n".repeat(100_001));
    stream
        .write_all(format!("{head}{blank}").as_bytes())
        .await
        .unwrap();
    let mut said = [0; 12];
    stream.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"HTTP/1.1 503");
    drop(stream);
    // Short requests go on, and what came before is stored.
    let head = format!("GET /api/v1/events HTTP/1.1\r\nauthorization: Bearer {key}");
    let stored = ask(&server, &head).await;
    assert!(
        stored.contains("200 OK") && stored.contains("\"id\":\"a\""),
        "{stored}"
    );
}
