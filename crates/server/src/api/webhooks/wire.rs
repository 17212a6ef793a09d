//! Webhooks on the wire. A secret is shown only in the answer that made it.

use std::fmt;

use domain::Timestamp;
use domain::ids::{OrganizationId, WebhookId};
use domain::limits::WEBHOOK_URL_CHARS_MAX;
use domain::webhook::{EventType, Secret, SecretError};
use metadata::Webhook;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::random;

/// A webhook without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookOut {
    #[schema(value_type = String)]
    id: WebhookId,
    /// It hears of this organization and of everything under it.
    #[schema(value_type = String)]
    organization_id: OrganizationId,
    /// Where messages go; null for the one that signs callbacks.
    url: Option<String>,
    /// Whether it signs the callbacks of its organization's own jobs.
    callbacks: bool,
    description: String,
    /// What it hears of; empty for everything.
    event_types: Vec<&'static str>,
    /// `live`, `disabled` or `deleted`.
    state: &'static str,
    /// Whether it hears of nothing for now.
    disabled: bool,
    /// `by request`, or what the receiver answered.
    disabled_reason: Option<String>,
    /// Until when the secret before the last rotation signs as well.
    #[schema(value_type = Option<String>, format = DateTime)]
    old_secret_until: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    deleted_at: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// A secret in a body; it does not show itself in logs.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct SecretText(String);

impl fmt::Debug for SecretText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretText")
    }
}

/// A webhook with the secret just made for it.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookMade {
    #[serde(flatten)]
    webhook: WebhookOut,
    /// What signs its messages, `whsec_` and base64; shown only now.
    #[schema(value_type = String)]
    secret: SecretText,
}

/// A webhook to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebhookIn {
    /// An http or https URL of at most 2,048 characters, without a user name in it.
    pub(super) url: Option<String>,
    /// Instead of `url`: sign the callbacks of the organization's own jobs.
    #[serde(default)]
    pub(super) callbacks: bool,
    /// `whsec_` and the base64 of 24 to 64 bytes; drawn unless given.
    #[schema(value_type = Option<String>)]
    pub(super) secret: Option<SecretText>,
    /// Such as `export.settled`; empty for everything.
    #[serde(default)]
    pub(super) event_types: Vec<String>,
    /// The caller's own unless given.
    #[schema(value_type = Option<String>)]
    pub(super) organization_id: Option<OrganizationId>,
    /// Up to 255 characters.
    #[serde(default)]
    pub(super) description: String,
    /// Whether it starts asleep.
    #[serde(default)]
    pub(super) disabled: bool,
}

/// Changes of a webhook; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebhookPatch {
    pub(super) url: Option<String>,
    pub(super) event_types: Option<Vec<String>>,
    pub(super) description: Option<String>,
    /// True lets messages that wait fail; false ends every reason.
    pub(super) disabled: Option<bool>,
}

/// How a secret is replaced.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RotateIn {
    /// Seconds the old secret signs beside the new one; 86,400 unless given.
    #[schema(maximum = 2_592_000)]
    pub(super) overlap: Option<u32>,
    /// The new secret; drawn unless given.
    #[schema(value_type = Option<String>)]
    pub(super) secret: Option<SecretText>,
}

impl WebhookOut {
    pub(super) fn of(webhook: Webhook, now: Timestamp) -> Self {
        let state = match (webhook.deleted_at, &webhook.disabled) {
            (Some(_), _) => "deleted",
            (None, Some(_)) => "disabled",
            (None, None) => "live",
        };
        let types = webhook.event_types.iter().map(|kind| kind.as_str());
        Self {
            id: webhook.id,
            organization_id: webhook.organization,
            callbacks: webhook.url.is_none(),
            url: webhook.url,
            description: webhook.description,
            event_types: types.collect(),
            state,
            disabled: webhook.disabled.is_some(),
            disabled_reason: webhook.disabled.map(|disabled| disabled.reason),
            old_secret_until: webhook.old_secret_until.filter(|until| *until > now),
            deleted_at: webhook.deleted_at,
            created_at: webhook.created_at,
            updated_at: webhook.updated_at,
        }
    }
}

impl WebhookMade {
    pub(super) fn of(webhook: Webhook, secret: &Secret, now: Timestamp) -> Self {
        Self {
            webhook: WebhookOut::of(webhook, now),
            secret: SecretText(secret.reveal().to_owned()),
        }
    }
}

/// Where messages go: one of a URL that may be posted to and `callbacks`.
pub(super) fn destination(
    app: &App,
    url: Option<String>,
    callbacks: bool,
) -> ApiResult<Option<String>> {
    let Some(url) = url.filter(|_| !callbacks) else {
        return if callbacks {
            Ok(None)
        } else {
            Err(ApiError::invalid(
                "url is missing: give it, or callbacks as true",
            ))
        };
    };
    if url.chars().count() > WEBHOOK_URL_CHARS_MAX {
        let message = format!("url is longer than {WEBHOOK_URL_CHARS_MAX} characters");
        return Err(ApiError::invalid(message));
    }
    let refused = |reason| ApiError::invalid(format!("url cannot be posted to: {reason}"));
    app.exports.outbox.check_url(&url).map_err(refused)?;
    if url::Url::parse(&url).is_ok_and(|url| !url.username().is_empty() || url.password().is_some())
    {
        return Err(ApiError::invalid(
            "url holds a user name or password: it would be listed",
        ));
    }
    Ok(Some(url))
}

/// The kinds of names, each once.
pub(super) fn types(names: &[String]) -> ApiResult<Vec<EventType>> {
    let mut types = Vec::new();
    for name in names {
        let Some(kind) = EventType::from_name(name) else {
            let known: Vec<_> = EventType::ALL.iter().map(|kind| kind.as_str()).collect();
            let known = known.join(", ");
            let message = format!("{name:?} is no event type: expected {known}");
            return Err(ApiError::invalid(message));
        };
        if !types.contains(&kind) {
            types.push(kind);
        }
    }
    Ok(types)
}

/// The secret that was given, or a new one.
pub(super) fn secret(given: Option<&SecretText>) -> ApiResult<Secret> {
    let Some(SecretText(text)) = given else {
        return Ok(Secret::of_key(&random::key()).expect("32 bytes make a secret"));
    };
    let invalid = |error: SecretError| ApiError::invalid(error.to_string());
    text.parse().map_err(invalid)
}
