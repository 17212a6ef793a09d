//! Export jobs of the metering family: requested, watched, downloaded.

mod callbacks;
mod download;
mod kinds;
mod paths;
mod refusals;

use domain::ids::OrganizationId;
use insta::assert_snapshot;
use metadata::{NewUser, Role, RoleAssignment, UserProfile};
use reqwest::Method;
use serde_json::{Value, json};
use server::config::Config;
use tokio::task::JoinSet;

use crate::harness::{Answer, TestServer, redact};

pub(crate) const EXPORTS: &str = "/saas/public/core/v3/license/metering/ExportMeteringData";
pub(crate) const JOB_LEVEL: &str =
    "/saas/public/core/v3/license/metering/ExportServiceJobLevelMeteringData";
pub(crate) const LINKED: &str =
    "/saas/public/core/v3/license/metering/ExportMeteringDataAllLinkedOrgsAcrossRegion";
pub(crate) const METER: &str = "a2nB20h1o0lc7k3P9xtWS8";

/// A server with one meter, three events and a session of its administrator.
pub(crate) async fn flights() -> (TestServer, String) {
    flights_with(|_| ()).await
}

/// The same with a changed configuration.
pub(crate) async fn flights_with(change: impl FnOnce(&mut Config)) -> (TestServer, String) {
    let server = TestServer::start_with(change).await;
    let setup = format!(
        "organizations: [{{name: Default}}]
meters:
  - slug: hours
    id: {METER}
    name: Data Integration
    eventType: flight
    aggregation: SUM
    valueProperty: $.hours
    scalar: {{name: HOURS}}
    jobLevelLayout: data_integration
  - {{slug: miles, eventType: flight, aggregation: SUM, valueProperty: $.miles}}
rates: [{{meter: hours, kind: ipu, price: 0.16}}]"
    );
    let body = json!({"setup": setup}).to_string();
    let applied = server.post(server.token(), "/api/v1/setup", &body).await;
    assert_eq!(applied.status, 200, "{}", applied.body);
    let key = server.key(server.root().await, Role::Writer).await;
    let event = |id: &str, day: u8, hours: &str| {
        json!({
            "specversion": "1.0", "id": id, "source": "test", "type": "flight",
            "time": format!("2026-01-{day:02}T10:00:00Z"), "subject": "s",
            "data": {"hours": hours, "miles": 100, "project": "JFK"},
        })
    };
    let events = json!([
        event("1", 5, "1.5"),
        event("2", 5, "0.25"),
        event("3", 6, "2")
    ]);
    let media = "application/cloudevents-batch+json";
    let sent = server
        .send(&key, "/api/v1/events", media, &events.to_string())
        .await;
    assert_eq!(sent.status, 204, "{}", sent.body);
    let (user, password) = server.admin();
    let session = server.session(&user, &password).await;
    (server, session)
}

pub(crate) async fn post(server: &TestServer, session: &str, path: &str, body: &Value) -> Answer {
    server
        .in_session(session, Method::POST, path, &body.to_string())
        .await
}

pub(crate) fn summary() -> Value {
    json!({
        "startDate": "2026-01-01T00:00:00Z", "endDate": "2026-01-31T23:59:59Z",
        "jobType": "SUMMARY",
    })
}

pub(crate) fn status_path(job: &Answer) -> String {
    format!("{EXPORTS}/{}", job.json()["jobId"].as_str().unwrap())
}

/// The members of a job in their order, one a line.
fn members(job: &Answer) -> String {
    redact(&job.body.replace(",\"", ",\n\""))
}

/// A session of a new user with one role in an organization.
pub(crate) async fn session_of(server: &TestServer, at: OrganizationId, role: Role) -> String {
    let app = server.app();
    let name = format!("{} of {at}", role.as_str());
    let new = NewUser {
        id: None,
        name: name.clone(),
        password_hash: server::auth::password::hash("long enough".to_owned())
            .await
            .unwrap(),
        organization: at,
        server_administrator: false,
        profile: UserProfile::default(),
    };
    let user = app.metadata.insert_user(new, app.now()).await.unwrap().id;
    let assignment = RoleAssignment {
        user,
        organization: at,
        role,
    };
    app.metadata
        .insert_role(assignment, app.now())
        .await
        .unwrap();
    server.session(&name, "long enough").await
}

#[tokio::test]
async fn a_summary_goes_from_created_to_success_and_echoes_the_dates() {
    let (server, session) = flights().await;
    let job = post(&server, &session, EXPORTS, &summary()).await;
    assert_snapshot!(members(&job), @r#"
    {"jobId":"[id]",
    "status":"CREATED",
    "orgId":"[id]",
    "userId":"[id]",
    "selectedOrgId":"[id]",
    "meterId":null,
    "startDate":"2026-01-01T00:00:00Z",
    "endDate":"2026-01-31T23:59:59Z",
    "callbackUrl":null,
    "createTime":"2026-06-01T12:00:00Z",
    "updateTime":"2026-06-01T12:00:00Z"}
    "#);
    let path = status_path(&job);
    server.run_jobs_until_idle().await;
    let done = server.in_session(&session, Method::GET, &path, "").await;
    assert_eq!(done.json()["status"], "SUCCESS", "{}", done.body);
    let doubled = path.replace("/saas/", "/saas//");
    assert_eq!(
        server
            .in_session(&session, Method::GET, &doubled, "")
            .await
            .body,
        done.body
    );
}

#[tokio::test]
async fn a_job_level_export_names_its_meter_and_its_switch() {
    let (server, session) = flights().await;
    let body = json!({
        "startDate": "2026-01-01T00:00:00Z", "endDate": "2026-01-31T23:59:59Z",
        "meterId": METER, "callbackUrl": "https://MyExportJobStatus.com",
    });
    let job = post(&server, &session, JOB_LEVEL, &body).await;
    assert_snapshot!(members(&job), @r#"
    {"jobId":"[id]",
    "status":"CREATED",
    "orgId":"[id]",
    "userId":"[id]",
    "selectedOrgId":"[id]",
    "allMeters":"FALSE",
    "meterId":"[id]",
    "startDate":"2026-01-01T00:00:00Z",
    "endDate":"2026-01-31T23:59:59Z",
    "callbackUrl":"https://MyExportJobStatus.com",
    "createTime":"2026-06-01T12:00:00Z",
    "updateTime":"2026-06-01T12:00:00Z"}
    "#);
    server.run_jobs_until_idle().await;
    let done = server
        .in_session(&session, Method::GET, &status_path(&job), "")
        .await;
    assert_eq!(done.json()["status"], "SUCCESS", "{}", done.body);
    assert_eq!(done.json()["allMeters"], "FALSE");
}

#[tokio::test]
async fn switches_may_be_booleans_and_foreign_fields_are_ignored() {
    let (server, session) = flights().await;
    let mut body = summary();
    body["combinedMeterUsage"] = json!(false);
    body["allLinkedOrgs"] = json!("true");
    body["meterId"] = json!("ignored for a summary");
    body["unknown"] = json!({"a": 1});
    let job = post(&server, &session, EXPORTS, &body).await;
    assert_eq!(job.status, 200, "{}", job.body);
    server.run_jobs_until_idle().await;
}

#[tokio::test]
async fn a_sixth_unfinished_job_waits_for_one_to_end() {
    let (server, session) = flights().await;
    for _ in 0..5 {
        assert_eq!(
            post(&server, &session, EXPORTS, &summary()).await.status,
            200
        );
    }
    let sixth = post(&server, &session, EXPORTS, &summary()).await;
    assert_eq!(sixth.status, 400);
    assert_eq!(sixth.json()["error"]["code"], "METERING_ACTIVE_JOBS");
    server.run_jobs_until_idle().await;
    assert_eq!(
        post(&server, &session, EXPORTS, &summary()).await.status,
        200
    );
    server.run_jobs_until_idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_requests_at_once_make_five_jobs() {
    let (server, session) = flights().await;
    let request = || {
        let request = server.request(Method::POST, EXPORTS);
        let request = request.header("INFA-SESSION-ID", &session);
        Answer::of(request.body(summary().to_string()))
    };
    let mut asked: JoinSet<Answer> = (0..50).map(|_| request()).collect();
    let (mut made, mut refused) = (0, 0);
    while let Some(answer) = asked.join_next().await {
        let answer = answer.unwrap();
        if answer.status == 200 {
            made += 1;
        } else {
            let code = answer.json()["error"]["code"].clone();
            assert_eq!((answer.status, code), (400, json!("METERING_ACTIVE_JOBS")));
            refused += 1;
        }
    }
    assert_eq!((made, refused), (5, 45));
    // A job of another kind and resource is one too many as well.
    let linked = post(&server, &session, LINKED, &summary()).await;
    assert_eq!(linked.status, 400, "{}", linked.body);
    server.run_jobs_until_idle().await;
    let linked = post(&server, &session, LINKED, &summary()).await;
    assert_eq!(linked.status, 200, "{}", linked.body);
    server.run_jobs_until_idle().await;
}

#[tokio::test]
async fn a_job_keeps_the_id_of_the_request_that_asked_for_it() {
    let (server, session) = flights().await;
    let asked = post(&server, &session, EXPORTS, &summary()).await;
    let job = asked.json()["jobId"].as_str().unwrap().parse().unwrap();
    let export = server
        .app()
        .metadata
        .find_export(job)
        .await
        .unwrap()
        .unwrap();
    let request_id = export.request.request_id.unwrap();
    assert_eq!(request_id.as_str(), asked.header("x-request-id"));
}
