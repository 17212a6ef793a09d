//! The frame being put together: decisions, numbers, rows, counters, and who waits for it.

use std::sync::Arc;

use domain::event::Refusal;
use domain::ids::OrganizationId;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::error::{Error, Result};
use crate::intake::Insertion;
use crate::intake::prepare::PreparedEvent;
use crate::journal::frame::{Chain, FinishedFrame, FrameBuilder, FrameKind, encode_row};
use crate::manifest::Counters;
use crate::row::Row;
use crate::seen::{Known, Seen, Verdict};
use crate::series::Ticket;
use crate::shared::{Tally, add};
use crate::traits::Outcome;

/// Rows and counters of one frame.
#[derive(Debug, Default)]
pub(super) struct Draft {
    builder: FrameBuilder,
    rows: Vec<Row>,
    bytes: usize,
    next: u64,
    scratch: Vec<u8>,
    recent: Option<(Option<OrganizationId>, Counters)>,
    /// Counters of the frame, complete once it is finished.
    pub(super) tally: Tally,
}

/// Who waits for the frame, and what they will be told.
#[derive(Debug)]
pub(super) enum Waiting {
    /// A batch that was decided here.
    Accept {
        reply: oneshot::Sender<Result<Vec<Outcome>>>,
        outcomes: Vec<Outcome>,
        ticket: Arc<Ticket>,
        permit: OwnedSemaphorePermit,
    },
    /// Rows that had their numbers.
    Insert {
        reply: oneshot::Sender<Result<()>>,
        outcome: Result<()>,
        permit: OwnedSemaphorePermit,
    },
}

impl Waiting {
    /// Answers after the frame became durable. A caller who left needs no answer.
    pub(super) fn confirm(self) {
        match self {
            Self::Accept {
                reply,
                outcomes,
                permit,
                ..
            } => {
                reply.send(Ok(outcomes)).ok();
                drop(permit);
            }
            Self::Insert {
                reply,
                outcome,
                permit,
            } => {
                reply.send(outcome).ok();
                drop(permit);
            }
        }
    }

    /// Answers after the frame was not written.
    pub(super) fn refuse(self, error: &Error) {
        match self {
            Self::Accept {
                reply,
                ticket,
                permit,
                ..
            } => {
                ticket.hold_back();
                reply.send(Err(error.again())).ok();
                drop(permit);
            }
            Self::Insert {
                reply,
                outcome,
                permit,
            } => {
                reply.send(outcome.and(Err(error.again()))).ok();
                drop(permit);
            }
        }
    }
}

impl Draft {
    /// Starts over; the first row gets number `next`.
    pub(super) fn begin(&mut self, next: u64) {
        self.builder.clear();
        self.rows.clear();
        self.tally.clear();
        (self.bytes, self.next, self.recent) = (0, next, None);
    }

    /// Bytes of rows so far.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether anything is to be made durable: rows or counters.
    pub(super) fn is_worth_a_frame(&self) -> bool {
        self.builder.count() > 0 || self.recent.is_some() || !self.tally.is_empty()
    }

    /// Makes room for `rows` more at once.
    pub(super) fn reserve(&mut self, rows: usize) {
        self.rows.reserve(rows);
    }

    /// Counts a refused draft.
    pub(super) fn refuse(&mut self, refusal: Refusal) -> Outcome {
        self.count(refusal.organization, |counters| counters.refused += 1);
        Outcome::Refused(refusal)
    }

    /// Turns a verdict into an outcome; stores what is to be stored.
    pub(super) fn decide(
        &mut self,
        seen: &mut Seen,
        event: PreparedEvent,
        verdict: Verdict,
        bytes: &[u8],
    ) -> Outcome {
        let organization = Some(event.row.organization);
        let fingerprint = event.fingerprint;
        match verdict {
            Verdict::Fresh => {
                let sequence = self.next;
                seen.remember(
                    event.key,
                    Known {
                        fingerprint,
                        sequence,
                    },
                );
                self.store(event.key.0, fingerprint.0, event.row, bytes);
                self.count(organization, |counters| counters.stored += 1);
                Outcome::Accepted { sequence }
            }
            Verdict::Duplicate { sequence } => {
                self.count(organization, |counters| counters.duplicate += 1);
                Outcome::Duplicate { sequence }
            }
            Verdict::Conflict { sequence, own_key } => {
                if let Some(key) = own_key {
                    seen.remember(
                        key,
                        Known {
                            fingerprint,
                            sequence: self.next,
                        },
                    );
                    let row = Row {
                        conflict_with: Some(sequence),
                        ..event.row
                    };
                    self.store(key.0, fingerprint.0, row, bytes);
                }
                self.count(organization, |counters| counters.conflict += 1);
                Outcome::Conflict { sequence }
            }
        }
    }

    /// Takes rows that have their numbers, unless they are there already.
    pub(super) fn insert(&mut self, insertion: Insertion, waiting: &mut Vec<Waiting>) {
        let Insertion {
            rows,
            reply,
            permit,
        } = insertion;
        let ends = rows.first().zip(rows.last());
        let (first, last) = ends.map_or((0, 0), |(first, last)| (first.sequence, last.sequence));
        let outcome = if last < self.next {
            Ok(())
        } else if first == self.next {
            for row in rows {
                self.insert_row(row);
            }
            Ok(())
        } else {
            Err(Error::Gap {
                first,
                expected: self.next,
            })
        };
        waiting.push(Waiting::Insert {
            reply,
            outcome,
            permit,
        });
    }

    fn insert_row(&mut self, row: Row) {
        let mut bytes = std::mem::take(&mut self.scratch);
        bytes.clear();
        encode_row(&row, &mut bytes);
        let conflict = row.conflict_with.is_some();
        self.count(Some(row.organization), |counters| {
            counters.conflict += u64::from(conflict);
            counters.stored += u64::from(!conflict);
        });
        self.store(0, 0, row, &bytes);
        self.scratch = bytes;
    }

    fn store(&mut self, key: u128, fingerprint: u64, mut row: Row, bytes: &[u8]) {
        row.sequence = self.next;
        self.next += 1;
        self.bytes += bytes.len();
        self.builder
            .push(key, fingerprint, row.conflict_with, bytes);
        self.rows.push(row);
    }

    /// Counts for one organization; neighbours mostly belong to the same.
    fn count(&mut self, organization: Option<OrganizationId>, what: impl FnOnce(&mut Counters)) {
        let (mut counters, same) = match self.recent.take() {
            Some((recent, counters)) if recent == organization => (counters, true),
            Some((recent, counters)) => {
                add(self.tally.entry(recent).or_default(), &counters);
                (Counters::default(), false)
            }
            None => (Counters::default(), false),
        };
        debug_assert!(same || counters == Counters::default());
        counters.received += 1;
        what(&mut counters);
        self.recent = Some((organization, counters));
    }

    /// Ends the frame.
    pub(super) fn finish(&mut self, chain: Chain) -> FinishedFrame<'_> {
        if let Some((organization, counters)) = self.recent.take() {
            add(self.tally.entry(organization).or_default(), &counters);
        }
        self.builder
            .finish(FrameKind::Rows, chain, self.tally.iter())
    }

    /// Takes the rows of a durable frame.
    pub(super) fn take_rows(&mut self) -> Vec<Row> {
        std::mem::take(&mut self.rows)
    }
}
