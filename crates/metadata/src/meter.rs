//! Meters and their versions.

use domain::Timestamp;
use domain::ids::AccountId;
use domain::meter::Meter;

mod read;
mod upgrade;
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
    /// What its clients note on it: a JSON object.
    pub metadata: Option<String>,
}

/// What a list of meters is ordered by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MeterOrder {
    /// Slug.
    Slug,
    /// Name.
    Name,
    /// Aggregation.
    Aggregation,
    /// Creation.
    #[default]
    Created,
    /// Last change.
    Updated,
}

/// A part of an account's meters in an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeterList {
    /// The order.
    pub order: MeterOrder,
    /// Whether it is turned round.
    pub descending: bool,
    /// Only those that are not archived at this instant; all where there is none.
    pub live_at: Option<Timestamp>,
    /// Meters to leave out at the start.
    pub offset: u64,
    /// Most meters to give.
    pub limit: u32,
}
