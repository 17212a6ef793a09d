//! Paths of the family: which there are, which were only made up, and how they may be written.

use metadata::Role;
use reqwest::Method;
use serde_json::json;

use super::{EXPORTS, flights, post, session_of, status_path, summary};
use crate::harness::{Answer, redact};

#[tokio::test]
async fn paths_that_some_programs_made_up_are_not_there() {
    let (server, session) = flights().await;
    let job = post(&server, &session, EXPORTS, &summary()).await;
    server.run_jobs_until_idle().await;
    let id = job.json()["jobId"].as_str().unwrap().to_owned();
    let base = "/saas/public/core/v3";
    for (method, path) in [
        (Method::GET, format!("{EXPORTS}/jobs/{id}")),
        (Method::GET, format!("{EXPORTS}/jobs/{id}/download")),
        (Method::POST, format!("{base}/metering")),
        (Method::GET, format!("{base}/metering/{id}")),
        (Method::GET, format!("{base}/metering/{id}/report")),
        (Method::GET, format!("{base}/license/metering/{id}")),
        (Method::GET, base.to_owned()),
    ] {
        let answer = server.in_session(&session, method, &path, "").await;
        let error = &answer.json()["error"];
        assert_eq!(
            (answer.status, error["code"].as_str()),
            (404, Some("not_found")),
            "{path}"
        );
        assert_eq!(answer.header("content-type"), "application/json");
        let request_id = error["requestId"].as_str().unwrap();
        assert_eq!(
            (redact(request_id).as_str(), request_id.len()),
            ("[id]", 22)
        );
        assert_eq!(request_id, answer.header("x-request-id"));
    }
    // Jobs are neither listed nor cancelled nor deleted.
    for (method, path) in [
        (Method::GET, EXPORTS.to_owned()),
        (Method::DELETE, status_path(&job)),
    ] {
        let answer = server.in_session(&session, method, &path, "").await;
        let code = answer.json()["error"]["code"].clone();
        assert_eq!((answer.status, code), (405, json!("method_not_allowed")));
    }
}

#[tokio::test]
async fn slashes_may_be_doubled_anywhere() {
    let (server, _) = flights().await;
    let (user, password) = server.admin();
    let login = json!({"username": user, "password": password}).to_string();
    let double = |path: &str| path.replace('/', "//");
    let path = double("/saas/public/core/v3/login");
    let login = Answer::of(server.request(Method::POST, &path).body(login)).await;
    assert_eq!(login.status, 200, "{}", login.body);
    let login = login.json();
    let session = login["userInfo"]["sessionId"].as_str().unwrap();
    let job = post(&server, session, &double(EXPORTS), &summary()).await;
    assert_eq!(job.status, 200, "{}", job.body);
    server.run_jobs_until_idle().await;
    for path in [status_path(&job), status_path(&job) + "/download"] {
        let request = server.request(Method::GET, &double(&path));
        let request = request.header("INFA-SESSION-ID", session);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
    }
    let missing = double("/saas/public/core/v3/metering");
    let missing = server.in_session(session, Method::GET, &missing, "").await;
    assert_eq!(
        missing.json()["error"]["code"],
        "not_found",
        "in the body of v3"
    );
    let path = double("/saas/public/core/v3/logout");
    let out = server.in_session(session, Method::POST, &path, "").await;
    assert_eq!(out.status, 200);
}

#[tokio::test]
async fn media_types_are_never_a_reason_to_refuse() {
    let (server, session) = flights().await;
    let body = summary().to_string();
    for (accept, content) in [
        ("text/csv", "text/plain"),
        (
            "application/octet-stream, */*",
            "application/x-www-form-urlencoded",
        ),
        ("application/json", "application/json; charset=UTF-8"),
        ("image/png", ""),
    ] {
        let send = |method: Method, path: &str| {
            let request = server
                .request(method, path)
                .header("INFA-SESSION-ID", &session);
            request
                .header("accept", accept)
                .header("content-type", content)
        };
        let job = Answer::of(send(Method::POST, EXPORTS).body(body.clone())).await;
        assert_eq!(job.status, 200, "{}", job.body);
        server.run_jobs_until_idle().await;
        for path in [status_path(&job), status_path(&job) + "/download"] {
            let answer = send(Method::GET, &path).send().await.unwrap();
            assert_eq!(answer.status(), 200, "{path} {accept}");
        }
    }
}

#[tokio::test]
async fn a_job_of_an_organization_below_is_seen_from_above() {
    let (server, above) = flights().await;
    let sub = domain::tree::OrganizationKind::SubOrganization;
    let child = server.organization("Child", sub, server.root().await).await;
    let session = session_of(&server, child, Role::Analyst).await;
    let job = post(&server, &session, EXPORTS, &summary()).await.json();
    assert_eq!(job["orgId"], json!(child));
    assert_eq!(job["selectedOrgId"], json!(child));
    server.run_jobs_until_idle().await;
    let path = format!("{EXPORTS}/{}", job["jobId"].as_str().unwrap());
    let seen = server.in_session(&above, Method::GET, &path, "").await;
    assert_eq!(seen.json()["status"], "SUCCESS");
}
