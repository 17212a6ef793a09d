//! Sections `login` and `admin`.

use serde::{Deserialize, Serialize};

use super::Secret;

/// Sessions and login attempts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// Minutes without use after which a session ends.
    pub session_idle_minutes: u32,
    /// Failed logins of one user name within the window before further ones are refused.
    pub attempts_max: u32,
    /// Seconds over which failed logins are counted.
    pub attempts_window_s: u32,
}

/// The administrator of the first start.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// User name.
    pub user: String,
    /// Password; unset for a random one.
    pub password: Secret,
}
