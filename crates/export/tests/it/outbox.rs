//! Callbacks: told once a job has ended, and never in its way.

use export::Outbox;
use metadata::ExportStatus;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::receiver::LOOPBACK;
use crate::world::World;

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
