//! How long a write of control data takes while a thousand messages are due and being posted.
//!
//! Messages of webhooks are queued while their receivers hold every answer back; then all receivers
//! answer at once, and keys are created, one after the other, until the last message has arrived.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

use crate::bench::client::Client;
use crate::bench::report::quantile;
use crate::bench::server::Server;
use crate::process::Signal;
use crate::workspace::scratch;

/// Messages due at the start.
const MESSAGES: usize = 1_000;
/// Receivers, each a host of its own.
const RECEIVERS: usize = 8;
/// What a write of control data may take at p99, without hashing a password.
const P99_MAX: Duration = Duration::from_millis(50);
/// Time for every message to arrive.
const ARRIVAL_LIMIT: Duration = Duration::from_mins(5);
const JSON: &str = "application/json";

/// What the receivers share: whether they answer, and how often each message came.
#[derive(Debug, Default)]
struct Post {
    answers: Mutex<bool>,
    opened: Condvar,
    arrived: Mutex<HashMap<String, usize>>,
}

/// Prints p50, p99 and the longest; an error over the limit, or if a message came twice.
pub(crate) fn measure(binary: &Path) -> Result<()> {
    let folder = scratch("control-writes")?;
    let server = Server::fresh(binary, &folder)?;
    let post = Arc::new(Post::default());
    queue(&mut server.client()?, &post)?;
    let started = Instant::now();
    post.open();
    let mut times = create_keys(&mut server.client()?, &post)?;
    let took = started.elapsed();
    server.end(Signal::Terminate)?;
    times.sort_unstable();
    let [p50, p99, longest] = [50, 99, 100].map(|percent| quantile(&times, percent));
    println!(
        "control writes while {MESSAGES} due messages are posted in {:.1} s: {} writes, \
         p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms",
        took.as_secs_f64(),
        times.len(),
        millis(p50),
        millis(p99),
        millis(longest),
    );
    let arrived = post.arrived();
    let repeated = arrived.values().filter(|count| **count > 1).count();
    ensure!(repeated == 0, "{repeated} messages came more than once");
    ensure!(p99 <= P99_MAX, "p99 is over {P99_MAX:?}");
    Ok(())
}

/// Makes the webhooks and their messages; those on their way meanwhile are not answered yet.
fn queue(client: &mut Client, post: &Arc<Post>) -> Result<()> {
    let mut tests = Vec::with_capacity(RECEIVERS);
    for _ in 0..RECEIVERS {
        let body = json!({ "url": receive(post)? }).to_string();
        let made = client.post("/api/v1/webhooks", JSON, body.as_bytes())?;
        let made = made.json(201)?;
        let id = made["id"].as_str().context("a webhook has an id")?;
        tests.push(format!("/api/v1/webhooks/{id}/test"));
    }
    for path in tests.iter().cycle().take(MESSAGES) {
        let answer = client.post(path, JSON, b"{}")?;
        ensure!(
            answer.status < 300,
            "a message is answered {}",
            answer.status
        );
    }
    Ok(())
}

/// Creates keys until every message has arrived; gives how long each took.
fn create_keys(client: &mut Client, post: &Post) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    let started = Instant::now();
    while post.arrived().len() < MESSAGES {
        if started.elapsed() > ARRIVAL_LIMIT {
            bail!("{} of {MESSAGES} messages arrived", post.arrived().len());
        }
        let write = Instant::now();
        let body = br#"{"name":"one more","role":"writer"}"#;
        client.post("/api/v1/keys", JSON, body)?.expect(201)?;
        times.push(write.elapsed());
    }
    Ok(times)
}

/// Starts a receiver and gives its URL.
fn receive(post: &Arc<Post>) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/", listener.local_addr()?);
    let post = Arc::clone(post);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let post = Arc::clone(&post);
            // A message that is not read to its end has not arrived; the server tries it again.
            thread::spawn(move || post.take(&stream).ok());
        }
    });
    Ok(url)
}

impl Post {
    fn open(&self) {
        *self.answers.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.opened.notify_all();
    }

    fn arrived(&self) -> std::sync::MutexGuard<'_, HashMap<String, usize>> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads one message, waits until answers are given, and answers.
    fn take(&self, mut stream: &TcpStream) -> Result<()> {
        let mut reader = BufReader::new(stream);
        let (mut id, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                if line.trim_end().is_empty() {
                    break;
                }
                continue;
            };
            match name {
                "webhook-id" => value.clone_into(&mut id),
                "content-length" => length = value.parse()?,
                _ => {}
            }
        }
        reader.read_exact(&mut vec![0; length])?;
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.opened.wait_while(answers, |answers| !*answers);
        drop(waited);
        *self.arrived().entry(id).or_default() += 1;
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
        Ok(())
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
