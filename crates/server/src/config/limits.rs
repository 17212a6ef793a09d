//! Section `limits`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::connections::Rule;

/// Bytes of an answer that the systems on the way may move at once. A reader as slow as it may be
/// shows itself only that often.
const ANSWER_LUMP_BYTES_MAX: u64 = 64 * 1024;

/// Bounds of requests.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Connections open at once; one address has a quarter of them.
    pub connections_max: usize,
    /// Connections beyond, for health and for callers who are known; further ones wait.
    pub connections_reserved: usize,
    /// Seconds one of these takes a request's body; what is not answered a while later is cut off.
    pub connections_reserved_s: u64,
    /// Bytes of the body of a request that comes through one of these.
    pub connections_reserved_bytes_max: usize,
    /// Seconds a connection may take to send the head of a request, idle time before it included.
    pub header_read_timeout_s: u64,
    /// Seconds of waiting over which bodies and answers must move.
    pub slow_window_s: u64,
    /// Bytes per second they must move at least, over that time.
    pub slow_bytes_per_s_min: u64,
    /// Seconds a stream of events may pause.
    pub stream_pause_s: u64,
    /// Requests per second one API key may make; 0 for no limit.
    pub requests_per_second: u32,
    /// Bytes of a body of events after decompression.
    pub events_body_bytes_max: usize,
    /// Bytes of one line of a stream of events.
    pub events_line_bytes_max: usize,
    /// Bytes of any other body.
    pub body_bytes_max: usize,
    /// Bytes of memory for bodies under way and for what is parsed from them.
    pub bodies_bytes_max: usize,
    /// Per cent of each part of it that the requests of one organization take together.
    pub bodies_organization_percent_max: u32,
    /// Milliseconds a request waits for its share of them.
    pub bodies_wait_ms: u64,
    /// Batches of one stream on their way to the disk at once.
    pub stream_batches_max: usize,
    /// Milliseconds a request of events waits for the writer before it is refused with 503.
    pub writer_wait_ms: u64,
    /// The same for the further batches of a stream, whose first is stored.
    pub stream_writer_wait_ms: u64,
    /// Seconds a credential is believed before the database is asked again.
    pub credential_cache_s: u64,
}

impl Limits {
    /// How long a request of events waits for the writer.
    pub fn writer_wait(&self) -> Duration {
        Duration::from_millis(self.writer_wait_ms)
    }

    /// How long a further batch of a stream waits for the writer.
    pub fn stream_writer_wait(&self) -> Duration {
        Duration::from_millis(self.stream_writer_wait_ms)
    }

    /// How long a reserved connection takes a body, and how long it is held at most.
    pub(crate) fn reserved_patience(&self) -> (Duration, Duration) {
        let body = Duration::from_secs(self.connections_reserved_s);
        (body, body + Duration::from_secs(self.slow_window_s.max(1)))
    }

    /// What must come of a body.
    pub(crate) fn body_rule(&self) -> Rule {
        let bytes_min = self.slow_bytes_per_s_min.saturating_mul(self.slow_window_s);
        Rule {
            window: Duration::from_secs(self.slow_window_s.max(1)),
            bytes_min,
        }
    }

    /// What must come of a stream of events.
    pub(crate) fn pause_rule(&self) -> Rule {
        Rule {
            window: Duration::from_secs(self.stream_pause_s.max(1)),
            bytes_min: 1,
        }
    }

    /// What must be read of an answer: as much as must come of a body, over a window longer by the
    /// time that the slowest reader takes for what moves at once.
    pub(crate) fn answer_rule(&self) -> Rule {
        let body = self.body_rule();
        let lump = ANSWER_LUMP_BYTES_MAX.div_ceil(self.slow_bytes_per_s_min.max(1));
        Rule {
            window: body.window + Duration::from_secs(lump),
            bytes_min: body.bytes_min,
        }
    }
}
