//! What a connection is doing: whether it serves a request, and for whom it waits.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

/// Looks at a connection within the shortest time it may be stuck.
const LOOKS: u32 = 10;

/// The state of one connection.
#[derive(Debug)]
pub(super) struct Activity {
    opened: Instant,
    ending: Notify,
    is_ending: AtomicBool,
    /// Whether the socket takes no more bytes at the moment.
    is_writing: AtomicBool,
    requests: Mutex<Requests>,
}

#[derive(Debug)]
struct Requests {
    running: usize,
    idle_since: Instant,
    turns: Vec<Weak<Turn>>,
}

/// A request and its answer; the connection is not idle while one is held.
#[derive(Debug)]
pub(super) struct Running(Arc<Activity>);

/// Whose turn it is with an answer that flows under the control of its reader.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// When the reader's turn began, in milliseconds of the connection; 0 for the server's turn.
    since_ms: AtomicU64,
}

/// How long a connection may be stuck.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Without a request.
    pub(super) idle: Duration,
    /// With an answer whose reader takes nothing of it.
    pub(super) unread: Duration,
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        let now = Instant::now();
        Arc::new(Self {
            opened: now,
            ending: Notify::new(),
            is_ending: AtomicBool::new(false),
            is_writing: AtomicBool::new(false),
            requests: Mutex::new(Requests {
                running: 0,
                idle_since: now,
                turns: Vec::new(),
            }),
        })
    }

    /// Notes that a request began.
    pub(super) fn begin(self: &Arc<Self>) -> Running {
        self.requests(|requests| requests.running += 1);
        Running(Arc::clone(self))
    }

    /// Wants the connection to end with the requests that run.
    pub(super) fn end(&self) {
        self.is_ending.store(true, Ordering::Release);
        self.ending.notify_one();
    }

    pub(super) fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Acquire)
    }

    /// Ends when the connection is to take no further requests.
    pub(super) async fn ending(&self) {
        self.ending.notified().await;
    }

    pub(super) fn set_writing(&self, is_writing: bool) {
        self.is_writing.store(is_writing, Ordering::Release);
    }

    /// A turn that is looked at until it is dropped.
    pub(super) fn turn(&self) -> Arc<Turn> {
        let turn = Arc::default();
        self.requests(|requests| {
            requests.turns.retain(|turn| turn.strong_count() > 0);
            requests.turns.push(Arc::downgrade(&turn));
        });
        turn
    }

    pub(super) fn is_readers(&self, turn: &Turn, is_readers: bool) {
        let since = if is_readers { self.passed_ms() } else { 0 };
        turn.since_ms.store(since, Ordering::Release);
    }

    /// Ends with the reason when the connection has been stuck for longer than it may.
    pub(super) async fn stuck(&self, patience: Patience) -> &'static str {
        let pause = patience.idle.min(patience.unread) / LOOKS;
        loop {
            sleep(pause).await;
            if let Some(reason) = self.look(patience) {
                return reason;
            }
        }
    }

    fn look(&self, patience: Patience) -> Option<&'static str> {
        let unread_ms = u64::try_from(patience.unread.as_millis()).unwrap_or(u64::MAX);
        let now_ms = self.passed_ms();
        let is_late = |turn: &Weak<Turn>| {
            let turn = turn.upgrade()?;
            let since = turn.since_ms.load(Ordering::Acquire);
            (since > 0 && now_ms.saturating_sub(since) >= unread_ms).then_some(())
        };
        let is_writing = self.is_writing.load(Ordering::Acquire);
        self.requests(|requests| {
            let is_idle = requests.running == 0 && !is_writing;
            if is_idle && requests.idle_since.elapsed() >= patience.idle {
                return Some("it asked nothing");
            }
            let late = requests.turns.iter().find_map(is_late);
            late.map(|()| "an answer was not read")
        })
    }

    /// At least 1, since 0 means something else.
    fn passed_ms(&self) -> u64 {
        let passed = self.opened.elapsed().as_millis();
        u64::try_from(passed).unwrap_or(u64::MAX).max(1)
    }

    fn requests<T>(&self, with: impl FnOnce(&mut Requests) -> T) -> T {
        with(&mut self.requests.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Running {
    pub(super) fn activity(&self) -> &Activity {
        &self.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.requests(|requests| {
            requests.running = requests.running.saturating_sub(1);
            requests.idle_since = Instant::now();
        });
    }
}
