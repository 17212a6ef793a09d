//! Every kind of export from end to end, by a client that knows nothing but the family's contract.

use domain::ids::OrganizationId;
use domain::tree::OrganizationKind;
use metadata::Role;
use serde_json::{Value, json};

use super::METER;
use crate::client::{Client, Files, Login};
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

    /// A program that has logged in as the administrator.
    async fn client(&self, login: Login) -> Client {
        let (user, password) = self.server.admin();
        Client::log_in(&self.server.url(""), login, &user, &password).await
    }

    /// What a program gets that logs in, asks, polls and downloads.
    async fn fetch(&self, resource: &str, request: Value) -> (Value, Files) {
        let client = self.client(Login::V3).await;
        let fetched = client.fetch(resource, &request).await;
        client.log_out().await;
        fetched
    }
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

#[tokio::test]
async fn a_program_that_logs_in_the_older_way_gets_the_same_files() {
    let scene = Scene::new().await;
    let (older, newer) = (scene.client(Login::V2).await, scene.client(Login::V3).await);
    let job_type = |word: &str| ("ExportMeteringData", with(&json!({"jobType": word})));
    let job_level = "ExportServiceJobLevelMeteringData";
    for (resource, request) in [
        job_type("SUMMARY"),
        job_type("PROJECT_FOLDER"),
        job_type("ASSET"),
        ("ExportMeteringDataAllLinkedOrgsAcrossRegion", january()),
        (job_level, with(&json!({"meterId": METER}))),
        (job_level, with(&json!({"allMeters": true}))),
    ] {
        let (_, files) = older.fetch(resource, &request).await;
        assert_eq!(files, newer.fetch(resource, &request).await.1);
        assert!(files.values().any(|table| !table.rows.is_empty()));
    }
    older.log_out().await;
    newer.log_out().await;
}
