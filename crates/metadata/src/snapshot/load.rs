//! Reading one account at one revision: seven queries, whatever its size.
//!
//! Every row is compared with its checksum, and all of a table with the account's totals, so that a
//! row that an index hides is missed. Damage in the tree is damage of the whole account; damaged
//! meters and rates are kept as such, for what needs them.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::Arc;

use domain::ids::{AccountId, OrganizationId};
use domain::meter::Meter;
use domain::rate::Rate;
use domain::tree::Edge;

use crate::account::Account;
use crate::checksum::{
    ALIASES, EDGES, METER_VERSIONS, ORGANIZATIONS, RATE_VERSIONS, Table, Totals, VERSIONS,
    totals_at,
};
use crate::database::{Row, Statement, sql};
use crate::edge::edge_of;
use crate::error::{Error, Result};
use crate::meter::meter_of;
use crate::open::Metadata;
use crate::organization::{StoredKind, attributes_of, follow_parents};
use crate::rate::rate_of;
use crate::snapshot::{
    ControlSnapshot, Damage, Inner, Kept, OrganizationVersion, SnapshotOrganization,
};

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
        let newest = self.revision_for(account).await?;
        let revision = revision.unwrap_or(newest);
        if revision > newest {
            return Err(Error::BeyondRevision {
                asked: revision,
                newest,
            });
        }
        match self.find_account(account).await? {
            Some(known) => self.load(known, revision).await,
            None => Err(self.no_account(account).await?),
        }
    }

    /// Why an account is not found: it has no totals either, or its row is hidden.
    async fn no_account(&self, account: AccountId) -> Result<Error> {
        let totals = totals_at(&mut self.database.read(), &account.to_string(), i64::MAX).await?;
        Ok(match totals {
            Some(_) => hidden("accounts", "id", account),
            None => Error::not_found("account", account),
        })
    }

    /// Why the account of an organization is not found: there is no such organization, or a row is
    /// hidden.
    async fn no_account_of(&self, organization: OrganizationId) -> Result<Error> {
        let statement = sql("SELECT organization_id FROM organization_versions
             WHERE organization_id = $1 LIMIT 1");
        let version = self
            .database
            .read()
            .one(statement.bind(organization))
            .await?;
        Ok(match version {
            Some(_) => hidden("organizations", "id", organization),
            None => Error::not_found("organization", organization),
        })
    }

    /// The newest control data of the account an organization belongs to.
    pub async fn snapshot_for(&self, organization: OrganizationId) -> Result<ControlSnapshot> {
        match self.find_account_of(organization).await? {
            Some(account) => {
                let revision = self.revision_for(account.id).await?;
                self.load(account, revision).await
            }
            None => Err(self.no_account_of(organization).await?),
        }
    }

    async fn load(&self, account: Account, revision: u64) -> Result<ControlSnapshot> {
        let totals = self.load_totals(account.id, revision).await?;
        let totals = totals.ok_or_else(|| Error::not_found("account", account.id))?;
        let read = Read {
            account: account.id,
            revision,
            totals,
        };
        let mut organizations = self.load_organizations(&read).await?;
        let edges = self.load_edges(&read).await?;
        follow_parents(&mut organizations, &edges);
        if !organizations.iter().any(|one| one.id == account.root) {
            return Err(hidden("accounts", "root_id", account.root));
        }
        let by_id = organizations.iter().enumerate();
        let by_id = by_id.map(|(index, one)| (one.id, index)).collect();
        let by_alias = organizations.iter().flat_map(|one| {
            let aliases = one.aliases.iter().cloned();
            aliases.map(|alias| (alias, one.id))
        });
        let meters = self.load_meters(&read).await?;
        let live = live(meters.all().unwrap_or_default());
        Ok(ControlSnapshot {
            inner: Arc::new(Inner {
                account: account.id,
                root: account.root,
                revision,
                by_id,
                by_alias: by_alias.collect(),
                edges,
                rates: self.load_rates(&read).await?,
                organizations,
                meters,
                live,
            }),
        })
    }

    async fn load_totals(&self, account: AccountId, revision: u64) -> Result<Option<Totals>> {
        let revision = i64::try_from(revision).unwrap_or(i64::MAX);
        totals_at(&mut self.database.read(), &account.to_string(), revision).await
    }

    async fn seen(&self, statement: Statement, read: &Read) -> Result<Vec<Row>> {
        let statement = statement.bind(read.account).bind(read.revision);
        self.database.read().all(statement).await
    }

    async fn load_organizations(&self, read: &Read) -> Result<Vec<SnapshotOrganization>> {
        let nodes = sql(
            "SELECT o.*, CASE WHEN o.archived_revision <= $2 THEN o.archived_at END
                 AS seen_archived_at FROM organizations o
             WHERE o.account_id = $1 AND o.revision <= $2",
        );
        let rows = self.seen(nodes, read).await?;
        let nodes = rows.iter().map(node_of).collect::<Result<Vec<_>>>()?;
        read.compare(&ORGANIZATIONS, &rows)?;
        let mut found: HashMap<OrganizationId, SnapshotOrganization> =
            nodes.into_iter().map(|one| (one.id, one)).collect();
        let versions = sql(seen!(
            "SELECT v.* FROM organization_versions v
             JOIN organizations o ON o.id = v.organization_id WHERE o.account_id = $1",
            "ORDER BY v.valid_from"
        ));
        let rows = self.seen(versions, read).await?;
        for row in &rows {
            let version = OrganizationVersion {
                attributes: attributes_of(row)?,
                valid: row.valid()?,
            };
            let id = row.get("organization_id")?;
            if let Some(one) = found.get_mut(&id) {
                one.versions.push(version);
            }
        }
        read.compare(&VERSIONS, &rows)?;
        // What is new at a later revision has no version yet.
        found.retain(|_, one| !one.versions.is_empty());
        let aliases = sql(seen!(
            "SELECT v.* FROM organization_aliases v WHERE v.account_id = $1",
            ""
        ));
        let rows = self.seen(aliases, read).await?;
        for row in &rows {
            ALIASES.check(row)?;
            let owner: OrganizationId = row.get("organization_id")?;
            if let Some(one) = found.get_mut(&owner) {
                one.aliases.push(row.get("alias")?);
            }
        }
        read.compare(&ALIASES, &rows)?;
        let mut all: Vec<_> = found.into_values().collect();
        for one in &mut all {
            one.aliases.sort();
        }
        all.sort_by_key(|one| one.id);
        Ok(all)
    }

    async fn load_edges(&self, read: &Read) -> Result<Vec<Edge>> {
        let statement = sql(seen!(
            "SELECT v.* FROM organization_edges v
             JOIN organizations o ON o.id = v.child_id WHERE o.account_id = $1",
            ""
        ));
        let rows = self.seen(statement, read).await?;
        let mut edges: Vec<_> = rows.iter().map(edge_of).collect::<Result<_>>()?;
        read.compare(&EDGES, &rows)?;
        edges.sort_by_key(|edge| (edge.child, edge.valid.start));
        Ok(edges)
    }

    async fn load_meters(&self, read: &Read) -> Result<Kept<Meter>> {
        let statement = sql(seen!(
            "SELECT v.* FROM meter_versions v WHERE v.account_id = $1",
            ""
        ));
        let rows = self.seen(statement, read).await?;
        let meters = rows.iter().map(meter_of).collect::<Result<Vec<_>>>();
        let meters = meters.and_then(|meters| {
            read.compare(&METER_VERSIONS, &rows)?;
            Ok(meters)
        });
        Kept::of(meters, |meter| (meter.id, meter.valid.start))
    }

    async fn load_rates(&self, read: &Read) -> Result<Kept<Rate>> {
        let statement = sql(seen!(
            "SELECT v.* FROM rate_versions v WHERE v.account_id = $1",
            ""
        ));
        let rows = self.seen(statement, read).await?;
        let rates = rows.iter().map(rate_of).collect::<Result<Vec<_>>>();
        let rates = rates.and_then(|rates| {
            read.compare(&RATE_VERSIONS, &rows)?;
            Ok(rates)
        });
        Kept::of(rates, |rate| (rate.id, rate.valid.start))
    }
}

impl<T> Kept<T> {
    fn of<K: Ord>(read: Result<Vec<T>>, key: impl Fn(&T) -> K) -> Result<Self> {
        match read {
            Ok(mut versions) => {
                versions.sort_by_key(key);
                Ok(Self::Sound(versions))
            }
            Err(Error::DamagedRow { table, row }) => Ok(Self::Damaged(Damage::Row { table, row })),
            Err(Error::DamagedTable {
                table,
                account,
                found,
                written,
            }) => Ok(Self::Damaged(Damage::Rows {
                table,
                account,
                found,
                written,
            })),
            Err(error) => Err(error),
        }
    }
}

/// What is read, and what it must come to.
struct Read {
    account: AccountId,
    revision: u64,
    totals: Totals,
}

impl Read {
    fn compare(&self, table: &Table, rows: &[Row]) -> Result<()> {
        self.totals.compare(table, self.account, rows)
    }
}

/// A row that others need, and that does not come or names what is not there.
fn hidden(table: &'static str, column: &str, value: impl Display) -> Error {
    Error::DamagedRow {
        table,
        row: format!("{column} \"{value}\""),
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
