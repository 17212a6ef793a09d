//! The one thread that decides, numbers and appends.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::prepare::{Item, held_bytes};
use super::{Insertion, Request};
use crate::error::{Error, Result};
use crate::flush::Rotated;
use crate::intake::writer::frame::{Draft, Waiting};
use crate::journal::{BARE_FRAME_BYTES, Failure, Journal};
use crate::options::{FRAME_BYTES_MAX, FRAME_REQUESTS_MAX, MARK_RETRY_MS};
use crate::seen::Seen;
use crate::shared::{PanicGuard, Shared, count, locked};

mod frame;

/// What the writer is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// Decide a batch.
    Accept(Request),
    /// Append rows that have their numbers.
    Insert(Insertion),
    /// Begin a new journal file, so that what is durable can be flushed.
    Rotate(mpsc::SyncSender<Result<Option<Rotated>>>),
    /// A flush ended: rows up to the sequence are in segments, or it failed for want of space.
    Flushed(Result<u64, Arc<str>>),
    /// End.
    Stop,
}

/// The way to the writer. Bounded by the queue's permits, which every batch holds.
#[derive(Debug)]
pub(crate) struct CommandSender(Sender<Command>);

impl CommandSender {
    /// A sender and the receiver for the writer.
    pub(crate) fn new() -> (Self, Receiver<Command>) {
        let (sender, receiver) = mpsc::channel();
        (Self(sender), receiver)
    }

    /// Sends; fails when the writer has ended.
    pub(crate) fn send(&self, command: Command) -> Result<()> {
        self.0.send(command).map_err(|_| Error::Closed)
    }
}

/// The writer's own state.
#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<Shared>,
    commands: Receiver<Command>,
    backlog: VecDeque<Command>,
    journal: Option<Journal>,
    seen: Seen,
    draft: Draft,
    frames_in_file: u64,
    full: Option<Arc<str>>,
    /// When the last frame is to be followed by a mark; `None` when something follows it.
    mark_at: Option<Instant>,
}

/// What the writer begins with.
#[derive(Debug)]
pub(crate) struct Start {
    /// The journal; `None` when the store is read-only.
    pub(crate) journal: Option<Journal>,
    /// Keys of unflushed rows.
    pub(crate) seen: Seen,
    /// Frames in the journal that are not flushed.
    pub(crate) frames: u64,
    /// Whether nothing follows the last of them.
    pub(crate) is_unmarked: bool,
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, commands: Receiver<Command>, start: Start) -> Self {
        let mut writer = Self {
            shared,
            commands,
            backlog: VecDeque::new(),
            journal: start.journal,
            seen: start.seen,
            draft: Draft::default(),
            frames_in_file: start.frames,
            full: None,
            mark_at: None,
        };
        if start.is_unmarked && writer.journal.is_some() {
            writer.mark_later(writer.shared.options.mark_after_ms);
        }
        writer
    }

    /// Serves commands until it is told to stop or everyone has gone.
    pub(crate) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let _guard = PanicGuard(&shared, "writer");
        while let Some(command) = self.next() {
            match command {
                Command::Accept(_) | Command::Insert(_) => self.commit_with(command),
                Command::Rotate(reply) => {
                    // The flush that asked may have been stopped; then nobody needs the answer.
                    reply.send(self.rotate()).ok();
                }
                Command::Flushed(outcome) => self.flushed(outcome),
                Command::Stop => break,
            }
        }
        if self.mark_at.is_some() {
            self.mark();
        }
    }

    fn next(&mut self) -> Option<Command> {
        self.backlog.pop_front().or_else(|| self.wait())
    }

    /// Waits for a command, and marks the last frame when that is due meanwhile.
    fn wait(&mut self) -> Option<Command> {
        while let Some(at) = self.mark_at {
            let rest = at.saturating_duration_since(Instant::now());
            match self.commands.recv_timeout(rest) {
                Ok(command) => return Some(command),
                Err(RecvTimeoutError::Timeout) => self.mark(),
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
        self.commands.recv().ok()
    }

    fn mark_later(&mut self, after_ms: u64) {
        self.mark_at = Instant::now().checked_add(Duration::from_millis(after_ms));
    }

    /// Lets a mark follow the last frame, which was answered.
    fn mark(&mut self) {
        self.mark_at = None;
        if self.shared.broken.get().is_some() {
            return;
        }
        let Some(journal) = self.journal.as_mut() else {
            return;
        };
        let began = Instant::now();
        match journal.mark() {
            Ok(()) => self.count_sync(began, BARE_FRAME_BYTES),
            Err(Failure::Full(error)) => {
                tracing::warn!("the last frame is not marked yet: {error}");
                self.mark_later(MARK_RETRY_MS);
            }
            Err(Failure::Broken(error)) => {
                self.shared.break_down(&error.to_string());
                self.journal = None;
            }
        }
    }

    /// Counts bytes made durable since `began`.
    fn count_sync(&self, began: Instant, size: u64) {
        let counts = &self.shared.counts;
        count(&counts.syncs, 1);
        count(&counts.journal_bytes, size);
        let took = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        count(&counts.sync_nanoseconds, took);
    }

    fn try_next(&mut self) -> Option<Command> {
        self.backlog
            .pop_front()
            .or_else(|| self.commands.try_recv().ok())
    }

    /// Puts this and all other waiting batches into one frame and answers them.
    fn commit_with(&mut self, first: Command) {
        if let Err(error) = self.wait_for_room() {
            return refuse(first, &error);
        }
        let mut waiting = Vec::new();
        self.draft.begin(
            self.journal
                .as_ref()
                .map_or(1, |journal| journal.chain().next),
        );
        let mut next = Some(first);
        let mut failed = None;
        while let Some(command) = next.take() {
            let added = match command {
                Command::Accept(request) => self.add(request, &mut waiting),
                Command::Insert(insertion) => {
                    self.draft.insert(insertion, &mut waiting);
                    Ok(())
                }
                other => {
                    self.backlog.push_front(other);
                    break;
                }
            };
            if let Err(error) = added {
                failed = Some(error);
                break;
            }
            if waiting.len() < FRAME_REQUESTS_MAX && self.draft.bytes() < FRAME_BYTES_MAX {
                next = self.try_next();
            }
        }
        let ended = match failed {
            // A key that cannot be looked up may be known or not: nothing is decided any more.
            Some(error) => Err(Failure::Broken(error)),
            None => self.append(),
        };
        self.answer(ended, waiting);
    }

    fn add(&mut self, request: Request, waiting: &mut Vec<Waiting>) -> Result<()> {
        let Request {
            prepared,
            reply,
            ticket,
            permit,
        } = request;
        if !ticket.begin() {
            // Whoever gave up waiting needs no answer.
            reply.send(Err(Error::HeldBack)).ok();
            return Ok(());
        }
        let runs = self.shared.run_set();
        let checked_through = prepared.checked_through();
        let mut outcomes = Vec::with_capacity(prepared.items.len());
        self.draft.reserve(prepared.items.len());
        let mut result = Ok(());
        for item in prepared.items {
            let event = match item {
                Item::Refused(refusal) => {
                    outcomes.push(self.draft.refuse(refusal));
                    continue;
                }
                Item::Event(event) => event,
            };
            match self.seen.judge(&event.asked(checked_through), &runs) {
                Ok(verdict) => {
                    let bytes = prepared.bytes.get(event.bytes.clone()).unwrap_or_default();
                    let outcome = self.draft.decide(&mut self.seen, event, verdict, bytes);
                    outcomes.push(outcome);
                }
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        waiting.push(Waiting::Accept {
            reply,
            outcomes,
            ticket,
            permit,
        });
        result
    }

    /// Makes the frame durable.
    fn append(&mut self) -> Result<(), Failure> {
        let Some(journal) = self.journal.as_mut() else {
            let reason = self.shared.broken.get().cloned().unwrap_or_default();
            return Err(Failure::Broken(Error::ReadOnly { reason }));
        };
        if !self.draft.is_worth_a_frame() {
            return Ok(());
        }
        let frame = self.draft.finish(journal.chain());
        let size = frame.bytes.len() as u64;
        let began = Instant::now();
        journal.append(frame)?;
        self.frames_in_file += 1;
        count(&self.shared.counts.frames, 1);
        self.count_sync(began, size);
        self.mark_later(self.shared.options.mark_after_ms);
        Ok(())
    }

    fn answer(&mut self, ended: Result<(), Failure>, waiting: Vec<Waiting>) {
        let error = match ended {
            Ok(()) => {
                self.seen.keep();
                self.publish();
                return waiting.into_iter().for_each(Waiting::confirm);
            }
            Err(Failure::Full(error)) => error,
            Err(Failure::Broken(error)) => {
                self.shared.break_down(&error.to_string());
                self.journal = None;
                error
            }
        };
        tracing::warn!(
            "a frame of {} batches was not stored: {error}",
            waiting.len()
        );
        self.seen.undo();
        for waiting in waiting {
            waiting.refuse(&error);
        }
    }

    /// Shows the rows of the frame just written, and asks for a flush when one is due.
    fn publish(&mut self) {
        let rows = self.draft.take_rows();
        let bytes: usize = rows.iter().map(|row| held_bytes(&row.texts)).sum();
        let number = rows.len() as u64;
        locked(&self.shared.visible).publish(rows, &self.draft.tally);
        let (counts, options) = (&self.shared.counts, &self.shared.options);
        count(&counts.unflushed_rows, number);
        count(&counts.unflushed_bytes, bytes as u64);
        let due = counts.unflushed_rows.load(Ordering::Relaxed) >= options.flush_rows
            || counts.unflushed_bytes.load(Ordering::Relaxed) >= options.flush_bytes;
        if due || self.frames_in_file == 1 {
            self.shared.wish(|wishes| {
                wishes.flush |= due;
                wishes.oldest.get_or_insert_with(Instant::now);
            });
        }
    }

    /// Waits while too many rows are unflushed; serves the flush meanwhile.
    fn wait_for_room(&mut self) -> Result<()> {
        loop {
            self.shared.check_writable()?;
            if self.shared.has_unflushed_room() {
                return Ok(());
            }
            self.shared.wish(|wishes| wishes.flush = true);
            if self.full.is_some() {
                let path = self.shared.folders.segments.clone();
                return Err(Error::DiskFull {
                    action: "flush into",
                    path,
                });
            }
            match self.wait() {
                Some(Command::Rotate(reply)) => {
                    reply.send(self.rotate()).ok();
                }
                Some(Command::Flushed(outcome)) => self.flushed(outcome),
                Some(Command::Stop) | None => {
                    self.backlog.push_front(Command::Stop);
                    return Err(Error::Closed);
                }
                Some(other) => self.backlog.push_back(other),
            }
        }
    }

    fn flushed(&mut self, outcome: Result<u64, Arc<str>>) {
        match outcome {
            Ok(through) => {
                self.seen.forget(through);
                self.full = None;
            }
            Err(reason) => self.full = Some(reason),
        }
    }

    /// Ends the journal file; `None` when there is nothing to flush.
    fn rotate(&mut self) -> Result<Option<Rotated>> {
        self.shared.check_writable()?;
        let Some(journal) = self.journal.as_mut().filter(|_| self.frames_in_file > 0) else {
            return Ok(None);
        };
        if let Err(failure) = journal.rotate() {
            if matches!(failure, Failure::Broken(_)) {
                self.journal = None;
                self.shared
                    .break_down("the journal could not begin a new file");
            }
            return Err(failure.into_error());
        }
        self.frames_in_file = 0;
        // The seal follows the last frame.
        self.mark_at = None;
        let through = journal.chain().next - 1;
        let mut visible = locked(&self.shared.visible);
        visible.seal();
        Ok(Some(Rotated {
            through,
            journal_from: journal.number(),
            counters: visible.counters.clone(),
            chunks: visible.tail.clone(),
            keys: self.seen.hand_over(through),
        }))
    }
}

/// Refuses a batch that was not looked at.
fn refuse(command: Command, error: &Error) {
    match command {
        Command::Accept(Request { reply, ticket, .. }) => {
            ticket.hold_back();
            reply.send(Err(error.again())).ok();
        }
        Command::Insert(Insertion { reply, .. }) => {
            reply.send(Err(error.again())).ok();
        }
        Command::Rotate(_) | Command::Flushed(_) | Command::Stop => {}
    }
}
