//! Files with any section alone, which refer to what is stored by id, name or alias.

use insta::assert_snapshot;
use metadata::Role;
use serde_json::{Value, json};

use super::{apply, lines};
use crate::harness::{TestServer, fold};

const TREE: &str = "
organizations:
  - name: United
    aliases: [UA]
    currency: EUR
    organizations:
      - {name: Express, kind: additional_production, aliases: [EX]}
      - {name: Trial, kind: sandbox}
meters:
  - {slug: calls, eventType: call, aggregation: COUNT}
";

async fn refusal(server: &TestServer, setup: &str) -> String {
    let body = json!({"setup": setup}).to_string();
    let answer = server.post(server.token(), "/api/v1/setup", &body).await;
    assert_eq!(answer.status, 400, "{setup}: {}", answer.body);
    answer.json()["detail"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_file_may_hold_any_section_alone() {
    let server = TestServer::start().await;
    apply(&server, TREE, false).await;
    let mut shown = String::new();
    for section in [
        "rates: [{meter: calls, kind: ipu, price: 1}]",
        "rates: [{meter: calls, kind: money, price: 2}]",
        "rates: [{meter: calls, kind: ipu, organization: EX, price: 3}]",
        "users: [{name: ann, organization: Trial, roles: [{role: analyst, organization: EX}]}]",
        "keys: [{name: in, role: writer, organization: Express}]",
        "meters: [{slug: more, eventType: more, aggregation: COUNT}]",
        "partnerId: partner-realm",
        "organizations: [{name: New, parent: Trial}]",
        "organizations: [{name: Newer, parent: UA, kind: sandbox, \
         moves: []}, {name: Last, parent: Newer}]",
    ] {
        let done = apply(&server, section, false).await;
        shown += &format!("{}\n", lines(&done));
        assert_ne!(lines(&done), "", "{section}");
        let again = apply(&server, section, false).await;
        assert_eq!(lines(&again), "", "{section}");
    }
    assert_snapshot!(shown, @r#"
    + IPU rate of meter "calls": 1 since ever
    + money rate of meter "calls": 2 since ever
    + IPU rate of meter "calls" for [id]: 3 since ever
    + user "ann"
    ~ user "ann": analyst of "Express"
    + key "in" (writer of "Express")
    + meter "more"
    ~ organization "United": partnerId none -> "partner-realm"
    + organization "New" (sub_organization)
    + organization "Newer" (sandbox)
    + organization "Last" (sub_organization)
    "#);
    for nothing in [
        "",
        "# nothing\n",
        "organizations: []",
        "account: 4wMFqGlxAKVlIFTixlTSOY",
    ] {
        let refused = refusal(&server, nothing).await;
        assert!(
            refused.starts_with("the file declares nothing: expected"),
            "{nothing}: {refused}"
        );
    }
    let more = "keys: [{name: two, role: writer}]\n---\n";
    assert_eq!(
        lines(&apply(&server, more, false).await),
        "+ key \"two\" (writer of \"United\")"
    );
}

#[tokio::test]
async fn a_name_that_is_unknown_or_that_several_have_is_refused() {
    let server = TestServer::start().await;
    apply(&server, TREE, false).await;
    apply(
        &server,
        "organizations: [{name: Twin, parent: Express}]",
        false,
    )
    .await;
    let owner = server.key(server.called("United").await, Role::Owner).await;
    let twin = json!({"name": "Twin", "kind": "sandbox"}).to_string();
    let twin = server.post(&owner, "/api/v1/organizations", &twin).await;
    assert_eq!(twin.status, 201, "{}", twin.body);
    let other = json!({"name": "Other", "kind": "sandbox"}).to_string();
    for parent in ["Express", "Trial"] {
        let below: Value = json!({"name": "Same", "kind": "sub_organization",
            "parentId": server.called(parent).await.to_string()});
        let made = server
            .post(&owner, "/api/v1/organizations", &below.to_string())
            .await;
        assert_eq!(made.status, 201, "{}", made.body);
    }
    assert_eq!(
        server
            .post(&owner, "/api/v1/organizations", &other)
            .await
            .status,
        201
    );
    // What files made under a name comes before what else has it now.
    let made = apply(
        &server,
        "keys: [{name: k, role: writer, organization: Twin}]",
        true,
    )
    .await;
    assert_eq!(lines(&made), "+ key \"k\" (writer of \"Twin\")");
    let made = apply(
        &server,
        "keys: [{name: k, role: writer, organization: Other}]",
        true,
    )
    .await;
    assert_eq!(lines(&made), "+ key \"k\" (writer of \"Other\")");
    let mut shown = String::new();
    for setup in [
        "keys: [{name: k, role: writer, organization: Same}]",
        "keys: [{name: k, role: writer, organization: Nobody}]",
        "rates: [{meter: nothing, kind: ipu, price: 1}]",
        "organizations: [{name: New, parent: Nobody}]",
    ] {
        let refused = crate::harness::redact(&refusal(&server, setup).await);
        shown += &format!("{}\n", fold(&refused));
    }
    assert_snapshot!(shown, @r#"
    organization "Same": several organizations have this name or alias: give the id of
      one of [id], [id]
    key "k": no organization "Nobody": the file declares none, and the account has none
      of that name, id or alias
    rate of meter "nothing": neither the file nor the account has a meter with this
      slug
    organization "New": no organization "Nobody": the file declares none, and the
      account has none of that name, id or alias
    "#);
}

#[tokio::test]
async fn a_kind_that_is_left_out_later_stays() {
    let server = TestServer::start().await;
    apply(&server, TREE, false).await;
    let later = TREE
        .replace(", kind: additional_production", "")
        .replace(", kind: sandbox", "");
    assert_eq!(lines(&apply(&server, &later, false).await), "");
    let nested = "
organizations:
  - name: United
    organizations:
      - {name: Express, organizations: [{name: Below}]}
";
    let done = apply(&server, nested, false).await;
    assert_eq!(lines(&done), "+ organization \"Below\" (sub_organization)");
    let mut shown = String::new();
    for setup in [
        "organizations: [{name: United, organizations: [{name: Trial, \
         kind: additional_production}]}]",
        "organizations: [{name: Deeper, parent: Below}]",
        "organizations: [{name: X, parent: Trial, kind: sandbox}]",
        "organizations: [{name: United, since: 2013-01-01}]",
    ] {
        shown += &format!("{}\n", fold(&refusal(&server, setup).await));
    }
    assert_snapshot!(shown, @r#"
    organization "Trial": it is a sandbox, and a kind never changes: leave kind out
    organization "Deeper": a sub_organization may not lie under "Below", a
      sub_organization: a production holds additional_production, sandbox and
      sub_organization, an additional_production or sandbox holds sub_organization, a
      sub_organization holds none
    organization "X": a sandbox may not lie under "Trial", a sandbox: a production
      holds additional_production, sandbox and sub_organization, an
      additional_production or sandbox holds sub_organization, a sub_organization holds
      none
    organization "United": since says when an organization came under its parent, and a
      root has none
    "#);
}

#[tokio::test]
async fn a_time_that_is_left_out_later_stays_and_cannot_take_usage_away() {
    let server = TestServer::start().await;
    let file = |since: &str| {
        format!("organizations: [{{name: United, organizations: [{{name: Sub{since}}}]}}]")
    };
    apply(&server, &file(", since: 2013-01-01"), false).await;
    assert_eq!(lines(&apply(&server, &file(""), false).await), "");
    let earlier = apply(&server, &file(", since: 2012-01-01"), false).await;
    assert_eq!(
        lines(&earlier),
        "~ organization \"Sub\" since 2012-01-01T00:00:00Z: parent \"United\""
    );
    let later = refusal(&server, &file(", since: 2014-01-01")).await;
    assert_snapshot!(fold(&later), @r#"
    organization "Sub": since is 2014-01-01T00:00:00Z: it lies under "United" since
      2012-01-01T00:00:00Z already, and a file takes nothing away: leave since out
    "#);
}

#[tokio::test]
async fn a_path_that_is_not_supported_is_refused_with_the_part_that_is_not() {
    let server = TestServer::start().await;
    let mut shown = String::new();
    for (field, path) in [
        ("valueProperty", "$.a + $.b"),
        ("valueProperty", "$.sum()"),
        ("valueProperty", "$.arr.0"),
        ("valueProperty", "$.a[*]"),
        ("groupBy", "{model: $.a b}"),
        ("filters", "[{path: $.list.0, values: [x]}]"),
    ] {
        let value = match field {
            "valueProperty" => "",
            _ => "valueProperty: $.v, ",
        };
        let meter = format!("{{slug: m, eventType: e, aggregation: SUM, {value}{field}: {path}}}");
        let quoted = meter
            .replace(": $.a", ": \"$.a")
            .replace(": $.sum", ": \"$.sum");
        let quoted = if quoted == meter {
            meter
        } else {
            quoted.replacen('}', "\"}", 1)
        };
        shown += &format!(
            "{}\n",
            fold(&refusal(&server, &format!("meters: [{quoted}]")).await)
        );
    }
    assert_snapshot!(shown, @r#"
    meter "m": valueProperty: "$.a + $.b" is not a path to one value: " + $.b" is not
      supported, expected $.name, $['name'] or $.list[0]
    meter "m": valueProperty: "$.sum()" is not a path to one value: ".sum()" is not
      supported, expected $.name, $['name'] or $.list[0]
    meter "m": valueProperty: "$.arr.0" is not a path to one value: ".0" is not
      supported, expected $.name, $['name'] or $.list[0]
    meters[0]: "$.a[*]" is not a path to one value: "[*]" is not supported, expected
      $.name, $['name'] or $.list[0] at line 1 column 10
    meter "m": groupBy.model: "$.a b" is not a path to one value: " b" is not
      supported, expected $.name, $['name'] or $.list[0]
    meter "m": filters: "$.list.0" is not a path to one value: ".0" is not supported,
      expected $.name, $['name'] or $.list[0]
    "#);
    let owner = server.key(server.root().await, Role::Operator).await;
    let meter =
        json!({"slug": "m", "eventType": "e", "aggregation": "SUM", "valueProperty": "$.arr.0"});
    let made = server
        .post(&owner, "/api/v1/meters", &meter.to_string())
        .await;
    assert_eq!(made.status, 400);
    let part = "valueProperty: \"$.arr.0\" is not a path to one value: \".0\" is not supported";
    assert!(
        made.json()["detail"].as_str().unwrap().starts_with(part),
        "{}",
        made.body
    );
    let sound =
        json!({"slug": "m", "eventType": "e", "aggregation": "SUM", "valueProperty": "$.arr[0]"});
    let made = server
        .post(&owner, "/api/v1/meters", &sound.to_string())
        .await;
    assert_eq!(made.status, 201, "{}", made.body);
    let patch = json!({"groupBy": {"x": "$.a, $.b"}}).to_string();
    let patched = server.patch(&owner, "/api/v1/meters/m", &patch).await;
    assert_eq!(patched.status, 400, "{}", patched.body);
    assert!(patched.body.contains("groupBy.x: "), "{}", patched.body);
}
