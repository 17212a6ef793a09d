//! Instants as the vendor's door writes them: UTC, whole seconds.

use domain::Timestamp;
use serde::Serializer;

/// Writes `yyyy-MM-ddTHH:mm:ssZ`.
pub fn seconds<S: Serializer>(instant: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&instant.strftime("%Y-%m-%dT%H:%M:%SZ"))
}
