//! What the changes of a file say, and what its refusals say to do.

use insta::assert_snapshot;
use metadata::Role;
use serde_json::json;

use super::{apply, lines};
use crate::harness::{TestServer, fold};

const BEFORE: &str = "
organizations:
  - name: United
    aliases: [UA]
    organizations: [{name: Trial, kind: sandbox}, {name: Sub, since: 2013-01-01}]
users: [{name: ann, firstName: Ann, emails: [ann@example.com]}]
meters:
  - {slug: m, eventType: e, aggregation: SUM, valueProperty: $.a, scalar: {name: HOURS}}
  - {slug: m, eventType: e, aggregation: SUM, valueProperty: $.b, since: 2014-01-01}
rates:
  - {meter: m, kind: ipu, price: 0.16}
  - {meter: m, kind: ipu, price: 0.2, since: 2014-01-01}
";

const AFTER: &str = "
organizations:
  - name: United
    aliases: [UA, UAL]
    currency: EUR
    organizations:
      - {name: Trial, realmId: trial-realm, meteringEnabled: false}
      - {name: Sub, since: 2013-01-01, moves: [{parent: Trial, since: 2014-01-01}]}
users: [{name: ann, firstName: Anna, lastName: Low}]
meters:
  - slug: m
    name: Much
    unit: h
    eventType: e
    aggregation: SUM
    valueProperty: $.c
    filters: [{path: $.status, values: [ok, done]}]
    groupBy: {model: $.model}
    scalar: {name: GB}
    jobLevelLayout: generic
    zeroRows: true
rates:
  - {meter: m, kind: ipu, tiers: [{upTo: 10, price: 1}, {price: 0.5}], until: 2020-01-01}
";

#[tokio::test]
async fn the_changes_name_each_field_with_both_values() {
    let server = TestServer::start().await;
    apply(&server, BEFORE, false).await;
    let done = apply(&server, AFTER, false).await;
    assert_snapshot!(fold(&lines(&done)), @r#"
    ~ organization "United": currency USD -> EUR
    ~ organization "United": aliases [UA] -> [UA, UAL]
    ~ organization "Trial": realmId none -> "trial-realm", meteringEnabled true ->
      false
    ~ organization "Sub" since 2014-01-01T00:00:00Z: parent "United" -> "Trial"
    ~ meter "m" since ever: name "m" -> "Much", unit "" -> "h", valueProperty $.a ->
      $.c, filters {} -> {$.status [ok, done]}, groupBy {} -> {model: $.model},
      scalar.name "HOURS" -> "GB", scalar.metricCategory "COMPUTE_UNITS" ->
      "DATA_VOLUME", jobLevelLayout none -> generic, zeroRows false -> true
    - meter "m" since 2014-01-01T00:00:00Z: what holds before it goes on
    ~ IPU rate of meter "m" since ever: price 0.16 -> [1 up to 10, 0.5], until
      2014-01-01T00:00:00Z -> 2020-01-01T00:00:00Z
    - IPU rate of meter "m" since 2014-01-01T00:00:00Z: what holds before it goes on
    ~ user "ann": firstName "Ann" -> "Anna", lastName "" -> "Low"
    "#);
    assert_eq!(lines(&apply(&server, AFTER, false).await), "");
}

#[tokio::test]
async fn a_name_that_another_has_now_is_refused_with_what_to_do() {
    let server = TestServer::start().await;
    apply(&server, BEFORE, false).await;
    let owner = server.key(server.called("United").await, Role::Owner).await;
    let trial = server.called("Trial").await;
    let path = format!("/api/v1/organizations/{trial}");
    assert_eq!(server.delete(&owner, &path).await.status, 204);
    let again = json!({"name": "Trial", "kind": "sandbox", "aliases": ["TR"]}).to_string();
    assert_eq!(
        server
            .post(&owner, "/api/v1/organizations", &again)
            .await
            .status,
        201
    );
    let mut shown = String::new();
    for setup in [
        BEFORE.to_owned(),
        format!("organizations: [{{name: Trial, id: {trial}, parent: United}}]"),
        "organizations: [{name: United, aliases: [TR]}]".to_owned(),
        "organizations: [{name: Other, parent: United, aliases: [UA]}]".to_owned(),
    ] {
        let body = json!({"setup": setup}).to_string();
        let refused = server.post(server.token(), "/api/v1/setup", &body).await;
        assert_eq!(refused.status, 400, "{setup}: {}", refused.body);
        let detail = refused.json()["detail"].as_str().unwrap().to_owned();
        shown += &format!("{}\n", fold(&crate::harness::redact(&detail)));
    }
    assert_snapshot!(shown, @r#"
    organization "Trial": [id] under the same parent has this name, and the one that
      setup files made under it, [id], was archived at 2026-06-01T12:00:00Z: write `id:
      [id]` to declare that one, or rename or archive it to have another one made
    organization "Trial": [id] was archived at 2026-06-01T12:00:00Z and takes nothing
      new: leave it out of the file, or leave out its id to have a new one made
    organization "United": aliases: "TR" is an alias of [id]: take it away there first
    organization "Other": aliases: "UA" is an alias of [id]: take it away there first
    "#);
}
