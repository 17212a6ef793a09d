//! In which order batches of one source are decided, and how long each may wait.
//!
//! Batches are prepared side by side. A [`Series`] gives each of them a [`Turn`] beforehand; an
//! intake admits and decides batches of one series in the order of their turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::oneshot::{self, Receiver, Sender};
use tokio::time::timeout;

use crate::error::{Error, Result};

/// Batches that are decided in the order of their turns.
///
/// Where one of them is not decided, none behind it is ([`Error::HeldBack`]): whoever sends them
/// repeats from that one on, in a new series.
#[derive(Debug, Default)]
pub struct Series {
    admission: Option<Receiver<()>>,
    decision: Option<Receiver<()>>,
    broken: Arc<AtomicBool>,
}

impl Series {
    /// The turn behind all that were given before; its batch waits at most `wait` for the writer.
    pub fn next(&mut self, wait: Duration) -> Turn {
        Turn {
            admission: Link::behind(&mut self.admission),
            decision: Link::behind(&mut self.decision),
            broken: Arc::clone(&self.broken),
            wait,
            left: wait,
        }
    }
}

/// The place of one batch in its series.
///
/// Dropped before its batch is handed over, it holds back every batch behind it.
#[derive(Debug)]
pub struct Turn {
    admission: Link,
    decision: Link,
    broken: Arc<AtomicBool>,
    wait: Duration,
    left: Duration,
}

impl Turn {
    /// A turn without others before or behind it.
    pub fn alone(wait: Duration) -> Self {
        Series::default().next(wait)
    }

    /// A turn just before this one, for the first part of a batch that is handed over in parts.
    #[must_use]
    pub fn part(&mut self) -> Self {
        Self {
            admission: self.admission.part(),
            decision: self.decision.part(),
            broken: Arc::clone(&self.broken),
            wait: self.wait,
            left: self.left,
        }
    }

    /// Lets the batch wait at most `wait` from now on.
    pub fn wait_at_most(&mut self, wait: Duration) {
        (self.wait, self.left) = (wait, wait);
    }

    /// Awaits something the batch needs before it can be decided; [`Error::Busy`] once it has
    /// waited too long altogether.
    pub async fn wait_for<T>(&mut self, needed: impl Future<Output = T>) -> Result<T> {
        let began = Instant::now();
        let done = timeout(self.left, needed).await;
        self.left = self.left.saturating_sub(began.elapsed());
        done.map_err(|_| Error::Busy {
            waited_ms: u64::try_from(self.wait.as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// Awaits room for the batch, once every earlier batch has its own.
    pub async fn admit<T>(&mut self, room: impl Future<Output = T>) -> Result<T> {
        self.admission.reached().await?;
        let room = self.wait_for(room).await?;
        self.admission.pass();
        Ok(room)
    }

    /// Hands the batch over, once every earlier batch was handed over.
    pub async fn hand_over(&mut self, send: impl FnOnce() -> Result<()>) -> Result<()> {
        self.decision.reached().await?;
        send()?;
        self.decision.pass();
        Ok(())
    }

    /// What the writer needs of the turn.
    pub(crate) fn ticket(&self) -> Arc<Ticket> {
        Arc::new(Ticket {
            settled: AtomicBool::new(false),
            broken: Arc::clone(&self.broken),
        })
    }
}

/// A place in one queue: what comes before, and whom to let through afterwards.
#[derive(Debug)]
struct Link {
    before: Option<Receiver<()>>,
    after: Option<Sender<()>>,
}

impl Link {
    fn behind(last: &mut Option<Receiver<()>>) -> Self {
        let (after, next) = oneshot::channel();
        Self {
            before: last.replace(next),
            after: Some(after),
        }
    }

    fn part(&mut self) -> Self {
        Self::behind(&mut self.before)
    }

    async fn reached(&mut self) -> Result<()> {
        match &mut self.before {
            Some(before) => before.await.map_err(|_| Error::HeldBack)?,
            None => return Ok(()),
        }
        self.before = None;
        Ok(())
    }

    fn pass(&mut self) {
        if let Some(after) = self.after.take() {
            // Nobody may come behind.
            after.send(()).ok();
        }
    }
}

/// A batch between its caller, who may stop waiting, and the writer, who may begin it.
#[derive(Debug)]
pub(crate) struct Ticket {
    settled: AtomicBool,
    broken: Arc<AtomicBool>,
}

impl Ticket {
    /// Whether the caller may stop waiting: the writer has not begun the batch and never will.
    pub(crate) fn give_up(&self) -> bool {
        !self.settled.swap(true, Ordering::AcqRel)
    }

    /// Whether the writer may decide the batch. Only the writer asks, in the order of turns.
    pub(crate) fn begin(&self) -> bool {
        let given_up = self.settled.swap(true, Ordering::AcqRel);
        if given_up {
            self.hold_back();
        }
        !self.broken.load(Ordering::Acquire)
    }

    /// Holds back every batch behind this one: it was not decided.
    pub(crate) fn hold_back(&self) {
        self.broken.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_begun_or_given_up_but_never_both() {
        let begun = Turn::alone(Duration::ZERO).ticket();
        assert!(begun.begin());
        assert!(!begun.give_up(), "it is awaited to its end");

        let mut series = Series::default();
        let (first, second) = (series.next(Duration::ZERO), series.next(Duration::ZERO));
        let (given_up, behind) = (first.ticket(), second.ticket());
        assert!(given_up.give_up());
        assert!(!given_up.begin());
        assert!(!behind.begin(), "what is behind is held back");
    }
}
