//! Stores that misbehave: what becomes of a job, and what its caller learns.

use std::sync::Arc;

use async_trait::async_trait;
use domain::ids::ExportId;
use domain::range::TimeRange;
use metadata::{Export, ExportKind, ExportStatus, NewExport};
use usage::query::{Batches, EventsQuery, ScanQuery, StoredEvent, TotalRow, TotalsQuery};
use usage::traits::SequencedBatch;
use usage::{EmbeddedStore, UsageStore};

use crate::jobs::{linked, usage};
use crate::world::{ROOT, SUB, World, meter_id, organization, rate};

/// How the store misbehaves when totals are asked for.
#[derive(Debug, Clone, Copy)]
enum Mood {
    Panics,
    IsClosed,
    /// Finds nothing when asked for one number over all time.
    ForgetsTheWhole,
    /// Loses a group when asked for groups.
    LosesAGroup,
    /// Puts the totals of a day on the next.
    IsADayLate,
    /// Meets damaged bytes of one organization.
    IsDamagedFor(&'static str),
    /// Has removed the usage of one organization.
    HasRetired(&'static str),
}

/// A store whose totals go wrong.
#[derive(Debug)]
struct Moody(Arc<EmbeddedStore>, Mood);

#[async_trait]
impl UsageStore for Moody {
    async fn insert(&self, batch: SequencedBatch) -> usage::Result<()> {
        self.0.insert(batch).await
    }

    async fn scan(&self, query: ScanQuery, as_of: u64) -> usage::Result<Batches> {
        self.0.scan(query, as_of).await
    }

    async fn totals(&self, query: TotalsQuery, as_of: u64) -> usage::Result<Vec<TotalRow>> {
        let is_whole = query.windows.is_none();
        let (is_grouped, scope) = (!query.group_by.is_empty(), query.scope.clone());
        let concerns = |owner: &str| scope.knows(organization(owner));
        let mut rows = self.0.totals(query, as_of).await?;
        match self.1 {
            Mood::Panics => panic!("planned"),
            Mood::IsClosed => return Err(usage::Error::Closed),
            Mood::ForgetsTheWhole if is_whole => rows.clear(),
            Mood::LosesAGroup if is_grouped => drop(rows.pop()),
            Mood::IsADayLate => {
                for window in rows.iter_mut().filter_map(|row| row.window.as_mut()) {
                    window.start += jiff::SignedDuration::from_hours(24);
                    window.end += jiff::SignedDuration::from_hours(24);
                }
            }
            Mood::IsDamagedFor(owner) if concerns(owner) => {
                return Err(usage::Error::Corrupt {
                    path: "/secret/segment".into(),
                    offset: 7,
                    reason: "planned".into(),
                });
            }
            Mood::HasRetired(owner) if concerns(owner) => {
                return Err(usage::Error::Retired {
                    organization: organization(owner),
                    before: "2013-01-03T00:00:00Z".parse().unwrap(),
                });
            }
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
async fn a_panic_in_a_job_fails_the_job_alone() {
    let world = World::new().await;
    let export = world.ask(linked).await;
    let moody = Moody(Arc::clone(&world.store), Mood::Panics);
    world
        .worker_on(Arc::new(moody), 1)
        .run_until_idle()
        .await
        .unwrap();
    let failed = world.export(export).await;
    assert_eq!(failed.status, ExportStatus::Failed);
    let message = failed.error_message.unwrap();
    assert_eq!(message, "internal error: a step of the export panicked");
}

#[tokio::test]
async fn a_store_that_is_away_is_tried_again_but_not_for_ever() {
    let world = World::new().await;
    let saved = world.ask(linked).await;
    world.pass(1);
    let lost = world.ask(linked).await;
    let away = Moody(Arc::clone(&world.store), Mood::IsClosed);
    let away = world.worker_on(Arc::new(away), 1);
    assert_eq!(away.run_until_idle().await.unwrap(), 2);
    assert_eq!(world.export(saved).await.status, ExportStatus::Processing);
    world.pass(3);
    world.worker(1).tick().await.unwrap();
    assert_eq!(world.export(saved).await.status, ExportStatus::Success);
    for _ in 0..19 {
        away.run_until_idle().await.unwrap();
        // From the sixth try on it waits for up to four minutes.
        world.pass(243);
    }
    let lost = world.export(lost).await;
    assert_eq!((lost.status, lost.attempts), (ExportStatus::Failed, 20));
    assert_eq!(
        lost.error_message.as_deref(),
        Some("usage could not be read")
    );
    assert_eq!(
        world.export(saved).await.request.organization,
        organization(ROOT)
    );
}

/// Works on a job with a store in a mood.
async fn made_by(world: &World, mood: Mood, export: ExportId) -> Export {
    let moody = Moody(Arc::clone(&world.store), mood);
    let worker = world.worker_on(Arc::new(moody), 1);
    worker.run_until_idle().await.unwrap();
    world.export(export).await
}

const OWN_USAGE: &str = r#"
    000000000000000000Root 2013-01-05T10:00:00Z {"n1":1.5,"project":"P","asset":"a"}
    000000000000000000Root 2013-01-06T10:00:00Z {"n1":2,"project":"Q","asset":"b"}
"#;

#[tokio::test]
async fn rows_that_do_not_add_up_to_a_second_count_fail_the_job() {
    let world = World::new().await;
    world.take(OWN_USAGE).await;
    let kinds = [
        (ExportKind::Summary, Mood::ForgetsTheWhole),
        (ExportKind::JobLevel, Mood::ForgetsTheWhole),
        (ExportKind::ProjectFolder, Mood::ForgetsTheWhole),
        (ExportKind::ProjectFolder, Mood::LosesAGroup),
        (ExportKind::Asset, Mood::LosesAGroup),
    ];
    let before = export::metrics::mismatches_total();
    for (kind, mood) in kinds {
        let request = |new: &mut NewExport| {
            new.kind = kind;
            new.meter = (kind != ExportKind::Summary).then(|| meter_id(1));
        };
        let export = world.ask(request).await;
        let failed = made_by(&world, mood, export).await;
        assert_eq!(failed.status, ExportStatus::Failed, "{kind:?}");
        let message = failed.error_message.unwrap();
        let start = format!(
            "the rows of meter {} of organization {ROOT} add up to ",
            meter_id(1)
        );
        assert!(message.starts_with(&start), "{message}");
        assert!(world.artifacts.manifest(export).await.is_err(), "{kind:?}");
        let again = world.ask(request).await;
        world.worker(1).run_until_idle().await.unwrap();
        assert_eq!(world.export(again).await.status, ExportStatus::Success);
    }
    // Other tests of this process may add to it.
    assert!(export::metrics::mismatches_total() >= before + kinds.len() as u64);
}

/// Usage adds up and only its worth does not: the price changes at midnight.
#[tokio::test]
async fn consumption_that_differs_from_a_second_count_fails_the_job_though_usage_does_not() {
    let world = World::new().await;
    let mut change = world.metadata.begin_change(world.now()).await.unwrap();
    let mut dearer = rate(1, "2");
    dearer.valid = TimeRange::since("2013-01-06T00:00:00Z".parse().unwrap());
    change.put_rate(&dearer).await.unwrap();
    change.commit().await.unwrap();
    let line = format!(r#"{SUB} 2013-01-05T10:00:00Z {{"n1":1.5,"project":"P"}}"#);
    world.take(&line).await;
    // The requester's own rows, and the roll-ups of one whose children are not printed.
    for (requester, owner, meter) in [
        (SUB, SUB, meter_id(1).to_string()),
        (ROOT, ROOT, "c6ksUl786egib9ZAPb0OYf".to_owned()),
    ] {
        let export = world
            .ask(|new| new.organization = organization(requester))
            .await;
        let failed = made_by(&world, Mood::IsADayLate, export).await;
        assert_eq!(failed.status, ExportStatus::Failed);
        let usage = if requester == SUB { "1.5" } else { "0" };
        let expected = format!(
            "the rows of meter {meter} of organization {owner} add up to {usage} for \
             3.000000000000000000000000 IPU, counted another way they are {usage} for \
             0.240000000000000000000000 IPU: no file is given out"
        );
        assert_eq!(failed.error_message, Some(expected));
    }
}

#[tokio::test]
async fn an_export_goes_on_without_a_linked_organization_that_cannot_be_read() {
    let world = World::new().await;
    world.take(OWN_USAGE).await;
    world.take(&usage(0, 10)).await;
    for kind in [ExportKind::Summary, ExportKind::ProjectFolder] {
        for is_combined in [false, true] {
            let request = |new: &mut NewExport| {
                linked(new);
                new.kind = kind;
                new.combined = is_combined;
            };
            let export = world.ask(request).await;
            let part = made_by(&world, Mood::IsDamagedFor(SUB), export).await;
            assert_eq!(part.status, ExportStatus::PartialSuccess, "{kind:?}");
            let expected = format!(
                "organization {SUB} is missing, here and in sums of its parent: usage could not \
                 be read: stored bytes are damaged"
            );
            assert_eq!(part.error_message, Some(expected));
            let files = world.files(export).await;
            assert!(!files.contains(SUB), "not even an empty file: {files}");
            assert!(files.contains(&format!("== {ROOT}.csv")), "{files}");
            let own = files.lines().filter(|line| line.contains(ROOT));
            assert!(own.count() > 2, "{files}");
        }
    }
}

#[tokio::test]
async fn without_the_usage_of_the_one_organization_chosen_a_job_fails() {
    let world = World::new().await;
    let mut chosen = domain::export::Parameters::default();
    chosen.organizations = vec![organization(SUB)];
    let request = |new: &mut NewExport| new.parameters = Some(chosen.to_json());
    let export = world.ask(request).await;
    let failed = made_by(&world, Mood::HasRetired(SUB), export).await;
    assert_eq!(
        (failed.status, failed.artifact),
        (ExportStatus::Failed, None)
    );
}

#[tokio::test]
async fn without_the_usage_of_its_requester_a_job_fails() {
    let world = World::new().await;
    let export = world.ask(linked).await;
    let failed = made_by(&world, Mood::HasRetired(ROOT), export).await;
    assert_eq!(failed.status, ExportStatus::Failed);
    let expected = format!(
        "usage of organization {ROOT} before 2013-01-03T00:00:00Z was removed by retention"
    );
    assert_eq!(failed.error_message, Some(expected));
}
