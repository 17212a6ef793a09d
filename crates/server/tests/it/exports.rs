//! Our own exports: asked for, watched, waited for, cancelled.

mod choices;
mod damage;
mod files;
mod names;
mod refusals;
mod safe;
mod schedules;
mod watermarks;

use domain::tree::OrganizationKind;
use insta::assert_snapshot;
use metadata::{ExportStatus, Role};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, TestServer};
use crate::metering::{EXPORTS as VENDOR, flights, post as vendor_post, summary as vendor_summary};

pub(crate) const EXPORTS: &str = "/api/v1/exports";

/// A server with usage in January 2026, and a key of its root that may export.
pub(crate) async fn analyst() -> (TestServer, String) {
    let (server, _) = flights().await;
    let key = server.key(server.root().await, Role::Analyst).await;
    (server, key)
}

pub(crate) fn january(kind: &str) -> Value {
    json!({"kind": kind, "from": "2026-01-01", "to": "2026-02-01"})
}

pub(crate) async fn ask(server: &TestServer, key: &str, body: &Value) -> Answer {
    server.post(key, EXPORTS, &body.to_string()).await
}

/// The path of the export in an answer.
pub(crate) fn path(export: &Answer) -> String {
    let id = export.json()["id"].as_str().map(str::to_owned);
    format!(
        "{EXPORTS}/{}",
        id.unwrap_or_else(|| panic!("{}", export.body))
    )
}

/// Asks with an idempotency key.
async fn ask_once(server: &TestServer, key: &str, once: &str, body: &Value) -> Answer {
    let request = server.request(Method::POST, EXPORTS).bearer_auth(key);
    let request = request.header("idempotency-key", once).json(body);
    Answer::of(request).await
}

/// Members of an answer, one a line.
fn members(answer: &Answer, names: &[&str]) -> String {
    let json = answer.json();
    let member = |name: &&str| format!("{name}: {}\n", json[*name]);
    names.iter().map(member).collect()
}

#[tokio::test]
async fn an_export_is_accepted_made_and_told_in_full() {
    let (server, key) = analyst().await;
    let asked = ask(&server, &key, &january("SUMMARY")).await;
    assert_eq!(asked.header("location"), server.url(&path(&asked)));
    assert_snapshot!(asked.show().replace(&server.url(""), "[url]"), @r#"
    202 application/json
    {
      "artifact": null,
      "asOf": null,
      "createdAt": "2026-06-01T12:00:00Z",
      "errorMessage": null,
      "expiresAt": null,
      "id": "[id]",
      "kind": "SUMMARY",
      "links": {
        "download": null,
        "manifest": null,
        "self": "[url]/api/v1/exports/[id]"
      },
      "organizationId": "[id]",
      "outcome": null,
      "period": null,
      "progress": {
        "percent": 0,
        "rows": 0
      },
      "request": {
        "callbackUrl": null,
        "columns": [],
        "combined": false,
        "csvSafe": false,
        "format": "csv",
        "from": "2026-01-01",
        "meters": [],
        "organizations": [],
        "packing": "zip",
        "to": "2026-02-01"
      },
      "schedule": null,
      "source": "own",
      "status": "CREATED",
      "updatedAt": "2026-06-01T12:00:00Z",
      "userId": null
    }
    "#);
    server.run_jobs_until_idle().await;
    let done = server.get(&key, &path(&asked)).await;
    let shown = members(&done, &["status", "outcome", "progress", "expiresAt"]);
    assert_snapshot!(shown, @r#"
    status: "SUCCESS"
    outcome: "SUCCESS"
    progress: {"percent":100,"rows":4}
    expiresAt: "2026-06-04T12:00:00Z"
    "#);
    let json = done.json();
    assert_eq!(json["asOf"].as_str().unwrap().len(), 55);
    assert_eq!(json["artifact"]["mediaType"], "application/zip");
    assert_eq!(json["artifact"]["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(
        json["links"]["download"],
        server.url(&path(&asked)) + "/download"
    );
}

#[tokio::test]
async fn every_kind_is_made_over_the_same_jobs() {
    let (server, key) = analyst().await;
    for kind in ["SUMMARY", "PROJECT_FOLDER", "ASSET", "JOB_LEVEL", "USAGE"] {
        let asked = ask(&server, &key, &january(kind)).await;
        assert_eq!(asked.status, 202, "{kind}: {}", asked.body);
        server.run_jobs_until_idle().await;
        let done = server.get(&key, &path(&asked)).await;
        assert_eq!(done.json()["status"], "SUCCESS", "{kind}: {}", done.body);
        assert!(
            done.json()["progress"]["rows"].as_u64().unwrap() > 0,
            "{kind}"
        );
    }
}

#[tokio::test]
async fn twenty_requests_with_one_key_make_one_export() {
    let (server, key) = analyst().await;
    let body = january("SUMMARY");
    let answers = (0..20).map(|_| ask_once(&server, &key, "once", &body));
    let answers = futures::future::join_all(answers).await;
    let first = answers[0].json()["id"].clone();
    let accepted = answers.iter().filter(|answer| answer.status == 202);
    assert_eq!(accepted.count(), 1);
    for answer in &answers {
        assert!(matches!(answer.status, 200 | 202), "{}", answer.body);
        assert_eq!(answer.json()["id"], first);
    }
    server.run_jobs_until_idle().await;
    let again = ask_once(&server, &key, "once", &body).await;
    assert_eq!((again.status, &again.json()["id"]), (200, &first));
    assert_eq!(again.json()["status"], "SUCCESS");
    let other = ask_once(&server, &key, "once", &january("ASSET")).await;
    assert_snapshot!(other.show(), @r#"
    422 application/problem+json
    {
      "code": "idempotency_key_reused",
      "detail": "Another request came with this Idempotency-Key before; use a new
      key.",
      "requestId": "[id]",
      "status": 422,
      "title": "Unprocessable Entity",
      "type": "about:blank"
    }
    "#);
    let long = "x".repeat(256);
    for bad in ["with space", &long] {
        let refused = ask_once(&server, &key, bad, &body).await;
        assert_eq!(refused.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn the_same_watermark_gives_the_same_bytes_later() {
    let (server, key) = analyst().await;
    let first = ask(&server, &key, &january("SUMMARY")).await;
    server.run_jobs_until_idle().await;
    let first = server.get(&key, &path(&first)).await.json();
    let root = server.root().await;
    let writer = server.key(root, Role::Writer).await;
    let late = json!({
        "specversion": "1.0", "id": "late", "source": "test", "type": "flight", "subject": "s",
        "time": "2026-01-07T10:00:00Z", "data": {"hours": "5", "miles": 1},
    });
    let sent = server
        .post(&writer, "/api/v1/events", &late.to_string())
        .await;
    assert_eq!(sent.status, 204, "{}", sent.body);
    server.advance(3_600);
    let mut body = january("SUMMARY");
    body["asOf"] = first["asOf"].clone();
    let again = ask(&server, &key, &body).await;
    assert_eq!(again.json()["asOf"], first["asOf"], "{}", again.body);
    server.run_jobs_until_idle().await;
    let again = server.get(&key, &path(&again)).await.json();
    assert_eq!(again["artifact"]["sha256"], first["artifact"]["sha256"]);
}

#[tokio::test]
async fn a_wait_ends_with_the_export_here_and_elsewhere() {
    let (server, key) = analyst().await;
    let asked = ask(&server, &key, &january("SUMMARY")).await;
    let waiting = format!("{}?wait=30", path(&asked));
    let (done, ()) = tokio::join!(server.get(&key, &waiting), server.run_jobs_until_idle());
    assert_eq!(done.json()["status"], "SUCCESS");
    let at_once = server.get(&key, &waiting).await;
    assert_eq!(at_once.json()["status"], "SUCCESS");

    // What another server does is seen without being told.
    let asked = ask(&server, &key, &january("ASSET")).await;
    let waiting = format!("{}?wait=60", path(&asked));
    let id = asked.json()["id"].as_str().unwrap().parse().unwrap();
    let app = server.app();
    let elsewhere = app.metadata.cancel_export(id, app.now());
    let (done, cancelled) = tokio::join!(server.get(&key, &waiting), elsewhere);
    assert_eq!(cancelled.unwrap().status, ExportStatus::Cancelled);
    assert_eq!(done.json()["status"], "CANCELLED");
    let asked = ask(&server, &key, &january("ASSET")).await;
    let early = server.get(&key, &format!("{}?wait=0", path(&asked))).await;
    assert_eq!(early.json()["status"], "CREATED");
    let early = server.get(&key, &format!("{}?wait=1", path(&asked))).await;
    assert_eq!(early.json()["status"], "CREATED");
    let long = server.get(&key, &format!("{}?wait=61", path(&asked))).await;
    assert_eq!(long.status, 400);
}

#[tokio::test]
async fn a_cancelled_export_ends_its_worker_and_leaves_nothing_behind() {
    let (server, key) = analyst().await;
    let asked = ask(&server, &key, &january("SUMMARY")).await;
    let worker = &server.app().exports.worker;
    let claimed = worker.claim().await.unwrap().unwrap();
    let gauge = std::sync::Arc::default();
    let built = worker.build(&claimed, &gauge).await.unwrap();
    let cancelled = server.delete(&key, &path(&asked)).await;
    let shown = members(&cancelled, &["status", "outcome", "artifact", "links"]);
    assert_snapshot!(crate::harness::redact(&shown.replace(&server.url(""), "[url]")), @r#"
    status: "CANCELLED"
    outcome: "CANCELLED"
    artifact: null
    links: {"download":null,"manifest":null,"self":"[url]/api/v1/exports/[id]"}
    "#);
    let late = worker.publish(&claimed, built, &gauge).await;
    assert!(late.is_err(), "{late:?}");
    let put = server.app().exports.artifacts().manifest(claimed.export.id);
    assert!(put.await.is_err(), "nothing was published");
    let again = server.delete(&key, &path(&asked)).await;
    assert_eq!(
        (again.status, &again.json()["code"]),
        (409, &json!("export_ended"))
    );
    let file = server
        .get(&key, &format!("{}/download", path(&asked)))
        .await;
    assert_eq!(
        (file.status, &file.json()["code"]),
        (409, &json!("export_not_ready"))
    );
}

#[tokio::test]
async fn lists_hold_both_doors_and_can_be_narrowed() {
    let (server, session) = flights().await;
    let root = server.root().await;
    let key = server.key(root, Role::Analyst).await;
    let sub = OrganizationKind::SubOrganization;
    let child = server.organization("Child", sub, root).await;
    let below = server.key(child, Role::Analyst).await;
    let asset = ask(&server, &key, &january("ASSET")).await;
    let summary = ask(&server, &below, &january("SUMMARY")).await;
    let vendor = vendor_post(&server, &session, VENDOR, &vendor_summary()).await;
    assert_eq!(vendor.status, 200, "{}", vendor.body);
    server.delete(&key, &path(&asset)).await;
    let count = async |key: &str, query: &str| {
        let listed = server.get(key, &format!("{EXPORTS}{query}")).await;
        let items = listed.json()["items"].as_array().map(Vec::len);
        items.unwrap_or_else(|| panic!("{}", listed.body))
    };
    assert_eq!(count(&key, "").await, 3);
    assert_eq!(count(&below, "").await, 1);
    assert_eq!(count(&key, "?source=vendor").await, 1);
    assert_eq!(count(&key, "?status=CANCELLED").await, 1);
    assert_eq!(count(&key, "?kind=SUMMARY").await, 2);
    assert_eq!(count(&key, "?kind=SUMMARY&source=own").await, 1);
    assert_eq!(count(&key, "?organization=child").await, 1);
    let page = server.get(&key, &format!("{EXPORTS}?limit=2")).await.json();
    let next = page["next"].as_str().unwrap().to_owned();
    assert_eq!(count(&key, &format!("?limit=2&cursor={next}")).await, 1);
    let seen = server.get(&key, &path(&summary)).await;
    assert_eq!(seen.json()["organizationId"], child.to_string());
    let job = vendor.json()["jobId"].as_str().unwrap().to_owned();
    let shown = server.get(&key, &format!("{EXPORTS}/{job}")).await;
    assert_eq!(
        shown.json()["request"]["to"],
        "2026-02-01",
        "{}",
        shown.body
    );
    let cancel = server.delete(&key, &format!("{EXPORTS}/{job}")).await;
    assert_eq!(
        (cancel.status, &cancel.json()["code"]),
        (409, &json!("export_ended"))
    );
    for bad in ["?kind=ALL", "?status=done", "?source=api", "?schedule=x"] {
        assert_eq!(
            server.get(&key, &format!("{EXPORTS}{bad}")).await.status,
            400,
            "{bad}"
        );
    }
    let foreign = server
        .get(&key, &format!("{EXPORTS}?organization=nobody"))
        .await;
    assert_eq!(foreign.status, 404);
}
