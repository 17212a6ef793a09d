//! `GET /api/v2/events`: all events page by page, newest first, as OpenMeter's clients list them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use domain::Timestamp;
use domain::condition::{TextCondition, TimeCondition};
use domain::range::TimeRange;
use jiff::SignedDuration;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use usage::query::{EventText, EventsQuery};
use utoipa::ToSchema;

use super::list::{LIMIT_DEFAULT, ListedEvent, check_limit};
use crate::api::conditions::{TextConditionIn, TimeConditionIn, json};
use crate::api::parameters::{FromParameters, Parameters, Query};
use crate::app::App;
use crate::auth::{Caller, Permission};
use crate::error::{ApiError, ApiResult};

/// A page of events.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventPage {
    /// The events, newest first.
    items: Vec<ListedEvent>,
    /// `cursor` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Conditions on events that must all hold; null is as if absent.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct FilterIn {
    id: Option<TextConditionIn>,
    source: Option<TextConditionIn>,
    subject: Option<TextConditionIn>,
    #[serde(rename = "type")]
    event_type: Option<TextConditionIn>,
    time: Option<TimeConditionIn>,
    ingested_at: Option<TimeConditionIn>,
    customer_id: Option<IgnoredAny>,
}

/// What to list.
#[derive(Debug)]
pub struct PageOfEvents {
    cursor: Option<String>,
    limit: usize,
    texts: Vec<(EventText, TextCondition)>,
    time: Option<TimeCondition>,
    ingested_at: Option<TimeCondition>,
}

impl FromParameters for PageOfEvents {
    fn read(sent: &Parameters) -> ApiResult<Self> {
        let limit = sent.parsed("limit", "a whole number from 1 to 1000")?;
        let filter = sent.one("filter").map(|text| json("filter", text));
        let filter: FilterIn = filter.transpose()?.unwrap_or_default();
        if filter.customer_id.is_some() {
            let message = "filter.customerId is not known: there are no customers here, expected \
                           a condition on subject";
            return Err(ApiError::invalid(message));
        }
        let texts = [
            (EventText::Id, "filter.id", filter.id),
            (EventText::Source, "filter.source", filter.source),
            (EventText::Subject, "filter.subject", filter.subject),
            (EventText::Type, "filter.type", filter.event_type),
        ];
        let texts = texts.into_iter().filter_map(|(text, name, condition)| {
            let condition = condition?.read(name);
            Some(condition.map(|condition| (text, condition)))
        });
        let time = |name, condition: Option<TimeConditionIn>| {
            condition.map(|condition| condition.read(name)).transpose()
        };
        Ok(Self {
            cursor: sent.text("cursor")?,
            limit: limit.unwrap_or(LIMIT_DEFAULT),
            texts: texts.collect::<ApiResult<_>>()?,
            time: time("filter.time", filter.time)?,
            ingested_at: time("filter.ingestedAt", filter.ingested_at)?,
        })
    }
}

impl PageOfEvents {
    /// The query, which asks for one event more than the page holds.
    fn query(self, app: &App, caller: &Caller) -> ApiResult<EventsQuery> {
        check_limit(self.limit)?;
        let place = |text: &str| app.seal.read_place(text).ok_or_else(no_cursor);
        let after = self.cursor.as_deref().map(place).transpose()?;
        Ok(EventsQuery {
            scope: caller.scope_under(None)?,
            range: until(after.map(|(time, _)| time)),
            texts: self.texts,
            time: self.time,
            received: self.ingested_at,
            after,
            meters: caller.control.meters()?.to_vec(),
            with_error: None,
            limit: self.limit + 1,
        })
    }
}

/// Lists events of all time, newest first by event time, of the caller's organization and
/// everything under it.
#[utoipa::path(
    get, path = "/api/v2/events", tag = "usage",
    params(
        ("cursor" = Option<String>, Query, description = "`nextCursor` of the page before"),
        ("limit" = Option<u32>, Query, description = "Events of a page, 1 to 1,000; 100 if absent"),
        ("clientId" = Option<String>, Query, description = "Taken, without effect"),
        ("filter" = Option<String>, Query, description = "Conditions as JSON on `id`, `source`, \
            `subject`, `type`, `time` and `ingestedAt`: {\"type\": {\"$eq\": \"call\"}}"),
    ),
    responses(
        (status = 200, body = EventPage),
        (status = 400, description = "A parameter is unknown or cannot have its value"),
    ),
    security(("bearer" = []), ("key" = []), ("session" = []))
)]
pub async fn list_events_v2(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(asked): Query<PageOfEvents>,
) -> ApiResult<Json<EventPage>> {
    caller.may(Permission::Read)?;
    let limit = asked.limit;
    let query = asked.query(&app, &caller)?;
    let as_of = app.usage.watermark().await?;
    let mut events = app.usage.events(query, as_of).await?;
    let has_more = events.len() > limit;
    events.truncate(limit);
    let last = events.last().filter(|_| has_more);
    let next_cursor = last.map(|last| app.seal.place_text(last.time, last.sequence));
    Ok(Json(EventPage {
        items: events.into_iter().map(ListedEvent::from).collect(),
        next_cursor,
    }))
}

/// All of time up to an instant, included.
fn until(last: Option<Timestamp>) -> TimeRange {
    let behind = |last: Timestamp| last.checked_add(SignedDuration::from_nanos(1)).ok();
    TimeRange {
        start: None,
        end: last.and_then(behind),
    }
}

fn no_cursor() -> ApiError {
    ApiError::invalid("cursor is none of this list: start again without it")
}
