//! Billing anchors: the parent's unless named, and set for any time.

use domain::ids::OrganizationId;
use metadata::Role;
use serde_json::{Value, json};

use super::{apply, lines};
use crate::harness::TestServer;

const TREE: &str = "
organizations:
  - name: United
    anchorDay: 15
    organizations:
      - {name: Trial, kind: sandbox, organizations: [{name: Below}]}
      - {name: Own, kind: sandbox, anchorDay: 3}
";

/// The anchors of an organization by time, as the exports of its usage see them.
async fn anchors(server: &TestServer, name: &str) -> String {
    let id = server.called(name).await;
    let control = server.app().metadata.snapshot_for(id).await.unwrap();
    let versions = control.organization(id).unwrap().versions.iter();
    let anchors = versions.map(|version| {
        let anchor = version.attributes.anchor;
        let start = version.valid.start.map(|start| start.to_string());
        let start = start.map_or("ever".to_owned(), |start| start[..10].to_owned());
        let period = anchor.period.as_str();
        format!("{period} {}/{} from {start}", anchor.month, anchor.day)
    });
    let mut anchors: Vec<_> = anchors.collect();
    anchors.dedup_by_key(|anchor| anchor.split(" from ").next().unwrap().to_owned());
    anchors.join(", ")
}

async fn shown(server: &TestServer, key: &str, id: OrganizationId) -> Value {
    let path = format!("/api/v1/organizations/{id}");
    let mut found = server.get(key, &path).await.json();
    found["anchorDay"].take()
}

#[tokio::test]
async fn an_organization_that_names_no_anchor_follows_its_parent() {
    let server = TestServer::start().await;
    apply(&server, TREE, false).await;
    for name in ["United", "Trial", "Below"] {
        assert_eq!(
            anchors(&server, name).await,
            "monthly 1/15 from ever",
            "{name}"
        );
    }
    assert_eq!(anchors(&server, "Own").await, "monthly 1/3 from ever");
    // The root changes, and those who follow change with it.
    let moved = TREE.replace("anchorDay: 15", "anchorDay: 20");
    let done = apply(&server, &moved, false).await;
    assert_eq!(
        lines(&done),
        "~ organization \"United\": anchorDay 15 -> 20"
    );
    let expected = "monthly 1/15 from ever, monthly 1/20 from 2026-06-01";
    assert_eq!(anchors(&server, "Below").await, expected);
    let owner = server.key(server.called("United").await, Role::Owner).await;
    let below = server.called("Below").await;
    assert_eq!(shown(&server, &owner, below).await, 20);
    // By the API too: a new one follows, a value makes it its own, null gives it back.
    let new = json!({"name": "New", "kind": "sandbox"}).to_string();
    let new = server
        .post(&owner, "/api/v1/organizations", &new)
        .await
        .json();
    assert_eq!(new["anchorDay"], 20, "{new}");
    let path = format!("/api/v1/organizations/{below}");
    for (sent, expected) in [(json!(7), 7), (Value::Null, 20)] {
        let body = json!({"anchorDay": sent}).to_string();
        let patched = server.patch(&owner, &path, &body).await;
        assert_eq!(patched.json()["anchorDay"], expected, "{}", patched.body);
    }
    // What it has it may send, though it may not change it.
    let own = server.key(below, Role::Owner).await;
    let same = json!({"name": "Renamed", "anchorDay": 20, "billingPeriod": "monthly"});
    assert_eq!(
        server.patch(&own, &path, &same.to_string()).await.status,
        200
    );
    let other = json!({"anchorDay": 21}).to_string();
    assert_eq!(server.patch(&own, &path, &other).await.status, 403);
    assert_eq!(shown(&server, &owner, below).await, 20);
}

#[tokio::test]
async fn an_anchor_is_set_for_the_past_by_its_since() {
    let server = TestServer::start().await;
    apply(&server, TREE, false).await;
    let file = "
organizations:
  - name: United
    billing:
      - {anchorDay: 10, since: 2012-01-01}
      - {period: annual, anchorDay: 1, anchorMonth: 4, since: 2014-01-01}
    organizations:
      - {name: Own, billing: {since: 2013-01-01}}
";
    let done = apply(&server, file, false).await;
    insta::assert_snapshot!(crate::harness::fold(&lines(&done)), @r#"
    ~ organization "United" since 2012-01-01T00:00:00Z: anchorDay 15 -> 10
    ~ organization "United" since 2014-01-01T00:00:00Z: billingPeriod monthly ->
      annual, anchorDay 15 -> 1, anchorMonth 1 -> 4
    ~ organization "Own" since 2013-01-01T00:00:00Z: anchorDay 3 -> the parent's
    "#);
    let past = "monthly 1/15 from ever, monthly 1/10 from 2012-01-01, annual 4/1 from 2014-01-01";
    assert_eq!(anchors(&server, "United").await, past);
    assert_eq!(anchors(&server, "Below").await, past);
    let own = "monthly 1/3 from ever, monthly 1/10 from 2013-01-01, annual 4/1 from 2014-01-01";
    assert_eq!(anchors(&server, "Own").await, own);
    assert_eq!(lines(&apply(&server, file, false).await), "");
    // Without `since` it holds from the beginning of time.
    let ever = "organizations: [{name: United, billing: {anchorDay: 2}}]";
    apply(&server, ever, false).await;
    assert_eq!(anchors(&server, "Below").await, "monthly 1/2 from ever");
    assert_eq!(lines(&apply(&server, ever, false).await), "");
    for (billing, expected) in [
        ("billing: []", "billing is empty"),
        ("billing: {day: 3}", "unknown field `day`"),
        (
            "billing: {anchorDay: 32}",
            "an anchor day is 1 to 31, not 32",
        ),
        ("billing: [{}, {}]", "entries come in order"),
        ("billing: {anchorDay: 3}, anchorDay: 3", "not both"),
    ] {
        let setup = format!("organizations: [{{name: United, {billing}}}]");
        let body = json!({"setup": setup}).to_string();
        let refused = server.post(server.token(), "/api/v1/setup", &body).await;
        assert_eq!(refused.status, 400, "{billing}");
        assert!(
            refused.body.contains(expected),
            "{billing}: {}",
            refused.body
        );
    }
}
