//! Webhooks that come, change and go.

use domain::Timestamp;
use domain::ids::{OrganizationId, WebhookId};
use domain::limits::{NAME_CHARS_MAX, WEBHOOK_URL_CHARS_MAX, WEBHOOKS_MAX};
use domain::webhook::{EventType, Secret};

use crate::check;
use crate::database::{Transaction, sql};
use crate::error::{Error, Result};
use crate::open::Metadata;
use crate::organization;
use crate::outbox;
use crate::random;
use crate::webhook::read::{find_locked, webhook_of};
use crate::webhook::{NewWebhook, Webhook, WebhookChange};

const BY_REQUEST: &str = "by request";

impl Metadata {
    /// Creates a webhook; [`Error::TooManyWebhooks`] when the organization has enough.
    pub async fn insert_webhook(&self, new: NewWebhook, now: Timestamp) -> Result<Webhook> {
        checked(new.url.as_deref(), &new.description, None)?;
        let mut transaction = self.database.begin().await?;
        organization::must_exist(&mut transaction, new.organization).await?;
        transaction.lock("webhooks").await?;
        if count(&mut transaction, new.organization).await? >= WEBHOOKS_MAX {
            return Err(Error::TooManyWebhooks {
                organization: new.organization,
                limit: WEBHOOKS_MAX,
            });
        }
        let webhook = insert(&mut transaction, new, now).await?;
        transaction.commit().await?;
        Ok(webhook)
    }

    /// Changes a webhook; messages that wait go to the new URL, or fail when it is disabled.
    pub async fn put_webhook(
        &self,
        id: WebhookId,
        change: &WebhookChange,
        now: Timestamp,
    ) -> Result<Webhook> {
        let mut transaction = self.database.begin().await?;
        let before = must_be_there(&mut transaction, id).await?;
        let description = Some(before.description.as_str());
        checked(change.url.as_deref(), &change.description, description)?;
        if before.url.is_some() != change.url.is_some() {
            let reason = "a webhook for callbacks has none, and every other has one";
            return Err(Error::invalid("url", reason));
        }
        let statement = sql(
            "UPDATE webhooks SET url = $2, description = $3, event_types = $4,
                 disabled_at = CASE WHEN $5 THEN coalesce(disabled_at, $6) END,
                 disabled_reason = CASE WHEN $5 THEN coalesce(disabled_reason, $7) END,
                 updated_at = $6
             WHERE id = $1 RETURNING *",
        )
        .bind(id)
        .bind(change.url.as_ref())
        .bind(&change.description)
        .bind(names(&change.event_types))
        .bind(change.disabled)
        .bind(now)
        .bind(BY_REQUEST);
        let row = transaction.one(statement).await?;
        let webhook = webhook_of(&row.ok_or_else(|| Error::not_found("webhook", id))?)?;
        if change.disabled {
            outbox::fail_of_webhook(&mut transaction, id, "the webhook is disabled").await?;
        } else if let Some(url) = change.url.as_ref().filter(|_| before.url != change.url) {
            outbox::redirect_of_webhook(&mut transaction, &webhook, url).await?;
        }
        transaction.commit().await?;
        Ok(webhook)
    }

    /// Gives a webhook up for ever; its messages stay listed. Doing it again changes nothing.
    pub async fn delete_webhook(&self, id: WebhookId, now: Timestamp) -> Result<Webhook> {
        let mut transaction = self.database.begin().await?;
        let statement = sql("UPDATE webhooks SET deleted_at = coalesce(deleted_at, $2),
                 old_secret = NULL, old_secret_until = NULL, updated_at = $2
             WHERE id = $1 RETURNING *")
        .bind(id)
        .bind(now);
        let row = transaction.one(statement).await?;
        let webhook = webhook_of(&row.ok_or_else(|| Error::not_found("webhook", id))?)?;
        outbox::fail_of_webhook(&mut transaction, id, "the webhook was deleted").await?;
        transaction.commit().await?;
        Ok(webhook)
    }

    /// Gives a webhook another secret; the one it had signs beside it for `overlap_seconds`.
    pub async fn rotate_webhook(
        &self,
        id: WebhookId,
        secret: &Secret,
        overlap_seconds: u32,
        now: Timestamp,
    ) -> Result<Webhook> {
        let mut transaction = self.database.begin().await?;
        must_be_there(&mut transaction, id).await?;
        let until = (overlap_seconds > 0)
            .then(|| now.as_microsecond() + i64::from(overlap_seconds) * 1_000_000);
        let statement = sql("UPDATE webhooks SET
                 old_secret = CASE WHEN $3 IS NOT NULL THEN secret END,
                 old_secret_until = $3, secret = $2, updated_at = $4
             WHERE id = $1 RETURNING *")
        .bind(id)
        .bind(secret)
        .bind(until)
        .bind(now);
        let row = transaction.one(statement).await?;
        let webhook = webhook_of(&row.ok_or_else(|| Error::not_found("webhook", id))?)?;
        transaction.commit().await?;
        Ok(webhook)
    }
}

/// Disables a webhook for a reason; its messages that wait fail with it.
pub(crate) async fn disable(
    transaction: &mut Transaction,
    id: WebhookId,
    reason: &str,
    now: Timestamp,
) -> Result<()> {
    let statement = sql(
        "UPDATE webhooks SET disabled_at = $2, disabled_reason = $3, updated_at = $2
             WHERE id = $1 AND url IS NOT NULL AND disabled_at IS NULL",
    )
    .bind(id)
    .bind(now)
    .bind(reason);
    if transaction.run(statement).await? > 0 {
        outbox::fail_of_webhook(transaction, id, reason).await?;
    }
    Ok(())
}

async fn insert(transaction: &mut Transaction, new: NewWebhook, now: Timestamp) -> Result<Webhook> {
    let id = WebhookId::from_random(random::bits()?);
    let statement = sql(
        "INSERT INTO webhooks (id, organization_id, url, description, event_types, secret,
             disabled_at, disabled_reason, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9) RETURNING *",
    )
    .bind(id)
    .bind(new.organization)
    .bind(new.url)
    .bind(new.description)
    .bind(names(&new.event_types))
    .bind(&new.secret)
    .bind(new.disabled.then_some(now))
    .bind(new.disabled.then_some(BY_REQUEST))
    .bind(now);
    let row = transaction.one(statement).await?;
    webhook_of(&row.ok_or_else(|| Error::not_found("webhook", id))?)
}

async fn count(transaction: &mut Transaction, organization: OrganizationId) -> Result<u32> {
    let statement = sql("SELECT count(*) AS webhooks FROM webhooks
         WHERE organization_id = $1 AND deleted_at IS NULL")
    .bind(organization);
    let row = transaction.one(statement).await?;
    row.map_or(Ok(0), |row| row.get("webhooks"))
}

async fn must_be_there(transaction: &mut Transaction, id: WebhookId) -> Result<Webhook> {
    let webhook = find_locked(transaction, id).await?;
    match webhook.deleted_at {
        None => Ok(webhook),
        Some(_) => Err(Error::WebhookOff {
            webhook: id,
            state: "deleted",
        }),
    }
}

fn checked(url: Option<&str>, description: &str, before: Option<&str>) -> Result<()> {
    if let Some(url) = url {
        check::chars("url", url, 1, WEBHOOK_URL_CHARS_MAX)?;
    }
    check::rewritten("description", description, before, NAME_CHARS_MAX)
}

fn names(types: &[EventType]) -> String {
    let names: Vec<_> = types.iter().map(|kind| kind.as_str()).collect();
    names.join(" ")
}
