//! Connections that ask nothing, and more of them than there are places.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::TestServer;

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
    let server = TestServer::start_with(|config| config.limits.connections_max = 1).await;
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
