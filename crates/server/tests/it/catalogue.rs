//! The catalogue: the meters of the metering family, declared by a file anybody can load.

mod accounts;

use std::collections::BTreeMap;

use metadata::Role;
use serde_json::{Value, json};
use server::setup::CATALOGUE;

use crate::client::{Client, Login};
use crate::harness::{Answer, TestServer};

async fn apply(server: &TestServer, setup: &str) -> Answer {
    let body = json!({"setup": setup}).to_string();
    server.post(server.token(), "/api/v1/setup", &body).await
}

async fn changes(server: &TestServer) -> usize {
    let applied = apply(server, CATALOGUE).await;
    assert_eq!(applied.status, 200, "{}", applied.body);
    applied.json()["changes"].as_array().unwrap().len()
}

/// Meters as the API lists them, by id.
async fn meters(server: &TestServer) -> BTreeMap<String, Value> {
    let key = server.key(server.root().await, Role::Analyst).await;
    let listed = server.get(&key, "/api/v1/meters").await.json();
    let listed = listed.as_array().unwrap().iter();
    let by_id = listed.map(|meter| (meter["id"].as_str().unwrap().to_owned(), meter.clone()));
    by_id.collect()
}

#[tokio::test]
async fn a_second_time_changes_nothing_and_every_meter_has_its_layout() {
    let server = TestServer::start().await;
    // 35 meters, 25 rates; neither tree, users nor keys.
    assert_eq!(changes(&server).await, 60);
    assert_eq!(changes(&server).await, 0);
    let meters = meters(&server).await;
    let layouts = |layout: Value| {
        let of_layout = |meter: &&Value| meter["jobLevelLayout"] == layout;
        meters.values().filter(of_layout).count()
    };
    let counts = [
        "data_integration",
        "advanced_pushdown",
        "application_integration",
        "generic",
    ];
    assert_eq!(counts.map(|layout| layouts(json!(layout))), [2, 1, 2, 10]);
    assert_eq!((layouts(Value::Null), meters.len()), (20, 35));
}

#[tokio::test]
async fn names_and_scalars_are_those_that_programs_know() {
    let server = TestServer::start().await;
    changes(&server).await;
    let meters = meters(&server).await;
    for (id, name, scalar, factor, category) in [
        (
            "a2nB20h1o0lc7k3P9xtWS8",
            "Data Integration",
            "HOURS",
            1,
            "COMPUTE_UNITS",
        ),
        (
            "jRkQw2YQksQjLqowj7Mveq",
            "MDM\u{a0}Data Integration",
            "HOURS",
            1,
            "COMPUTE_UNITS",
        ),
        (
            "4c6fec02782546879713aa",
            "Application  Integration with Advanced Serverless",
            "THOUSAND_API_CALLS",
            1_000,
            "API_CALLS",
        ),
        (
            "3sY0I8UHjyTiXcLzZI1fqj",
            "Governance Records",
            "TENK_RECORDS",
            10_000,
            "RECORDS_STORED",
        ),
        (
            "8XOskr24IZyhrgIkFuKeGp",
            "API Center",
            "MILLION_API_CALLS",
            1_000_000,
            "API_CALLS",
        ),
        (
            "5Ariu53Z8gobF4KYsmTg4Z",
            "Sub Organizations",
            "PER_ORG",
            1,
            "ORGS",
        ),
        (
            "c6ksUl786egib9ZAPb0OYf",
            "Sub Organizations IPU Usage",
            "IPU",
            1,
            "ORGS",
        ),
    ] {
        let meter = &meters[id];
        assert_eq!(meter["name"], name);
        let wanted = json!({"name": scalar, "factor": factor, "metricCategory": category});
        assert_eq!(meter["scalar"], wanted, "{name}");
    }
}

#[tokio::test]
async fn the_command_prints_what_apply_takes() {
    let folder = tempfile::tempdir().unwrap();
    let (file, data_dir) = (folder.path().join("own.yaml"), folder.path().join("data"));
    let run = |words: &[&std::ffi::OsStr]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tallyport"));
        command
            .args(words)
            .arg("--data-dir")
            .arg(&data_dir)
            .output()
            .unwrap()
    };
    let printed = run(&["catalogue".as_ref()]);
    assert!(printed.status.success());
    std::fs::write(&file, &printed.stdout).unwrap();
    let apply = || {
        let output = run(&["apply".as_ref(), "-f".as_ref(), file.as_ref()]);
        let said = String::from_utf8(output.stdout).unwrap();
        said.lines().last().unwrap_or_default().to_owned()
    };
    // In a folder without an account it makes the one a first start would make.
    assert_eq!(apply(), "61 changes made");
    assert_eq!(apply(), "nothing to change: everything is as declared");
}

#[tokio::test]
async fn a_file_without_organizations_needs_to_know_which_account() {
    let server = TestServer::start().await;
    let other = server.account("Other").await;
    let unclear = apply(&server, CATALOGUE).await;
    assert_eq!(unclear.status, 400);
    let detail = unclear.json()["detail"].clone();
    let said = "organizations: there are several accounts: say which with `account`";
    assert!(detail.as_str().unwrap().starts_with(said), "{detail}");
    let account = server.app().metadata.find_account_of(other).await.unwrap();
    let named = format!("account: {}\n{CATALOGUE}", account.unwrap().id);
    assert_eq!(apply(&server, &named).await.status, 200);
    let unknown = format!("account: 0000000000000000000000\n{CATALOGUE}");
    assert_eq!(apply(&server, &unknown).await.status, 400);
    assert!(
        meters(&server).await.is_empty(),
        "the other account has them"
    );
}

/// Usage of one day, by the convention of the catalogue.
fn events() -> Value {
    let event = |slug: &str, hour: u8, quantity: Value| {
        json!({
            "specversion": "1.0", "id": format!("{slug} {hour}"), "source": "test",
            "type": slug, "subject": "s", "time": format!("2026-01-05T{hour:02}:00:00Z"),
            "data": {"quantity": quantity, "taskName": "t", "asset": "p", "status": "SUCCESS"},
        })
    };
    json!([
        event("data-integration", 10, json!(1.5)),
        event("data-integration-advanced-serverless", 11, json!("0.25")),
        event("advanced-pushdown-optimization", 10, json!(2)),
        event("application-integration", 10, json!(0.5)),
        event("application-integration", 11, json!(0.25)),
        event("mass-ingestion-files", 10, json!(10)),
        event("governance-records", 10, json!(25_000)),
        event("governance-records", 11, json!(20_000)),
        event("mdm-data-integration", 10, json!(3)),
    ])
}

#[tokio::test]
async fn usage_of_its_meters_comes_out_in_a_file_for_each_layout() {
    let server = TestServer::start_with(|config| config.exports.workers = 1).await;
    changes(&server).await;
    let root = server.root().await;
    let key = server.key(root, Role::Writer).await;
    let media = "application/cloudevents-batch+json";
    let sent = server
        .send(&key, "/api/v1/events", media, &events().to_string())
        .await;
    assert_eq!(sent.status, 204, "{}", sent.body);
    let (user, password) = server.admin();
    let client = Client::log_in(&server.url(""), Login::V3, &user, &password).await;
    let range = json!({"startDate": "2026-01-05T00:00:00Z", "endDate": "2026-01-05T23:59:59Z"});
    let with = |field: &str, value: &str| {
        let mut request = range.clone();
        request[field] = json!(value);
        request
    };
    let job_level = "ExportServiceJobLevelMeteringData";
    let (_, files) = client.fetch(job_level, &with("allMeters", "TRUE")).await;
    assert_eq!(
        files.len(),
        14,
        "two shared layouts, two reports, ten of our own"
    );
    let jobs = files["CDIMeteringAuditData.csv"].column("Metered Value");
    assert_eq!(jobs, "1.5 0.25");
    assert_eq!(
        files["PDOMeteringAuditData.csv"].column("Metered Value"),
        "2.0"
    );
    let processes = &files["DetailedReport_3uIRkIV5Rt9lBbAPzeR5Kj.csv"];
    let hours = processes.column("Total Execution time (in hours)");
    assert_eq!(
        (processes.column("Execution count"), hours),
        ("2".into(), "0.7500000000".into())
    );
    let own = &files["JobDetails_lCwc4CfL7EEhv9773egFC8.csv"];
    assert_eq!(own.column("Quantity"), "10");
    assert!(
        files["JobDetails_24WXkCWzeSHjFlQvLPDegF.csv"]
            .rows
            .is_empty()
    );

    let (_, files) = client
        .fetch("ExportMeteringData", &with("jobType", "SUMMARY"))
        .await;
    let rows = &files[&format!("{root}.csv")].rows;
    let ipu = |name: &str| {
        let row = rows.iter().find(|row| row["MeterName"] == name).unwrap();
        (
            row["MeterUsage"].as_str(),
            row["IPU"].as_str(),
            row["IPURate"].as_str(),
        )
    };
    // 1.5 x 0.16; 25,000 / 10,000 x 9.5.
    assert_eq!(
        ipu("Data Integration"),
        ("1.5000000000", "0.240000000000", "0.160000")
    );
    assert_eq!(
        ipu("Governance Records"),
        ("25000.0000000000", "23.750000000000", "9.500000")
    );
    assert_eq!(ipu("MDM\u{a0}Data Integration").1, "0.000000000000");
    client.log_out().await;
}
