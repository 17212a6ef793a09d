//! Subjects: names for what events say they are about.

use domain::Timestamp;
use domain::ids::AccountId;
use domain::limits::ATTRIBUTE_BYTES_MAX;

use crate::account;
use crate::check;
use crate::database::{Row, sql};
use crate::error::{Error, Result};
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
        check::echo("key", key)?;
        if !(1..=ATTRIBUTE_BYTES_MAX).contains(&key.len()) {
            let reason = format!("expected 1 to {ATTRIBUTE_BYTES_MAX} bytes");
            return Err(Error::invalid("key", reason));
        }
        display_name.map_or(Ok(()), |name| check::name("displayName", name))?;
        let mut transaction = self.database.begin().await?;
        account::must_exist(&mut transaction, account).await?;
        let statement = sql("INSERT INTO subjects
                 (account_id, subject_key, display_name, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $4)
             ON CONFLICT (account_id, subject_key) DO UPDATE
                 SET display_name = excluded.display_name, updated_at = excluded.updated_at
             RETURNING *")
        .bind(account)
        .bind(key)
        .bind(display_name)
        .bind(now);
        let row = transaction.one(statement).await?;
        transaction.commit().await?;
        subject_of(&row.ok_or_else(|| Error::not_found("subject", key))?)
    }

    /// The subject with this key.
    pub async fn find_subject(&self, account: AccountId, key: &str) -> Result<Option<Subject>> {
        let statement = sql("SELECT * FROM subjects WHERE account_id = $1 AND subject_key = $2")
            .bind(account)
            .bind(key);
        let row = self.database.read().one(statement).await?;
        row.as_ref().map(subject_of).transpose()
    }

    /// The subjects of an account, by key.
    pub async fn list_subjects(
        &self,
        account: AccountId,
        page: &PageRequest,
    ) -> Result<Page<Subject>> {
        let statement = sql("SELECT * FROM subjects
             WHERE account_id = $1 AND ($2 IS NULL OR subject_key > $2)
             ORDER BY subject_key LIMIT $3")
        .bind(account)
        .bind(page.after())
        .bind(page.rows());
        let rows = self.database.read().all(statement).await?;
        let subjects = rows.iter().map(subject_of).collect::<Result<_>>()?;
        Ok(page.cut(subjects, |subject: &Subject| subject.key.clone()))
    }
}

fn subject_of(row: &Row) -> Result<Subject> {
    Ok(Subject {
        account: row.get("account_id")?,
        key: row.get("subject_key")?,
        display_name: row.maybe("display_name")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}
