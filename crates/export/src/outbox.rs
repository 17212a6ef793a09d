//! Step 8 of usage out: messages to the outside world, off the path of every job.
//!
//! A message is a row, written with what it tells about. It is posted with time-outs, without
//! following redirects, to public addresses only, and tried again with growing pauses for a day.
//! Slots are shared between organizations and hosts, and a host that keeps failing is left alone
//! for a while, so that a dead receiver holds up nobody else's messages.

mod address;
mod attempt;
mod signature;
mod traffic;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::Timestamp;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use jiff::SignedDuration;
use metadata::{Delivery, Due, Metadata};
use reqwest::{Client, redirect};
use tokio::sync::watch;

use crate::error::{Error, Result};
use crate::worker::Clock;
use address::{Addresses, GuardedDns};
use attempt::Attempt;
use traffic::Traffic;

/// Due messages looked at at once, of one organization.
const DUE_OF_ORGANIZATION_MAX: u32 = 64;
/// Due messages looked at at once.
const DUE_MAX: u32 = 512;
/// Time a claimed message is left to its try, in milliseconds; longer than any try takes.
const LEASE_MS: u32 = 60_000;
/// Time a receiver may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time a receiver may take in all.
const TIMEOUT: Duration = Duration::from_secs(15);
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
}

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
        })
    }

    /// Says why no message could ever go to a URL; names are looked up later, at each try.
    pub fn check_url(&self, url: &str) -> std::result::Result<(), String> {
        self.addresses.acceptable(url).map(drop)
    }

    /// Tries messages that are due, a bounded number at once; gives how many.
    pub async fn tick(&self) -> Result<usize> {
        let claimed = self.claim(&mut Traffic::default()).await?;
        let tries = claimed.iter().map(|(_, delivery)| self.try_one(delivery));
        let settled = futures::future::join_all(tries).await;
        settled.into_iter().collect::<Result<Vec<()>>>()?;
        Ok(claimed.len())
    }

    /// Gives up what has waited too long and removes what is old; gives how many rows.
    pub async fn sweep(&self) -> Result<u64> {
        let now = (self.clock)();
        let before = |hours| {
            let then = now.checked_sub(SignedDuration::from_hours(hours));
            then.unwrap_or(Timestamp::MIN)
        };
        let (given_up, forgotten) = (before(WAIT_HOURS_MAX), before(24 * KEEP_DAYS));
        let swept = self
            .metadata
            .sweep_deliveries(given_up, forgotten, SWEEP_MAX);
        Ok(swept.await?)
    }

    /// Works until told to stop.
    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut traffic = Traffic::default();
        let mut flights = FuturesUnordered::new();
        let mut swept = None::<Instant>;
        while !*stop.borrow() {
            if swept.is_none_or(|last| last.elapsed() >= SWEEP_INTERVAL) {
                swept = Some(Instant::now());
                warn_of(self.sweep().await);
            }
            let claimed = self.claim(&mut traffic).await;
            for (due, delivery) in warn_of(claimed).unwrap_or_default() {
                let this = &self;
                flights.push(async move {
                    warn_of(this.try_one(&delivery).await);
                    due
                });
            }
            tokio::select! {
                Some(due) = flights.next() => traffic.end(&due),
                () = tokio::time::sleep(POLL) => {}
                _ = stop.changed() => {}
            }
        }
        while flights.next().await.is_some() {}
    }

    /// Claims as many due messages as may be on their way, fairly.
    async fn claim(&self, traffic: &mut Traffic) -> Result<Vec<(Due, Delivery)>> {
        let mut all = Vec::new();
        while traffic.has_room() {
            match self.claim_heads(traffic).await {
                Ok(claimed) if claimed.is_empty() => break,
                Ok(claimed) => all.extend(claimed),
                Err(error) if all.is_empty() => return Err(error),
                // What is claimed goes out; the failure will be met again.
                Err(_) => break,
            }
        }
        Ok(all)
    }

    /// Claims the first due message of each lane that may join those on their way.
    async fn claim_heads(&self, traffic: &mut Traffic) -> Result<Vec<(Due, Delivery)>> {
        let now = (self.clock)();
        let due = self
            .metadata
            .due_deliveries(now, DUE_OF_ORGANIZATION_MAX, DUE_MAX);
        let chosen = traffic.choose(due.await?);
        let ids: Vec<_> = chosen.iter().map(|due| due.id).collect();
        let claimed = self.metadata.claim_deliveries(&ids, now, LEASE_MS).await;
        let mut claimed = claimed.inspect_err(|_| {
            for due in &chosen {
                traffic.end(due);
            }
        })?;
        let mut started = Vec::with_capacity(claimed.len());
        for due in chosen {
            let mine = claimed.iter().position(|delivery| delivery.id == due.id);
            match mine.map(|index| claimed.swap_remove(index)) {
                Some(delivery) => started.push((due, delivery)),
                // Another server was faster.
                None => traffic.end(&due),
            }
        }
        Ok(started)
    }

    async fn try_one(&self, delivery: &Delivery) -> Result<()> {
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
            delivery,
            secrets,
        };
        let tried = attempt.make(&*self.clock).await;
        let now = (self.clock)();
        self.metadata.settle_delivery(delivery, &tried, now).await?;
        let (id, attempts) = (delivery.id, delivery.attempts);
        tracing::debug!("delivery {id}, try {attempts}: {:?}", tried.end);
        Ok(())
    }
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
