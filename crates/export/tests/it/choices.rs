//! Choices where the family's documentation says nothing, as FORMAT.md and docs/API.md have them.

use domain::ids::MeterId;
use metadata::{ExportKind, NewExport};

use crate::story::{named, told};
use crate::world::{World, meter_id};

/// Names of the entries of an archive, without leading zeros.
async fn entries(world: &World, request: impl FnOnce(&mut NewExport)) -> Vec<String> {
    let request = |new: &mut NewExport| {
        new.organization = named("Acme");
        new.all_linked_orgs = true;
        request(new);
    };
    let export = world.ask(request).await;
    world.worker(1).run_until_idle().await.unwrap();
    let texts = world.texts(export).await;
    let short = |name: &str| name.trim_start_matches('0').to_owned();
    texts.iter().map(|(name, _)| short(name)).collect()
}

#[tokio::test]
async fn entries_of_every_kind_come_by_the_kind_of_organization_and_then_by_id() {
    let world = told(
        r#"
        org Acme production
        org Zoo sandbox in Acme
        org Lab sandbox in Acme
        org East additional_production in Acme
        org Zed sub_organization in Acme
        org EastSub sub_organization in East
        meter 1 Jobs SUM HOURS 1 COMPUTE_UNITS
        use Acme 2013-01-05T10:00:00Z {"n1":1}
        "#,
    )
    .await;
    let order = [
        "Zed.csv",
        "EastSub.csv",
        "Lab.csv",
        "Zoo.csv",
        "East.csv",
        "Acme.csv",
    ];
    for kind in [
        ExportKind::Summary,
        ExportKind::SummaryAllLinked,
        ExportKind::ProjectFolder,
        ExportKind::Asset,
        ExportKind::Usage,
    ] {
        assert_eq!(
            entries(&world, |new| new.kind = kind).await,
            order,
            "{kind:?}"
        );
    }
}

#[tokio::test]
async fn job_level_reports_come_by_layout_and_then_by_meter() {
    let world = told(
        "org Acme production
         meter 9 Calls SUM HOURS 1 COMPUTE_UNITS generic
         meter 8 Flows SUM HOURS 1 COMPUTE_UNITS application_integration
         meter 7 Pushed SUM HOURS 1 COMPUTE_UNITS advanced_pushdown
         meter 6 Runs SUM HOURS 1 COMPUTE_UNITS data_integration
         meter 5 Others SUM HOURS 1 COMPUTE_UNITS generic
         meter 4 More SUM HOURS 1 COMPUTE_UNITS application_integration",
    )
    .await;
    let all = |new: &mut NewExport| (new.kind, new.all_meters) = (ExportKind::JobLevel, true);
    let of = |layout: &str, number: u8| format!("{layout}_{}.csv", meter_id(number));
    assert_eq!(
        entries(&world, all).await,
        [
            "CDIMeteringAuditData.csv".to_owned(),
            "PDOMeteringAuditData.csv".to_owned(),
            of("DetailedReport", 4),
            of("DetailedReport", 8),
            of("JobDetails", 5),
            of("JobDetails", 9),
        ]
    );
}

#[tokio::test]
async fn the_execution_type_is_what_events_say_or_process() {
    let world = told(
        r#"
        org Acme production
        meter 2 Flows SUM HOURS 1 COMPUTE_UNITS application_integration
        use Acme 2013-01-05T10:00:00Z {"n2":1,"asset":"a"}
        use Acme 2013-01-05T11:00:00Z {"n2":1,"asset":"a","taskType":"Taskflow"}
        use Acme 2013-01-05T12:00:00Z {"n2":1,"asset":"a","taskType":""}
        "#,
    )
    .await;
    let request = |new: &mut NewExport| {
        new.organization = named("Acme");
        (new.kind, new.meter) = (ExportKind::JobLevel, Some(MeterId::from_random(2)));
    };
    let export = world.ask(request).await;
    world.worker(1).run_until_idle().await.unwrap();
    let texts = world.texts(export).await;
    let types = texts[0].1.lines().skip(1).map(|line| {
        let fields: Vec<_> = line.split(',').collect();
        format!("{} {}", fields[1], fields[7])
    });
    assert_eq!(types.collect::<Vec<_>>(), ["Process 2", "Taskflow 1"]);
}
