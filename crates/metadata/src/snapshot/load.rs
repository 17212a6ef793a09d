//! Reading one account at one revision: five queries, whatever its size.

use std::collections::HashMap;
use std::sync::Arc;

use domain::ids::{AccountId, OrganizationId};
use domain::meter::Meter;
use domain::rate::Rate;
use domain::tree::Edge;

use crate::account::Account;
use crate::database::{Row, Statement, sql};
use crate::edge::edge_of;
use crate::error::{Error, Result};
use crate::meter::meter_of;
use crate::open::Metadata;
use crate::organization::{StoredKind, attributes_of};
use crate::rate::rate_of;
use crate::snapshot::{ControlSnapshot, Inner, OrganizationVersion, SnapshotOrganization};

/// What is seen of a table of versions at revision `$2`.
macro_rules! seen {
    ($select:literal, $order:literal) => {
        concat!(
            $select,
            " AND v.revision <= $2 AND (v.ended_revision IS NULL OR v.ended_revision > $2) ",
            $order
        )
    };
}

impl Metadata {
    /// An account's control data at a revision, or at the newest.
    ///
    /// The same revision gives the same snapshot for ever.
    pub async fn snapshot(
        &self,
        account: AccountId,
        revision: Option<u64>,
    ) -> Result<ControlSnapshot> {
        let newest = self.control_revision().await?;
        let revision = revision.unwrap_or(newest);
        if revision > newest {
            return Err(Error::BeyondRevision {
                asked: revision,
                newest,
            });
        }
        let known = self.find_account(account).await?;
        let known = known.ok_or_else(|| Error::not_found("account", account))?;
        self.load(known, revision).await
    }

    /// The newest control data of the account an organization belongs to.
    pub async fn snapshot_for(&self, organization: OrganizationId) -> Result<ControlSnapshot> {
        let revision = self.control_revision().await?;
        let account = self.find_account_of(organization).await?;
        let account = account.ok_or_else(|| Error::not_found("organization", organization))?;
        self.load(account, revision).await
    }

    async fn load(&self, account: Account, revision: u64) -> Result<ControlSnapshot> {
        let organizations = self.load_organizations(account.id, revision).await?;
        if organizations.is_empty() {
            return Err(Error::not_found("account", account.id));
        }
        let by_id = organizations.iter().enumerate();
        let by_id = by_id.map(|(index, one)| (one.id, index)).collect();
        let by_alias = organizations.iter().flat_map(|one| {
            let aliases = one.aliases.iter().cloned();
            aliases.map(|alias| (alias, one.id))
        });
        let meters = self.load_meters(account.id, revision).await?;
        let newest = |(index, meter): &(usize, &Meter)| {
            meter.valid.end.is_none()
                && meters.get(index + 1).is_none_or(|next| next.id != meter.id)
        };
        let live = meters.iter().enumerate().filter(newest);
        let mut live: Vec<usize> = live.map(|(index, _)| index).collect();
        live.sort_by(|left, right| meters[*left].slug.cmp(&meters[*right].slug));
        Ok(ControlSnapshot {
            inner: Arc::new(Inner {
                account: account.id,
                root: account.root,
                revision,
                by_id,
                by_alias: by_alias.collect(),
                edges: self.load_edges(account.id, revision).await?,
                rates: self.load_rates(account.id, revision).await?,
                organizations,
                meters,
                live,
            }),
        })
    }

    async fn seen(&self, statement: Statement, account: AccountId, at: u64) -> Result<Vec<Row>> {
        let statement = statement.bind(account).bind(at);
        self.database.read().all(statement).await
    }

    async fn load_organizations(
        &self,
        account: AccountId,
        revision: u64,
    ) -> Result<Vec<SnapshotOrganization>> {
        let versions = sql(seen!(
            "SELECT o.id, o.kind, o.created_at,
                 CASE WHEN o.archived_revision <= $2 THEN o.archived_at END AS archived_at, v.*
             FROM organizations o JOIN organization_versions v ON v.organization_id = o.id
             WHERE o.account_id = $1",
            "ORDER BY v.valid_from"
        ));
        let mut found: HashMap<OrganizationId, SnapshotOrganization> = HashMap::new();
        for row in self.seen(versions, account, revision).await? {
            let version = OrganizationVersion {
                valid: row.valid()?,
                attributes: attributes_of(&row)?,
            };
            let id = row.get("id")?;
            if let Some(known) = found.get_mut(&id) {
                known.versions.push(version);
                continue;
            }
            let one = SnapshotOrganization {
                id,
                kind: row.get::<StoredKind>("kind")?.0,
                aliases: Vec::new(),
                archived_at: row.maybe("archived_at")?,
                created_at: row.get("created_at")?,
                versions: vec![version],
            };
            found.insert(id, one);
        }
        let aliases = sql(seen!(
            "SELECT v.organization_id, v.alias FROM organization_aliases v
             WHERE v.account_id = $1",
            ""
        ));
        for row in self.seen(aliases, account, revision).await? {
            let owner: OrganizationId = row.get("organization_id")?;
            if let Some(one) = found.get_mut(&owner) {
                one.aliases.push(row.get("alias")?);
            }
        }
        let mut all: Vec<_> = found.into_values().collect();
        for one in &mut all {
            one.aliases.sort();
        }
        all.sort_by_key(|one| one.id);
        Ok(all)
    }

    async fn load_edges(&self, account: AccountId, revision: u64) -> Result<Vec<Edge>> {
        let statement = sql(seen!(
            "SELECT v.* FROM organization_edges v
             JOIN organizations o ON o.id = v.child_id WHERE o.account_id = $1",
            ""
        ));
        let rows = self.seen(statement, account, revision).await?;
        let mut edges: Vec<_> = rows.iter().map(edge_of).collect::<Result<_>>()?;
        edges.sort_by_key(|edge| (edge.child, edge.valid.start));
        Ok(edges)
    }

    async fn load_meters(&self, account: AccountId, revision: u64) -> Result<Vec<Meter>> {
        let statement = sql(seen!(
            "SELECT v.* FROM meter_versions v WHERE v.account_id = $1",
            ""
        ));
        let rows = self.seen(statement, account, revision).await?;
        let mut meters: Vec<_> = rows.iter().map(meter_of).collect::<Result<_>>()?;
        meters.sort_by_key(|meter| (meter.id, meter.valid.start));
        Ok(meters)
    }

    async fn load_rates(&self, account: AccountId, revision: u64) -> Result<Vec<Rate>> {
        let statement = sql(seen!(
            "SELECT v.* FROM rate_versions v WHERE v.account_id = $1",
            ""
        ));
        let rows = self.seen(statement, account, revision).await?;
        let mut rates: Vec<_> = rows.iter().map(rate_of).collect::<Result<_>>()?;
        rates.sort_by_key(|rate| (rate.id, rate.valid.start));
        Ok(rates)
    }
}
