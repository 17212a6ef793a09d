//! Which events were acknowledged and which must be sent again, over all senders and all lives of
//! a server.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::bench::client::Client;
use crate::bench::events::Events;
use crate::bench::server::{Access, Server};

const PATH: &str = "/api/v1/events";
const BATCH: &str = "application/cloudevents-batch+json";
/// Answers after which the same events are sent again.
const REPEATABLE: [u16; 3] = [408, 429, 503];
/// Pause after a refusal or a broken connection.
const PAUSE: Duration = Duration::from_millis(20);

/// The ledger of one run of events.
#[derive(Debug)]
pub(super) struct Ledger {
    events: Events,
    batch_events: u64,
    next: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    uncertain: Vec<Range<u64>>,
    acknowledged: u64,
    answers: BTreeMap<u16, Vec<Duration>>,
    broken: u64,
}

impl Ledger {
    /// A ledger of events with ids of `run`, sent in batches of so many.
    pub(super) fn new(run: u64, batch_events: u64) -> Self {
        Self {
            events: Events::new(run),
            batch_events,
            next: AtomicU64::new(0),
            state: Mutex::default(),
        }
    }

    /// Distinct events that were ever sent.
    pub(super) fn sent(&self) -> u64 {
        self.next.load(Ordering::SeqCst)
    }

    /// Events whose acknowledgement came.
    pub(super) fn acknowledged(&self) -> u64 {
        self.locked(|state| state.acknowledged)
    }

    /// How many requests were answered with each status, and how many broke off.
    pub(super) fn answers(&self) -> (BTreeMap<u16, usize>, u64) {
        self.locked(|state| {
            let counts = state.answers.iter();
            let counts = counts.map(|(status, times)| (*status, times.len()));
            (counts.collect(), state.broken)
        })
    }

    /// Times of the answers with one status, ascending.
    pub(super) fn times(&self, status: u16) -> Vec<Duration> {
        let mut times = self.locked(|state| state.answers.get(&status).cloned());
        times
            .as_deref_mut()
            .map_or(&mut [][..], |times| times)
            .sort_unstable();
        times.unwrap_or_default()
    }

    /// Forgets the answers so far, before a part that is measured by itself.
    pub(super) fn forget_answers(&self) {
        self.locked(|state| state.answers.clear());
    }

    /// Sends until `stop`; broken connections are made anew, what was not acknowledged goes first.
    pub(super) fn send_until(&self, access: &Access, stop: &AtomicBool) -> Result<()> {
        while !stop.load(Ordering::SeqCst) {
            let Ok(mut client) = access.client() else {
                thread::sleep(PAUSE);
                continue;
            };
            while !stop.load(Ordering::SeqCst) && self.send_one(&mut client)? {}
        }
        Ok(())
    }

    /// Sends one batch and records what came of it; gives whether the connection is still good.
    pub(super) fn send_one(&self, client: &mut Client) -> Result<bool> {
        let range = self.claim();
        let body = self.events.array(range.clone());
        let start = Instant::now();
        let answer = client.post(PATH, BATCH, &body);
        let took = start.elapsed();
        let Ok(answer) = answer else {
            self.locked(|state| {
                state.broken += 1;
                state.uncertain.push(range);
            });
            return Ok(false);
        };
        let status = answer.status;
        self.locked(|state| {
            state.answers.entry(status).or_default().push(took);
            if status == 204 {
                state.acknowledged += range.end - range.start;
            } else {
                state.uncertain.push(range);
            }
        });
        if status != 204 {
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            ensure!(REPEATABLE.contains(&status), "answered {status}: {text}");
            thread::sleep(PAUSE);
        }
        Ok(true)
    }

    /// Sends what is uncertain until all of it is acknowledged.
    pub(super) fn settle(&self, server: &Server, limit: Duration) -> Result<()> {
        let start = Instant::now();
        let mut client = server.client()?;
        while self.locked(|state| !state.uncertain.is_empty()) {
            ensure!(start.elapsed() < limit, "events are still refused");
            if !self.send_one(&mut client)? {
                client = server.client()?;
            }
        }
        Ok(())
    }

    /// Sends a sample of acknowledged batches again; gives how many events were not known.
    ///
    /// Called after [`Self::settle`], when every event sent is acknowledged.
    pub(super) fn unknown_when_repeated(&self, server: &Server, batches: u64) -> Result<u64> {
        let mut client = server.client()?;
        let (sent, mut unknown) = (self.sent(), 0);
        let step = (sent / self.batch_events / batches.max(1)).max(1) * self.batch_events;
        for first in (0..sent).step_by(usize::try_from(step)?) {
            let range = first..(first + self.batch_events).min(sent);
            let mut numbers = range.clone();
            let answer = client.stream(PATH, "application/x-ndjson", |body| {
                if let Some(n) = numbers.next() {
                    self.events.json(n, body);
                    body.push(b'\n');
                }
                !numbers.is_empty()
            })?;
            let counts = answer.json(200)?["counts"].clone();
            let duplicates = counts["duplicate"].as_u64().context("no count")?;
            unknown += range.end - range.start - duplicates;
        }
        Ok(unknown)
    }

    fn claim(&self) -> Range<u64> {
        let repeated = self.locked(|state| state.uncertain.pop());
        repeated.unwrap_or_else(|| {
            let first = self.next.fetch_add(self.batch_events, Ordering::SeqCst);
            first..first + self.batch_events
        })
    }

    fn locked<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(
            &mut self
                .state
                .lock()
                .expect("no sender panics while it records"),
        )
    }
}
