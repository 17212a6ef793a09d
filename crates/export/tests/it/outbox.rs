//! Callbacks: told once a job has ended, and never in its way.

use std::time::Duration;

use export::{Outbox, Workers};
use metadata::ExportStatus;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::receiver::{LOOPBACK, Receiver};
use crate::webhooks::{outbox, post_to};
use crate::world::{ROOT, World, organization};

/// Ends a test that hangs; nothing is measured by it.
const GUARD: Duration = Duration::from_mins(2);

/// A job that has ended and is to be told to `url`.
async fn told(world: &World, url: String) -> String {
    let export = world.ask(|new| new.callback_url = Some(url)).await;
    world.worker(1).run_until_idle().await.unwrap();
    assert_eq!(world.export(export).await.status, ExportStatus::Success);
    export.to_string()
}

/// Answers one request with a status line and gives what was sent.
async fn answer(listener: &TcpListener, status: &str) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b".") {
        assert_ne!(
            stream.read_buf(&mut request).await.unwrap(),
            0,
            "a whole request"
        );
    }
    let answer = format!("HTTP/1.1 {status}\r\nlocation: http://127.0.0.1:1/\r\n\r\n");
    stream.write_all(answer.as_bytes()).await.unwrap();
    String::from_utf8(request).unwrap()
}

#[tokio::test]
async fn the_end_of_a_job_is_posted_as_a_sentence_until_it_is_taken() {
    let world = World::new().await;
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let id = told(&world, format!("http://127.0.0.1:{port}/done?job=1")).await;
    let outbox = Outbox::new(world.metadata.clone(), world.clock(), vec![LOOPBACK]).unwrap();
    for status in ["500 No", "302 Elsewhere", "204 Thanks"] {
        let (tried, request) = tokio::join!(outbox.tick(), answer(&listener, status));
        assert_eq!(tried.unwrap(), 1, "{status}");
        assert!(
            request.starts_with("POST /done?job=1 HTTP/1.1\r\n"),
            "{request}"
        );
        assert!(request.contains("content-type: text/plain"), "{request}");
        let sentence =
            format!("\r\n\r\nJob with jobID: {id} has completed and the Job Status is SUCCESS.");
        assert!(request.ends_with(&sentence), "{request}");
        assert_eq!(
            outbox.tick().await.unwrap(),
            0,
            "not before its pause is over"
        );
        world.pass(100);
    }
    world.pass(100_000);
    assert_eq!(outbox.tick().await.unwrap(), 0, "delivered once");
}

#[tokio::test]
async fn inner_addresses_are_refused_by_number_and_by_name() {
    let world = World::new().await;
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for url in [
        format!("http://127.0.0.1:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://localhost:{port}/"),
        "ftp://example.com/".to_owned(),
    ] {
        told(&world, url).await;
    }
    let outbox = Outbox::new(world.metadata.clone(), world.clock(), Vec::new()).unwrap();
    tokio::select! {
        tried = outbox.tick() => assert_eq!(tried.unwrap(), 4),
        _ = listener.accept() => panic!("nothing may arrive here"),
    }
    world.pass(20);
    assert_eq!(
        outbox.tick().await.unwrap(),
        1,
        "names may point elsewhere later, numbers not"
    );
    let mut tries = 0;
    for _ in 0..20 {
        world.pass(100_000);
        tries += outbox.tick().await.unwrap();
    }
    assert_eq!(tries, 7, "nine tries in all, then no more");
}

#[tokio::test]
async fn twenty_messages_to_one_host_are_posted_once_each() {
    let world = World::new().await;
    let receiver = Receiver::start("204 Thanks").await;
    for _ in 0..20 {
        post_to(&world, organization(ROOT), &receiver.url).await;
    }
    let mut workers = Workers::start(&world.worker(1));
    workers.deliver(outbox(&world));
    let all = tokio::time::timeout(GUARD, receiver.wait_for(20)).await;
    all.expect("every message is posted");
    workers.stop().await;
    world.pass(100_000);
    assert_eq!(outbox(&world).tick().await.unwrap(), 0, "all are settled");
    assert_eq!(receiver.taken().len(), 20);
}

#[tokio::test]
async fn a_stop_lets_a_message_on_its_way_end_and_settles_it() {
    let world = World::new().await;
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    post_to(&world, organization(ROOT), &url).await;
    let mut workers = Workers::start(&world.worker(1));
    workers.deliver(outbox(&world));
    let (mut stream, _) = listener.accept().await.unwrap();
    crate::receiver::read(&mut stream).await;
    let stopped = tokio::spawn(workers.stop());
    tokio::task::yield_now().await;
    let answer = b"HTTP/1.1 204 Thanks\r\n\r\n";
    stream.write_all(answer).await.unwrap();
    tokio::time::timeout(GUARD, stopped).await.unwrap().unwrap();
    world.pass(100_000);
    assert_eq!(outbox(&world).tick().await.unwrap(), 0, "it is settled");
}
