//! Webhooks as they are.

use domain::Timestamp;
use domain::ids::{OrganizationId, WebhookId};
use domain::webhook::{EventType, Secret};

use crate::below::{Tops, below};
use crate::database::{Row, Transaction, either, sql};
use crate::error::{Error, Result};
use crate::open::Metadata;
use crate::page::{Page, PageRequest};
use crate::webhook::{Disabled, Webhook};

impl Metadata {
    /// The webhook with this id; the caller checks whether it may be seen.
    pub async fn find_webhook(&self, id: WebhookId) -> Result<Option<Webhook>> {
        let statement = sql("SELECT * FROM webhooks WHERE id = $1").bind(id);
        let row = self.database.read().one(statement).await?;
        row.as_ref().map(webhook_of).transpose()
    }

    /// The webhooks of the organizations that lie under `requester` at `at` and its own, by id.
    pub async fn list_webhooks(
        &self,
        requester: impl Into<Tops>,
        at: Timestamp,
        page: &PageRequest,
    ) -> Result<Page<Webhook>> {
        let requester = requester.into();
        let page = page.of("webhooks", vec![requester.clone().into()])?;
        let statement = sql(below!(
            "SELECT w.* FROM below JOIN webhooks w ON w.organization_id = below.id
             WHERE $3 IS NULL OR w.id > $3 ORDER BY w.id LIMIT $4"
        ))
        .bind(requester)
        .bind(at)
        .bind(page.after())
        .bind(page.rows());
        let rows = self.database.read().all(statement).await?;
        let webhooks = rows.iter().map(webhook_of).collect::<Result<_>>()?;
        Ok(page.cut(webhooks, |webhook: &Webhook| webhook.id.to_string()))
    }

    /// What signs a webhook's messages at `now`: its secret, and the one before while they overlap.
    pub async fn signing_secrets(&self, id: WebhookId, now: Timestamp) -> Result<Vec<Secret>> {
        let statement = sql("SELECT secret,
                 CASE WHEN old_secret_until > $2 THEN old_secret END AS old_secret
             FROM webhooks WHERE id = $1")
        .bind(id)
        .bind(now);
        let row = self.database.read().one(statement).await?;
        let row = row.ok_or_else(|| Error::not_found("webhook", id))?;
        let mut secrets = vec![row.get("secret")?];
        secrets.extend(row.maybe("old_secret")?);
        Ok(secrets)
    }
}

/// Reads a webhook and keeps others from changing it until the transaction ends.
pub(crate) async fn find_locked(transaction: &mut Transaction, id: WebhookId) -> Result<Webhook> {
    let statement = either(
        "SELECT * FROM webhooks WHERE id = $1",
        "SELECT * FROM webhooks WHERE id = $1 FOR UPDATE",
    );
    let row = transaction.one(statement.bind(id)).await?;
    webhook_of(&row.ok_or_else(|| Error::not_found("webhook", id))?)
}

/// The live webhooks with a URL of an organization and of those above it that asked for an event.
pub(crate) async fn hearing(
    transaction: &mut Transaction,
    event: EventType,
    organization: OrganizationId,
    at: Timestamp,
) -> Result<Vec<Webhook>> {
    let statement = sql("WITH RECURSIVE above(id) AS (
             SELECT CAST($1 AS TEXT)
             UNION
             SELECT edge.parent_id FROM organization_edges edge
             JOIN above ON edge.child_id = above.id
             WHERE edge.ended_revision IS NULL AND edge.valid_from <= $2 AND edge.valid_to > $2
         )
         SELECT w.* FROM above JOIN webhooks w ON w.organization_id = above.id
         WHERE w.url IS NOT NULL AND w.disabled_at IS NULL AND w.deleted_at IS NULL
         ORDER BY w.id")
    .bind(organization)
    .bind(at);
    let rows = transaction.all(statement).await?;
    let mut webhooks: Vec<_> = rows.iter().map(webhook_of).collect::<Result<_>>()?;
    webhooks.retain(|webhook| webhook.hears(event));
    Ok(webhooks)
}

/// The live webhook that signs the callbacks of an organization.
pub(crate) async fn find_callbacks(
    transaction: &mut Transaction,
    organization: OrganizationId,
) -> Result<Option<WebhookId>> {
    let statement = sql("SELECT id FROM webhooks WHERE organization_id = $1
             AND url IS NULL AND disabled_at IS NULL AND deleted_at IS NULL")
    .bind(organization);
    let row = transaction.one(statement).await?;
    row.map(|row| row.get("id")).transpose()
}

pub(super) fn webhook_of(row: &Row) -> Result<Webhook> {
    let disabled_at: Option<Timestamp> = row.maybe("disabled_at")?;
    let disabled = match disabled_at {
        Some(at) => Some(Disabled {
            at,
            reason: row.get("disabled_reason")?,
        }),
        None => None,
    };
    Ok(Webhook {
        id: row.get("id")?,
        organization: row.get("organization_id")?,
        url: row.maybe("url")?,
        description: row.get("description")?,
        event_types: event_types(&row.get::<String>("event_types")?)?,
        disabled,
        deleted_at: row.maybe("deleted_at")?,
        old_secret_until: row.maybe("old_secret_until")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

fn event_types(stored: &str) -> Result<Vec<EventType>> {
    let types = stored.split_whitespace().map(EventType::from_name);
    types.collect::<Option<_>>().ok_or_else(|| Error::Corrupt {
        column: "event_types".to_owned(),
        value: stored.chars().take(64).collect(),
        reason: "expected names of event types".to_owned(),
    })
}
