//! The bytes of the files, layout by layout.

use domain::ids::MeterId;
use domain::meter::{Filter, JobLevelLayout};
use domain::rate::Tier;
use export::Error;
use metadata::{ExportKind, ExportStatus, NewExport};

use crate::world::{ROOT, SANDBOX, SUB, World, meter, meter_id, organization, rate};

const USAGE: &str = r#"
    000000000000000000Root 2013-01-05T10:00:00Z {"n1":1.5}
    000000000000000000Root 2013-01-05T11:00:00Z {"n1":"0.000000000001"}
    000000000000000000Root 2013-01-31T23:59:59.999Z {"n1":1}
    000000000000000000Root 2013-02-01T00:00:00Z {"n1":1000}
    0000000000000000000Sub 2013-01-05T10:00:00Z {"n1":2}
"#;

#[tokio::test]
async fn a_summary_has_a_file_for_each_linked_organization() {
    let world = World::new().await;
    world.take(USAGE).await;
    let linked = world.ask(|new| new.all_linked_orgs = true).await;
    assert_eq!(world.worker(2).run_until_idle().await.unwrap(), 1);
    let header = "OrgId,MeterId,MeterName,Date,BillingPeriodStartDate,BillingPeriodEndDate,\
                  MeterUsage,IPU,Scalar,MetricCategory,OrgName,OrgType,IPURate\n";
    let january = "2013-01-01 00:00:00.0,2013-01-31 00:00:00.0";
    let meter = "0000000000000000000001,Meter 1";
    let tail = "HOURS,COMPUTE_UNITS";
    let (root, sub, sandbox) = (organization(ROOT), organization(SUB), organization(SANDBOX));
    let expected = format!(
        "== {sub}.csv\n{header}\
         {sub},{meter},2013-01-05 00:00:00.0,{january},2.0000000000,0.320000000000,{tail},\
         The Sub,SubOrg,0.160000\n\
         == {sandbox}.csv\n{header}\
         == {root}.csv\n{header}\
         {root},{meter},2013-01-05 00:00:00.0,{january},1.5000000000,0.240000000000,{tail},\
         The Root,Production,0.160000\n\
         {root},c6ksUl786egib9ZAPb0OYf,Sub Organizations IPU Usage,2013-01-05 00:00:00.0,{january},\
         null,0.320000000000,IPU,ORGS,The Root,Production,null\n\
         {root},{meter},2013-01-31 00:00:00.0,{january},1.0000000000,0.160000000000,{tail},\
         The Root,Production,0.160000\n"
    );
    assert_eq!(world.files(linked).await, expected);
    let manifest = world.artifacts.manifest(linked).await.unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["files"][2]["rows"], 3);
    assert_eq!(manifest["files"][2]["controls"]["usage"], "2.500000000001");
    assert_eq!(
        manifest["files"][2]["controls"]["ipu"],
        "0.400000000000160000000000"
    );
}

#[tokio::test]
async fn a_combined_summary_sets_organizations_apart_by_an_empty_line() {
    let world = World::new().await;
    world.take(USAGE).await;
    let combined = |new: &mut NewExport| {
        new.kind = ExportKind::SummaryAllLinked;
        new.combined = true;
    };
    let export = world.ask(combined).await;
    world.worker(1).run_until_idle().await.unwrap();
    let files = world.files(export).await;
    let mut lines = files.lines();
    assert_eq!(
        lines.next(),
        Some(format!("== {}.csv", organization(ROOT)).as_str())
    );
    assert!(lines.next().unwrap().starts_with("OrgId,"));
    let owners: Vec<_> = lines
        .map(|line| line.get(..22).unwrap_or(line).trim_start_matches('0'))
        .collect();
    assert_eq!(owners, ["Sub", "", "Root", "Root", "Root"]);
}

#[tokio::test]
async fn without_linked_organizations_there_is_one_file_even_without_usage() {
    let world = World::new().await;
    let export = world.ask(|new| new.organization = organization(SUB)).await;
    world.worker(1).run_until_idle().await.unwrap();
    let files = world.files(export).await;
    assert_eq!(files.lines().count(), 2, "{files}");
    assert!(files.ends_with(",IPURate\n"), "{files}");
}

async fn job_level(world: &World, meter: MeterId) -> metadata::Export {
    let request = |new: &mut NewExport| {
        new.kind = ExportKind::JobLevel;
        new.meter = Some(meter);
    };
    let export = world.ask(request).await;
    world.worker(2).run_until_idle().await.unwrap();
    world.export(export).await
}

#[tokio::test]
async fn a_data_integration_report_lists_task_runs_by_audit_time() {
    let world = World::new().await;
    world
        .take(
            r#"
            000000000000000000Root 2013-01-05T10:15:00Z {"n1":0.1375,"taskId":"01ABC",
                +"taskName":"Load, nightly","taskObject":"obj","taskType":"MTT",
                +"taskRunId":7,"project":"P","folder":"F","environmentId":"e1",
                +"environment":"Agent","coresUsed":2,"start":"2013-01-05T10:06:45Z",
                +"status":"SUCCESS","overheadSeconds":3}
            000000000000000000Root 2013-01-05T09:00:00.5Z {"n1":0.00083333,
                +"taskName":"say \"hi\"","start":"yesterday"}
            000000000000000000Root 2013-01-05T09:30:00Z {"other":1,"status":"ERROR"}
            0000000000000000000Sub 2013-01-05T09:30:00Z {"n1":1}
            "#,
        )
        .await;
    let export = job_level(&world, meter_id(1)).await;
    assert_eq!(
        (export.status, export.progress.rows),
        (ExportStatus::Success, 3)
    );
    let root = organization(ROOT);
    let expected = format!(
        "== CDIMeteringAuditData.csv\n\
         Task ID,Task Name,Task Object Name,Task Type,Task Run ID,Project Name,Folder Name,Org ID,\
         Environment ID,Environment,Cores Used,Start Time,End Time,Status,Metered Value,Audit Time,\
         OBM Task Time(s)\n\
         ,\"say \"\"hi\"\"\",,,,,,{root},,,,yesterday,2013-01-05 09:00:00.5,,8.33E-4,\
         2013-01-05 09:00:00.5,0\n\
         ,,,,,,,{root},,,,,2013-01-05 09:30:00.0,ERROR,,2013-01-05 09:30:00.0,0\n\
         01ABC,\"Load, nightly\",obj,MTT,7,P,F,{root},e1,Agent,2.0,2013-01-05 10:06:45.0,\
         2013-01-05 10:15:00.0,SUCCESS,0.1375,2013-01-05 10:15:00.0,3\n"
    );
    assert_eq!(world.files(export.id).await, expected);
}

#[tokio::test]
async fn an_application_integration_report_adds_up_processes_by_day() {
    let world = World::new().await;
    world
        .take(
            r#"
            000000000000000000Root 2013-01-05T10:00:00Z {"n2":0.5,"asset":"Orders",
                +"status":"Completed","invokedBy":"ada","environment":"Cloud"}
            000000000000000000Root 2013-01-05T12:00:00Z {"n2":"0.25","asset":"Orders",
                +"status":"Completed","invokedBy":"ada","environment":"Cloud"}
            000000000000000000Root 2013-01-05T11:00:00Z {"n2":1,"asset":"Orders",
                +"status":"Faulted","invokedBy":"ada","environment":"Cloud"}
            000000000000000000Root 2013-01-05T13:00:00Z {"asset":"Orders","status":"Faulted",
                +"invokedBy":"ada","environment":"Cloud"}
            000000000000000000Root 2013-01-06T00:00:00Z {"n2":0.001,"asset":"Bills"}
            "#,
        )
        .await;
    let export = job_level(&world, meter_id(2)).await;
    let root = organization(ROOT);
    let expected = format!(
        "== DetailedReport_0000000000000000000002.csv\n\
         Org ID,Execution type,Executed asset,Date (in UTC),Invoked by,Execution env,status,\
         Execution count,Total Execution time (in hours),Average Execution time (in seconds)\n\
         {root},Process,Orders,2013-01-05,ada,Cloud,Completed,2,0.7500000000,1350.00000\n\
         {root},Process,Orders,2013-01-05,ada,Cloud,Faulted,2,1.0000000000,1800.00000\n\
         {root},Process,Bills,2013-01-06,,,,1,0.0010000000,3.60000\n"
    );
    assert_eq!(world.files(export.id).await, expected);
}

#[tokio::test]
async fn a_filter_decides_which_events_without_a_reading_are_listed() {
    let world = World::new().await;
    let mut change = world.metadata.begin_change(world.now()).await.unwrap();
    let mut filtered = meter(5, Some(JobLevelLayout::Generic));
    filtered.rule.filters = vec![Filter {
        path: "$.region".parse().unwrap(),
        values: vec!["eu".into()],
    }];
    change.insert_meter(world.account, &filtered).await.unwrap();
    change.commit().await.unwrap();
    world
        .take(
            r#"
            000000000000000000Root 2013-01-05T10:00:00Z {"n5":2,"region":"eu","taskId":"read"}
            000000000000000000Root 2013-01-05T11:00:00Z {"region":"eu","taskId":"without"}
            000000000000000000Root 2013-01-05T12:00:00Z {"n5":4,"region":"us","taskId":"other"}
            000000000000000000Root 2013-01-05T13:00:00Z {"n5":"NaN","region":"eu","taskId":"odd"}
            "#,
        )
        .await;
    let export = job_level(&world, meter_id(5)).await;
    let files = world.files(export.id).await;
    let listed: Vec<_> = files
        .lines()
        .skip(2)
        .map(|line| {
            let fields: Vec<_> = line.split(',').collect();
            format!("{} {:?}", fields[13], fields[22])
        })
        .collect();
    assert_eq!(listed, ["read \"2\"", "without \"\"", "odd \"\""]);
}

#[tokio::test]
async fn a_meter_of_our_own_lists_every_digit() {
    let world = World::new().await;
    let line =
        r#"000000000000000000Root 2013-01-05T10:00:00.25Z {"n3":0.123456789012,"user":"ada"}"#;
    world.take(line).await;
    let export = job_level(&world, meter_id(3)).await;
    let files = world.files(export.id).await;
    let expected = format!(
        "{},0000000000000000000003,Meter 3,2013-01-05T10:00:00.25Z,,s,,,,,,,,,,,,,,,,ada,\
         0.123456789012,hour\n",
        organization(ROOT)
    );
    assert!(
        files.starts_with("== JobDetails_0000000000000000000003.csv\nOrg ID,"),
        "{files}"
    );
    assert!(files.ends_with(&expected), "{files}");
}

#[tokio::test]
async fn what_cannot_be_made_fails_with_its_reason() {
    let world = World::new().await;
    let no_layout = job_level(&world, meter_id(4)).await;
    assert_eq!(no_layout.status, ExportStatus::Failed);
    let message = format!("meter {} has no job-level report", meter_id(4));
    assert_eq!(no_layout.error_message, Some(message));
    let backwards = world
        .ask(|new| new.end = "2012-12-31T00:00:00Z".into())
        .await;
    world.worker(1).run_until_idle().await.unwrap();
    let backwards = world.export(backwards).await;
    let expected = "the range ends on 2012-12-31, before it starts on 2013-01-02";
    assert_eq!(backwards.error_message.as_deref(), Some(expected));
    assert!(matches!(
        world.artifacts.manifest(backwards.id).await,
        Err(Error::Artifact { .. })
    ));
}

const PROJECTS: &str = r#"
    000000000000000000Root 2013-01-05T10:00:00Z {"n1":60,"project":"P","folder":"F",
        +"asset":"a1","assetType":"MAPPING"}
    000000000000000000Root 2013-01-05T11:00:00Z {"n1":60,"project":"P","folder":"F",
        +"asset":"a2","environment":"Agent","environmentType":"Serverless"}
    000000000000000000Root 2013-01-06T11:00:00Z {"n1":1,"project":"P","folder":"F"}
    000000000000000000Root 2013-01-06T12:00:00Z {"n1":1}
    0000000000000000000Sub 2013-01-06T12:00:00Z {"n1":1}
"#;

async fn with_tiers() -> World {
    let world = World::new().await;
    let mut change = world.metadata.begin_change(world.now()).await.unwrap();
    let mut tiered = rate(1, "0.5");
    let first = Tier {
        up_to: Some("100".parse().unwrap()),
        price: "2".parse().unwrap(),
    };
    tiered.tiers.insert(0, first);
    change.put_rate(&tiered).await.unwrap();
    change.commit().await.unwrap();
    world.take(PROJECTS).await;
    world
}

#[tokio::test]
async fn projects_and_folders_are_told_apart_per_organization() {
    let world = with_tiers().await;
    let request = |new: &mut NewExport| {
        new.kind = ExportKind::ProjectFolder;
        new.all_linked_orgs = true;
        new.combined = true;
    };
    let export = world.ask(request).await;
    world.worker(1).run_until_idle().await.unwrap();
    let (root, sub) = (organization(ROOT), organization(SUB));
    let expected = format!(
        "== {root}.csv\n\
         Date,Project,Folder,Org ID,Org Type,Consumption (IPUs)\n\
         2013-01-06T00:00:00Z,null,null,{sub},SubOrg,2.000000000000\n\
         \n\
         2013-01-06T00:00:00Z,null,null,{root},Production,0.500000000000\n\
         2013-01-06T00:00:00Z,P,F,{root},Production,0.500000000000\n\
         2013-01-05T00:00:00Z,P,F,{root},Production,210.000000000000\n"
    );
    assert_eq!(world.files(export).await, expected);
}

#[tokio::test]
async fn an_asset_has_a_line_for_each_tier_it_pays() {
    let world = with_tiers().await;
    let export = world.ask(|new| new.kind = ExportKind::Asset).await;
    world.worker(1).run_until_idle().await.unwrap();
    let root = organization(ROOT);
    let meter = "0000000000000000000001,Meter 1";
    let (low, high) = ("0.000 - 100.000,2.000000", "100.000 +,0.500000");
    let expected = format!(
        "== {root}.csv\n\
         Meter ID,Meter Name,Date,Asset Name,Asset Type,Project,Folder,Org ID,Org Type,\
         Environment Name,Environment Type,Tier,IPU Per Unit,Usage,Consumption (IPUs)\n\
         {meter},2013-01-05T00:00:00Z,a1,MAPPING,P,F,{root},Production,null,null,{low},\
         60.000000000000,120.000000000000\n\
         {meter},2013-01-05T00:00:00Z,a2,null,P,F,{root},Production,Agent,Serverless,{low},\
         40.000000000000,80.000000000000\n\
         {meter},2013-01-05T00:00:00Z,a2,null,P,F,{root},Production,Agent,Serverless,{high},\
         20.000000000000,10.000000000000\n\
         {meter},2013-01-06T00:00:00Z,null,null,null,null,{root},Production,null,null,{high},\
         1.000000000000,0.500000000000\n\
         {meter},2013-01-06T00:00:00Z,null,null,P,F,{root},Production,null,null,{high},\
         1.000000000000,0.500000000000\n"
    );
    assert_eq!(world.files(export).await, expected);
}

#[tokio::test]
async fn all_meters_give_a_report_per_layout_merged_by_time() {
    let world = World::new().await;
    let mut change = world.metadata.begin_change(world.now()).await.unwrap();
    let another = meter(5, Some(JobLevelLayout::DataIntegration));
    change.insert_meter(world.account, &another).await.unwrap();
    change.commit().await.unwrap();
    world
        .take(
            r#"
            000000000000000000Root 2013-01-05T10:02:00Z {"n1":1,"taskId":"third"}
            000000000000000000Root 2013-01-05T10:01:00Z {"n5":1,"taskId":"second"}
            000000000000000000Root 2013-01-05T10:00:00Z {"n1":1,"taskId":"first"}
            000000000000000000Root 2013-01-05T10:03:00Z {"taskId":"without"}
            000000000000000000Root 2013-01-06T10:00:00Z {"n3":1,"taskId":"other"}
            "#,
        )
        .await;
    let all = |new: &mut NewExport| {
        new.kind = ExportKind::JobLevel;
        new.all_meters = true;
    };
    let export = world.ask(all).await;
    world.worker(2).run_until_idle().await.unwrap();
    let files = world.files(export).await;
    let first_fields: Vec<_> = files
        .lines()
        .map(|line| line.split(',').next().unwrap())
        .collect();
    assert_eq!(
        first_fields,
        [
            "== CDIMeteringAuditData.csv",
            "Task ID",
            "first",
            "second",
            "third",
            "without",
            "== DetailedReport_0000000000000000000002.csv",
            "Org ID",
            ROOT,
            "== JobDetails_0000000000000000000003.csv",
            "Org ID",
            ROOT,
            ROOT,
        ]
    );
}
