//! `POST /api/v1/setup`: what `tallyport apply` declares.

use insta::assert_snapshot;
use metadata::Role;
use reqwest::Method;
use serde_json::{Value, json};
use server::setup::SETUP_BYTES_MAX;

use crate::harness::{Answer, TestServer, fold};

mod account;
mod billing;
mod parts;
mod texts;

const FIRST: &str = "
organizations:
  - name: United
    currency: USD
    aliases: [UA]
    organizations:
      - name: Express
        kind: additional_production
        organizations:
          - {name: Regional, since: 2013-01-01}
      - {name: Trial, kind: sandbox, realmId: trial-realm}
users:
  - {name: ann, roles: [{role: owner}], passwordEnv: ANN}
  - {name: bob, organization: Trial, roles: [{role: analyst}]}
keys:
  - {name: ingest, role: writer}
meters:
  - slug: hours
    name: Hours in the air
    eventType: flight
    aggregation: SUM
    valueProperty: $.hours
    scalar: {name: HOURS}
    jobLevelLayout: data_integration
rates:
  - {meter: hours, kind: ipu, price: 0.16}
  - {meter: hours, kind: ipu, price: 0.20, since: 2014-01-01}
  - {meter: hours, kind: money, organization: UA, tiers: [{upTo: 100, price: 2}, {price: 1.5}]}
";

const SECOND: &str = "
organizations:
  - name: United
    currency: EUR
    organizations:
      - {name: Express, kind: additional_production}
      - name: Trial
        kind: sandbox
      - name: Regional
        since: 2013-01-01
        moves: [{parent: Express, since: 2013-02-01}]
meters:
  - slug: hours
    name: Hours flown
    eventType: flight
    aggregation: SUM
    valueProperty: $.hours
    scalar: {name: HOURS}
    jobLevelLayout: data_integration
rates:
  - {meter: hours, kind: ipu, price: 0.16}
  - {meter: hours, kind: ipu, price: 0.25, since: 2014-01-01}
";

async fn apply(server: &TestServer, setup: &str, dry_run: bool) -> Value {
    let body = json!({
        "setup": setup, "environment": {"ANN": "long enough"}, "dryRun": dry_run,
    });
    let path = "/api/v1/setup";
    let answer = server.post(server.token(), path, &body.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

fn lines(applied: &Value) -> String {
    let changes = applied["changes"].as_array().unwrap().iter();
    let lines: Vec<_> = changes.map(|line| line.as_str().unwrap()).collect();
    crate::harness::redact(&lines.join("\n"))
}

#[tokio::test]
async fn a_file_applied_twice_changes_nothing_the_second_time() {
    let server = TestServer::start().await;
    let planned = apply(&server, FIRST, true).await;
    let done = apply(&server, FIRST, false).await;
    assert_snapshot!(lines(&done), @r#"
    ~ organization "Default": adopted, unused since the first start
    ~ organization "Default": name "Default" -> "United"
    ~ organization "United": aliases [] -> [UA]
    + organization "Express" (additional_production)
    + organization "Trial" (sandbox)
    + organization "Regional" (sub_organization)
    + meter "hours"
    + IPU rate of meter "hours": 0.16 since ever
    ~ IPU rate of meter "hours" since 2014-01-01T00:00:00Z: price 0.16 -> 0.2
    + money rate of meter "hours" for [id]: 2 tiers since ever
    + user "ann"
    ~ user "ann": owner of "United"
    + user "bob"
    ~ user "bob": analyst of "Trial"
    + key "ingest" (writer of "United")
    "#);
    assert_eq!(
        planned["changes"].as_array().unwrap().len(),
        done["changes"].as_array().unwrap().len()
    );
    assert_eq!(planned["secrets"], json!([]), "a dry run makes nothing");
    let secrets: Vec<_> = done["secrets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|made| &made["of"])
        .collect();
    assert_eq!(secrets, [r#"user "bob""#, r#"key "ingest""#]);
    server.session("ann", "long enough").await;
    let again = apply(&server, FIRST, false).await;
    assert_eq!(lines(&again), "");
    assert_eq!(again["secrets"], json!([]));
}

#[tokio::test]
async fn a_changed_file_changes_what_it_mentions_and_then_nothing() {
    let server = TestServer::start().await;
    apply(&server, FIRST, false).await;
    let planned = apply(&server, SECOND, true).await;
    assert_snapshot!(lines(&planned), @r#"
    ~ organization "United": currency USD -> EUR
    ~ organization "Regional" since 2013-01-01T00:00:00Z: parent "Express" -> "United"
    ~ organization "Regional" since 2013-02-01T00:00:00Z: parent "Express"
    ~ meter "hours" since ever: name "Hours in the air" -> "Hours flown"
    ~ IPU rate of meter "hours" since 2014-01-01T00:00:00Z: price 0.2 -> 0.25
    "#);
    let done = apply(&server, SECOND, false).await;
    assert_eq!(lines(&done), lines(&planned));
    assert_eq!(lines(&apply(&server, SECOND, false).await), "");
}

#[tokio::test]
async fn a_file_that_breaks_a_rule_writes_nothing() {
    let server = TestServer::start().await;
    let mut shown = String::new();
    for setup in [
        "organizations: []",
        "organizations:\n  - name: A\n    knid: sandbox",
        "organizations:\n  - {name: A}\n  - {name: B}",
        "organizations: [{name: A, kind: sandbox}]",
        "organizations: [{name: A, organizations: [{name: B, organizations: [{name: C}]}]}]",
        "organizations: [{name: A, organizations: [{name: A}]}]",
        "organizations: [{name: A}]\nusers: [{name: u, organization: X}]",
        "organizations: [{name: A}]\nusers: [{name: u, password: short}]",
        "organizations: [{name: A}]\nusers: [{name: u, roles: [{role: king}]}]",
        "organizations: [{name: A}]\nusers: [{name: u, passwordEnv: NOT_SET}]",
        "organizations: [{name: A}]\nrates: [{meter: m, kind: ipu, price: 1}]",
        "organizations: [{name: A}]\nmeters: [{slug: m, eventType: e, aggregation: SUM}]",
        "organizations: [{name: A}]\nentitlements: [{product: x}]",
        "organizations: [{name: A, since: soon}]",
    ] {
        let body = json!({"setup": setup}).to_string();
        let answer = server.post(server.token(), "/api/v1/setup", &body).await;
        let detail = answer.json()["detail"].clone();
        shown += &format!("{} {}\n", answer.status, detail.as_str().unwrap());
    }
    assert_snapshot!(fold(&shown), @r#"
    400 the file declares nothing: expected organizations, users, keys, meters, rates
      or partnerId
    400 organizations[0]: unknown field `knid`, expected one of `name`, `id`, `kind`,
      `parent`, `since`, `realmId`, `aliases`, `billing`, `billingPeriod`, `anchorDay`,
      `anchorMonth`, `currency`, `meteringEnabled`, `moves`, `organizations` at line 3
      column 5
    400 organization "B": an account has one root: nest it in its parent or give
      `parent`
    400 organization "A": the root has kind production and never moves
    400 organization "C": a sub_organization may not lie under "B", a sub_organization:
      a production holds additional_production, sandbox and sub_organization, an
      additional_production or sandbox holds sub_organization, a sub_organization holds
      none
    400 organization "A": another organization of the file is also called "A"
    400 user "u": no organization "X": the file declares none, and the account has none
      of that name, id or alias
    400 user "u": a password has 8 to 255 characters, this one 5
    400 user "u": "king" is no role: expected owner, operator, writer, analyst
    400 user "u": the environment has no variable NOT_SET
    400 rate of meter "m": neither the file nor the account has a meter with this slug
    400 meter "m": valueProperty says what is read, and COUNT has none
    400 entitlements: no entitlement can be declared yet: leave the field out
    400 organizations[0]: "soon" is no instant: expected 2013-02-01 or
      2013-02-01T00:00:00Z at line 1 column 17
    "#);
    let page = metadata::PageRequest::default();
    let accounts = server.app().metadata.list_accounts(&page);
    assert_eq!(accounts.await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn nobody_below_an_owner_applies() {
    let server = TestServer::start().await;
    let path = "/api/v1/setup";
    let body = json!({"setup": FIRST}).to_string();
    let operator = server.key(server.root().await, Role::Operator).await;
    assert_eq!(server.post(&operator, path, &body).await.status, 403);
    let without = server.request(Method::POST, path).body(body);
    assert_eq!(Answer::of(without).await.status, 401);
}

#[tokio::test]
async fn a_setup_file_has_one_limit_whichever_way_it_comes() {
    let server = TestServer::start().await;
    // Every character takes two in JSON.
    let file = |bytes: usize| {
        let mut file = "organizations:\n  - {name: Default}\n#".to_owned();
        file += &"\"".repeat(bytes - file.len());
        file
    };
    let apply = async |file: String| {
        let body = json!({"setup": file, "dryRun": true}).to_string();
        server.post(server.token(), "/api/v1/setup", &body).await
    };
    let answer = apply(file(SETUP_BYTES_MAX)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let refused = apply(file(SETUP_BYTES_MAX + 1)).await;
    assert_eq!(
        (refused.status, &refused.json()["code"]),
        (400, &json!("invalid_setup"))
    );
    let told = "the setup file has more than 16777216 bytes";
    assert!(refused.body.contains(told), "{}", refused.body);
    let path = server.data_dir().join("large.yaml");
    std::fs::write(&path, file(SETUP_BYTES_MAX + 1)).unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_tallyport"))
        .args(["apply", "--data-dir", "none", "--file"])
        .arg(&path)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains(told), "{stderr}");
}
