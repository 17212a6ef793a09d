//! Step 8 of usage out: messages to the outside world, off the path of every job.
//!
//! A message is a row, written with what it tells about. It is posted with time-outs, without
//! following redirects, to public addresses only, and tried again with growing pauses for a day.
//! Slots are shared between organizations and hosts, and a host that keeps failing is left alone
//! for a while, so that a dead receiver holds up nobody else's messages.
//!
//! Every try is a task of its own and settles its message when it ends. The outbox writes to the
//! database one statement at a time: whoever else writes waits for one of them at most.

mod address;
mod attempt;
mod flights;
mod signature;
mod traffic;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::Timestamp;
use domain::kind::Kind;
use jiff::SignedDuration;
use metadata::{Delivery, Due, Metadata, Tried};
use reqwest::{Client, redirect};
use tokio::sync::{Semaphore, SemaphorePermit, watch};

use crate::error::{Error, Result};
use crate::worker::Clock;
use address::{Addresses, GuardedDns};
use attempt::Attempt;
use flights::Flights;

/// Due messages looked at at once, of one organization.
const DUE_OF_ORGANIZATION_MAX: u32 = 64;
/// Due messages looked at at once.
const DUE_MAX: u32 = 512;
/// Time a claimed message is left to its try, in milliseconds; longer than a try takes with every
/// wait for the database, so that another server does not post it meanwhile.
const LEASE_MS: u32 = 120_000;
/// Time a receiver may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time a receiver may take in all.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Time for which the end of a try is written again and again while the database refuses it.
const SETTLE_PATIENCE: Duration = Duration::from_hours(1);
/// Pauses between these, the first and the longest.
const SETTLE_PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));
/// Time tries under way have at a stop: to end, and to be settled.
const STOP_PATIENCE: Duration = Duration::from_secs(TIMEOUT.as_secs() + 10);
/// Writes of the outbox that wait for the database at once.
const WRITES_MAX: usize = 1;
/// Time between looks for due messages.
const POLL: Duration = Duration::from_secs(1);
/// Time between sweeps.
const SWEEP_INTERVAL: Duration = Duration::from_mins(10);
/// Rows one sweep removes of a kind.
const SWEEP_MAX: u32 = 1_000;
/// Hours a message may wait for a closed host.
const WAIT_HOURS_MAX: i64 = 48;
/// Days the end of a message is kept.
const KEEP_DAYS: i64 = 30;

/// Posts the messages of the outbox.
#[derive(Clone)]
pub struct Outbox {
    metadata: Metadata,
    client: Client,
    clock: Clock,
    addresses: Addresses,
    writes: Arc<Semaphore>,
}

// A try waits for the database three times, each time for a connection and then for a lock.
const _: () = assert!(
    LEASE_MS as u128 > TIMEOUT.as_millis() + 3 * 2 * metadata::BUSY_TIMEOUT_MS as u128,
    "a lease outlasts its try"
);

impl fmt::Debug for Outbox {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = formatter.debug_struct("Outbox");
        fields
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

impl Outbox {
    /// An outbox that posts to public addresses and to those in `allowed`.
    pub fn new(metadata: Metadata, clock: Clock, allowed: Vec<IpAddr>) -> Result<Self> {
        // Another part of the process may have installed a provider before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let addresses = Addresses::new(allowed);
        let client = Client::builder()
            .dns_resolver(Arc::new(GuardedDns::new(addresses.clone())))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .pool_max_idle_per_host(0)
            .build();
        let client = client.map_err(|error| Error::Internal(chain(&error)))?;
        Ok(Self {
            metadata,
            client,
            clock,
            addresses,
            writes: Arc::new(Semaphore::new(WRITES_MAX)),
        })
    }

    /// Says why no message could ever go to a URL; names are looked up later, at each try.
    pub fn check_url(&self, url: &str) -> std::result::Result<(), String> {
        self.addresses.acceptable(url).map(drop)
    }

    /// Tries messages that are due, a bounded number at once; gives how many.
    pub async fn tick(&self) -> Result<usize> {
        let (mut flights, mut claimed) = (Flights::default(), Vec::new());
        let keep = |_: &mut Flights, due, delivery| claimed.push((due, delivery));
        let started = self.claim_due(&mut flights, keep).await;
        for (due, delivery) in claimed {
            flights.start(due, self.clone().try_one(delivery));
        }
        let mut failed = None;
        while let Some(ended) = flights.next().await {
            failed = failed.or(ended.err());
        }
        failed.map_or(started, Err)
    }

    /// Gives up what has waited too long and removes what is old; gives how many rows.
    pub async fn sweep(&self) -> Result<u64> {
        let now = (self.clock)();
        let before = |hours| {
            let then = now.checked_sub(SignedDuration::from_hours(hours));
            then.unwrap_or(Timestamp::MIN)
        };
        let (given_up, forgotten) = (before(WAIT_HOURS_MAX), before(24 * KEEP_DAYS));
        let _turn = self.turn().await;
        let swept = self
            .metadata
            .sweep_deliveries(given_up, forgotten, SWEEP_MAX);
        Ok(swept.await?)
    }

    /// Works until told to stop, then lets the tries under way end.
    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut flights = Flights::default();
        let mut swept = None::<Instant>;
        while !*stop.borrow() {
            if swept.is_none_or(|last| last.elapsed() >= SWEEP_INTERVAL) {
                swept = Some(Instant::now());
                warn_of(self.sweep().await);
            }
            while let Some(ended) = flights.ended() {
                warn_of(ended);
            }
            let start = |flights: &mut Flights, due, delivery| {
                flights.start(due, self.clone().try_one(delivery));
            };
            warn_of(self.claim_due(&mut flights, start).await);
            tokio::select! {
                Some(ended) = flights.next() => drop(warn_of(ended)),
                () = tokio::time::sleep(POLL) => {}
                _ = stop.changed() => {}
            }
        }
        flights.land(STOP_PATIENCE).await;
    }

    /// Claims as many due messages as may be on their way, fairly, and gives `each` away at once;
    /// gives how many.
    async fn claim_due(
        &self,
        flights: &mut Flights,
        mut each: impl FnMut(&mut Flights, Due, Delivery),
    ) -> Result<usize> {
        let mut claimed = 0;
        while flights.has_room() {
            let heads = self.claim_heads(flights).await?;
            if heads.is_empty() {
                break;
            }
            claimed += heads.len();
            for (due, delivery) in heads {
                each(flights, due, delivery);
            }
        }
        Ok(claimed)
    }

    /// Claims the first due message of each lane that may join those on their way.
    async fn claim_heads(&self, flights: &mut Flights) -> Result<Vec<(Due, Delivery)>> {
        let now = (self.clock)();
        let due = self
            .metadata
            .due_deliveries(now, DUE_OF_ORGANIZATION_MAX, DUE_MAX);
        let chosen = flights.choose(due.await?);
        let claimed = self.claim(&chosen).await;
        let mut claimed = claimed.inspect_err(|_| {
            for due in &chosen {
                flights.give_back(due);
            }
        })?;
        let mut started = Vec::with_capacity(claimed.len());
        for due in chosen {
            let mine = claimed.iter().position(|delivery| delivery.id == due.id);
            match mine.map(|index| claimed.swap_remove(index)) {
                Some(delivery) => started.push((due, delivery)),
                // Another server was faster.
                None => flights.give_back(&due),
            }
        }
        Ok(started)
    }

    async fn claim(&self, chosen: &[Due]) -> Result<Vec<Delivery>> {
        let ids: Vec<_> = chosen.iter().map(|due| due.id).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let _turn = self.turn().await;
        let now = (self.clock)();
        Ok(self.metadata.claim_deliveries(&ids, now, LEASE_MS).await?)
    }

    async fn try_one(self, delivery: Delivery) -> Result<()> {
        let secrets = match delivery.message.webhook {
            Some(webhook) => {
                let now = (self.clock)();
                self.metadata.signing_secrets(webhook, now).await?
            }
            None => Vec::new(),
        };
        let attempt = Attempt {
            client: &self.client,
            addresses: &self.addresses,
            delivery: &delivery,
            secrets,
        };
        let tried = attempt.make(&*self.clock).await;
        self.settle(&delivery, &tried).await?;
        let (id, attempts) = (delivery.id, delivery.attempts);
        tracing::debug!("delivery {id}, try {attempts}: {:?}", tried.end);
        Ok(())
    }

    /// Writes the end of a try, again and again while the database refuses it: a message that was
    /// posted must not be posted once more because we could not write that down.
    async fn settle(&self, delivery: &Delivery, tried: &Tried) -> Result<()> {
        let (started, ended_at) = (Instant::now(), (self.clock)());
        let (mut pause, pause_max) = SETTLE_PAUSES;
        loop {
            let turn = self.turn().await;
            let settled = self.metadata.settle_delivery(delivery, tried, ended_at);
            let settled = settled.await;
            drop(turn);
            match settled {
                Err(error) if is_passing(&error) && started.elapsed() < SETTLE_PATIENCE => {
                    let id = delivery.id;
                    tracing::warn!(
                        "the end of delivery {id} is written again: {}",
                        chain(&error)
                    );
                }
                settled => return Ok(settled.map(drop)?),
            }
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(pause_max);
        }
    }

    /// Waits until no other write of the outbox stands in line for the database.
    async fn turn(&self) -> SemaphorePermit<'_> {
        let turn = self.writes.acquire().await;
        turn.expect("the semaphore is never closed")
    }
}

fn is_passing(error: &metadata::Error) -> bool {
    matches!(error.kind(), Kind::Busy | Kind::Unavailable)
}

/// The value of a step, whose failure is logged and tried again by itself.
fn warn_of<T>(step: Result<T>) -> Option<T> {
    step.inspect_err(|error| tracing::warn!("the outbox met a failure: {}", chain(error)))
        .ok()
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
