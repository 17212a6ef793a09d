//! Meters and their versions.

use domain::Timestamp;
use domain::ids::{AccountId, MeterId};
use domain::meter::Meter;

use crate::error::Result;
use crate::open::Metadata;
use crate::page::{Page, PageRequest};
use crate::revision::Change;

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
}

impl Metadata {
    /// The meter with this id, archived or not.
    pub async fn find_meter(&self, id: MeterId) -> Result<Option<MeterRecord>> {
        todo!()
    }

    /// The live meter of an account with this slug.
    pub async fn find_meter_by_slug(
        &self,
        account: AccountId,
        slug: &str,
    ) -> Result<Option<MeterRecord>> {
        todo!()
    }

    /// The meters of an account, archived ones too, by id.
    pub async fn list_meters(
        &self,
        account: AccountId,
        page: &PageRequest,
    ) -> Result<Page<MeterRecord>> {
        todo!()
    }
}

impl Change {
    /// The meter as this change sees it.
    pub async fn find_meter(&mut self, id: MeterId) -> Result<Option<MeterRecord>> {
        todo!()
    }

    /// Creates a meter in an account; `valid.start` says from when it reads.
    pub async fn insert_meter(&mut self, account: AccountId, meter: &Meter) -> Result<()> {
        todo!()
    }

    /// Makes a new version of a meter from its `valid.start` on; an equal one changes nothing.
    pub async fn put_meter(&mut self, meter: &Meter) -> Result<()> {
        todo!()
    }

    /// Ends a meter at `at`; its slug is free again.
    pub async fn archive_meter(&mut self, id: MeterId, at: Timestamp) -> Result<()> {
        todo!()
    }
}
