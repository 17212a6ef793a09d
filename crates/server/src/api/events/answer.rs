//! Step 5 of usage in: what the client is told.

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::event::Refusal;
use domain::limits::{MALFORMED_EVENTS_MAX, STREAM_OUTCOMES_MAX};
use serde::Serialize;
use serde_json::{Value, json};
use usage::traits::Outcome;
use utoipa::ToSchema;

use super::is_fine;
use crate::error::{ApiError, ApiResult, Code};

/// How much the client wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// Nothing when all is well.
    Minimal,
    /// One outcome per event.
    Outcomes,
}

impl Detail {
    /// What `Prefer` asks for.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let preferences = headers.get_all("prefer").iter();
        let mut preferences = preferences
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split([',', ';']));
        let wants = preferences.any(|preference| {
            let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
            let value = value.trim().trim_matches('"');
            name.trim().eq_ignore_ascii_case("return")
                && value.eq_ignore_ascii_case("representation")
        });
        if wants { Self::Outcomes } else { Self::Minimal }
    }
}

/// What became of the events of one request.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReceivedOut {
    /// How many became what.
    counts: Counts,
    /// One per event, in order; absent for a stream of lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcomes: Option<Vec<OutcomeOut>>,
    /// Of a stream the first 1,000 that were not accepted, in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_accepted: Option<Vec<NotAccepted>>,
}

/// Events by outcome.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
pub(super) struct Counts {
    /// All of them.
    received: u64,
    /// New: stored and counted once.
    accepted: u64,
    /// Known already and the same.
    duplicate: u64,
    /// Known already but different: kept to be seen, counted nowhere.
    conflict: u64,
    /// Malformed: not taken.
    refused: u64,
}

/// What became of one event.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OutcomeOut {
    /// `accepted`, `duplicate`, `conflict` or `refused`.
    outcome: &'static str,
    /// Why it was refused, for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    /// Why it was refused, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// What became of an event that was not accepted.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NotAccepted {
    /// Number of the line, from 0.
    index: u64,
    #[serde(flatten)]
    outcome: OutcomeOut,
}

impl OutcomeOut {
    fn new(outcome: Outcome) -> Self {
        let (outcome, refusal) = match outcome {
            Outcome::Accepted { .. } => ("accepted", None),
            Outcome::Duplicate { .. } => ("duplicate", None),
            Outcome::Conflict { .. } => ("conflict", None),
            Outcome::Refused(refusal) => ("refused", Some(refusal)),
        };
        Self {
            outcome,
            code: refusal.as_ref().map(|refusal| refusal.code.as_str()),
            message: refusal.map(|refusal| refusal.message),
        }
    }
}

/// The outcomes of one request, as far as they are worth a word.
#[derive(Debug, Default)]
pub(super) struct Answer {
    counts: Counts,
    /// Every outcome of a batch.
    all: Option<Vec<Outcome>>,
    /// Of a stream the first that were not accepted.
    not_accepted: Vec<(u64, Outcome)>,
    /// The first refusals.
    refused: Vec<(u64, Refusal)>,
    /// Lines that were read of a stream with too many malformed ones.
    stopped_at: Option<u64>,
}

impl Answer {
    /// The answer to a whole body.
    pub(super) fn of_batch(outcomes: Vec<Outcome>) -> Self {
        let mut answer = Self::default();
        for (index, outcome) in (0..).zip(&outcomes) {
            answer.count(index, outcome);
        }
        answer.all = Some(outcomes);
        answer
    }

    /// Adds what became of one line of a stream.
    pub(super) fn add(&mut self, line: u64, outcome: Outcome) {
        self.count(line, &outcome);
        if !is_fine(&outcome) && self.not_accepted.len() < STREAM_OUTCOMES_MAX {
            self.not_accepted.push((line, outcome));
        }
    }

    /// Whether it is no use to read on.
    pub(super) fn has_too_many_malformed(&self) -> bool {
        self.counts.refused >= MALFORMED_EVENTS_MAX as u64
    }

    /// Notes that a stream is read no further.
    pub(super) fn stop_at(&mut self, lines: u64) {
        self.stopped_at = Some(lines);
    }

    fn count(&mut self, index: u64, outcome: &Outcome) {
        self.counts.received += 1;
        match outcome {
            Outcome::Accepted { .. } => self.counts.accepted += 1,
            Outcome::Duplicate { .. } => self.counts.duplicate += 1,
            Outcome::Conflict { .. } => self.counts.conflict += 1,
            Outcome::Refused(refusal) => {
                self.counts.refused += 1;
                if self.refused.len() < STREAM_OUTCOMES_MAX {
                    self.refused.push((index, refusal.clone()));
                }
            }
        }
    }

    /// The response the client asked for.
    pub(super) fn respond(self, wanted: Detail) -> ApiResult<Response> {
        match wanted {
            _ if self.stopped_at.is_some() => Err(self.refusal()),
            Detail::Outcomes => Ok(self.represent()),
            Detail::Minimal if self.counts.refused > 0 => Err(self.refusal()),
            Detail::Minimal => Ok(StatusCode::NO_CONTENT.into_response()),
        }
    }

    fn represent(self) -> Response {
        let is_stream = self.all.is_none();
        let not_accepted = self.not_accepted.into_iter();
        let not_accepted = not_accepted.map(|(index, outcome)| NotAccepted {
            index,
            outcome: OutcomeOut::new(outcome),
        });
        let body = ReceivedOut {
            counts: self.counts,
            outcomes: self
                .all
                .map(|all| all.into_iter().map(OutcomeOut::new).collect()),
            not_accepted: is_stream.then(|| not_accepted.collect()),
        };
        let mut response = Json(body).into_response();
        let applied = HeaderValue::from_static("return=representation");
        response.headers_mut().insert("preference-applied", applied);
        response
    }

    fn refusal(self) -> ApiError {
        let Counts {
            received, refused, ..
        } = self.counts;
        let stored = received - refused;
        let events: Vec<Value> = self
            .refused
            .iter()
            .map(|(index, refusal)| {
                let (code, message) = (refusal.code.as_str(), &refusal.message);
                json!({"index": index, "code": code, "message": message})
            })
            .collect();
        let message = match self.stopped_at {
            Some(lines) => format!(
                "the stream is read no further after its first {lines} lines: {refused} of \
                 {received} events in them are malformed, and {MALFORMED_EVENTS_MAX} are too many; \
                 the other {stored} are stored, nothing behind them is; correct the stream and \
                 send all of it again, which is harmless"
            ),
            None => format!(
                "{refused} of {received} events are malformed and were not taken; the others are \
                 stored, and sending all again is harmless"
            ),
        };
        let mut error = ApiError::new(Code::MalformedEvents, message);
        if let Some(lines) = self.stopped_at {
            error = error.with("linesRead", lines);
        }
        error
            .with("received", received)
            .with("stored", stored)
            .with("refused", refused)
            .with("events", events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preference_may_stand_among_others() {
        let wanted = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("prefer", HeaderValue::from_static(value));
            Detail::of(&headers) == Detail::Outcomes
        };
        assert!(wanted("return=representation"));
        assert!(wanted("respond-async, Return=\"representation\"; foo"));
        assert!(!wanted("return=minimal"));
    }
}
