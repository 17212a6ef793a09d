//! When events that a server did not take are sent again.

use std::time::{Duration, Instant};

use domain::Timestamp;

use crate::import::PATIENCE;
use crate::random;

/// Pause before events are sent again for the first time, at most; it doubles each time.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
/// The longest pause that nobody asked for.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Doublings after which the pause is at its longest.
const DOUBLINGS_MAX: u32 = 6;
/// The longest pause that is taken from a server; far more than [`PATIENCE`].
const RETRY_AFTER_MAX: Duration = Duration::from_hours(24);
/// Of a pause that was asked for, one part in so many is added at most, so that many clients do not
/// come back at once.
const SPREAD: u32 = 4;

/// How long a request of events has been on its way.
#[derive(Debug)]
pub(super) struct Patience {
    began: Instant,
    attempts: u32,
}

impl Patience {
    /// Begins with the first attempt.
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            attempts: 0,
        }
    }

    /// What is left of [`PATIENCE`].
    pub(super) fn left(&self) -> Duration {
        PATIENCE.saturating_sub(self.began.elapsed())
    }

    /// The pause before the next attempt; it may be longer than what is left.
    pub(super) fn pause(&mut self, asked: Option<Duration>) -> Duration {
        let pause = pause(self.attempts, asked, spread());
        self.attempts += 1;
        pause
    }
}

/// A random number of 16 bits.
fn spread() -> u32 {
    u32::from(random::bits().to_le_bytes()[0]) << 8 | u32::from(random::bits().to_le_bytes()[1])
}

/// The pause after `attempts` earlier ones: what the server asked for and a little more, or a
/// random time that grows. `random` has 16 bits.
fn pause(attempts: u32, asked: Option<Duration>, random: u32) -> Duration {
    let part = |whole: Duration| whole * random / u32::from(u16::MAX);
    if let Some(asked) = asked.filter(|asked| !asked.is_zero()) {
        return asked + part(asked / SPREAD);
    }
    let longest = PAUSE_FIRST * 2_u32.pow(attempts.min(DOUBLINGS_MAX));
    let longest = longest.min(PAUSE_MAX);
    longest / 2 + part(longest / 2)
}

/// What `Retry-After` asks for, in seconds or as a date; longer than anybody waits counts as a day.
pub(super) fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let seconds = domain::retry_after::seconds(text, now)?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: u32 = u16::MAX as u32;

    #[test]
    fn pauses_grow_spread_and_end_at_the_longest() {
        let pauses = |random| [0, 1, 2, 6, 99].map(|attempts| pause(attempts, None, random));
        let milliseconds = |pauses: [Duration; 5]| pauses.map(|pause| pause.as_millis());
        assert_eq!(milliseconds(pauses(ALL)), [500, 1000, 2000, 30_000, 30_000]);
        assert_eq!(milliseconds(pauses(0)), [250, 500, 1000, 15_000, 15_000]);
    }

    #[test]
    fn what_the_server_asks_for_is_never_cut_short() {
        let asked = Some(Duration::from_secs(40));
        assert_eq!(pause(0, asked, 0), Duration::from_secs(40));
        assert_eq!(pause(9, asked, ALL), Duration::from_secs(50));
        assert!(!pause(0, Some(Duration::ZERO), 0).is_zero(), "no hot loop");
    }

    #[test]
    fn a_server_asks_in_seconds_or_by_date() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let seconds = |text| retry_after(text, now).map(|asked| asked.as_secs());
        assert_eq!(seconds("120"), Some(120));
        assert_eq!(seconds("Thu, 01 Jan 2026 00:10:00 GMT"), Some(600));
        assert_eq!(seconds("99999999999999999999"), Some(86_400));
        assert_eq!(seconds("soon"), None);
    }
}
