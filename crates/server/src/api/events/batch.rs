//! A whole body of events on its way to the intake.

use std::sync::Arc;

use axum::body::HttpBody;
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use domain::event::reader::EventReader;
use domain::event::{Draft, Event, Receipt, Refusal, RefusalCode};
use domain::ids::OrganizationId;
use serde_json::value::RawValue;
use usage::Turn;
use usage::traits::Outcome;

use super::array;
use super::body::{Form, Whole, decoded, whole};
use super::headers::{Attributes, media_type};
use crate::app::App;
use crate::auth::{Caller, Permission};
use crate::blocking;
use crate::bodies::{PARSED_FACTOR, Share};
use crate::error::{ApiError, ApiResult};

/// Events handed to the intake in one call.
const ACCEPT_EVENTS_MAX: usize = 20_000;

/// Bytes of a body from which parsing moves to a thread that may block.
const INLINE_BYTES_MAX: usize = 64 * 1024;

/// A draft that passed validation, or why it did not.
pub(super) type Checked = Result<Event, Refusal>;

/// A body of events, not yet parsed.
#[derive(Debug)]
pub(super) struct Batch {
    form: Form,
    headers: HeaderMap,
    body: Whole,
}

impl Batch {
    /// Reads a body, bounded after decompression.
    pub(super) async fn read(form: Form, request: Request, receiver: &Receiver) -> ApiResult<Self> {
        let app = &receiver.app;
        let (parts, body) = request.into_parts();
        let is_plain = !parts.headers.contains_key(header::CONTENT_ENCODING);
        let declared = body.size_hint().exact().filter(|_| is_plain);
        let chunks = decoded(&parts.headers, body)?;
        let bytes_max = app.config.limits.events_body_bytes_max;
        Ok(Self {
            form,
            headers: parts.headers,
            body: whole(chunks, declared, bytes_max, (&app.bodies, receiver.own)).await?,
        })
    }

    fn drafts(&self, receiver: &Receiver) -> ApiResult<Vec<Checked>> {
        if self.form == Form::Binary {
            return Ok(vec![receiver.binary(&self.headers, &self.body.bytes)]);
        }
        let text = std::str::from_utf8(&self.body.bytes)
            .map_err(|error| ApiError::invalid(format!("the body is not UTF-8: {error}")))?;
        let mut reader = EventReader::default();
        let is_array = text.trim_ascii_start().starts_with('[');
        match (self.form, is_array) {
            (Form::One, true) => Err(ApiError::invalid(
                "the body is an array: expected one event, or application/cloudevents-batch+json",
            )),
            (Form::Array, false) => Err(ApiError::invalid(
                "the body is no array: expected one, or application/cloudevents+json",
            )),
            (_, false) => Ok(vec![receiver.check(&mut reader, text)]),
            (_, true) => {
                let check = |item: &RawValue| receiver.check(&mut reader, item.get());
                array::checked(text, check)
            }
        }
    }
}

/// Checks events of one caller and hands them on.
#[derive(Debug, Clone)]
pub(super) struct Receiver {
    pub(super) app: Arc<App>,
    caller: Caller,
    /// The namespace of its events, which takes the memory for them.
    pub(super) own: OrganizationId,
    received: domain::Timestamp,
}

impl Receiver {
    pub(super) fn new(app: &Arc<App>, caller: Caller, own: OrganizationId) -> Self {
        Self {
            own,
            received: app.now(),
            app: Arc::clone(app),
            caller,
        }
    }

    /// Parses and validates a batch, on another thread where that takes long; gives the memory that
    /// the drafts take, too.
    pub(super) async fn drafts(&self, batch: Batch) -> ApiResult<(Vec<Checked>, Share)> {
        let bodies = &self.app.bodies;
        let bytes = batch.body.bytes.len();
        let owner = Some(self.own);
        let room = bodies
            .parsed
            .take(owner, PARSED_FACTOR * bytes, bodies.wait());
        let room = room.await?;
        if bytes <= INLINE_BYTES_MAX {
            return Ok((batch.drafts(self)?, room));
        }
        let receiver = self.clone();
        let drafts = blocking::run(&self.app.parsing, move || batch.drafts(&receiver));
        Ok((drafts.await??, room))
    }

    /// The turn of a request that is in no order with others.
    pub(super) fn turn(&self) -> Turn {
        Turn::alone(self.app.config.limits.writer_wait())
    }

    /// Hands checked events to the intake in their turn and gives their outcomes in order.
    pub(super) async fn accept(
        &self,
        drafts: Vec<Checked>,
        mut turn: Turn,
    ) -> ApiResult<Vec<Outcome>> {
        let mut outcomes = Vec::new();
        let mut rest = drafts;
        while rest.len() > ACCEPT_EVENTS_MAX {
            let after = rest.split_off(ACCEPT_EVENTS_MAX);
            outcomes.extend(self.decide(rest, turn.part()).await?);
            turn.wait_at_most(self.app.config.limits.stream_writer_wait());
            rest = after;
        }
        let decided = self.decide(rest, turn).await?;
        if outcomes.is_empty() {
            return Ok(decided);
        }
        outcomes.extend(decided);
        Ok(outcomes)
    }

    async fn decide(&self, drafts: Vec<Checked>, turn: Turn) -> ApiResult<Vec<Outcome>> {
        let decided = self.app.intake.accept_in_turn(self.own, drafts, turn);
        let decided = decided.await?;
        self.app.metrics.received(&decided);
        Ok(decided)
    }

    /// Parses and validates one event in JSON form.
    pub(super) fn check(&self, reader: &mut EventReader, text: &str) -> Checked {
        reader.read(text, &self.receipt())
    }

    fn binary(&self, headers: &HeaderMap, bytes: &[u8]) -> Checked {
        let mut attributes = Attributes::read(headers)?;
        let data = match bytes.trim_ascii() {
            [] => None,
            body => Some(serde_json::from_slice::<&RawValue>(body).map_err(no_json)?),
        };
        let draft = Draft {
            specversion: attributes.take("specversion"),
            id: attributes.take("id"),
            source: attributes.take("source"),
            event_type: attributes.take("type"),
            subject: attributes.take("subject"),
            time: attributes.take("time"),
            organization: attributes.take("organization"),
            datacontenttype: media_type(headers)?,
            data,
            data_base64: None,
        };
        draft.validate(&self.receipt())
    }

    fn receipt(&self) -> Receipt<impl Fn(&str) -> Option<OrganizationId>> {
        Receipt {
            own: self.own,
            received: self.received,
            resolve: |name: &str| self.writable(name),
        }
    }

    /// An organization the caller may write for now.
    fn writable(&self, name: &str) -> Option<OrganizationId> {
        let scope = &self.caller.reach(Permission::Write).ok()?.scope;
        let found = self.caller.control.resolve(scope, name)?;
        let lies_below = scope.contains(found.id, self.received);
        (lies_below && found.archived_at.is_none()).then_some(found.id)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "used to map errors")]
fn no_json(error: serde_json::Error) -> Refusal {
    Refusal {
        code: RefusalCode::MalformedEvent,
        message: format!("the body is no JSON: {error}"),
        organization: None,
    }
}
