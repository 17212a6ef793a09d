//! Rates and their versions.

use domain::Timestamp;
use domain::ids::AccountId;
use domain::rate::Rate;

mod read;
mod write;

pub(crate) use read::rate_of;

/// A rate's newest version and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateRecord {
    /// Account that owns it.
    pub account: AccountId,
    /// The newest version.
    pub rate: Rate,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The control revision that wrote this version.
    pub revision: u64,
}
