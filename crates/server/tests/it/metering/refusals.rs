//! Requests that are refused, each with its own code.

use insta::assert_snapshot;
use metadata::Role;
use reqwest::Method;
use serde_json::{Value, json};

use super::{EXPORTS, JOB_LEVEL, LINKED, METER, flights, post, session_of, status_path, summary};
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
        (EXPORTS, with("allLinkedOrgs", json!("yes"))),
        (LINKED, with("combinedMeterUsage", json!(1))),
        (LINKED, with("endDate", json!("2026-07-02T00:00:00Z"))),
        (EXPORTS, with("callbackUrl", json!("ftp://x"))),
        job_level("meterId", json!("")),
        job_level("meterId", json!("unknown")),
        job_level("meterId", json!("3TaYTMo6BFYeNIABfVmH0n")),
    ] {
        let answer = post(&server, &session, path, &body).await;
        let error = &answer.json()["error"];
        let (code, message) = (error["code"].as_str(), error["message"].as_str());
        shown += &format!("{} {} {}\n", answer.status, code.unwrap(), message.unwrap());
    }
    assert_snapshot!(shown, @r#"
    400 METERING_BODY the body is not the JSON object expected here: invalid type: sequence, expected a map at line 1 column 0
    400 METERING_FIELD_MISSING jobType is missing
    400 METERING_FIELD_MISSING startDate is missing
    400 METERING_BODY startDate is 5: expected a string
    400 METERING_DATE endDate is "31.01.2026": expected such as 2024-08-12T00:00:00Z
    400 METERING_RANGE startDate 2026-01-01T00:00:00Z to endDate 2025-12-31T00:00:00Z: expected the end not before the start and at most 180 days
    400 METERING_RANGE startDate 2026-01-01T00:00:00Z to endDate 2026-07-02T00:00:00Z: expected the end not before the start and at most 180 days
    400 METERING_JOB_TYPE jobType is "JOB": expected SUMMARY, PROJECT_FOLDER or ASSET
    400 METERING_FLAG allLinkedOrgs is "yes": expected TRUE or FALSE
    400 METERING_BODY combinedMeterUsage is 1: expected a string
    400 METERING_RANGE startDate 2026-01-01T00:00:00Z to endDate 2026-07-02T00:00:00Z: expected the end not before the start and at most 180 days
    400 METERING_CALLBACK callbackUrl is not an http or https URL of at most 2048 characters
    400 METERING_FIELD_MISSING meterId is missing: it is required when allMeters is FALSE
    400 METERING_METER meterId is "unknown": no meter of this account
    400 METERING_METER meterId is "3TaYTMo6BFYeNIABfVmH0n": no meter of this account
    "#);
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
    assert_eq!(refused.json()["error"]["code"], "METERING_NO_JOB_LEVEL");
    let mut body = with("jobType", json!("PROJECT_FOLDER"));
    body["endDate"] = json!("2026-02-02T00:00:00Z");
    for kind in ["PROJECT_FOLDER", "ASSET"] {
        body["jobType"] = json!(kind);
        let refused = post(&server, &session, EXPORTS, &body).await;
        assert_eq!(refused.json()["error"]["code"], "METERING_RANGE");
    }
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
    assert_snapshot!(Answer::of(request).await.show(), @r#"
    401 application/json
    {
      "error": {
        "code": "unauthenticated",
        "details": null,
        "message": "no credential that counts here: send Authorization: Bearer with an
      API key or a session header such as INFA-SESSION-ID",
        "requestId": "[id]"
      }
    }
    "#);
    let job = post(&server, &session, EXPORTS, &summary()).await;
    server.run_jobs_until_idle().await;
    let path = format!("/api/v1/organizations/{root}");
    let off = server.patch(server.token(), &path, r#"{"meteringEnabled":false}"#);
    let acting = off.await;
    assert_eq!(acting.status, 200, "{}", acting.body);
    for resource in [EXPORTS, LINKED, JOB_LEVEL] {
        let refused = post(&server, &session, resource, &with("meterId", json!(METER))).await;
        let code = refused.json()["error"]["code"].clone();
        assert_eq!((refused.status, code), (403, json!("METERING_DISABLED")));
    }
    for path in [status_path(&job), status_path(&job) + "/download"] {
        let refused = server.in_session(&session, Method::GET, &path, "").await;
        assert_eq!(refused.status, 403, "{}", refused.body);
    }
    let on = r#"{"meteringEnabled":true}"#;
    assert_eq!(server.patch(server.token(), &path, on).await.status, 200);
    let path = status_path(&job);
    let again = server.in_session(&session, Method::GET, &path, "").await;
    assert_eq!(again.status, 200);
}
