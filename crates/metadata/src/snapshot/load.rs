//! Reading one account at one revision: six queries, whatever its size.
//!
//! Every row is compared with its checksum. Damage in the tree is damage of the whole account;
//! damaged meters and rates are kept as such, for what needs them.

use std::collections::HashMap;
use std::sync::Arc;

use domain::ids::{AccountId, OrganizationId};
use domain::meter::Meter;
use domain::rate::Rate;
use domain::tree::Edge;

use crate::account::Account;
use crate::checksum::{ALIASES, ORGANIZATIONS};
use crate::database::{Row, Statement, sql};
use crate::edge::edge_of;
use crate::error::{Error, Result};
use crate::meter::meter_of;
use crate::open::Metadata;
use crate::organization::{StoredKind, attributes_of};
use crate::rate::rate_of;
use crate::snapshot::{ControlSnapshot, Inner, Kept, OrganizationVersion, SnapshotOrganization};

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
        let live = live(meters.all().unwrap_or_default());
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
        let nodes = sql(
            "SELECT o.*, CASE WHEN o.archived_revision <= $2 THEN o.archived_at END
                 AS seen_archived_at FROM organizations o
             WHERE o.account_id = $1 AND o.revision <= $2",
        );
        let nodes = self.seen(nodes, account, revision).await?;
        let nodes = nodes.iter().map(node_of).collect::<Result<Vec<_>>>()?;
        let mut found: HashMap<OrganizationId, SnapshotOrganization> =
            nodes.into_iter().map(|one| (one.id, one)).collect();
        let versions = sql(seen!(
            "SELECT v.* FROM organization_versions v
             JOIN organizations o ON o.id = v.organization_id WHERE o.account_id = $1",
            "ORDER BY v.valid_from"
        ));
        for row in self.seen(versions, account, revision).await? {
            let version = OrganizationVersion {
                attributes: attributes_of(&row)?,
                valid: row.valid()?,
            };
            let id = row.get("organization_id")?;
            if let Some(one) = found.get_mut(&id) {
                one.versions.push(version);
            }
        }
        // What is new at a later revision has no version yet.
        found.retain(|_, one| !one.versions.is_empty());
        let aliases = sql(seen!(
            "SELECT v.* FROM organization_aliases v WHERE v.account_id = $1",
            ""
        ));
        for row in self.seen(aliases, account, revision).await? {
            ALIASES.check(&row)?;
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

    async fn load_meters(&self, account: AccountId, revision: u64) -> Result<Kept<Meter>> {
        let statement = sql(seen!(
            "SELECT v.* FROM meter_versions v WHERE v.account_id = $1",
            ""
        ));
        let rows = self.seen(statement, account, revision).await?;
        Kept::of(rows.iter().map(meter_of), |meter| {
            (meter.id, meter.valid.start)
        })
    }

    async fn load_rates(&self, account: AccountId, revision: u64) -> Result<Kept<Rate>> {
        let statement = sql(seen!(
            "SELECT v.* FROM rate_versions v WHERE v.account_id = $1",
            ""
        ));
        let rows = self.seen(statement, account, revision).await?;
        Kept::of(rows.iter().map(rate_of), |rate| (rate.id, rate.valid.start))
    }
}

impl<T> Kept<T> {
    fn of<K: Ord>(read: impl Iterator<Item = Result<T>>, key: impl Fn(&T) -> K) -> Result<Self> {
        match read.collect::<Result<Vec<_>>>() {
            Ok(mut versions) => {
                versions.sort_by_key(key);
                Ok(Self::Sound(versions))
            }
            Err(Error::DamagedRow { table, row }) => Ok(Self::Damaged { table, row }),
            Err(error) => Err(error),
        }
    }
}

/// An organization without its versions.
fn node_of(row: &Row) -> Result<SnapshotOrganization> {
    ORGANIZATIONS.check(row)?;
    Ok(SnapshotOrganization {
        id: row.get("id")?,
        kind: row.get::<StoredKind>("kind")?.0,
        aliases: Vec::new(),
        archived_at: row.maybe("seen_archived_at")?,
        created_at: row.get("created_at")?,
        versions: Vec::new(),
    })
}

/// The places of the newest versions of live meters, by slug.
fn live(meters: &[Meter]) -> Vec<usize> {
    let newest = |(index, meter): &(usize, &Meter)| {
        meter.valid.end.is_none() && meters.get(index + 1).is_none_or(|next| next.id != meter.id)
    };
    let live = meters.iter().enumerate().filter(newest);
    let mut live: Vec<usize> = live.map(|(index, _)| index).collect();
    live.sort_by(|left, right| meters[*left].slug.cmp(&meters[*right].slug));
    live
}
