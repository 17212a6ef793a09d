//! Rates and their versions.

use domain::Timestamp;
use domain::ids::{AccountId, RateId};
use domain::rate::Rate;

use crate::error::Result;
use crate::open::Metadata;
use crate::page::{Page, PageRequest};
use crate::revision::Change;

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
}

impl Metadata {
    /// The rate with this id, ended or not.
    pub async fn find_rate(&self, id: RateId) -> Result<Option<RateRecord>> {
        todo!()
    }

    /// The rates of an account, ended ones too, by id.
    pub async fn list_rates(
        &self,
        account: AccountId,
        page: &PageRequest,
    ) -> Result<Page<RateRecord>> {
        todo!()
    }
}

impl Change {
    /// The rate as this change sees it.
    pub async fn find_rate(&mut self, id: RateId) -> Result<Option<RateRecord>> {
        todo!()
    }

    /// Creates a rate in an account, for the time `valid` says.
    ///
    /// Refused when another rate of its kind prices the same meter for the same organization in
    /// that time, and for AVG and MIN meters.
    pub async fn insert_rate(&mut self, account: AccountId, rate: &Rate) -> Result<()> {
        todo!()
    }

    /// Makes a new version of a rate for the time `valid` says and drops what lay after its start.
    pub async fn put_rate(&mut self, rate: &Rate) -> Result<()> {
        todo!()
    }

    /// Ends a rate at `at`.
    pub async fn end_rate(&mut self, id: RateId, at: Timestamp) -> Result<()> {
        todo!()
    }
}
