//! Meters and their versions.

use domain::Timestamp;
use domain::ids::AccountId;
use domain::meter::Meter;

mod read;
mod write;

pub(crate) use read::meter_of;

/// A meter's newest version and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeterRecord {
    /// Account that owns it.
    pub account: AccountId,
    /// The newest version; its `valid.end` is set when the meter is archived.
    pub meter: Meter,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The control revision that wrote this version.
    pub revision: u64,
}
