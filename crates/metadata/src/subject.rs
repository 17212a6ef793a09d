//! Subjects: names for what events say they are about.

use domain::Timestamp;
use domain::ids::AccountId;

use crate::error::Result;
use crate::open::Metadata;
use crate::page::{Page, PageRequest};

/// A subject of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Account it belongs to.
    pub account: AccountId,
    /// The text events carry as `subject`.
    pub key: String,
    /// Name for people.
    pub display_name: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Metadata {
    /// Creates the subject or sets its display name.
    pub async fn put_subject(
        &self,
        account: AccountId,
        key: &str,
        display_name: Option<&str>,
        now: Timestamp,
    ) -> Result<Subject> {
        todo!()
    }

    /// The subject with this key.
    pub async fn find_subject(&self, account: AccountId, key: &str) -> Result<Option<Subject>> {
        todo!()
    }

    /// The subjects of an account, by key.
    pub async fn list_subjects(
        &self,
        account: AccountId,
        page: &PageRequest,
    ) -> Result<Page<Subject>> {
        todo!()
    }
}
