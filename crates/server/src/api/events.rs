//! `/api/v1/events`: usage in, and a look at what came in. Steps 1 and 5 of usage in.

mod answer;
mod array;
mod batch;
mod body;
mod headers;
mod lines;
mod list;
mod list_v2;
mod stream;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use domain::limits::OUTCOME_EVENTS_MAX;
use usage::traits::Outcome;
use utoipa::ToSchema;

pub use list::{__path_list_events, ListedEvent, list_events};
pub use list_v2::{__path_list_events_v2, list_events_v2};

use self::answer::{Answer, Detail};
use self::batch::{Batch, Receiver};
use self::body::Form;
use crate::app::App;
use crate::auth::{Caller, Permission};
use crate::connections::Reading;
use crate::error::{ApiError, ApiResult};

/// A CloudEvents 1.0 event.
#[derive(Debug, ToSchema)]
#[schema(as = CloudEvent)]
#[expect(dead_code, reason = "read as a `Draft`; this is its description")]
pub struct EventIn {
    /// Always `1.0`.
    specversion: String,
    /// Identifier, unique within the source.
    id: String,
    /// Context the event happened in.
    source: String,
    /// Kind of the event, matched by meters.
    #[schema(rename = "type")]
    event_type: String,
    /// Whom or what the use belongs to.
    subject: String,
    /// RFC 3339 instant the use ended; absent, the server's clock counts.
    time: Option<String>,
    /// Organization the use belongs to, by id or alias; absent, the credential's own.
    organization: Option<String>,
    /// What was used: a JSON object or null.
    data: Option<serde_json::Value>,
}

/// Takes usage events in: one, a batch, or a stream of lines.
///
/// Answers once every accepted event is durable. Sending the same events again is harmless. With
/// `Prefer: return=representation` the answer lists what became of each event.
#[utoipa::path(
    post, path = "/api/v1/events", tag = "usage",
    params(
        ("Prefer" = Option<String>, Header, description = "`return=representation` for outcomes"),
        ("Content-Encoding" = Option<String>, Header, description = "`gzip` or `zstd`"),
    ),
    request_body(content(
        (EventIn = "application/cloudevents+json"),
        (Vec<EventIn> = "application/cloudevents-batch+json"),
        (EventIn = "application/json"),
        (String = "application/x-ndjson"),
    )),
    responses(
        (status = 200, description = "What became of the events", body = answer::ReceivedOut),
        (status = 204, description = "Every event is stored, known already, or in conflict"),
        (status = 400, description = "Some events are malformed; the others are stored"),
        (status = 413, description = "The body is over the limit"),
        (status = 503, description = "Nothing is promised; send again"),
    ),
    security(("bearer" = []), ("key" = []), ("session" = []))
)]
pub async fn ingest_events(
    State(app): State<Arc<App>>,
    caller: Caller,
    request: Request,
) -> ApiResult<Response> {
    let own = caller.may(Permission::Write)?;
    let form = Form::of(request.headers())?;
    prepare(&request, form);
    let wanted = Detail::of(request.headers());
    let receiver = Receiver::new(&app, caller, own);
    if form == Form::Lines {
        return stream::ingest(receiver, request, wanted).await;
    }
    let batch = Batch::read(form, request, &receiver).await?;
    let (drafts, _room) = receiver.drafts(batch).await?;
    if wanted == Detail::Outcomes && drafts.len() > OUTCOME_EVENTS_MAX {
        return Err(too_many_outcomes(drafts.len()));
    }
    let outcomes = receiver.accept(drafts, receiver.turn()).await?;
    Answer::of_batch(outcomes).respond(wanted)
}

/// Says how the body is read: producers of streams pause, and who sends this one is known by now.
fn prepare(request: &Request, form: Form) {
    if let Some(reading) = request.extensions().get::<Arc<Reading>>() {
        // Room for events is asked for as they are decompressed.
        reading.hold(0);
        if form == Form::Lines {
            reading.allow_pauses();
        }
    }
}

fn too_many_outcomes(events: usize) -> ApiError {
    ApiError::invalid(format!(
        "the body holds {events} events: expected at most {OUTCOME_EVENTS_MAX} with Prefer: \
         return=representation; nothing is stored"
    ))
}

/// Whether an outcome is one that needs no word: stored now or before.
fn is_fine(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Accepted { .. })
}
