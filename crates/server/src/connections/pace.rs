//! How fast the other end moves bytes. The clock runs only while it is waited for.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Parts of a window; bytes older than a whole window are forgotten part by part.
const PARTS: u32 = 10;

/// Bytes that must move in every window of waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rule {
    /// Time waited for the other end.
    pub(crate) window: Duration,
    /// Bytes it must move meanwhile.
    pub(crate) bytes_min: u64,
}

/// What one body or connection moved while it was waited for.
#[derive(Debug)]
pub(crate) struct Pace {
    rule: Rule,
    moved: [u64; PARTS as usize],
    /// Parts that have passed.
    passed: usize,
    /// Time waited in the present part.
    waited: Duration,
    waiting_since: Option<Instant>,
    is_too_slow: bool,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    pub(crate) fn new(rule: Rule) -> Self {
        Self {
            rule,
            moved: [0; PARTS as usize],
            passed: 0,
            waited: Duration::ZERO,
            waiting_since: None,
            is_too_slow: false,
            timer: None,
        }
    }

    /// Begins anew under another rule, unless it is the one in force.
    pub(crate) fn follow(&mut self, rule: Rule) {
        if rule != self.rule {
            *self = Self::new(rule);
        }
    }

    /// The other end moved bytes: it is not waited for until the next [`Self::poll_too_slow`].
    pub(crate) fn moved(&mut self, bytes: usize) {
        self.pass(Instant::now());
        let part = self.passed % self.moved.len();
        if let Some(moved) = self.moved.get_mut(part) {
            *moved = moved.saturating_add(bytes as u64);
        }
    }

    /// To be polled while nothing moves; ready once too little moved in the last window.
    pub(crate) fn poll_too_slow(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let now = Instant::now();
            self.pass(now);
            if self.is_too_slow {
                return Poll::Ready(());
            }
            self.waiting_since = Some(now);
            let next = now + self.part().saturating_sub(self.waited);
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(sleep_until(next)));
            timer.as_mut().reset(next);
            if timer.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
    }

    fn part(&self) -> Duration {
        self.rule.window / PARTS
    }

    /// Counts the time since the last poll. The timer polls once a part: whoever comes later was
    /// doing something else, and the other end is not to blame for that.
    fn pass(&mut self, now: Instant) {
        let Some(since) = self.waiting_since.take() else {
            return;
        };
        let part = self.part();
        self.waited += now.saturating_duration_since(since).min(part);
        if self.waited < part {
            return;
        }
        self.waited -= part;
        self.passed += 1;
        let whole = self.passed >= self.moved.len();
        self.is_too_slow = whole && self.moved.iter().sum::<u64>() < self.rule.bytes_min;
        let next = self.passed % self.moved.len();
        if let Some(moved) = self.moved.get_mut(next) {
            *moved = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::{advance, timeout};

    use super::*;

    const RULE: Rule = Rule {
        window: Duration::from_secs(10),
        bytes_min: 10 * 1024,
    };

    /// Whether the other end is too slow within some seconds of waiting.
    async fn ends_within(pace: &mut Pace, seconds: u64) -> bool {
        let slow = poll_fn(|context| pace.poll_too_slow(context));
        timeout(Duration::from_secs(seconds), slow).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_after_one_window() {
        let mut pace = Pace::new(RULE);
        assert!(!ends_within(&mut pace, 9).await);
        assert!(ends_within(&mut pace, 2).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_buys_one_window_and_no_more() {
        let mut pace = Pace::new(RULE);
        pace.moved(1 << 20);
        assert!(!ends_within(&mut pace, 10).await);
        assert!(ends_within(&mut pace, 2).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickle_ends_and_a_slow_flow_goes_on() {
        let mut trickle = Pace::new(RULE);
        let mut seconds = 0;
        while !ends_within(&mut trickle, 1).await {
            trickle.moved(1_000);
            seconds += 1;
        }
        assert!((9..=11).contains(&seconds), "{seconds}");
        let mut flow = Pace::new(RULE);
        for _ in 0..100 {
            flow.moved(1_100);
            assert!(!ends_within(&mut flow, 1).await);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_clock_stands_while_nobody_waits() {
        let mut pace = Pace::new(RULE);
        for _ in 0..5 {
            assert!(!ends_within(&mut pace, 1).await);
            pace.moved(0);
            advance(Duration::from_hours(1)).await;
        }
        assert!(!ends_within(&mut pace, 4).await);
        // Gone while it waited, and back an hour later: the hour counts as one part.
        advance(Duration::from_hours(1)).await;
        assert!(ends_within(&mut pace, 2).await);
    }

    #[tokio::test(start_paused = true)]
    async fn another_rule_begins_anew() {
        let mut pace = Pace::new(RULE);
        assert!(!ends_within(&mut pace, 9).await);
        let pauses = Rule {
            window: Duration::from_mins(1),
            bytes_min: 1,
        };
        pace.follow(pauses);
        assert!(!ends_within(&mut pace, 59).await);
        pace.moved(1);
        pace.follow(pauses);
        assert!(!ends_within(&mut pace, 59).await);
        assert!(ends_within(&mut pace, 12).await);
    }
}
