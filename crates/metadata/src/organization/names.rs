//! Names of organizations are unique among those under one parent, compared exactly.
//!
//! Only new names are checked: what a change names, renames or moves. Equal ones that were stored
//! before stay, and are named at the start of a server.

use domain::ids::OrganizationId;

use crate::database::sql;
use crate::error::{Error, Result};
use crate::open::Metadata;
use crate::revision::Change;

/// What a refusal says is in use. Names and aliases share it: whose it is and which of the two is
/// not for everyone who asks.
pub(crate) const NAME_OR_ALIAS: &str = "organization name or alias";

/// A name that several organizations under one parent have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EqualName {
    /// The parent.
    pub parent: OrganizationId,
    /// The name.
    pub name: String,
    /// How many have it.
    pub organizations: u64,
}

impl Change {
    /// Remembers what is to be checked when the change is committed: one name of an organization,
    /// or all it has. Names may so be exchanged in one change.
    pub(crate) fn names(&mut self, id: OrganizationId, name: Option<String>) {
        self.named.push((id, name));
    }

    /// Refuses the change when an organization and one beside it have a name it made equal, now or
    /// at any time to come.
    pub(crate) async fn check_names(&mut self) -> Result<()> {
        for (id, name) in std::mem::take(&mut self.named) {
            if self.is_beside_namesake(id, name.as_deref()).await? {
                return Err(Error::Taken {
                    what: NAME_OR_ALIAS,
                    constraint: "organizations_name_unique",
                });
            }
        }
        Ok(())
    }

    /// Whether at some time from now on another organization lies under the same parent by the
    /// same name. Archived ones do not count.
    async fn is_beside_namesake(&mut self, id: OrganizationId, name: Option<&str>) -> Result<bool> {
        // SQLite joins in this order: by the name, of which there are few, then upwards. Four
        // ranges have an instant in common when each two have.
        let statement = sql(
            "SELECT theirs.organization_id FROM organization_versions mine
             CROSS JOIN organization_versions theirs
             CROSS JOIN organization_edges beside
             CROSS JOIN organization_edges own
             WHERE mine.organization_id = $1 AND mine.ended_revision IS NULL
                 AND mine.valid_to > $2 AND ($3 IS NULL OR mine.name = $3)
                 AND theirs.name = mine.name AND theirs.ended_revision IS NULL
                 AND theirs.valid_to > $2 AND theirs.organization_id <> $1
                 AND beside.child_id = theirs.organization_id AND beside.ended_revision IS NULL
                 AND beside.valid_to > $2
                 AND own.child_id = $1 AND own.parent_id = beside.parent_id
                 AND own.ended_revision IS NULL AND own.valid_to > $2
                 AND mine.valid_from < theirs.valid_to AND theirs.valid_from < mine.valid_to
                 AND mine.valid_from < beside.valid_to AND beside.valid_from < mine.valid_to
                 AND mine.valid_from < own.valid_to AND own.valid_from < mine.valid_to
                 AND theirs.valid_from < beside.valid_to AND beside.valid_from < theirs.valid_to
                 AND theirs.valid_from < own.valid_to AND own.valid_from < theirs.valid_to
                 AND beside.valid_from < own.valid_to AND own.valid_from < beside.valid_to
                 AND NOT EXISTS (SELECT 1 FROM organizations gone
                     WHERE gone.id IN ($1, theirs.organization_id)
                         AND gone.archived_at IS NOT NULL)
             LIMIT 1",
        )
        .bind(id)
        .bind(self.now)
        .bind(name);
        Ok(self.transaction.one(statement).await?.is_some())
    }
}

impl Metadata {
    /// The names that several organizations under one parent have now, `limit` at most.
    pub async fn list_equal_names(&self, limit: u32) -> Result<Vec<EqualName>> {
        let statement = sql("SELECT e.parent_id, v.name, count(*) AS many
             FROM organizations o
             JOIN organization_versions v ON v.organization_id = o.id
                 AND v.ended_revision IS NULL AND v.valid_to = 9223372036854775807
             JOIN organization_edges e ON e.child_id = o.id
                 AND e.ended_revision IS NULL AND e.valid_to = 9223372036854775807
             WHERE o.archived_at IS NULL
             GROUP BY e.parent_id, v.name HAVING count(*) > 1
             ORDER BY e.parent_id, v.name LIMIT $1")
        .bind(limit);
        let rows = self.database.read().all(statement).await?;
        let equal = rows.iter().map(|row| {
            Ok(EqualName {
                parent: row.get("parent_id")?,
                name: row.get("name")?,
                organizations: row.get("many")?,
            })
        });
        equal.collect()
    }
}
