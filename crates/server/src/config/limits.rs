//! Section `limits`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Bounds of requests.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Connections open at once; further ones wait.
    pub connections_max: usize,
    /// Seconds a connection may take to send the head of a request, idle time before it included.
    pub header_read_timeout_s: u64,
    /// Requests per second one API key may make; 0 for no limit.
    pub requests_per_second: u32,
    /// Bytes of a body of events after decompression.
    pub events_body_bytes_max: usize,
    /// Bytes of one line of a stream of events.
    pub events_line_bytes_max: usize,
    /// Bytes of any other body.
    pub body_bytes_max: usize,
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
}
