//! What our own exports may choose: organizations, meters, columns, form and packing.

use domain::tree::OrganizationKind;
use insta::assert_snapshot;
use metadata::Role;
use serde_json::{Value, json};

use super::{EXPORTS, analyst, ask, january, path};
use crate::harness::{TestServer, fold, redact};

/// January of a kind with further members.
fn chosen(kind: &str, more: &[(&str, Value)]) -> Value {
    let mut body = january(kind);
    for (member, value) in more {
        body[*member] = value.clone();
    }
    body
}

/// Asks for an export and gives its resource once it has ended.
async fn made(server: &TestServer, key: &str, body: &Value) -> Value {
    let asked = ask(server, key, body).await;
    assert_eq!(asked.status, 202, "{}", asked.body);
    server.run_jobs_until_idle().await;
    let done = server.get(key, &path(&asked)).await.json();
    assert_eq!(done["status"], "SUCCESS", "{done}");
    done
}

#[tokio::test]
async fn usage_by_columns_comes_as_one_compressed_file() {
    let (server, key) = analyst().await;
    let columns = json!(["date", "meter", "project", "usage"]);
    let more = [
        ("columns", columns.clone()),
        ("packing", json!("gzip")),
        ("combined", json!(true)),
        ("meters", json!(["hours"])),
    ];
    let export = made(&server, &key, &chosen("USAGE", &more)).await;
    assert_eq!(export["request"]["columns"], columns);
    let artifact = &export["artifact"];
    assert_eq!(artifact["mediaType"], "application/gzip");
    let name = redact(artifact["fileName"].as_str().unwrap());
    assert_eq!(name, "[id].csv.gz");
    let url = format!("{EXPORTS}/{}/download", export["id"].as_str().unwrap());
    let request = server.request(reqwest::Method::GET, &url).bearer_auth(&key);
    let file = request.send().await.unwrap();
    assert_eq!(file.headers()["content-type"], "application/gzip");
    assert!(file.bytes().await.unwrap().starts_with(&[0x1f, 0x8b]));
    let manifest = server
        .get(&key, &url.replace("/download", "/manifest"))
        .await;
    assert_eq!(manifest.json()["files"][0]["rows"], 2, "{}", manifest.body);
}

#[tokio::test]
async fn parquet_and_chosen_organizations_go_together() {
    let (server, key) = analyst().await;
    let root = server.root().await;
    let sub = OrganizationKind::SubOrganization;
    let child = server.organization("Child", sub, root).await;
    let more = [
        ("format", json!("parquet")),
        ("organizations", json!(["child", child.to_string()])),
    ];
    let export = made(&server, &key, &chosen("ASSET", &more)).await;
    let request = &export["request"];
    assert_eq!(
        request["organizations"],
        json!([child.to_string()]),
        "once each"
    );
    let url = format!("{EXPORTS}/{}/manifest", export["id"].as_str().unwrap());
    let manifest = server.get(&key, &url).await.json();
    let names: Vec<_> = manifest["files"].as_array().unwrap().iter().collect();
    assert_eq!(names.len(), 1, "{manifest}");
    assert_eq!(names[0]["name"], format!("{child}.parquet"));
}

#[tokio::test]
async fn what_cannot_be_planned_is_refused_before_it_is_a_job() {
    let (server, key) = analyst().await;
    let sub = OrganizationKind::SubOrganization;
    server.organization("Child", sub, server.root().await).await;
    let mut shown = String::new();
    for body in [
        chosen("SUMMARY", &[("packing", json!("gzip"))]),
        chosen("SUMMARY", &[("columns", json!(["Date", "Date"]))]),
        chosen("USAGE", &[("columns", json!(["date", "IPU"]))]),
        chosen("JOB_LEVEL", &[("meters", json!(["miles"]))]),
    ] {
        let refused = ask(&server, &key, &body).await;
        let json = refused.json();
        let (code, detail) = (json["code"].as_str(), json["detail"].as_str());
        let line = format!("{} {}: {}", refused.status, code.unwrap(), detail.unwrap());
        shown += &(fold(&redact(&line)) + "\n");
    }
    assert_snapshot!(shown, @r#"
    400 invalid_export: gzip holds exactly one file and this export has 2: combine
      them, or take a ZIP
    400 invalid_export: column "Date" is chosen twice
    400 invalid_export: column "IPU" does not exist: the columns are date,
      organization_id, organization, meter_id, meter, meter_name, unit, subject,
      project, folder, asset, asset_type, environment_id, environment, environment_type,
      task_id, task_name, task_object, task_type, task_run_id, start, status,
      cores_used, overhead_seconds, invoked_by, billing_tag, app_id, project_hrn,
      resource, user, usage
    400 invalid_export: meter [id] has no job-level report
    "#);
    assert_eq!(server.get(&key, EXPORTS).await.json()["items"], json!([]));
}

#[tokio::test]
async fn a_period_that_cannot_be_planned_any_more_fails_and_is_passed_over() {
    let (server, key) = analyst().await;
    let body = json!({"kind": "SUMMARY", "every": "daily", "packing": "gzip"});
    let schedule = server
        .post(&key, "/api/v1/export-schedules", &body.to_string())
        .await;
    assert_eq!(schedule.status, 201, "{}", schedule.body);
    // A second organization gives a second file, which gzip cannot hold.
    let sub = OrganizationKind::SubOrganization;
    let root = server.root().await;
    server.organization("Child", sub, root).await;
    server.advance(2 * 24 * 3_600);
    let key = server.key(root, Role::Analyst).await;
    for _ in 0..2 {
        server.app().exports.schedules.step().await.unwrap();
        server.run_jobs_until_idle().await;
    }
    let listed = server
        .get(&key, &format!("{EXPORTS}?status=FAILED"))
        .await
        .json();
    let failed = listed["items"].as_array().unwrap();
    assert_eq!(failed.len(), 2, "one a period: {listed}");
    let message = failed[0]["errorMessage"].as_str().unwrap();
    assert!(
        message.starts_with("gzip holds exactly one file"),
        "{message}"
    );
}
