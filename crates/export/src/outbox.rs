//! Step 8 of usage out: messages to the outside world, off the path of every job.
//!
//! A message is a row, written with what it tells about. It is posted with time-outs, without
//! following redirects, to public addresses only, and tried again with growing pauses for a day.

mod address;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use domain::Timestamp;
use futures::future::join_all;
use jiff::SignedDuration;
use metadata::{Delivery, DeliveryState, Metadata};
use reqwest::header::{CONTENT_TYPE, USER_AGENT};
use reqwest::{Client, redirect};
use tokio::sync::watch;
use url::{Host, Url};

use crate::error::{Error, Result};
use crate::worker::Clock;
use address::{GuardedDns, is_public};

/// Messages on their way at once.
const DELIVERIES_MAX: u32 = 16;
/// Time a claimed message is left to its try, in milliseconds; longer than any try takes.
const LEASE_MS: u32 = 60_000;
/// Time a receiver may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time a receiver may take in all.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Time between looks for due messages.
const POLL: Duration = Duration::from_secs(1);
/// Pauses before the second and each later try, in seconds; together about a day.
const PAUSES_SECONDS: [i64; 8] = [10, 60, 300, 1_800, 7_200, 14_400, 28_800, 36_000];
/// Part of a pause, in percent, by which tries of different messages are spread.
const SPREAD_PERCENT: i64 = 20;

/// Posts the messages of the outbox.
#[derive(Clone)]
pub struct Outbox {
    metadata: Metadata,
    client: Client,
    clock: Clock,
    allowed: Arc<[IpAddr]>,
}

impl fmt::Debug for Outbox {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = formatter.debug_struct("Outbox");
        fields
            .field("allowed", &self.allowed)
            .finish_non_exhaustive()
    }
}

/// How a try ended.
enum Outcome {
    Delivered,
    Again(String),
    Never(String),
}

impl Outbox {
    /// An outbox that posts to public addresses and to those in `allowed`.
    pub fn new(metadata: Metadata, clock: Clock, allowed: Vec<IpAddr>) -> Result<Self> {
        // Another part of the process may have installed a provider before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let allowed: Arc<[IpAddr]> = allowed.into();
        let client = Client::builder()
            .dns_resolver(GuardedDns::new(Arc::clone(&allowed)))
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
            allowed,
        })
    }

    /// Tries every message that is due, a bounded number at once; gives how many.
    pub async fn tick(&self) -> Result<usize> {
        let claimed = self
            .metadata
            .claim_deliveries((self.clock)(), LEASE_MS, DELIVERIES_MAX);
        let claimed = claimed.await?;
        let tries = claimed.iter().map(|delivery| self.try_one(delivery));
        let settled: Result<Vec<()>> = join_all(tries).await.into_iter().collect();
        Ok(settled?.len())
    }

    /// Works until told to stop.
    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            match self.tick().await {
                Ok(tried) if tried > 0 => continue,
                Ok(_) => {}
                Err(error) => tracing::warn!("the outbox met a failure: {}", chain(&error)),
            }
            tokio::select! {
                () = tokio::time::sleep(POLL) => {}
                _ = stop.changed() => {}
            }
        }
    }

    async fn try_one(&self, delivery: &Delivery) -> Result<()> {
        let outcome = self.post(delivery).await;
        let now = (self.clock)();
        let pause = pause(delivery);
        let (state, next, error) = match (outcome, pause) {
            (Outcome::Delivered, _) => (DeliveryState::Delivered, now, None),
            (Outcome::Again(error), Some(pause)) => {
                let next = now.saturating_add(pause).unwrap_or(Timestamp::MAX);
                (DeliveryState::Pending, next, Some(error))
            }
            (Outcome::Again(error), None) | (Outcome::Never(error), _) => {
                (DeliveryState::Failed, now, Some(error))
            }
        };
        if let Some(error) = &error {
            let (id, attempts) = (delivery.id, delivery.attempts);
            tracing::info!("delivery {id} failed at try {attempts}: {error}");
        }
        let settled = self
            .metadata
            .settle_delivery(delivery, state, next, error.as_deref());
        settled.await?;
        Ok(())
    }

    async fn post(&self, delivery: &Delivery) -> Outcome {
        let message = &delivery.message;
        let url = match self.acceptable(&message.url) {
            Ok(url) => url,
            Err(reason) => return Outcome::Never(reason),
        };
        let request = self.client.post(url);
        let request = request.header(CONTENT_TYPE, &message.content_type);
        let request = request.header(USER_AGENT, "Tallyport");
        // The body of the answer is never read: only its status counts.
        match request.body(message.body.clone()).send().await {
            Ok(answer) if answer.status().is_success() => Outcome::Delivered,
            Ok(answer) => Outcome::Again(format!("the receiver answered {}", answer.status())),
            Err(error) => Outcome::Again(chain(&error.without_url())),
        }
    }

    /// Refuses what no try can change; names are looked up, and their addresses checked, later.
    fn acceptable(&self, text: &str) -> Result<Url, String> {
        let url: Url = text
            .parse()
            .map_err(|error| format!("not a URL: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("scheme {} is not http or https", url.scheme()));
        }
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(_)) => return Ok(url),
            None => return Err("the URL names no host".into()),
        };
        if is_public(address) || self.allowed.contains(&address) {
            return Ok(url);
        }
        Err(format!("{address} is not a public address"))
    }
}

/// The pause after a failed try; `None` after the last.
fn pause(delivery: &Delivery) -> Option<SignedDuration> {
    let tried = usize::try_from(delivery.attempts).unwrap_or(usize::MAX);
    let seconds = *PAUSES_SECONDS.get(tried.saturating_sub(1))?;
    let last = delivery.id.as_str().bytes().last().unwrap_or_default();
    let spread = seconds * SPREAD_PERCENT / 100 * i64::from(last % 16) / 16;
    Some(SignedDuration::from_secs(seconds + spread))
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
