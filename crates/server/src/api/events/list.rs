//! `GET /api/v1/events`: the newest events, also those that count nowhere.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use domain::Timestamp;
use domain::ids::OrganizationId;
use domain::range::TimeRange;
use jiff::SignedDuration;
use serde::Serialize;
use serde_json::value::RawValue;
use usage::query::{EventsQuery, StoredEvent};
use utoipa::ToSchema;

use crate::api::parameters::Parameters;
use crate::app::App;
use crate::auth::{Caller, Permission};
use crate::error::{ApiError, ApiResult};

/// Events listed when the client names no limit.
const LIMIT_DEFAULT: usize = 100;
/// Events one list may hold.
const LIMIT_MAX: usize = 1_000;
/// Hours listed when the client names no start.
const HOURS_DEFAULT: i64 = 72;

/// An event as stored.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListedEvent {
    /// The event, with the organization it belongs to.
    event: CloudEventOut,
    /// When it was received.
    #[schema(value_type = String)]
    ingested_at: Timestamp,
    /// When it was stored: an event is answered and listed only once it is durable.
    #[schema(value_type = String)]
    stored_at: Timestamp,
    /// Why it counts nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    validation_error: Option<String>,
}

/// The event in CloudEvents form.
#[derive(Debug, Serialize, ToSchema)]
struct CloudEventOut {
    specversion: &'static str,
    id: String,
    source: String,
    #[serde(rename = "type")]
    event_type: String,
    subject: String,
    #[schema(value_type = String)]
    time: Timestamp,
    #[schema(value_type = String)]
    organization: OrganizationId,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    data: Option<Box<RawValue>>,
}

impl From<StoredEvent> for ListedEvent {
    fn from(stored: StoredEvent) -> Self {
        let data = stored.data.map(String::from).map(RawValue::from_string);
        Self {
            event: CloudEventOut {
                specversion: "1.0",
                id: stored.id,
                source: stored.source,
                event_type: stored.event_type,
                subject: stored.subject,
                time: stored.time,
                organization: stored.organization,
                data: data.and_then(Result::ok),
            },
            ingested_at: stored.received,
            stored_at: stored.received,
            validation_error: stored.validation_error,
        }
    }
}

/// Lists the newest events by event time, of the caller's organization and everything under it.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "usage",
    params(
        ("subject" = Option<Vec<String>>, Query, description = "Only these subjects"),
        ("from" = Option<String>, Query, description = "First instant; 72 hours ago if absent"),
        ("to" = Option<String>, Query, description = "First instant after"),
        ("hasError" = Option<bool>, Query, description = "Only events with, or without, an error"),
        ("organization" = Option<String>, Query, description = "Only what lies under this one"),
        ("limit" = Option<u32>, Query, description = "Most events to list; 100 if absent"),
    ),
    responses(
        (status = 200, body = Vec<ListedEvent>),
        (status = 400, description = "A parameter cannot have its value"),
        (status = 404, description = "No such organization"),
    ),
    security(("bearer" = []), ("key" = []), ("session" = []))
)]
pub async fn list_events(
    State(app): State<Arc<App>>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<Vec<ListedEvent>>> {
    caller.may(Permission::Read)?;
    let query = query_of(&caller, &Parameters::parse(query.as_deref()), app.now())?;
    let as_of = app.usage.watermark().await?;
    let events = app.usage.events(query, as_of).await?;
    Ok(Json(events.into_iter().map(ListedEvent::from).collect()))
}

fn query_of(caller: &Caller, sent: &Parameters, now: Timestamp) -> ApiResult<EventsQuery> {
    let limit = sent
        .parsed("limit", "a whole number")?
        .unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        let message = format!("limit is {limit}: expected 1 to {LIMIT_MAX}");
        return Err(ApiError::invalid(message));
    }
    let start = match sent.instant("from")? {
        Some(start) => start,
        None => now
            .saturating_sub(SignedDuration::from_hours(HOURS_DEFAULT))
            .unwrap_or(Timestamp::MIN),
    };
    let range = TimeRange {
        start: Some(start),
        end: sent.instant("to")?,
    };
    Ok(EventsQuery {
        scope: caller.scope_under(sent.first("organization"))?,
        range,
        subjects: sent.all("subject"),
        meters: caller.control.meters()?.to_vec(),
        with_error: sent.parsed("hasError", "true or false")?,
        limit,
    })
}
