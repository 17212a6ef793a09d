//! What became of a webhook's messages, and sending one again.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use domain::Timestamp;
use domain::ids::{DeliveryId, ExportId};
use metadata::{Delivery, DeliveryState};
use serde::Serialize;
use utoipa::ToSchema;

use super::find;
use crate::api::page::{PageOut, PageQuery, id};
use crate::api::parameters::{FromParameters, Parameters, Query};
use crate::app::App;
use crate::auth::{Caller, Permission};
use crate::error::{ApiError, ApiResult};

/// A message of a webhook, with what its last try met.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryOut {
    /// `webhook-id` of the message at every try.
    #[schema(value_type = String)]
    id: DeliveryId,
    event_type: String,
    /// Where it goes: the webhook's URL, or the callback URL of a job.
    url: String,
    /// The export it tells about.
    #[schema(value_type = Option<String>)]
    export_id: Option<ExportId>,
    /// `pending`, `delivered` or `failed`.
    state: &'static str,
    /// How often it was tried.
    attempts: u32,
    /// What the last try met; null where it was taken.
    last_error: Option<String>,
    /// Status the receiver last answered.
    last_status: Option<u32>,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_attempt_at: Option<Timestamp>,
    /// Time the last try took, in milliseconds.
    response_time_ms: Option<u32>,
    /// When it is due; null after its end.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_attempt_at: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

/// Which messages are wanted.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StateQuery {
    /// `pending`, `delivered` or `failed`; all unless given.
    state: Option<String>,
}

impl FromParameters for StateQuery {
    fn read(sent: &Parameters) -> ApiResult<Self> {
        Ok(Self {
            state: sent.text("state")?,
        })
    }
}

impl From<Delivery> for DeliveryOut {
    fn from(delivery: Delivery) -> Self {
        let is_pending = delivery.state == DeliveryState::Pending;
        Self {
            id: delivery.id,
            event_type: delivery.message.event,
            url: delivery.message.url,
            export_id: delivery.message.export,
            state: delivery.state.as_str(),
            attempts: delivery.attempts,
            last_error: delivery.last_error,
            last_status: delivery.last_status,
            last_attempt_at: delivery.last_attempt_at,
            response_time_ms: delivery.response_ms,
            next_attempt_at: is_pending.then_some(delivery.next_attempt_at),
            created_at: delivery.created_at,
        }
    }
}

/// Lists a webhook's messages, newest first.
#[utoipa::path(
    get, path = "/api/v1/webhooks/{id}/deliveries", tag = "control",
    params(PageQuery, StateQuery),
    responses((status = 200, body = PageOut<DeliveryOut>), (status = 400), (status = 401),
        (status = 403), (status = 404))
)]
pub async fn list_deliveries(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(text): Path<String>,
    Query(wanted): Query<StateQuery>,
    Query(page): Query<PageQuery>,
) -> ApiResult<Json<PageOut<DeliveryOut>>> {
    let webhook = find(&app, &caller, &text).await?.id;
    let state = wanted.state.as_deref().map(state).transpose()?;
    let page = page.request(caller.may(Permission::Administer)?)?;
    let found = app.metadata.list_deliveries(webhook, state, &page).await?;
    Ok(Json(PageOut::of(found, |delivery| Some(delivery.into()))))
}

/// Sends a message again that was delivered or has failed, under the same id.
#[utoipa::path(
    post, path = "/api/v1/webhooks/{id}/deliveries/{deliveryId}/replay", tag = "control",
    responses((status = 202, body = DeliveryOut), (status = 401), (status = 403), (status = 404),
        (status = 409, description = "It is pending, or the webhook is disabled or deleted"))
)]
pub async fn replay_delivery(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((text, delivery)): Path<(String, String)>,
) -> ApiResult<(StatusCode, Json<DeliveryOut>)> {
    let webhook = find(&app, &caller, &text).await?.id;
    let delivery = id(&delivery, "delivery")?;
    let replayed = app.metadata.replay_delivery(webhook, delivery, app.now());
    Ok((StatusCode::ACCEPTED, Json(replayed.await?.into())))
}

fn state(word: &str) -> ApiResult<DeliveryState> {
    DeliveryState::from_word(word).ok_or_else(|| {
        let message = format!("state is {word:?}: expected pending, delivered or failed");
        ApiError::invalid(message)
    })
}
