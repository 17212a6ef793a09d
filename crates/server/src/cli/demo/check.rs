//! Reads a downloaded export back: checksums, rows, and totals against the store's own.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use domain::aggregation::Fold;
use domain::quantity::{Amount, Quantity, Total};
use domain::range::TimeRange;
use domain::tree::Scope;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use usage::query::{GroupKey, TotalsQuery};

use super::account::Account;
use super::exports::{Kind, Order};
use crate::app::App;
use crate::import::zip::Archive;

/// An export that holds what it should.
#[derive(Debug)]
pub(super) struct Checked {
    /// What it is.
    pub(super) kind: Kind,
    /// Where it lies.
    pub(super) path: PathBuf,
    /// Rows of all its files, headers not counted.
    pub(super) rows: u64,
    /// Usage of the first meter in it, or its IPUs where it tells no usage.
    pub(super) total: Total,
    /// What the total counts.
    pub(super) unit: String,
}

/// Where sums stand that are of no meter.
const IPU: &str = "IPU";
/// Decimals of IPUs as printed.
const IPU_DECIMALS: u32 = 12;

/// Usage by organization id and meter id; consumption by organization id and [`IPU`].
type Sums = BTreeMap<(String, String), Total>;

/// Compares an export with the store's totals; whatever differs is an error.
pub(super) async fn check(
    app: &App,
    account: &Account,
    order: &Order,
    path: PathBuf,
) -> anyhow::Result<Checked> {
    let meter = account.meters[0].id.to_string();
    let read = match order.kind {
        Kind::Summary | Kind::SummaryAllLinked => read(&path, add_summary),
        Kind::JobLevel | Kind::JobLevelAllMeters => {
            read(&path, |row, sums| add_job(row, &meter, sums))
        }
        Kind::ProjectFolder => read(&path, add_consumption),
        Kind::Asset => read(&path, |row, sums| add(row, "Meter ID", "Usage", sums)),
    };
    let (rows, exported) = read.with_context(|| format!("{} is wrong", path.display()))?;
    let stored = stored(app, account, order).await?;
    anyhow::ensure!(
        exported == stored,
        "{} holds {exported:?} where the store has {stored:?}",
        path.display()
    );
    let (counted, unit) = match order.kind {
        Kind::ProjectFolder => (IPU, IPU),
        _ => (meter.as_str(), account.meters[0].unit.as_str()),
    };
    let of_meter = exported.iter().filter(|((_, id), _)| id == counted);
    Ok(Checked {
        kind: order.kind,
        path,
        rows,
        unit: unit.to_owned(),
        total: of_meter.fold(Total::ZERO, |total, (_, usage)| total + *usage),
    })
}

/// Reads every row of every file; length and checksum of each are checked on the way.
fn read(
    path: &Path,
    mut add: impl FnMut(&BTreeMap<&str, &str>, &mut Sums) -> anyhow::Result<()>,
) -> anyhow::Result<(u64, Sums)> {
    let archive = Archive::open(path)?;
    let (mut rows, mut sums) = (0, Sums::new());
    for entry in archive.entries() {
        let mut text = String::new();
        archive.read(entry)?.read_to_string(&mut text)?;
        let mut table = csv::Reader::from_reader(text.as_bytes());
        let header = table.headers()?.clone();
        for record in table.records() {
            let record = record?;
            let row = header.iter().zip(record.iter()).collect();
            add(&row, &mut sums).with_context(|| format!("{} row {rows}", entry.name))?;
            rows += 1;
        }
    }
    Ok((rows, sums))
}

fn add_summary(row: &BTreeMap<&str, &str>, sums: &mut Sums) -> anyhow::Result<()> {
    // Roll-ups and fees speak of the organizations below, not of usage.
    if cell(row, "MetricCategory")? == "ORGS" {
        return Ok(());
    }
    let usage = Total::from(cell(row, "MeterUsage")?.parse::<Quantity>()?);
    put(sums, cell(row, "OrgId")?, cell(row, "MeterId")?, usage);
    Ok(())
}

/// A job of the first meter, whose report names no meter, or of one whose report does.
fn add_job(row: &BTreeMap<&str, &str>, meter: &str, sums: &mut Sums) -> anyhow::Result<()> {
    if row.contains_key("Meter ID") {
        return add(row, "Meter ID", "Quantity", sums);
    }
    let metered = cell(row, "Metered Value")?;
    // Jobs that failed used nothing.
    if !metered.is_empty() {
        let usage = Total::from(metered.parse::<Quantity>()?);
        put(sums, cell(row, "Org ID")?, meter, usage);
    }
    Ok(())
}

fn add(
    row: &BTreeMap<&str, &str>,
    meter: &str,
    usage: &str,
    sums: &mut Sums,
) -> anyhow::Result<()> {
    let used = cell(row, usage)?;
    if !used.is_empty() {
        let usage = Total::from(used.parse::<Quantity>()?);
        put(sums, cell(row, "Org ID")?, cell(row, meter)?, usage);
    }
    Ok(())
}

fn add_consumption(row: &BTreeMap<&str, &str>, sums: &mut Sums) -> anyhow::Result<()> {
    let consumed = cell(row, "Consumption (IPUs)")?.parse::<Quantity>()?;
    put(sums, cell(row, "Org ID")?, IPU, consumed.into());
    Ok(())
}

fn put(sums: &mut Sums, organization: &str, meter: &str, usage: Total) {
    let key = (organization.to_owned(), meter.to_owned());
    *sums.entry(key).or_insert(Total::ZERO) += usage;
}

fn cell<'r>(row: &BTreeMap<&str, &'r str>, column: &str) -> anyhow::Result<&'r str> {
    row.get(column)
        .copied()
        .with_context(|| format!("no column {column:?}"))
}

/// What the store has for the order.
async fn stored(app: &App, account: &Account, order: &Order) -> anyhow::Result<Sums> {
    let range = TimeRange::between(midnight(order.start)?, midnight(order.end.tomorrow()?)?);
    let root = account.organizations[0].id;
    let scope = if order.kind.is_linked() {
        account.scope.clone()
    } else {
        Scope::alone(root)
    };
    let meters = match order.kind {
        Kind::JobLevel => account.meters[..1].to_vec(),
        _ => account.meters.clone(),
    };
    let query = TotalsQuery {
        scope: scope.within(range),
        meters,
        windows: None,
        group_by: vec![GroupKey::Organization],
        filters: Vec::new(),
        spans: false,
    };
    let as_of = app.usage.watermark().await?;
    let mut sums = Sums::new();
    for row in app.usage.totals(query, as_of).await? {
        let organization = row.keys.into_iter().next().flatten().unwrap_or_default();
        let Fold::Sum(total) = row.fold else {
            anyhow::bail!("the demo's meters are sums");
        };
        if order.kind == Kind::ProjectFolder {
            let (meter, price) = (&account.meters[row.meter], account.prices[row.meter]);
            let worth = Amount::product(total, price, meter.scalar.factor);
            let worth = worth
                .context("consumption is too large")?
                .fixed(IPU_DECIMALS);
            put(
                &mut sums,
                &organization,
                IPU,
                worth.parse::<Quantity>()?.into(),
            );
        } else {
            let meter = account.meters[row.meter].id.to_string();
            put(&mut sums, &organization, &meter, total);
        }
    }
    Ok(sums)
}

fn midnight(date: Date) -> anyhow::Result<domain::Timestamp> {
    Ok(date.at(0, 0, 0, 0).to_zoned(TimeZone::UTC)?.timestamp())
}
