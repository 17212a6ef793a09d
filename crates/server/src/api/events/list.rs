//! `GET /api/v1/events`: the newest events, also those that count nowhere.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use domain::Timestamp;
use domain::condition::{Pattern, TextCondition, TimeCondition};
use domain::ids::OrganizationId;
use domain::range::TimeRange;
use jiff::SignedDuration;
use serde::Serialize;
use serde_json::value::RawValue;
use usage::query::{EventText, EventsQuery, StoredEvent};
use utoipa::ToSchema;

use crate::api::parameters::{FromParameters, Parameters, Query, range, recent};
use crate::app::App;
use crate::auth::{Caller, Permission};
use crate::error::{ApiError, ApiResult};

/// Events listed when the client names no limit.
pub(super) const LIMIT_DEFAULT: usize = 100;
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
    /// Which meter of its type cannot read it, though another may, or why it counts nowhere.
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
        ("id" = Option<String>, Query, description = "Only events whose id holds this text"),
        ("ingestedAtFrom" = Option<String>, Query, description = "First instant of receipt"),
        ("ingestedAtTo" = Option<String>, Query, description = "First instant after"),
        ("clientId" = Option<String>, Query, description = "Taken, without effect"),
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
    Query(asked): Query<ListQuery>,
) -> ApiResult<Json<Vec<ListedEvent>>> {
    caller.may(Permission::Read)?;
    let query = asked.query(&caller, app.now())?;
    let as_of = app.usage.watermark().await?;
    let events = app.usage.events(query, as_of).await?;
    Ok(Json(events.into_iter().map(ListedEvent::from).collect()))
}

/// Which events to list.
#[derive(Debug)]
pub struct ListQuery {
    subjects: Vec<String>,
    id: Option<String>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    ingested: TimeRange,
    has_error: Option<bool>,
    organization: Option<String>,
    limit: usize,
}

impl FromParameters for ListQuery {
    fn read(sent: &Parameters) -> ApiResult<Self> {
        let limit = sent.parsed("limit", "a whole number")?;
        Ok(Self {
            subjects: sent.all("subject")?,
            id: sent.text("id")?,
            from: sent.instant("from")?,
            to: sent.instant("to")?,
            ingested: ingested(sent)?,
            has_error: sent.flag("hasError")?,
            organization: sent.text("organization")?,
            limit: limit.unwrap_or(LIMIT_DEFAULT),
        })
    }
}

impl ListQuery {
    fn query(self, caller: &Caller, now: Timestamp) -> ApiResult<EventsQuery> {
        check_limit(self.limit)?;
        let hours = SignedDuration::from_hours(HOURS_DEFAULT);
        let id = self.id.as_deref().map(|id| (EventText::Id, containing(id)));
        let subjects = (!self.subjects.is_empty())
            .then(|| (EventText::Subject, TextCondition::from(self.subjects)));
        Ok(EventsQuery {
            scope: caller.scope_under(self.organization.as_deref())?,
            range: recent(self.from, self.to, now, hours)?,
            texts: id.into_iter().chain(subjects).collect(),
            time: None,
            received: received(self.ingested),
            after: None,
            meters: caller.control.meters()?.to_vec(),
            with_error: self.has_error,
            limit: self.limit,
        })
    }
}

/// Refuses a limit that no list has.
pub(super) fn check_limit(limit: usize) -> ApiResult<()> {
    if (1..=LIMIT_MAX).contains(&limit) {
        return Ok(());
    }
    let message = format!("limit is {limit}: expected 1 to {LIMIT_MAX}");
    Err(ApiError::invalid(message))
}

fn containing(text: &str) -> TextCondition {
    TextCondition::Like(Pattern::containing(text))
}

fn ingested(sent: &Parameters) -> ApiResult<TimeRange> {
    let (from, to) = (
        sent.instant("ingestedAtFrom")?,
        sent.instant("ingestedAtTo")?,
    );
    range(from, to).map_err(|_| {
        ApiError::invalid("ingestedAtFrom is not before ingestedAtTo: expected it before")
    })
}

/// The condition that an instant lies in a range; none for all of time.
fn received(range: TimeRange) -> Option<TimeCondition> {
    let start = range.start.map(TimeCondition::GreaterOrEqual);
    let end = range.end.map(TimeCondition::Less);
    match (start, end) {
        (Some(start), Some(end)) => Some(TimeCondition::All(vec![start, end])),
        (start, end) => start.or(end),
    }
}
