//! The outbox: messages to the outside world, written with what they tell about.

use domain::Timestamp;
use domain::ids::{DeliveryId, ExportId};

use crate::check;
use crate::database::{Row, Transaction, sql, words};
use crate::error::{Error, Result};
use crate::instance::lease_end;
use crate::open::Metadata;
use crate::random;

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
    /// Where to.
    pub url: String,
    /// Media type of the body.
    pub content_type: String,
    /// What is sent.
    pub body: String,
    /// The export it tells about.
    pub export: Option<ExportId>,
}

/// A message of the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Identifier; the receiver may tell repeats by it.
    pub id: DeliveryId,
    /// What to send where.
    pub message: NewDelivery,
    /// How far it is.
    pub state: DeliveryState,
    /// How often it was tried; checked when it is settled.
    pub attempts: u32,
    /// When it is due, or when the running try is given up for lost.
    pub next_attempt_at: Timestamp,
    /// What the last try met.
    pub last_error: Option<String>,
    /// When it was written.
    pub created_at: Timestamp,
}

impl Metadata {
    /// Writes a message.
    pub async fn insert_delivery(&self, new: NewDelivery, now: Timestamp) -> Result<Delivery> {
        let mut transaction = self.database.begin().await?;
        let delivery = insert(&mut transaction, new, now).await?;
        transaction.commit().await?;
        Ok(delivery)
    }

    /// Takes up to `limit` due messages, oldest first, for `lease_ms`; each counts as a try.
    pub async fn claim_deliveries(
        &self,
        now: Timestamp,
        lease_ms: u32,
        limit: u32,
    ) -> Result<Vec<Delivery>> {
        let mut transaction = self.database.begin().await?;
        transaction.lock("outbox").await?;
        let statement = sql(
            "UPDATE outbox SET attempts = attempts + 1, next_attempt_at = $2
             WHERE id IN (SELECT id FROM outbox
                 WHERE state = 'pending' AND next_attempt_at <= $1
                 ORDER BY next_attempt_at, id LIMIT $3)
             RETURNING *",
        )
        .bind(now)
        .bind(lease_end(now, lease_ms))
        .bind(limit);
        let rows = transaction.all(statement).await?;
        transaction.commit().await?;
        let mut claimed: Vec<_> = rows.iter().map(delivery_of).collect::<Result<_>>()?;
        claimed.sort_by_key(|delivery| (delivery.created_at, delivery.id));
        Ok(claimed)
    }

    /// Notes the end of a try; a later claim of the same message makes it void (`false`).
    ///
    /// With state pending, `next_attempt_at` says when to try again.
    pub async fn settle_delivery(
        &self,
        delivery: &Delivery,
        state: DeliveryState,
        next_attempt_at: Timestamp,
        last_error: Option<&str>,
    ) -> Result<bool> {
        let statement = sql(
            "UPDATE outbox SET state = $3, next_attempt_at = $4, last_error = $5
             WHERE id = $1 AND attempts = $2 AND state = 'pending'",
        )
        .bind(delivery.id)
        .bind(delivery.attempts)
        .bind(state)
        .bind(next_attempt_at)
        .bind(last_error);
        Ok(self.database.run(statement).await? > 0)
    }
}

/// Writes a message in the transaction of what it tells about.
pub(crate) async fn insert(
    transaction: &mut Transaction,
    new: NewDelivery,
    now: Timestamp,
) -> Result<Delivery> {
    check::echo("url", &new.url)?;
    let id = DeliveryId::from_random(random::bits()?);
    let statement = sql(
        "INSERT INTO outbox (id, event, url, content_type, body, export_id, state,
             attempts, next_attempt_at, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $8) RETURNING *",
    )
    .bind(id)
    .bind(new.event)
    .bind(new.url)
    .bind(new.content_type)
    .bind(new.body)
    .bind(new.export)
    .bind(DeliveryState::Pending)
    .bind(now);
    let row = transaction.one(statement).await?;
    delivery_of(&row.ok_or_else(|| Error::not_found("delivery", id))?)
}

fn delivery_of(row: &Row) -> Result<Delivery> {
    Ok(Delivery {
        id: row.get("id")?,
        message: NewDelivery {
            event: row.get("event")?,
            url: row.get("url")?,
            content_type: row.get("content_type")?,
            body: row.get("body")?,
            export: row.maybe("export_id")?,
        },
        state: row.get("state")?,
        attempts: row.get("attempts")?,
        next_attempt_at: row.get("next_attempt_at")?,
        last_error: row.maybe("last_error")?,
        created_at: row.get("created_at")?,
    })
}
