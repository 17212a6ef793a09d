//! What our own exports refuse, and that others' look like none.

use domain::export::AsOf;
use domain::tree::OrganizationKind;
use insta::assert_snapshot;
use jiff::SignedDuration;
use metadata::Role;
use reqwest::Method;
use serde_json::{Value, json};

use super::{EXPORTS, analyst, ask, january, path};
use crate::harness::{Answer, fold};
use crate::metering::flights_with;

/// January's summary with one member set.
fn with(member: &str, value: Value) -> Value {
    let mut body = january("SUMMARY");
    body[member] = value;
    body
}

#[tokio::test]
async fn bad_requests_are_refused_with_stable_codes_and_make_no_job() {
    let (server, key) = analyst().await;
    let mut shown = String::new();
    for body in [
        with("kind", json!("COST")),
        with("kind", json!("SUMMARY_ALL_LINKED")),
        with("from", json!("2026-01-01T10:00:00Z")),
        with("to", json!("2026-01-01")),
        with("to", json!("2027-01-03")),
        with("from", json!("yesterday")),
        with("organizations", json!(["nobody"])),
        with("meters", json!(["hours", "nothing"])),
        with("callbackUrl", json!("ftp://example.com")),
        with("asOf", json!("1234")),
        with("columns", json!(vec!["x"; 101])),
        with("format", json!("xlsx")),
        with("packing", json!("tar")),
        with("jobType", json!("SUMMARY")),
        json!({"kind": "JOB_LEVEL", "from": "2026-01-01", "to": "2026-02-01", "combined": true}),
        json!({"from": "2026-01-01", "to": "2026-02-01"}),
    ] {
        let refused = ask(&server, &key, &body).await;
        let json = refused.json();
        let (code, detail) = (json["code"].as_str(), json["detail"].as_str());
        let line = format!("{} {}: {}", refused.status, code.unwrap(), detail.unwrap());
        shown += &(fold(&line) + "\n");
    }
    assert_snapshot!(shown, @r#"
    400 export_kind: kind COST is not available yet
    400 export_kind: kind is "SUMMARY_ALL_LINKED": expected SUMMARY, PROJECT_FOLDER,
      ASSET, JOB_LEVEL or USAGE
    400 export_range: from is "2026-01-01T10:00:00Z": expected a date such as
      2026-01-31, or an instant at UTC midnight
    400 export_range: from 2026-01-01 to 2026-01-01: expected to after from, and at
      most 366 days
    400 export_range: from 2026-01-01 to 2027-01-03: expected to after from, and at
      most 366 days
    400 export_range: from is "yesterday": expected a date such as 2026-01-31, or an
      instant at UTC midnight
    404 not_found: no such organization
    404 not_found: no such meter
    400 invalid_request: callbackUrl is not an http or https URL of at most 2048
      characters
    400 invalid_as_of: asOf is no watermark of this server
    400 invalid_request: columns has 101 members: expected at most 100
    400 invalid_request: format: unknown variant `xlsx`, expected `csv` or `parquet` at
      line 1 column 16
    400 invalid_request: packing: unknown variant `tar`, expected `zip` or `gzip` at
      line 1 column 53
    400 invalid_request: jobType: unknown field `jobType`, expected one of `from`,
      `to`, `asOf`, `kind`, `organizations`, `meters`, `combined`, `columns`, `format`,
      `packing`, `csvSafe`, `callbackUrl` at line 1 column 30
    400 invalid_export: combined: JOB_LEVEL has no such form
    400 invalid_request: missing field `kind` at line 1 column 39
    "#);
    let listed = server.get(&key, EXPORTS).await;
    assert_eq!(listed.json()["items"], json!([]));
}

#[tokio::test]
async fn a_watermark_of_the_future_is_refused() {
    let (server, key) = analyst().await;
    let app = server.app();
    let newest = AsOf {
        sequence: app.usage.watermark().await.unwrap(),
        revision: app.metadata.control_revision().await.unwrap(),
        time: app.now(),
    };
    let mut ahead = [newest; 3];
    ahead[0].sequence += 1;
    ahead[1].revision += 1;
    ahead[2].time += SignedDuration::from_micros(1);
    for ahead in ahead {
        let text = json!(app.seal.text(ahead));
        let refused = ask(&server, &key, &with("asOf", text)).await;
        assert_eq!(refused.status, 400);
        assert_eq!(refused.json()["code"], "invalid_as_of");
        assert_eq!(refused.json()["detail"], "asOf is ahead of now");
    }
    let text = json!(app.seal.text(newest));
    let taken = ask(&server, &key, &with("asOf", text)).await;
    assert_eq!(taken.status, 202, "{}", taken.body);
}

#[tokio::test]
async fn the_limit_of_active_exports_is_the_configured_one() {
    let (server, _) = flights_with(|config| config.exports.active_per_organization = 2).await;
    let key = server.key(server.root().await, Role::Analyst).await;
    for _ in 0..2 {
        assert_eq!(ask(&server, &key, &january("ASSET")).await.status, 202);
    }
    let refused = ask(&server, &key, &january("ASSET")).await;
    assert_eq!(refused.header("retry-after"), "10");
    assert_eq!(
        (refused.status, &refused.json()["code"]),
        (429, &json!("too_many_exports"))
    );
    server.run_jobs_until_idle().await;
    assert_eq!(ask(&server, &key, &january("ASSET")).await.status, 202);
}

#[tokio::test]
async fn exports_of_others_look_like_no_exports() {
    let (server, key) = analyst().await;
    let asked = ask(&server, &key, &january("SUMMARY")).await;
    server.run_jobs_until_idle().await;
    let sub = OrganizationKind::SubOrganization;
    let child = server.organization("Child", sub, server.root().await).await;
    let stranger = server.account("Stranger").await;
    for organization in [child, stranger] {
        let key = server.key(organization, Role::Owner).await;
        for what in ["", "?wait=5", "/download", "/manifest"] {
            let foreign = server.get(&key, &format!("{}{what}", path(&asked))).await;
            let unknown = format!("{EXPORTS}/0000000000000000000000{what}");
            let unknown = server.get(&key, &unknown).await;
            assert_eq!((foreign.status, foreign.show()), (404, unknown.show()));
        }
        assert_eq!(server.delete(&key, &path(&asked)).await.status, 404);
        let listed = server.get(&key, EXPORTS).await;
        assert_eq!(listed.json()["items"], json!([]));
        let root = server.root().await.to_string();
        let refused = ask(&server, &key, &with("organizations", json!([root]))).await;
        let unknown = with("organizations", json!(["0000000000000000000000"]));
        let unknown = ask(&server, &key, &unknown).await;
        assert_eq!((refused.status, refused.show()), (404, unknown.show()));
    }
}

#[tokio::test]
async fn without_a_credential_or_a_reading_role_nothing_is_told() {
    let (server, key) = analyst().await;
    let asked = ask(&server, &key, &january("SUMMARY")).await;
    let writer = server.key(server.root().await, Role::Writer).await;
    let one = path(&asked);
    for (method, url) in [
        (Method::POST, EXPORTS),
        (Method::GET, EXPORTS),
        (Method::GET, one.as_str()),
        (Method::DELETE, one.as_str()),
    ] {
        let body = january("SUMMARY");
        let bare = server.request(method.clone(), url).json(&body);
        assert_eq!(Answer::of(bare).await.status, 401, "{method} {url}");
        let request = server.request(method.clone(), url).bearer_auth(&writer);
        let refused = Answer::of(request.json(&body)).await;
        assert_eq!(refused.status, 403, "{method} {url}");
    }
}
