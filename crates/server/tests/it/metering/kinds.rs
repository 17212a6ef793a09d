//! Every kind of export from end to end, by a client that knows nothing but the family's contract.

use std::collections::BTreeMap;
use std::process::Command;

use domain::ids::OrganizationId;
use domain::tree::OrganizationKind;
use metadata::Role;
use serde_json::{Value, json};

use super::METER;
use crate::harness::TestServer;

const SETUP: &str = "organizations: [{name: Default}]
meters:
  - slug: hours
    id: a2nB20h1o0lc7k3P9xtWS8
    name: Data Integration
    eventType: flight
    aggregation: SUM
    valueProperty: $.hours
    scalar: {name: HOURS, metricCategory: COMPUTE_UNITS}
    jobLevelLayout: data_integration
  - slug: calls
    id: 0000000000000000000002
    eventType: call
    aggregation: COUNT
    jobLevelLayout: generic
rates: [{meter: hours, kind: ipu, price: 0.16}]";

const SUMMARY: &str = "OrgId,MeterId,MeterName,Date,BillingPeriodStartDate,BillingPeriodEndDate,\
                       MeterUsage,IPU,Scalar,MetricCategory,OrgName,OrgType,IPURate";
const JOBS: &str = "Task ID,Task Name,Task Object Name,Task Type,Task Run ID,Project Name,\
                    Folder Name,Org ID,Environment ID,Environment,Cores Used,Start Time,End Time,\
                    Status,Metered Value,Audit Time,OBM Task Time(s)";

/// A server with workers, a root, a sub-organization and usage of both.
struct Scene {
    server: TestServer,
    root: OrganizationId,
    child: OrganizationId,
}

impl Scene {
    async fn new() -> Self {
        let server = TestServer::start_with(|config| config.exports.workers = 1).await;
        let body = json!({"setup": SETUP}).to_string();
        let applied = server.post(server.token(), "/api/v1/setup", &body).await;
        assert_eq!(applied.status, 200, "{}", applied.body);
        let root = server.root().await;
        let sub = OrganizationKind::SubOrganization;
        let child = server.organization("Child", sub, root).await;
        let key = server.key(root, Role::Writer).await;
        let event = |id: &str, kind: &str, owner: OrganizationId, data: Value| {
            let time = format!("2026-01-05T1{id}:00:00Z");
            json!({
                "specversion": "1.0", "id": id, "source": "test", "type": kind, "subject": "s",
                "time": time, "organization": owner, "data": data,
            })
        };
        let run = |hours: Value, project: &str| {
            json!({
                "hours": hours, "project": project, "asset": "N1", "status": "SUCCESS",
            })
        };
        let events = json!([
            event("1", "flight", root, run(json!("1.5"), "JFK")),
            event("2", "flight", root, run(json!(0.25), "EWR")),
            event("3", "flight", root, json!({"status": "ERROR"})),
            event("4", "flight", child, run(json!(2), "JFK")),
            event("5", "call", root, json!({"user": "ada"})),
        ]);
        let media = "application/cloudevents-batch+json";
        let (path, body) = ("/api/v1/events", events.to_string());
        let sent = server.send(&key, path, media, &body).await;
        assert_eq!(sent.status, 204, "{}", sent.body);
        Self {
            server,
            root,
            child,
        }
    }

    /// Logs in, asks, polls, downloads and reads the tables by file name.
    async fn fetch(&self, resource: &str, request: Value) -> (Value, BTreeMap<String, Table>) {
        let (user, password) = self.server.admin();
        let http = reqwest::Client::new();
        let login = self.server.url("/saas/public/core/v3/login");
        let login = http
            .post(login)
            .json(&json!({"username": user, "password": password}));
        let login: Value = login.send().await.unwrap().json().await.unwrap();
        let base = login["products"][0]["baseApiUrl"].as_str().unwrap();
        let session = login["userInfo"]["sessionId"].as_str().unwrap();
        let metering = format!("{base}/public/core/v3/license/metering");
        let with = |request: reqwest::RequestBuilder| request.header("INFA-SESSION-ID", session);
        let posted = with(http.post(format!("{metering}/{resource}"))).json(&request);
        let posted: Value = posted.send().await.unwrap().json().await.unwrap();
        let job = format!(
            "{metering}/ExportMeteringData/{}",
            posted["jobId"].as_str().unwrap()
        );
        let mut status = posted.clone();
        while ["CREATED", "PROCESSING"].contains(&status["status"].as_str().unwrap()) {
            let answer = with(http.get(&job)).send().await.unwrap();
            status = answer.json().await.unwrap();
        }
        assert_eq!(status["status"], "SUCCESS", "{status}");
        let zip = with(http.get(format!("{job}/download")))
            .send()
            .await
            .unwrap();
        (posted, tables(&zip.bytes().await.unwrap()))
    }
}

/// A table: its header and its rows, by column; an empty line is a row without columns.
struct Table {
    header: String,
    rows: Vec<BTreeMap<String, String>>,
}

impl Table {
    fn of(text: &str) -> Self {
        let mut lines = text.lines();
        let header = lines.next().unwrap();
        let row = |line: &str| {
            let fields = header.split(',').zip(line.split(','));
            let fields = fields.map(|(column, field)| (column.to_owned(), field.to_owned()));
            if line.is_empty() {
                BTreeMap::new()
            } else {
                fields.collect()
            }
        };
        Self {
            header: header.to_owned(),
            rows: lines.map(row).collect(),
        }
    }

    /// One column of all rows, joined by blanks.
    fn column(&self, name: &str) -> String {
        let cells = self.rows.iter();
        let cells: Vec<_> = cells
            .map(|row| row.get(name).map_or("", String::as_str))
            .collect();
        cells.join(" ")
    }
}

fn tables(zip: &[u8]) -> BTreeMap<String, Table> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("export.zip");
    std::fs::write(&path, zip).unwrap();
    let program = "
import json, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as archive:
    print(json.dumps({name: archive.read(name).decode() for name in archive.namelist()}))
";
    let output = Command::new("python3")
        .args(["-c", program])
        .arg(&path)
        .output();
    let output = output.expect("python3 reads the archive");
    let files: BTreeMap<String, String> = serde_json::from_slice(&output.stdout).unwrap();
    files
        .into_iter()
        .map(|(name, text)| (name, Table::of(&text)))
        .collect()
}

fn january() -> Value {
    json!({"startDate": "2026-01-02T00:00:00Z", "endDate": "2026-01-31T23:59:59Z"})
}

fn with(fields: &Value) -> Value {
    let mut request = january();
    let more = fields.as_object().unwrap().clone();
    request.as_object_mut().unwrap().extend(more);
    request
}

fn keys(answer: &Value) -> String {
    let members = answer.as_object().unwrap().keys();
    members.map(String::as_str).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn a_summary_of_the_organization_alone_is_one_file() {
    let scene = Scene::new().await;
    let request = with(&json!({"jobType": "SUMMARY"}));
    let (posted, files) = scene.fetch("ExportMeteringData", request).await;
    assert_eq!(
        (&posted["meterId"], posted.get("allMeters")),
        (&Value::Null, None)
    );
    let names: Vec<_> = files.keys().collect();
    assert_eq!(names, [&format!("{}.csv", scene.root)]);
    let table = files.values().next().unwrap();
    assert_eq!(table.header, SUMMARY);
    assert_eq!(
        table.column("MeterId"),
        format!("0000000000000000000002 {METER} c6ksUl786egib9ZAPb0OYf")
    );
    assert_eq!(
        table.column("IPU"),
        "0.000000000000 0.280000000000 0.320000000000"
    );
}

#[tokio::test]
async fn the_older_resource_gives_everything_below_in_a_file_each_or_in_one() {
    let scene = Scene::new().await;
    let older = "ExportMeteringDataAllLinkedOrgsAcrossRegion";
    let (posted, files) = scene.fetch(older, january()).await;
    assert_eq!(posted["combinedMeterUsage"], "FALSE");
    assert_eq!(posted.get("meterId"), None, "{}", keys(&posted));
    let usage = |owner: OrganizationId| files[&format!("{owner}.csv")].column("MeterUsage");
    assert_eq!(files.len(), 2);
    assert_eq!(usage(scene.child), "2.0000000000");
    assert_eq!(usage(scene.root), "1.0000000000 1.7500000000 null");
    let (posted, files) = scene
        .fetch(older, with(&json!({"combinedMeterUsage": "true"})))
        .await;
    assert_eq!(posted["combinedMeterUsage"], "TRUE");
    let table = &files[&format!("{}.csv", scene.root)];
    assert_eq!((files.len(), table.header.as_str()), (1, SUMMARY));
    assert_eq!(
        table.column("MeterUsage"),
        "2.0000000000  1.0000000000 1.7500000000 null"
    );
}

#[tokio::test]
async fn consumption_is_told_apart_by_project_and_folder() {
    let scene = Scene::new().await;
    let request = with(&json!({"jobType": "PROJECT_FOLDER", "allLinkedOrgs": true}));
    let (_, files) = scene.fetch("ExportMeteringData", request).await;
    let header = "Date,Project,Folder,Org ID,Org Type,Consumption (IPUs)";
    assert!(files.values().all(|table| table.header == header));
    let table = &files[&format!("{}.csv", scene.root)];
    assert_eq!(table.column("Project"), "null EWR JFK");
    assert_eq!(
        table.column("Consumption (IPUs)"),
        "0.000000000000 0.040000000000 0.240000000000"
    );
    let child = &files[&format!("{}.csv", scene.child)];
    assert_eq!(child.column("Consumption (IPUs)"), "0.320000000000");
}

#[tokio::test]
async fn consumption_is_told_apart_by_asset_of_one_meter_or_of_all() {
    let scene = Scene::new().await;
    let one = with(&json!({"jobType": "ASSET", "meterId": METER, "allLinkedOrgs": "TRUE"}));
    let (posted, files) = scene.fetch("ExportMeteringData", one).await;
    assert_eq!(posted["meterId"], METER);
    assert_eq!(files.len(), 1, "the requester's alone");
    let table = &files[&format!("{}.csv", scene.root)];
    assert!(
        table
            .header
            .starts_with("Meter ID,Meter Name,Date,Asset Name,")
    );
    assert_eq!(table.column("Usage"), "0.250000000000 1.500000000000");
    assert_eq!(table.column("Asset Name"), "N1 N1");
    let all = with(&json!({"jobType": "ASSET"}));
    let (posted, files) = scene.fetch("ExportMeteringData", all).await;
    assert_eq!(posted["meterId"], Value::Null);
    let table = &files[&format!("{}.csv", scene.root)];
    assert_eq!(table.rows.len(), 3);
}

#[tokio::test]
async fn jobs_of_one_meter_or_of_all_are_listed_with_those_that_failed() {
    let scene = Scene::new().await;
    let resource = "ExportServiceJobLevelMeteringData";
    let (posted, files) = scene
        .fetch(resource, with(&json!({"meterId": METER})))
        .await;
    assert_eq!(
        (&posted["allMeters"], &posted["meterId"]),
        (&json!("FALSE"), &json!(METER))
    );
    let table = &files["CDIMeteringAuditData.csv"];
    assert_eq!((files.len(), table.header.as_str()), (1, JOBS));
    assert_eq!(table.column("Status"), "SUCCESS SUCCESS ERROR");
    assert_eq!(table.column("Metered Value"), "1.5 0.25 ");
    let all = with(&json!({"meterId": METER, "allMeters": "TRUE"}));
    let (posted, files) = scene.fetch(resource, all).await;
    assert_eq!(
        (&posted["allMeters"], &posted["meterId"]),
        (&json!("TRUE"), &Value::Null)
    );
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "CDIMeteringAuditData.csv",
            "JobDetails_0000000000000000000002.csv"
        ]
    );
    assert_eq!(
        files["JobDetails_0000000000000000000002.csv"].column("User"),
        "ada"
    );
}
