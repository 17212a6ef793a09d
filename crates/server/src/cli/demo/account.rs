//! The demo's account: declared by a setup file as anybody would, then described.

use anyhow::Context;
use domain::Timestamp;
use domain::ids::OrganizationId;
use domain::meter::Meter;
use domain::quantity::Quantity;
use domain::rate::{Rate, RateKind};
use domain::tree::Scope;
use metadata::ControlSnapshot;
use serde::Serialize;

use super::credentials::Credentials;
use crate::app::App;
use crate::config::Config;
use crate::run;
use crate::setup::Authority;
use crate::setup::Setup;
use crate::setup::apply::{Mode, apply};
use crate::setup::stored::Stored;

/// What is declared.
const SETUP: &str = include_str!("setup.yaml");
/// Realm of the root, by which the account is found again.
const ROOT_REALM: &str = "united";
/// The meters in the order they are told; the first has a job-level export.
const METERS: [&str; 2] = ["hours", "miles"];

/// The account as the demo tells it.
#[derive(Debug)]
pub(super) struct Account {
    /// The root first, then level by level.
    pub(super) organizations: Vec<Organization>,
    /// Hours first.
    pub(super) meters: Vec<Meter>,
    /// IPUs of one scalar unit of each.
    pub(super) prices: Vec<Quantity>,
    /// The root and everything under it.
    pub(super) scope: Scope,
}

/// One organization as the demo tells it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Organization {
    /// Identifier.
    pub(super) id: OrganizationId,
    /// Name.
    pub(super) name: String,
    /// Kind, as in setup files.
    kind: &'static str,
    /// The organization above; null for the root.
    parent_id: Option<OrganizationId>,
    /// Realm id of cost exports.
    realm_id: Option<String>,
}

/// Declares the account; nothing changes when it is there already.
pub(super) async fn declare(
    config: &Config,
    credentials: &Credentials,
    now: Timestamp,
) -> anyhow::Result<()> {
    let mut setup = Setup::parse(SETUP).context("the demo's own setup is wrong")?;
    setup.take_environment(|name| match name {
        "TALLYPORT_DEMO_PASSWORD" => Some(credentials.password.clone()),
        "TALLYPORT_DEMO_KEY" => Some(credentials.api_key.clone()),
        _ => None,
    })?;
    let metadata = run::open_metadata(config).await?;
    let stored = Stored::Closed(config);
    let applied = apply(
        &metadata,
        stored,
        &setup,
        Authority::Server,
        Mode::Write,
        now,
    )
    .await;
    metadata.close().await;
    let applied = applied.map_err(|error| anyhow::anyhow!(error.chain()))?;
    match applied.changes.len() {
        0 => eprintln!("account: declared already, nothing changed"),
        changes => eprintln!("account: {changes} things declared"),
    }
    Ok(())
}

/// Reads the account back from a running server.
pub(super) async fn describe(app: &App) -> anyhow::Result<Account> {
    let root = app.metadata.find_organization_by_realm(ROOT_REALM).await?;
    let root = root.context("the demo's account has lost its root")?.id;
    let control = app.metadata.snapshot_for(root).await?;
    let meters = METERS.iter().map(|slug| {
        let meter = control.meter(slug)?.cloned();
        meter.with_context(|| format!("the demo's account has lost the meter {slug}"))
    });
    let meters: Vec<Meter> = meters.collect::<anyhow::Result<_>>()?;
    let prices = meters.iter().map(|meter| price(&control, meter));
    Ok(Account {
        organizations: tree(&control, root, app.now()),
        prices: prices.collect::<anyhow::Result<_>>()?,
        meters,
        scope: control.scope_of(root),
    })
}

/// The price of a meter, which the demo declares once for all.
fn price(control: &ControlSnapshot, meter: &Meter) -> anyhow::Result<Quantity> {
    let of_meter = |rate: &&Rate| rate.meter == meter.id && rate.kind == RateKind::Ipu;
    let rate = control.rates()?.iter().find(of_meter);
    let tier = rate.and_then(|rate| rate.tiers.first());
    let price = tier.map(|tier| tier.price);
    price.with_context(|| format!("the demo's account has lost the rate of {}", meter.slug))
}

/// The root, then level by level and by name.
fn tree(control: &ControlSnapshot, root: OrganizationId, now: Timestamp) -> Vec<Organization> {
    let describe = |id: OrganizationId| {
        let organization = control.organization(id)?;
        let attributes = organization.newest();
        Some(Organization {
            id,
            name: attributes.name.clone(),
            kind: organization.kind.as_str(),
            parent_id: control.parent(id, now),
            realm_id: attributes.realm_id.clone(),
        })
    };
    let mut told: Vec<Organization> = describe(root).into_iter().collect();
    let mut next = 0;
    while let Some(above) = told.get(next).map(|organization| organization.id) {
        let below = control.organizations().iter().map(|below| below.id);
        let below = below.filter(|id| control.parent(*id, now) == Some(above));
        let mut below: Vec<_> = below.filter_map(describe).collect();
        below.sort_by(|left, right| left.name.cmp(&right.name));
        told.extend(below);
        next += 1;
    }
    told
}
