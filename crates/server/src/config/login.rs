//! Sections `login` and `admin`.

use serde::{Deserialize, Serialize};

use super::Secret;

/// Login attempts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
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
