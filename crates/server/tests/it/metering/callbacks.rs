//! Callbacks of a running server: to allowed addresses only, and never in the way of a job.

use std::net::{IpAddr, Ipv4Addr};

use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{EXPORTS, flights_with, post, status_path, summary};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[tokio::test]
async fn a_server_tells_the_end_of_a_job_to_an_allowed_address() {
    let (server, session) = flights_with(|config| {
        config.exports.workers = 1;
        config.exports.callback_addresses = vec![LOOPBACK];
    })
    .await;
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let mut body = summary();
    body["callbackUrl"] = json!(format!("http://{}/done", listener.local_addr().unwrap()));
    let job = post(&server, &session, EXPORTS, &body).await;
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b".") {
        let read = stream.read_buf(&mut request).await.unwrap();
        assert_ne!(read, 0, "a whole request");
    }
    stream
        .write_all(b"HTTP/1.1 204 Thanks\r\n\r\n")
        .await
        .unwrap();
    let request = String::from_utf8(request).unwrap();
    let id = job.json()["jobId"].as_str().unwrap().to_owned();
    let sentence = format!("Job with jobID: {id} has completed and the Job Status is SUCCESS.");
    assert!(request.ends_with(&sentence), "{request}");
    let path = status_path(&job);
    let done = server.in_session(&session, Method::GET, &path, "").await;
    assert_eq!(done.json()["status"], "SUCCESS", "{}", done.body);
}
