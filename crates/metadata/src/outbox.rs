//! The outbox: messages to the outside world, written with what they tell about.

mod claim;
mod log;
mod receiver;

use domain::Timestamp;
use domain::ids::{DeliveryId, ExportId, OrganizationId, WebhookId};
use domain::limits::MESSAGE_BODY_BYTES_MAX;
use domain::webhook::EventType;
use serde::Serialize;
use url::Url;

use crate::check;
use crate::database::{Row, Transaction, sql, words};
use crate::error::{Error, Result};
use crate::open::Metadata;
use crate::random;
use crate::webhook;

pub use claim::{Due, Tried, TryEnd};
pub(crate) use log::{fail_of_webhook, redirect_of_webhook};
pub use receiver::{HOST_FAILURES_MAX, HostNews};

/// Media type of signed messages.
pub(crate) const JSON: &str = "application/json";
/// Characters of a host by which messages are told apart; names of the internet are shorter.
const HOST_CHARS_MAX: usize = 300;

words! {
    /// How far a message is.
    pub enum DeliveryState {
        /// To be sent, now or again later.
        Pending = "pending",
        /// The receiver took it.
        Delivered = "delivered",
        /// Given up.
        Failed = "failed",
    }
}

/// A message to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelivery {
    /// What happened, such as `export.settled`.
    pub event: String,
    /// Whose message it is; slots are shared fairly between organizations.
    pub organization: OrganizationId,
    /// Where to.
    pub url: String,
    /// Media type of the body.
    pub content_type: String,
    /// What is sent.
    pub body: String,
    /// The export it tells about.
    pub export: Option<ExportId>,
    /// The webhook whose secret signs it.
    pub webhook: Option<WebhookId>,
}

/// A message of the outbox, with what its last try met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Identifier, the same at every try; the receiver may tell repeats by it.
    pub id: DeliveryId,
    /// What to send where.
    pub message: NewDelivery,
    /// The host it goes to, with its port.
    pub host: String,
    /// How far it is.
    pub state: DeliveryState,
    /// How often it was tried; checked when it is settled.
    pub attempts: u32,
    /// How many of these tries came before it was last replayed.
    pub attempts_before: u32,
    /// When it is due, or when the running try is given up for lost.
    pub next_attempt_at: Timestamp,
    /// What the last try met.
    pub last_error: Option<String>,
    /// Status the receiver last answered.
    pub last_status: Option<u32>,
    /// When the last try ended.
    pub last_attempt_at: Option<Timestamp>,
    /// Time the last try took, in milliseconds.
    pub response_ms: Option<u32>,
    /// When it was written.
    pub created_at: Timestamp,
}

impl Delivery {
    /// How often it was tried since it was written or last replayed.
    pub fn tries(&self) -> u32 {
        self.attempts.saturating_sub(self.attempts_before)
    }
}

/// Something that happened and that webhooks may hear of.
pub(crate) struct Event<D> {
    pub(crate) kind: EventType,
    /// Where it happened: webhooks of this organization and of those above it hear of it.
    pub(crate) organization: OrganizationId,
    /// The export it is about.
    pub(crate) export: Option<ExportId>,
    /// What it says, as an object.
    pub(crate) data: D,
}

#[derive(Serialize)]
struct Body<'a, D> {
    r#type: &'static str,
    timestamp: Timestamp,
    data: &'a D,
}

impl<D: Serialize> Event<D> {
    /// What is sent.
    pub(crate) fn body(&self, now: Timestamp) -> String {
        let body = Body {
            r#type: self.kind.as_str(),
            timestamp: now,
            data: &self.data,
        };
        serde_json::to_string(&body).expect("plain members have a JSON form")
    }

    /// The message that tells it to `url` in the name of `webhook`.
    pub(crate) fn message(&self, webhook: WebhookId, url: String, now: Timestamp) -> NewDelivery {
        NewDelivery {
            event: self.kind.as_str().to_owned(),
            organization: self.organization,
            url,
            content_type: JSON.to_owned(),
            body: self.body(now),
            export: self.export,
            webhook: Some(webhook),
        }
    }
}

/// Writes a message for every webhook that asked to hear of an event, in the event's transaction.
pub(crate) async fn tell<D: Serialize>(
    transaction: &mut Transaction,
    event: &Event<D>,
    now: Timestamp,
) -> Result<()> {
    let hearing = webhook::hearing(transaction, event.kind, event.organization, now).await?;
    for webhook in hearing {
        if let Some(url) = webhook.url {
            let mut message = event.message(webhook.id, url, now);
            message.organization = webhook.organization;
            insert(transaction, message, now).await?;
        }
    }
    Ok(())
}

impl Metadata {
    /// Writes a message.
    pub async fn insert_delivery(&self, new: NewDelivery, now: Timestamp) -> Result<Delivery> {
        let mut transaction = self.database.begin().await?;
        let delivery = insert(&mut transaction, new, now).await?;
        transaction.commit().await?;
        Ok(delivery)
    }
}

/// Writes a message in the transaction of what it tells about.
pub(crate) async fn insert(
    transaction: &mut Transaction,
    new: NewDelivery,
    now: Timestamp,
) -> Result<Delivery> {
    check::echo("url", &new.url)?;
    if new.body.len() > MESSAGE_BODY_BYTES_MAX {
        let reason = format!("is longer than {MESSAGE_BODY_BYTES_MAX} bytes");
        return Err(Error::invalid("body", reason));
    }
    let id = DeliveryId::from_random(random::bits()?);
    let host = host(&new.url);
    let statement = sql(
        "INSERT INTO outbox (id, event, url, content_type, body, export_id, webhook_id,
             organization_id, host, lane, state, attempts, next_attempt_at, queued_at, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, $12, $12, $12) RETURNING *",
    )
    .bind(id)
    .bind(new.event)
    .bind(new.url)
    .bind(new.content_type)
    .bind(new.body)
    .bind(new.export)
    .bind(new.webhook)
    .bind(new.organization)
    .bind(&host)
    .bind(lane(new.organization, &host))
    .bind(DeliveryState::Pending)
    .bind(now);
    let row = transaction.one(statement).await?;
    delivery_of(&row.ok_or_else(|| Error::not_found("delivery", id))?)
}

/// The host of a URL with its port, whatever the spelling; a text that is no URL is its own.
pub(crate) fn host(url: &str) -> String {
    let parsed = Url::parse(url).ok();
    let host = parsed.and_then(|url| {
        let port = url.port_or_known_default()?;
        Some(format!("{}:{port}", url.host_str()?))
    });
    let host = host.unwrap_or_else(|| url.to_owned());
    host.chars().take(HOST_CHARS_MAX).collect()
}

/// One organization's messages to one host.
pub(crate) fn lane(organization: OrganizationId, host: &str) -> String {
    format!("{organization} {host}")
}

fn delivery_of(row: &Row) -> Result<Delivery> {
    Ok(Delivery {
        id: row.get("id")?,
        message: NewDelivery {
            event: row.get("event")?,
            organization: row.get("organization_id")?,
            url: row.get("url")?,
            content_type: row.get("content_type")?,
            body: row.get("body")?,
            export: row.maybe("export_id")?,
            webhook: row.maybe("webhook_id")?,
        },
        host: row.get("host")?,
        state: row.get("state")?,
        attempts: row.get("attempts")?,
        attempts_before: row.get("attempts_before")?,
        next_attempt_at: row.get("next_attempt_at")?,
        last_error: row.maybe("last_error")?,
        last_status: row.maybe("last_status")?,
        last_attempt_at: row.maybe("last_attempt_at")?,
        response_ms: row.maybe("response_ms")?,
        created_at: row.get("created_at")?,
    })
}

#[cfg(test)]
mod tests {
    use super::host;

    #[test]
    fn a_host_is_the_same_however_its_url_spells_it() {
        for url in ["http://EXAMPLE.com", "http://example.com:80/a?b#c"] {
            assert_eq!(host(url), "example.com:80");
        }
        assert_eq!(host("https://example.com/"), "example.com:443");
        assert_eq!(host("http://0x7f.1/"), "127.0.0.1:80");
        assert_eq!(host("no url"), "no url");
        assert_eq!(host(&"x".repeat(2_000)).len(), 300);
    }
}
