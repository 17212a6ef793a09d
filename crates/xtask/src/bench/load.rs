//! Load over HTTP: many connections, each sending the next numbers of one run.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::client::{Answer, Client};
use super::events::Events;
use super::report::Rate;
use super::server::Server;

const PATH: &str = "/api/v1/events";
/// Events in one streamed request.
const STREAM_EVENTS: u64 = 100_000;

/// How events are put into requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// One event a request.
    Single,
    /// An array of this many events a request.
    Batch(u64),
    /// Lines of a long request.
    Stream,
}

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    /// After a time; requests on their way are finished and counted.
    Elapsed(Duration),
    /// After this many events.
    Sent(u64),
}

impl Form {
    fn events(self) -> u64 {
        match self {
            Self::Single => 1,
            Self::Batch(events) => events,
            Self::Stream => STREAM_EVENTS,
        }
    }
}

/// Sends events over so many connections until told to stop, and says how fast they were durable.
pub(crate) fn run(
    server: &Server,
    events: &Events,
    next: &AtomicU64,
    (form, connections): (Form, usize),
    until: Until,
) -> Result<Rate> {
    let first = next.load(Ordering::Relaxed);
    let start = Instant::now();
    let failed = AtomicBool::new(false);
    let takes_more = |n: u64| {
        let lasts = match until {
            Until::Elapsed(limit) => start.elapsed() < limit,
            Until::Sent(count) => n < first + count,
        };
        lasts && !failed.load(Ordering::Relaxed)
    };
    let work = || -> Result<u64> {
        let mut client = server.client()?;
        let mut sent = 0;
        loop {
            let mut count = form.events();
            let n = next.fetch_add(count, Ordering::Relaxed);
            if !takes_more(n) {
                return Ok(sent);
            }
            if let Until::Sent(limit) = until {
                count = count.min(first + limit - n);
            }
            send(&mut client, events, form, n..n + count)?;
            sent += count;
        }
    };
    let worker = || work().inspect_err(|_| failed.store(true, Ordering::Relaxed));
    let sent: Result<Vec<u64>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..connections).map(|_| scope.spawn(worker)).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().expect("a worker returns"))
            .collect()
    });
    Ok(Rate {
        events: sent?.iter().sum(),
        seconds: start.elapsed().as_secs_f64(),
    })
}

fn send(
    client: &mut Client,
    events: &Events,
    form: Form,
    numbers: std::ops::Range<u64>,
) -> Result<()> {
    let count = numbers.end - numbers.start;
    let answer = match form {
        Form::Single => {
            let mut body = Vec::with_capacity(512);
            events.json(numbers.start, &mut body);
            client.post(PATH, "application/cloudevents+json", &body)?
        }
        Form::Batch(_) => {
            let body = events.array(numbers);
            client.post(PATH, "application/cloudevents-batch+json", &body)?
        }
        Form::Stream => stream(client, events, numbers)?,
    };
    if form != Form::Stream {
        return answer.expect(204).map(drop);
    }
    let counts = answer.json(200)?;
    if counts["counts"]["accepted"].as_u64() != Some(count) {
        bail!("of {count} new events not all were accepted: {counts}");
    }
    Ok(())
}

fn stream(client: &mut Client, events: &Events, numbers: std::ops::Range<u64>) -> Result<Answer> {
    let end = numbers.end;
    let mut n = numbers.start;
    client.stream(PATH, "application/x-ndjson", |body| {
        events.json(n, body);
        body.push(b'\n');
        n += 1;
        n < end
    })
}
