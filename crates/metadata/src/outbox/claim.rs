//! Messages that are due, shared fairly between organizations and hosts, and how tries end.

use domain::Timestamp;
use domain::ids::{DeliveryId, OrganizationId};

use crate::database::{Transaction, sql};
use crate::error::Result;
use crate::instance::lease_end;
use crate::open::Metadata;
use crate::outbox::receiver::{self, HostNews};
use crate::outbox::{Delivery, DeliveryState, delivery_of};
use crate::webhook;

/// Characters of what a try met that are kept.
const ERROR_CHARS_MAX: usize = 500;

/// A message that may be claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The message.
    pub id: DeliveryId,
    /// Whose it is.
    pub organization: OrganizationId,
    /// The host it goes to, with its port.
    pub host: String,
    /// Tries of this host that failed one after the other.
    pub host_failures: u32,
}

/// What a try met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// What becomes of the message.
    pub end: TryEnd,
    /// Status the receiver answered.
    pub status: Option<u32>,
    /// Time it took, in milliseconds.
    pub response_ms: Option<u32>,
    /// What it says about the host.
    pub host: HostNews,
}

/// What becomes of a message after a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TryEnd {
    /// The receiver took it.
    Delivered,
    /// It is tried again.
    Again {
        /// When.
        at: Timestamp,
        /// What the try met.
        error: String,
    },
    /// It is given up.
    Failed {
        /// What the try met.
        error: String,
    },
    /// It is given up, and its webhook is disabled with it.
    Gone {
        /// What the try met.
        error: String,
    },
}

impl Metadata {
    /// The oldest due message of each lane, those of closed hosts left out.
    ///
    /// First comes one message of each organization, then the second of each, up to
    /// `organization_max`; `limit` in all. A lane with thousands of messages costs as much as one
    /// with a single message. Nothing is claimed yet.
    pub async fn due_deliveries(
        &self,
        now: Timestamp,
        organization_max: u32,
        limit: u32,
    ) -> Result<Vec<Due>> {
        // From each lane to the next by the index, then the head of each.
        let statement = sql("WITH RECURSIVE lanes(lane) AS (
                 SELECT min(lane) FROM outbox WHERE state = 'pending'
                 UNION ALL
                 SELECT (SELECT min(o.lane) FROM outbox o
                     WHERE o.state = 'pending' AND o.lane > lanes.lane)
                 FROM lanes WHERE lanes.lane IS NOT NULL
             ), heads(id) AS (
                 SELECT (SELECT o.id FROM outbox o
                     WHERE o.state = 'pending' AND o.lane = lanes.lane AND o.next_attempt_at <= $1
                     ORDER BY o.next_attempt_at, o.id LIMIT 1)
                 FROM lanes WHERE lanes.lane IS NOT NULL
             ), ranked AS (
                 SELECT o.id, o.organization_id, o.host, o.next_attempt_at,
                     coalesce(r.failures, 0) AS failures,
                     row_number() OVER (PARTITION BY o.organization_id
                         ORDER BY o.next_attempt_at, o.id) AS place
                 FROM heads JOIN outbox o ON o.id = heads.id
                 LEFT JOIN receivers r ON r.host = o.host
                 WHERE coalesce(r.closed_until, 0) <= $1
             )
             SELECT * FROM ranked WHERE place <= $2
             ORDER BY place, next_attempt_at, id LIMIT $3")
        .bind(now)
        .bind(organization_max)
        .bind(limit);
        let rows = self.database.read().all(statement).await?;
        let due = rows.iter().map(|row| {
            Ok(Due {
                id: row.get("id")?,
                organization: row.get("organization_id")?,
                host: row.get("host")?,
                host_failures: row.get("failures")?,
            })
        });
        due.collect()
    }

    /// Takes those of some messages that are still due for `lease_ms`; each counts as a try.
    pub async fn claim_deliveries(
        &self,
        due: &[DeliveryId],
        now: Timestamp,
        lease_ms: u32,
    ) -> Result<Vec<Delivery>> {
        let mut claimed = Vec::with_capacity(due.len());
        if due.is_empty() {
            return Ok(claimed);
        }
        let mut transaction = self.database.begin().await?;
        for id in due {
            let statement = sql(
                "UPDATE outbox SET attempts = attempts + 1, next_attempt_at = $3
                 WHERE id = $1 AND state = 'pending' AND next_attempt_at <= $2 RETURNING *",
            )
            .bind(*id)
            .bind(now)
            .bind(lease_end(now, lease_ms));
            let row = transaction.one(statement).await?;
            claimed.extend(row.as_ref().map(delivery_of).transpose()?);
        }
        transaction.commit().await?;
        Ok(claimed)
    }

    /// Notes the end of a try; a later claim of the same message makes it void (`false`).
    pub async fn settle_delivery(
        &self,
        delivery: &Delivery,
        tried: &Tried,
        now: Timestamp,
    ) -> Result<bool> {
        let mut transaction = self.database.begin().await?;
        receiver::note(&mut transaction, &delivery.host, tried.host, now).await?;
        let settled = settle(&mut transaction, delivery, tried, now).await?;
        if let (TryEnd::Gone { error }, Some(id)) = (&tried.end, delivery.message.webhook) {
            webhook::disable(&mut transaction, id, error, now).await?;
        }
        transaction.commit().await?;
        Ok(settled)
    }
}

async fn settle(
    transaction: &mut Transaction,
    delivery: &Delivery,
    tried: &Tried,
    now: Timestamp,
) -> Result<bool> {
    let (state, next, error) = match &tried.end {
        TryEnd::Delivered => (DeliveryState::Delivered, now, None),
        TryEnd::Again { at, error } => (DeliveryState::Pending, *at, Some(error)),
        TryEnd::Failed { error } | TryEnd::Gone { error } => {
            (DeliveryState::Failed, now, Some(error))
        }
    };
    let storable = |error: &String| {
        let characters = error.chars().filter(|&character| character != '\0');
        characters.take(ERROR_CHARS_MAX).collect::<String>()
    };
    let statement = sql(
        "UPDATE outbox SET state = $3, next_attempt_at = $4, last_error = $5, last_status = $6,
             response_ms = $7, last_attempt_at = $8
         WHERE id = $1 AND attempts = $2 AND state = 'pending'",
    )
    .bind(delivery.id)
    .bind(delivery.attempts)
    .bind(state)
    .bind(next)
    .bind(error.map(storable))
    .bind(tried.status)
    .bind(tried.response_ms)
    .bind(now);
    Ok(transaction.run(statement).await? > 0)
}
