//! Requests that are refused, each with its own code.

use insta::assert_snapshot;
use metadata::Role;
use reqwest::Method;
use serde_json::{Value, json};

use super::{EXPORTS, JOB_LEVEL, flights, post, session_of, summary};
use crate::harness::Answer;

fn with(field: &str, value: Value) -> Value {
    let mut body = summary();
    body[field] = value;
    body
}

#[tokio::test]
async fn each_refusal_has_its_own_code() {
    let (server, session) = flights().await;
    let job_level = |field: &str, value: Value| (JOB_LEVEL, with(field, value));
    let mut shown = String::new();
    for (path, body) in [
        (EXPORTS, json!([])),
        (EXPORTS, json!({})),
        (EXPORTS, with("startDate", Value::Null)),
        (EXPORTS, with("startDate", json!(5))),
        (EXPORTS, with("endDate", json!("31.01.2026"))),
        (EXPORTS, with("endDate", json!("2025-12-31T00:00:00Z"))),
        (EXPORTS, with("endDate", json!("2026-07-02T00:00:00Z"))),
        (EXPORTS, with("jobType", json!("JOB"))),
        (EXPORTS, with("jobType", json!("ASSET"))),
        (EXPORTS, with("jobType", json!("PROJECT_FOLDER"))),
        (EXPORTS, with("allLinkedOrgs", json!("yes"))),
        (EXPORTS, with("callbackUrl", json!("ftp://x"))),
        job_level("meterId", json!("")),
        job_level("meterId", json!("unknown")),
        job_level("meterId", json!("3TaYTMo6BFYeNIABfVmH0n")),
        job_level("allMeters", json!("TRUE")),
    ] {
        let answer = post(&server, &session, path, &body).await;
        let error = &answer.json()["error"];
        let (code, message) = (error["code"].as_str(), error["message"].as_str());
        shown += &format!("{} {} {}\n", answer.status, code.unwrap(), message.unwrap());
    }
    assert_snapshot!(shown, @"");
}

#[tokio::test]
async fn a_meter_without_a_report_and_one_folder_day_too_many_are_refused() {
    let (server, session) = flights().await;
    let meters = server.get(server.token(), "/api/v1/meters").await.json();
    let miles = meters
        .as_array()
        .unwrap()
        .iter()
        .find(|meter| meter["slug"] == "miles");
    let body = with("meterId", miles.unwrap()["id"].clone());
    let refused = post(&server, &session, JOB_LEVEL, &body).await;
    assert_eq!(refused.json()["error"]["code"], "METERING_METER");
    let mut body = with("jobType", json!("PROJECT_FOLDER"));
    body["endDate"] = json!("2026-02-02T00:00:00Z");
    let refused = post(&server, &session, EXPORTS, &body).await;
    assert_eq!(refused.json()["error"]["code"], "METERING_RANGE");
}

#[tokio::test]
async fn writers_strangers_and_switched_off_organizations_export_nothing() {
    let (server, session) = flights().await;
    let root = server.root().await;
    let writer = session_of(&server, root, Role::Writer).await;
    assert_eq!(
        post(&server, &writer, EXPORTS, &summary()).await.status,
        403
    );
    let request = server
        .request(Method::POST, EXPORTS)
        .body(summary().to_string());
    assert_snapshot!(Answer::of(request).await.show(), @"");
    let path = format!("/api/v1/organizations/{root}");
    let off = server.patch(server.token(), &path, r#"{"meteringEnabled":false}"#);
    let acting = off.await;
    assert_eq!(acting.status, 200, "{}", acting.body);
    let refused = post(&server, &session, EXPORTS, &summary()).await;
    assert_eq!(refused.json()["error"]["code"], "METERING_DISABLED");
}
