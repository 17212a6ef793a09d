//! What became of messages: listed, replayed, given up and swept.

use domain::Timestamp;
use domain::ids::{DeliveryId, WebhookId};

use crate::database::{Transaction, sql};
use crate::error::{Error, Result};
use crate::open::Metadata;
use crate::outbox::{Delivery, DeliveryState, Event, delivery_of, host, insert, lane};
use crate::page::{Page, PageRequest};
use crate::webhook::{Webhook, find_locked};

impl Metadata {
    /// The messages of a webhook, newest first, all or those in one state.
    pub async fn list_deliveries(
        &self,
        webhook: WebhookId,
        state: Option<DeliveryState>,
        page: &PageRequest,
    ) -> Result<Page<Delivery>> {
        let page = page.of("deliveries", vec![webhook.into(), state.into()])?;
        let after = page.after_of(split_key)?;
        let statement = sql("SELECT * FROM outbox WHERE webhook_id = $1
                 AND ($2 IS NULL OR state = $2)
                 AND ($3 IS NULL OR (created_at, id) < ($3, $4))
             ORDER BY created_at DESC, id DESC LIMIT $5")
        .bind(webhook)
        .bind(state)
        .bind(after.map(|(created_at, _)| created_at))
        .bind(after.map(|(_, id)| id))
        .bind(page.rows());
        let rows = self.database.read().all(statement).await?;
        let deliveries = rows.iter().map(delivery_of).collect::<Result<_>>()?;
        Ok(page.cut(deliveries, |delivery: &Delivery| {
            format!("{}:{}", delivery.created_at.as_microsecond(), delivery.id)
        }))
    }

    /// Writes a message of a webhook's own, such as a test, whatever it asked to hear of.
    pub async fn tell_webhook<D: serde::Serialize>(
        &self,
        id: WebhookId,
        kind: domain::webhook::EventType,
        data: D,
        now: Timestamp,
    ) -> Result<Delivery> {
        let mut transaction = self.database.begin().await?;
        let webhook = find_locked(&mut transaction, id).await?;
        let url = url_of(&webhook)?;
        let event = Event {
            kind,
            organization: webhook.organization,
            export: None,
            data,
        };
        let delivery = insert(&mut transaction, event.message(id, url, now), now).await?;
        transaction.commit().await?;
        Ok(delivery)
    }

    /// Sends a message of a webhook again that has come to its end, under the same id.
    pub async fn replay_delivery(
        &self,
        webhook: WebhookId,
        id: DeliveryId,
        now: Timestamp,
    ) -> Result<Delivery> {
        let mut transaction = self.database.begin().await?;
        let owner = find_locked(&mut transaction, webhook).await?;
        must_be_live(&owner)?;
        let found = sql("SELECT * FROM outbox WHERE id = $1 AND webhook_id = $2")
            .bind(id)
            .bind(webhook);
        let found = transaction.one(found).await?;
        let found = delivery_of(&found.ok_or_else(|| Error::not_found("delivery", id))?)?;
        // A callback goes where its job wanted it; everything else where the webhook is now.
        let url = owner.url.unwrap_or(found.message.url);
        let host = host(&url);
        let statement = sql(
            "UPDATE outbox SET state = 'pending', attempts_before = attempts, queued_at = $2,
                 next_attempt_at = $2, url = $3, host = $4, lane = $5
             WHERE id = $1 AND state <> 'pending' RETURNING *",
        )
        .bind(id)
        .bind(now)
        .bind(&url)
        .bind(&host)
        .bind(lane(found.message.organization, &host));
        let row = transaction.one(statement).await?;
        let delivery = delivery_of(&row.ok_or(Error::DeliveryPending { delivery: id })?)?;
        transaction.commit().await?;
        Ok(delivery)
    }

    /// Gives up messages that have waited since before `given_up`, and removes ends, hosts and
    /// deleted webhooks older than `forgotten`; up to `limit` of each. Gives how many.
    pub async fn sweep_deliveries(
        &self,
        given_up: Timestamp,
        forgotten: Timestamp,
        limit: u32,
    ) -> Result<u64> {
        let mut swept = 0;
        let give_up = sql("UPDATE outbox SET state = 'failed',
                 last_error = coalesce(last_error, 'its host was closed for too long')
             WHERE id IN (SELECT id FROM outbox
                 WHERE created_at < $1 AND queued_at < $1 AND next_attempt_at < $1
                     AND state = 'pending' LIMIT $2)");
        let forget = sql("DELETE FROM outbox WHERE id IN (SELECT id FROM outbox
             WHERE created_at < $1 AND queued_at < $1 AND state <> 'pending' LIMIT $2)");
        let reopen = sql(
            "DELETE FROM receivers WHERE host IN (SELECT host FROM receivers
             WHERE failed_at < $1 AND closed_until < $1 LIMIT $2)",
        );
        let bury = sql(
            "DELETE FROM webhooks WHERE id IN (SELECT w.id FROM webhooks w
             WHERE w.deleted_at < $1
                 AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.webhook_id = w.id) LIMIT $2)",
        );
        for (statement, before) in [
            (give_up, given_up),
            (forget, forgotten),
            (reopen, given_up),
            (bury, forgotten),
        ] {
            swept += self
                .database
                .run(statement.bind(before).bind(limit))
                .await?;
        }
        Ok(swept)
    }
}

/// Fails the messages of a webhook that wait; a running try of one settles nothing then.
pub(crate) async fn fail_of_webhook(
    transaction: &mut Transaction,
    webhook: WebhookId,
    reason: &str,
) -> Result<()> {
    let statement = sql("UPDATE outbox SET state = 'failed', last_error = $2
         WHERE webhook_id = $1 AND state = 'pending'")
    .bind(webhook)
    .bind(reason);
    transaction.run(statement).await.map(drop)
}

/// Sends the messages of a webhook that wait to its new URL.
pub(crate) async fn redirect_of_webhook(
    transaction: &mut Transaction,
    webhook: &Webhook,
    url: &str,
) -> Result<()> {
    let host = host(url);
    let statement = sql("UPDATE outbox SET url = $2, host = $3, lane = $4
         WHERE webhook_id = $1 AND state = 'pending'")
    .bind(webhook.id)
    .bind(url)
    .bind(&host)
    .bind(lane(webhook.organization, &host));
    transaction.run(statement).await.map(drop)
}

fn must_be_live(webhook: &Webhook) -> Result<()> {
    if webhook.is_live() {
        return Ok(());
    }
    let state = match webhook.deleted_at {
        Some(_) => "deleted",
        None => "disabled",
    };
    Err(Error::WebhookOff {
        webhook: webhook.id,
        state,
    })
}

fn url_of(webhook: &Webhook) -> Result<String> {
    must_be_live(webhook)?;
    let url = webhook.url.clone();
    url.ok_or_else(|| Error::invalid("url", "a webhook for callbacks has no URL of its own"))
}

fn split_key(key: &str) -> Option<(i64, DeliveryId)> {
    let (micros, id) = key.split_once(':')?;
    Some((micros.parse().ok()?, id.parse().ok()?))
}
