//! Subjects: names for what events say they are about.
//!
//! A subject belongs to the organization that named it and is seen from there and from above, like
//! everything else. Several organizations may name one key; who sees more than one reads its own,
//! else the nearest below.

use domain::Timestamp;
use domain::ids::OrganizationId;
use domain::limits::ATTRIBUTE_BYTES_MAX;

use crate::below::{Tops, below, nearest};
use crate::check;
use crate::database::{Row, Statement, sql};
use crate::error::{Error, Result};
use crate::open::Metadata;
use crate::organization;
use crate::page::{Page, PageRequest};

/// A subject of an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Organization that named it.
    pub organization: OrganizationId,
    /// The text events carry as `subject`.
    pub key: String,
    /// Name for people.
    pub display_name: Option<String>,
    /// What its clients note on it: a JSON object.
    pub metadata: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Metadata {
    /// Creates the organization's subject or sets its display name, and its metadata if they are
    /// given.
    pub async fn put_subject(
        &self,
        organization: OrganizationId,
        key: &str,
        display_name: Option<&str>,
        metadata: Option<Option<&str>>,
        now: Timestamp,
    ) -> Result<Subject> {
        check::echo("key", key)?;
        if !(1..=ATTRIBUTE_BYTES_MAX).contains(&key.len()) {
            let reason = format!("expected 1 to {ATTRIBUTE_BYTES_MAX} bytes");
            return Err(Error::invalid("key", reason));
        }
        display_name.map_or(Ok(()), |name| check::name("displayName", name))?;
        let mut transaction = self.database.begin().await?;
        organization::must_exist(&mut transaction, organization).await?;
        let statement = sql("INSERT INTO subjects
                 (organization_id, subject_key, display_name, created_at, updated_at, metadata)
             VALUES ($1, $2, $3, $4, $4, $5)
             ON CONFLICT (organization_id, subject_key) DO UPDATE
                 SET display_name = excluded.display_name, updated_at = excluded.updated_at,
                     metadata = CASE WHEN $6 THEN excluded.metadata ELSE subjects.metadata END
             RETURNING *")
        .bind(organization)
        .bind(key)
        .bind(display_name)
        .bind(now)
        .bind(metadata.flatten())
        .bind(metadata.is_some());
        let row = transaction.one(statement).await?;
        transaction.commit().await?;
        subject_of(&row.ok_or_else(|| Error::not_found("subject", key))?)
    }

    /// The subject with this key that `requester` sees at `at`: its own, else the nearest below.
    ///
    /// The nearest is the one with the fewest edges between; of equally near ones the one whose
    /// organization has the least id. Of several requesters each is one's own.
    pub async fn find_subject(
        &self,
        requester: impl Into<Tops>,
        key: &str,
        at: Timestamp,
    ) -> Result<Option<Subject>> {
        let statement = nearest_of(requester.into(), key, at);
        let row = self.database.read().one(statement).await?;
        row.as_ref().map(subject_of).transpose()
    }

    /// Removes the subject that [`Self::find_subject`] gives; tells which it was.
    pub async fn delete_subject(
        &self,
        requester: impl Into<Tops>,
        key: &str,
        at: Timestamp,
    ) -> Result<Option<Subject>> {
        let mut transaction = self.database.begin().await?;
        let Some(row) = transaction
            .one(nearest_of(requester.into(), key, at))
            .await?
        else {
            return Ok(None);
        };
        let subject = subject_of(&row)?;
        let statement = sql("DELETE FROM subjects WHERE organization_id = $1 AND subject_key = $2")
            .bind(subject.organization)
            .bind(key);
        transaction.run(statement).await?;
        transaction.commit().await?;
        Ok(Some(subject))
    }

    /// The subjects of the organizations that lie under `requester` at `at` and its own, by key
    /// and organization.
    pub async fn list_subjects(
        &self,
        requester: impl Into<Tops>,
        at: Timestamp,
        page: &PageRequest,
    ) -> Result<Page<Subject>> {
        let requester = requester.into();
        let page = page.of("subjects", vec![requester.clone().into()])?;
        let (organization, key) = page.after_of(place)?.unzip();
        let statement = sql(below!(
            "SELECT s.* FROM below JOIN subjects s ON s.organization_id = below.id
             WHERE $3 IS NULL OR s.subject_key > $3
                 OR (s.subject_key = $3 AND s.organization_id > $4)
             ORDER BY s.subject_key, s.organization_id LIMIT $5"
        ))
        .bind(requester)
        .bind(at)
        .bind(key)
        .bind(organization)
        .bind(page.rows());
        let rows = self.database.read().all(statement).await?;
        let subjects = rows.iter().map(subject_of).collect::<Result<_>>()?;
        let place = |subject: &Subject| format!("{} {}", subject.organization, subject.key);
        Ok(page.cut(subjects, place))
    }
}

/// Organization and key of the subject a cursor names.
fn place(cursor: &str) -> Option<(&str, &str)> {
    cursor.split_once(' ')
}

fn nearest_of(requester: Tops, key: &str, at: Timestamp) -> Statement {
    sql(nearest!(
        "SELECT s.* FROM nearest JOIN subjects s ON s.organization_id = nearest.id
         WHERE s.subject_key = $3 ORDER BY nearest.edges, nearest.id LIMIT 1"
    ))
    .bind(requester)
    .bind(at)
    .bind(key)
}

fn subject_of(row: &Row) -> Result<Subject> {
    Ok(Subject {
        organization: row.get("organization_id")?,
        key: row.get("subject_key")?,
        display_name: row.maybe("display_name")?,
        metadata: row.maybe("metadata")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}
