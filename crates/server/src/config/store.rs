//! Sections `store` and `database`.

use serde::{Deserialize, Serialize};

use super::Secret;

/// Where usage lives.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// Who keeps it.
    pub mode: StoreMode,
}

/// Who keeps the usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreMode {
    /// This server, in its data directory.
    Embedded,
    /// Another server on the same database.
    None,
}

/// Where control data lives.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// A `postgres://` URL; unset for SQLite in the data directory.
    pub url: Secret,
}
