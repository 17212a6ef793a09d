//! A stream of events, one per line: constant memory, several batches on their way at once.

use std::collections::VecDeque;
use std::time::Duration;

use axum::extract::Request;
use axum::response::Response;
use domain::event::reader::EventReader;
use domain::event::{Refusal, RefusalCode};
use futures::StreamExt;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use usage::traits::Outcome;
use usage::{Series, Turn};

use super::answer::{Answer, Detail};
use super::batch::{Checked, Receiver};
use super::body::{Chunks, broken, decoded};
use super::lines::{Block, Lines};
use crate::blocking;
use crate::bodies::Share;
use crate::error::{ApiError, ApiResult};

/// Time without a byte after which the lines at hand are stored.
const IDLE: Duration = Duration::from_millis(100);

/// What became of the lines of one block, with their numbers.
type Decided = ApiResult<(Vec<u64>, Vec<Outcome>)>;

/// Reads lines as they come and stores them in batches.
pub(super) async fn ingest(
    receiver: Receiver,
    request: Request,
    wanted: Detail,
) -> ApiResult<Response> {
    let (parts, body) = request.into_parts();
    let chunks = decoded(&parts.headers, body)?;
    let mut running = Running::new(receiver);
    running.read(chunks).await?;
    while running.finish_oldest().await? {}
    running.answer.respond(wanted)
}

/// A stream being read.
struct Running {
    receiver: Receiver,
    lines: Lines,
    batches: VecDeque<JoinHandle<Decided>>,
    /// Batches are parsed side by side and decided in order.
    series: Series,
    begun: bool,
    answer: Answer,
    /// Memory for the lines that are in no block.
    room: Share,
}

impl Running {
    fn new(receiver: Receiver) -> Self {
        let line_bytes_max = receiver.app.config.limits.events_line_bytes_max;
        Self {
            receiver,
            lines: Lines::new(line_bytes_max),
            batches: VecDeque::new(),
            series: Series::default(),
            begun: false,
            answer: Answer::default(),
            room: Share::default(),
        }
    }

    async fn read(&mut self, mut chunks: Chunks) -> ApiResult<()> {
        loop {
            let Ok(chunk) = timeout(IDLE, chunks.next()).await else {
                self.store_all(Lines::whole_lines).await?;
                continue;
            };
            let Some(chunk) = chunk else {
                return self.store_all(Lines::rest).await;
            };
            self.lines.push(&chunk.map_err(broken)?);
            self.store_all(Lines::full_block).await?;
            if self.answer.has_too_many_malformed() {
                self.answer.stop_at(self.lines.count());
                return Ok(());
            }
            self.make_room().await?;
        }
    }

    /// Waits for memory for the lines that are not whole yet, unless they are few.
    async fn make_room(&mut self) -> ApiResult<()> {
        if self.room.is_empty() && self.lines.needs_room() {
            let bodies = &self.receiver.app.bodies;
            let (bytes, wait) = (self.lines.bytes_max(), self.patience());
            let owner = Some(self.receiver.own);
            self.room = bodies.large.take(owner, bytes, wait).await?;
        }
        Ok(())
    }

    /// How long a stream waits for memory: once it has begun, it is worse to break it off.
    fn patience(&self) -> Duration {
        Duration::from_secs(self.receiver.app.config.limits.stream_pause_s)
    }

    async fn store_all(&mut self, next: fn(&mut Lines) -> Option<Block>) -> ApiResult<()> {
        while let Some(block) = next(&mut self.lines) {
            self.store(block).await?;
        }
        Ok(())
    }

    /// Sends a block on its way, once there is room.
    async fn store(&mut self, block: Block) -> ApiResult<()> {
        while self.batches.len() >= self.receiver.app.config.limits.stream_batches_max.max(1) {
            self.finish_oldest().await?;
        }
        let bodies = &self.receiver.app.bodies;
        let owner = Some(self.receiver.own);
        let parsed = bodies
            .parsed
            .take(owner, block.parsed_bytes(), self.patience());
        let room = Room {
            parsed: parsed.await?,
            read: std::mem::take(&mut self.room),
        };
        let receiver = self.receiver.clone();
        let turn = self.next_turn();
        let batch = tokio::spawn(store(receiver, block, room, turn));
        self.batches.push_back(batch);
        Ok(())
    }

    /// The turn of the next batch: once a stream has begun, it is worse to break it off.
    fn next_turn(&mut self) -> Turn {
        let limits = &self.receiver.app.config.limits;
        let wait = if self.begun {
            limits.stream_writer_wait()
        } else {
            limits.writer_wait()
        };
        self.begun = true;
        self.series.next(wait)
    }

    /// Waits for the oldest batch; tells whether there was one.
    async fn finish_oldest(&mut self) -> ApiResult<bool> {
        let Some(batch) = self.batches.pop_front() else {
            return Ok(false);
        };
        let (lines, outcomes) = batch.await.map_err(ApiError::internal)??;
        for (line, outcome) in lines.into_iter().zip(outcomes) {
            self.answer.add(line, outcome);
        }
        Ok(true)
    }
}

/// Memory that a block takes, and what is parsed from it.
struct Room {
    read: Share,
    parsed: Share,
}

async fn store(receiver: Receiver, block: Block, room: Room, turn: Turn) -> Decided {
    let parsing = receiver.clone();
    let (numbers, drafts) =
        blocking::run(&receiver.app.parsing, move || parse(&parsing, &block)).await?;
    drop(room.read);
    let outcomes = receiver.accept(drafts, turn).await?;
    drop(room.parsed);
    Ok((numbers, outcomes))
}

fn parse(receiver: &Receiver, block: &Block) -> (Vec<u64>, Vec<Checked>) {
    let bytes_max = receiver.app.config.limits.events_line_bytes_max;
    let mut reader = EventReader::default();
    block
        .lines()
        .map(|(number, line)| (number, check(receiver, &mut reader, line, bytes_max)))
        .unzip()
}

fn check(receiver: &Receiver, reader: &mut EventReader, line: &[u8], bytes_max: usize) -> Checked {
    let malformed = |message: String| Refusal {
        code: RefusalCode::MalformedEvent,
        message,
        organization: None,
    };
    if line.len() > bytes_max {
        return Err(malformed(format!(
            "the line has more than {bytes_max} bytes (limits.events_line_bytes_max)"
        )));
    }
    let text = std::str::from_utf8(line)
        .map_err(|error| malformed(format!("the line is not UTF-8: {error}")))?;
    receiver.check(reader, text)
}
