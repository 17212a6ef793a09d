//! The identity every grouping must keep: what a summary says of an organization and a range, rows
//! of category ORGS left out, is what its assets and its projects and folders add up to.
//!
//! Files are read as a client reads them. Prices and quantities of the stories have so few decimals
//! that printed consumption is exact; controls of the manifest are compared with all their digits.

mod stories;
mod worth;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use domain::ids::{ExportId, OrganizationId};
use domain::quantity::{Quantity, Total};
use export::Worker;
use metadata::{ExportKind, ExportStatus, NewExport};
use proptest::prelude::*;
use usage::query::{Batches, EventsQuery, ScanQuery, StoredEvent, TotalRow, TotalsQuery};
use usage::traits::SequencedBatch;
use usage::{EmbeddedStore, UsageStore};

use crate::story::{named, told};
use crate::world::World;

/// Consumption by file, as its rows and its manifest have it.
type Consumption = BTreeMap<String, (Total, String)>;

/// The days of a check, as requests name them.
type Days<'d> = (&'d str, &'d str);

async fn ask(world: &World, days: Days<'_>, kind: ExportKind, of: OrganizationId) -> ExportId {
    let request = |new: &mut NewExport| {
        new.organization = of;
        new.kind = kind;
        new.all_linked_orgs = kind != ExportKind::Asset;
        new.start = format!("{}T00:00:00Z", days.0);
        new.end = format!("{}T00:00:00Z", days.1);
    };
    world.ask(request).await
}

/// Adds up the consumption column of each file.
async fn consumption(world: &World, export: ExportId) -> Result<Consumption, String> {
    let ended = world.export(export).await;
    if ended.status != ExportStatus::Success {
        return Err(ended.error_message.unwrap_or_default());
    }
    let manifest = world.artifacts.manifest(export).await.unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let mut sums = Consumption::new();
    for (place, (name, text)) in world.texts(export).await.into_iter().enumerate() {
        let mut lines = text.lines();
        let header: Vec<_> = lines.next().unwrap().split(',').collect();
        let column = |name: &str| header.iter().position(|each| *each == name);
        let ipu = column("IPU").or(column("Consumption (IPUs)")).unwrap();
        let mut sum = Total::ZERO;
        for line in lines {
            let cells: Vec<_> = line.split(',').collect();
            if column("MetricCategory").is_none_or(|category| cells[category] != "ORGS") {
                sum += cells[ipu].parse::<Quantity>().unwrap().into();
            }
        }
        let control = &manifest["files"][place]["controls"]["ipu"];
        sums.insert(name, (sum, control.as_str().unwrap().to_owned()));
    }
    Ok(sums)
}

/// Checks the identity for every organization.
async fn holds(
    world: &World,
    days: Days<'_>,
    (summaries, details): (&Worker, &Worker),
) -> Result<(), String> {
    for name in stories::NAMES {
        holds_for(world, days, named(name), (summaries, details)).await?;
    }
    Ok(())
}

/// Checks it for one, with summaries from one worker and details from another, and against the
/// worth of its events counted one by one.
async fn holds_for(
    world: &World,
    days: Days<'_>,
    organization: OrganizationId,
    (summaries, details): (&Worker, &Worker),
) -> Result<(), String> {
    let control = world.metadata.snapshot(world.account, None).await.unwrap();
    let control = export::request::control(&control).unwrap();
    let summary = ask(world, days, ExportKind::Summary, organization).await;
    summaries.run_until_idle().await.unwrap();
    let projects = ask(world, days, ExportKind::ProjectFolder, organization).await;
    let assets = ask(world, days, ExportKind::Asset, organization).await;
    details.run_until_idle().await.unwrap();
    let summary = consumption(world, summary).await?;
    let projects = consumption(world, projects).await?;
    if summary != projects {
        return Err(format!(
            "{organization}: {summary:?} but by project {projects:?}"
        ));
    }
    let assets = consumption(world, assets).await?;
    let own = format!("{organization}.csv");
    if assets.get(&own) != summary.get(&own) {
        return Err(format!(
            "{organization}: {summary:?} but by asset {assets:?}"
        ));
    }
    let expected = worth::worth(&control, &world.events(), organization, days);
    let found = &summary[&own].1;
    if *found != expected {
        return Err(format!(
            "{organization}: {found} but events are worth {expected}"
        ));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, max_shrink_iters: 64, ..Default::default() })]

    #[test]
    fn every_grouping_of_stored_usage_adds_up_to_the_summary(
        (story, first, last, flushed) in stories::stories(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let found = runtime.unwrap().block_on(async {
            let world = told(&story).await;
            if flushed > 0 {
                world.store.flush_now().unwrap();
                world.take(&stories::more(flushed)).await;
                world.store.flush_now().unwrap();
                world.store.compact_now().unwrap();
            }
            let worker = world.worker(1);
            holds(&world, (&first, &last), (&worker, &worker)).await
        });
        prop_assert_eq!(found, Ok(()));
    }
}

/// Enough usage for hourly totals beside the segment, which most reads then use.
#[tokio::test]
async fn every_grouping_adds_up_where_hourly_totals_are_read() {
    let world = told(stories::FIXED).await;
    world.take(&stories::many(17_000)).await;
    world.store.flush_now().unwrap();
    let worker = world.worker(1);
    let days = ("2013-01-09", "2013-02-06");
    let root = holds_for(&world, days, named("Acme"), (&worker, &worker));
    assert_eq!(root.await, Ok(()));
}

/// A store with a planted defect.
#[derive(Debug)]
struct Defective(Arc<EmbeddedStore>, Defect);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Defect {
    /// Loses the last row of totals by day.
    Days,
    /// Loses the last row of totals by group.
    Groups,
    /// Counts a group twice.
    Double,
    /// Loses the rows of one hour.
    Hours,
    /// Reads nothing as one number.
    Whole,
    /// Knows only the first half of the events: consistent in itself.
    Half,
}

impl Defective {
    fn as_of(&self, as_of: u64) -> u64 {
        if self.1 == Defect::Half {
            as_of / 2
        } else {
            as_of
        }
    }
}

#[async_trait]
impl UsageStore for Defective {
    async fn insert(&self, batch: SequencedBatch) -> usage::Result<()> {
        self.0.insert(batch).await
    }

    async fn scan(&self, query: ScanQuery, as_of: u64) -> usage::Result<Batches> {
        self.0.scan(query, self.as_of(as_of)).await
    }

    async fn totals(&self, query: TotalsQuery, as_of: u64) -> usage::Result<Vec<TotalRow>> {
        let is_grouped = !query.group_by.is_empty();
        let size = query.windows.as_ref().map(|windows| windows.size);
        let mut rows = self.0.totals(query, self.as_of(as_of)).await?;
        let is_day = size == Some(domain::window::WindowSize::Day) && !is_grouped;
        match self.1 {
            Defect::Days if is_day => drop(rows.pop()),
            Defect::Groups if is_grouped => drop(rows.pop()),
            Defect::Double if is_grouped => rows.extend(rows.last().cloned()),
            Defect::Hours if size == Some(domain::window::WindowSize::Hour) => drop(rows.pop()),
            Defect::Whole if size.is_none() => rows.clear(),
            _ => {}
        }
        Ok(rows)
    }

    async fn events(&self, query: EventsQuery, as_of: u64) -> usage::Result<Vec<StoredEvent>> {
        self.0.events(query, as_of).await
    }

    async fn watermark(&self) -> usage::Result<u64> {
        self.0.watermark().await
    }
}

#[tokio::test]
async fn a_planted_defect_breaks_the_identity() {
    let days = ("2013-01-02", "2013-02-06");
    for defect in [
        Defect::Days,
        Defect::Groups,
        Defect::Double,
        Defect::Hours,
        Defect::Whole,
        Defect::Half,
    ] {
        let world = told(stories::FIXED).await;
        world.take(&stories::many(60)).await;
        let sound = world.worker(1);
        let planted = Defective(Arc::clone(&world.store), defect);
        let planted = world.worker_on(Arc::new(planted), 1);
        let root = named("Acme");
        let found = holds_for(&world, days, root, (&sound, &planted)).await;
        let error = found.expect_err("the defect is found");
        // What is consistent in itself only the identity finds.
        let is_mismatch = error.starts_with("the rows of meter");
        assert_eq!(is_mismatch, defect != Defect::Half, "{defect:?}: {error}");
        assert_eq!(
            holds_for(&world, days, root, (&sound, &sound)).await,
            Ok(())
        );
    }
}
