//! Where an import goes: a running server, or the store of a directory nobody else has open.

mod http;
mod retry;

use std::fmt;
use std::sync::Arc;

use domain::event::reader::EventReader;
use domain::event::{Event, Receipt, Refusal, RefusalCode};
use domain::ids::OrganizationId;
use usage::traits::Outcome;
use usage::{Intake, Turn};

use super::cutter::Refused;
use super::{Block, Error, REQUEST_BYTES_MAX, REQUEST_RECORDS_MAX, Result, Tally};
use crate::clock::Clock;
use crate::lines::{is_blank, line_feeds, lines};

pub(crate) use http::HttpTarget;

/// Why an event conflicts.
const CONFLICT: &str = "another event had the same source and id first and says something else";

/// Finds an organization the import may write for, by id or alias.
pub(crate) type Resolve = Arc<dyn Fn(&str) -> Option<OrganizationId> + Send + Sync>;

/// Where events go.
#[derive(Debug)]
pub(crate) enum Target {
    /// The store, opened by this process.
    Store(StoreTarget),
    /// A server, by HTTP.
    Http(HttpTarget),
}

/// The intake of an open store.
pub(crate) struct StoreTarget {
    /// Decides and stores.
    pub(crate) intake: Arc<dyn Intake>,
    /// Organization whose events these are, as if it owned the credential.
    pub(crate) namespace: OrganizationId,
    /// Finds it and those under it.
    pub(crate) resolve: Resolve,
    /// What time it is.
    pub(crate) clock: Clock,
}

/// Consecutive blocks, ready to be delivered.
#[derive(Debug)]
pub(crate) struct Load {
    first: u64,
    records: u64,
    content: Content,
    /// Records that have no event in the content.
    refused: Vec<Refused>,
}

#[derive(Debug)]
enum Content {
    Drafts(Vec<Result<Event, Refusal>>),
    Body(Vec<u8>),
}

/// Consecutive blocks whose events all have their outcome.
#[derive(Debug)]
pub(crate) struct Delivered {
    /// Records before them.
    pub(crate) first: u64,
    /// Records inside.
    pub(crate) records: u64,
    /// What became of them; numbers count from their start.
    pub(crate) tally: Tally,
}

impl Target {
    /// The store the events go into, whatever way leads there, and whose events they are.
    pub(crate) async fn place(&self) -> Result<String> {
        let (store, namespace) = match self {
            Self::Store(target) => (target.intake.identity().await?, target.namespace),
            Self::Http(target) => {
                let store = target.store().await?;
                (store.id, store.organization)
            }
        };
        Ok(format!("store {store}, organization {namespace}"))
    }

    /// Does what can be done on any thread.
    pub(crate) fn load(&self, mut block: Block) -> Load {
        let (first, records) = (block.first, block.records);
        let refused = std::mem::take(&mut block.refused);
        let content = match self {
            Self::Store(store) => Content::Drafts(store.validate(&block)),
            Self::Http(_) => Content::Body(without_blank_lines(block)),
        };
        Load {
            first,
            records,
            content,
            refused,
        }
    }

    /// Delivers a load; its accepted events are durable when this returns.
    ///
    /// An open store decides it in its turn. A server has no turns: the caller waits for one
    /// request before it begins the next.
    pub(crate) async fn deliver(&self, load: Load, turn: Turn) -> Result<Delivered> {
        let mut tally = match (self, load.content) {
            (_, Content::Body(body)) if body.is_empty() => Tally::default(),
            (Self::Store(store), Content::Drafts(drafts)) => store.deliver(drafts, turn).await?,
            (Self::Http(http), Content::Body(body)) => http.deliver(body).await?,
            _ => return Err(Error::Broken),
        };
        tally.add_refused(&load.refused);
        Ok(Delivered {
            first: load.first,
            records: load.records,
            tally,
        })
    }
}

impl Load {
    /// Whether the next load may go in the same request.
    pub(crate) fn has_room_for(&self, next: &Self) -> bool {
        let bytes = self.content.body_bytes() + next.content.body_bytes();
        bytes <= REQUEST_BYTES_MAX && self.records + next.records <= REQUEST_RECORDS_MAX
    }

    /// Adds the load that follows this one.
    pub(crate) fn append(&mut self, next: Self) {
        self.refused
            .extend(next.refused.into_iter().map(|refused| Refused {
                record: refused.record + self.records,
                ..refused
            }));
        self.records += next.records;
        match (&mut self.content, next.content) {
            (Content::Body(body), Content::Body(mut more)) => body.append(&mut more),
            (Content::Drafts(drafts), Content::Drafts(more)) => drafts.extend(more),
            _ => unreachable!("all loads of one target are alike"),
        }
    }
}

impl Content {
    fn body_bytes(&self) -> usize {
        match self {
            Self::Body(body) => body.len(),
            Self::Drafts(_) => 0,
        }
    }
}

/// The records alone, so that the server counts lines as the file counts records.
fn without_blank_lines(block: Block) -> Vec<u8> {
    if line_feeds(&block.text) == block.records {
        return block.text;
    }
    let records = lines(&block.text).filter(|line| !is_blank(line));
    records.flat_map(|line| [line, b"\n"].concat()).collect()
}

impl StoreTarget {
    fn validate(&self, block: &Block) -> Vec<Result<Event, Refusal>> {
        let receipt = Receipt {
            own: self.namespace,
            received: self.clock.now(),
            resolve: self.resolve.as_ref(),
        };
        let mut reader = EventReader::default();
        let event = |line| {
            let text = std::str::from_utf8(line).map_err(|error| Refusal {
                code: RefusalCode::MalformedEvent,
                message: format!("the event is not UTF-8: {error}"),
                organization: None,
            })?;
            reader.read(text, &receipt)
        };
        let mut drafts = Vec::with_capacity(usize::try_from(block.records).unwrap_or_default());
        let records = lines(&block.text).filter(|line| !is_blank(line));
        drafts.extend(records.map(event));
        drafts
    }

    async fn deliver(&self, drafts: Vec<Result<Event, Refusal>>, turn: Turn) -> Result<Tally> {
        let accepted = self.intake.accept_in_turn(self.namespace, drafts, turn);
        let outcomes = accepted.await?;
        let mut tally = Tally::default();
        for (place, outcome) in (1..).zip(outcomes) {
            tally.received += 1;
            match outcome {
                Outcome::Accepted { .. } => tally.accepted += 1,
                Outcome::Duplicate { .. } => tally.duplicate += 1,
                Outcome::Conflict { .. } => {
                    tally.conflict += 1;
                    tally.name(place, "conflict", CONFLICT);
                }
                Outcome::Refused(refusal) => {
                    tally.refused += 1;
                    tally.name(place, refusal.code.as_str(), &refusal.message);
                }
            }
        }
        Ok(tally)
    }
}

impl fmt::Debug for StoreTarget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut store = formatter.debug_struct("StoreTarget");
        store
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}
