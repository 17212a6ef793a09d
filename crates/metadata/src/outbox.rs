//! The outbox: messages to the outside world, written with what they tell about.

use domain::Timestamp;
use domain::ids::{DeliveryId, ExportId};

use crate::database::words;
use crate::error::Result;
use crate::open::Metadata;

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
        todo!()
    }

    /// Takes up to `limit` due messages, oldest first, for `lease_ms`; each counts as a try.
    pub async fn claim_deliveries(
        &self,
        now: Timestamp,
        lease_ms: u32,
        limit: u32,
    ) -> Result<Vec<Delivery>> {
        todo!()
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
        todo!()
    }
}
