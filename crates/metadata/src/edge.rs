//! Edges of the tree: what lies under what, and since when.

use domain::Timestamp;
use domain::ids::OrganizationId;
use domain::range::TimeRange;
use domain::tree::{Edge, OrganizationKind};

use crate::checksum::EDGES;
use crate::database::{Row, micros, sql};
use crate::error::{Error, Result};
use crate::revision::Change;

impl Change {
    /// Moves an organization under `parent` from `at` on (`None`: for all time).
    ///
    /// The old parent keeps the usage before `at`. Kinds keep the tree free of cycles and three
    /// levels deep: what may hold others may never lie under its own kind.
    pub async fn move_organization(
        &mut self,
        id: OrganizationId,
        parent: OrganizationId,
        at: Option<Timestamp>,
    ) -> Result<()> {
        let child = self.known_organization(id).await?;
        let above = self.known_organization(parent).await?;
        if above.account != child.account {
            return Err(Error::not_found("organization", parent));
        }
        if child.kind == OrganizationKind::Production {
            return Err(Error::RootStays { organization: id });
        }
        if !above.kind.may_hold(child.kind) {
            return Err(Error::Misplaced {
                child: child.kind.as_str(),
                parent: above.kind.as_str(),
            });
        }
        let valid = TimeRange {
            start: at,
            end: None,
        };
        if self.lies_already(id, parent, valid).await? {
            return Ok(());
        }
        self.names(id, None);
        self.cut(&EDGES, vec![id.into()], micros(&valid).0).await?;
        let (valid_from, valid_to) = micros(&valid);
        let values = vec![id.into(), parent.into(), valid_from.into(), valid_to.into()];
        self.put(&EDGES, values).await
    }

    /// Whether the organization lies under `parent` during all of `valid` as it is.
    async fn lies_already(
        &mut self,
        id: OrganizationId,
        parent: OrganizationId,
        valid: TimeRange,
    ) -> Result<bool> {
        let since = micros(&valid).0;
        let statement = sql("SELECT child_id FROM organization_edges
             WHERE child_id = $1 AND parent_id = $2 AND ended_revision IS NULL
                 AND valid_from <= $3 AND valid_to = 9223372036854775807")
        .bind(id)
        .bind(parent)
        .bind(since);
        Ok(self.transaction.one(statement).await?.is_some())
    }
}

/// The edge in a row, when it is sound.
pub(crate) fn edge_of(row: &Row) -> Result<Edge> {
    EDGES.check(row)?;
    Ok(Edge {
        child: row.get("child_id")?,
        parent: row.get("parent_id")?,
        valid: row.valid()?,
    })
}
