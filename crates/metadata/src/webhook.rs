//! Webhooks: who is told of what, and what signs it.

mod read;
mod write;

use domain::Timestamp;
use domain::ids::{OrganizationId, WebhookId};
use domain::webhook::{EventType, Secret};

pub(crate) use read::{find_callbacks, find_locked, hearing};
pub(crate) use write::disable;

/// A webhook, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Identifier.
    pub id: WebhookId,
    /// It hears of this organization and of everything under it.
    pub organization: OrganizationId,
    /// Where messages go; `None` for the one that signs the organization's callbacks.
    pub url: Option<String>,
    /// For people.
    pub description: String,
    /// What it hears of; empty for everything.
    pub event_types: Vec<EventType>,
    /// Since when it hears of nothing, and why.
    pub disabled: Option<Disabled>,
    /// When it was given up for ever.
    pub deleted_at: Option<Timestamp>,
    /// Until when the secret before the last rotation signs as well.
    pub old_secret_until: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Since when and why a webhook hears of nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disabled {
    /// Since when.
    pub at: Timestamp,
    /// Why, for people.
    pub reason: String,
}

/// A webhook to create.
#[derive(Debug, Clone)]
pub struct NewWebhook {
    /// It hears of this organization and of everything under it.
    pub organization: OrganizationId,
    /// Where messages go; `None` for the one that signs the organization's callbacks.
    pub url: Option<String>,
    /// For people, up to 255 characters.
    pub description: String,
    /// What it hears of; empty for everything.
    pub event_types: Vec<EventType>,
    /// What signs its messages.
    pub secret: Secret,
    /// Whether it starts asleep.
    pub disabled: bool,
}

/// What a webhook is to be like.
#[derive(Debug, Clone)]
pub struct WebhookChange {
    /// Where messages go; cannot be given to one that had no URL, nor taken away.
    pub url: Option<String>,
    /// For people, up to 255 characters.
    pub description: String,
    /// What it hears of; empty for everything.
    pub event_types: Vec<EventType>,
    /// Whether it hears of nothing.
    pub disabled: bool,
}

impl Webhook {
    /// Whether messages are written for it.
    pub fn is_live(&self) -> bool {
        self.disabled.is_none() && self.deleted_at.is_none()
    }

    /// Whether it asked to hear of this.
    pub fn hears(&self, event: EventType) -> bool {
        self.event_types.is_empty() || self.event_types.contains(&event)
    }
}
