//! Webhooks: who is told of what happens, and with which secret it is signed.

pub mod deliveries;
mod wire;

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use domain::limits::WEBHOOK_OVERLAP_SECONDS_MAX;
use domain::webhook::EventType;
use metadata::{NewWebhook, Webhook, WebhookChange};
use serde_json::json;

use self::deliveries::DeliveryOut;
use self::wire::{
    RotateIn, WebhookIn, WebhookMade, WebhookOut, WebhookPatch, destination, secret, types,
};
use super::page::{PageOut, PageQuery, id};
use crate::api::body::{Body, OptionalBody};
use crate::api::parameters::Query;
use crate::app::App;
use crate::auth::{Caller, Permission};
use crate::error::{ApiError, ApiResult};

/// Seconds the old secret signs beside the new one unless the caller says otherwise: a day.
const OVERLAP_SECONDS: u32 = 24 * 3600;

/// Lists the webhooks of the caller's organization and of everything under it.
#[utoipa::path(
    get, path = "/api/v1/webhooks", tag = "control", params(PageQuery),
    responses((status = 200, body = PageOut<WebhookOut>), (status = 400), (status = 401),
        (status = 403))
)]
pub async fn list_webhooks(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> ApiResult<Json<PageOut<WebhookOut>>> {
    let reach = caller.reach(Permission::Administer)?;
    let (page, now) = (page.request(reach.organization)?, app.now());
    let found = app
        .metadata
        .list_webhooks(reach.tops.as_slice(), now, &page)
        .await?;
    Ok(Json(PageOut::of(found, |webhook| {
        Some(WebhookOut::of(webhook, now))
    })))
}

/// Gives one webhook.
#[utoipa::path(
    get, path = "/api/v1/webhooks/{id}", tag = "control",
    responses((status = 200, body = WebhookOut), (status = 401), (status = 403), (status = 404))
)]
pub async fn get_webhook(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(text): Path<String>,
) -> ApiResult<Json<WebhookOut>> {
    let webhook = find(&app, &caller, &text).await?;
    Ok(Json(WebhookOut::of(webhook, app.now())))
}

/// Creates a webhook; the answer shows its secret, once.
///
/// It hears of what happens in its organization and in everything under it at that time. One with
/// `callbacks` and no `url` signs the callbacks of its organization's own jobs instead.
#[utoipa::path(
    post, path = "/api/v1/webhooks", tag = "control", request_body = WebhookIn,
    responses((status = 201, body = WebhookMade), (status = 400), (status = 401), (status = 403),
        (status = 404, description = "The organization is not under the caller"),
        (status = 409, description = "The organization has 20 webhooks, or one for callbacks"))
)]
pub async fn create_webhook(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(body): Body<WebhookIn>,
) -> ApiResult<(StatusCode, Json<WebhookMade>)> {
    let own = caller.may(Permission::Administer)?;
    let now = app.now();
    let secret = secret(body.secret.as_ref())?;
    let new = NewWebhook {
        organization: caller.under(
            Permission::Administer,
            body.organization_id.unwrap_or(own),
            now,
        )?,
        url: destination(&app, body.url, body.callbacks)?,
        description: body.description,
        event_types: types(&body.event_types)?,
        secret: secret.clone(),
        disabled: body.disabled,
    };
    let webhook = app.metadata.insert_webhook(new, now).await?;
    let made = WebhookMade::of(webhook, &secret, now);
    Ok((StatusCode::CREATED, Json(made)))
}

/// Changes a webhook; messages that wait go to its new URL, or fail when it is disabled.
#[utoipa::path(
    patch, path = "/api/v1/webhooks/{id}", tag = "control", request_body = WebhookPatch,
    responses((status = 200, body = WebhookOut), (status = 400), (status = 401), (status = 403),
        (status = 404), (status = 409, description = "The webhook was deleted"))
)]
pub async fn patch_webhook(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(text): Path<String>,
    Body(body): Body<WebhookPatch>,
) -> ApiResult<Json<WebhookOut>> {
    let before = find(&app, &caller, &text).await?;
    let event_types = body.event_types.as_deref().map(types).transpose()?;
    let change = WebhookChange {
        url: match body.url {
            Some(url) => destination(&app, Some(url), false)?,
            None => before.url,
        },
        description: body.description.unwrap_or(before.description),
        event_types: event_types.unwrap_or(before.event_types),
        disabled: body.disabled.unwrap_or(before.disabled.is_some()),
    };
    let now = app.now();
    let webhook = app.metadata.put_webhook(before.id, &change, now).await?;
    Ok(Json(WebhookOut::of(webhook, now)))
}

/// Gives a webhook up for ever; what was sent stays listed. Doing it again changes nothing.
#[utoipa::path(
    delete, path = "/api/v1/webhooks/{id}", tag = "control",
    responses((status = 204), (status = 401), (status = 403), (status = 404))
)]
pub async fn delete_webhook(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(text): Path<String>,
) -> ApiResult<StatusCode> {
    let webhook = find(&app, &caller, &text).await?;
    app.metadata.delete_webhook(webhook.id, app.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives a webhook another secret; the answer shows it, once.
///
/// The one it had signs beside it for `overlap` seconds: messages carry both signatures.
#[utoipa::path(
    post, path = "/api/v1/webhooks/{id}/rotate", tag = "control", request_body = RotateIn,
    responses((status = 200, body = WebhookMade), (status = 400), (status = 401), (status = 403),
        (status = 404), (status = 409, description = "The webhook was deleted"))
)]
pub async fn rotate_webhook(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(text): Path<String>,
    OptionalBody(body): OptionalBody<RotateIn>,
) -> ApiResult<Json<WebhookMade>> {
    let webhook = find(&app, &caller, &text).await?;
    let body = body.unwrap_or_default();
    let overlap = body.overlap.unwrap_or(OVERLAP_SECONDS);
    if overlap > WEBHOOK_OVERLAP_SECONDS_MAX {
        let message =
            format!("overlap is {overlap}: at most {WEBHOOK_OVERLAP_SECONDS_MAX} seconds");
        return Err(ApiError::invalid(message));
    }
    let (secret, now) = (secret(body.secret.as_ref())?, app.now());
    let rotated = app
        .metadata
        .rotate_webhook(webhook.id, &secret, overlap, now);
    Ok(Json(WebhookMade::of(rotated.await?, &secret, now)))
}

/// Sends a `webhook.test` event, whatever the webhook asked to hear of.
#[utoipa::path(
    post, path = "/api/v1/webhooks/{id}/test", tag = "control",
    responses((status = 202, body = DeliveryOut), (status = 400), (status = 401), (status = 403),
        (status = 404), (status = 409, description = "The webhook is disabled or deleted"))
)]
pub async fn test_webhook(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(text): Path<String>,
) -> ApiResult<(StatusCode, Json<DeliveryOut>)> {
    let webhook = find(&app, &caller, &text).await?;
    let (kind, data) = (EventType::WEBHOOK_TEST, json!({"webhookId": webhook.id}));
    let told = app.metadata.tell_webhook(webhook.id, kind, data, app.now());
    Ok((StatusCode::ACCEPTED, Json(told.await?.into())))
}

async fn find(app: &App, caller: &Caller, text: &str) -> ApiResult<Webhook> {
    caller.may(Permission::Administer)?;
    let webhook = app.metadata.find_webhook(id(text, "webhook")?).await?;
    let visible = |webhook: &Webhook| {
        caller
            .under(Permission::Administer, webhook.organization, app.now())
            .is_ok()
    };
    webhook
        .filter(visible)
        .ok_or_else(|| ApiError::not_found("webhook"))
}
