//! Rates: declared by the account's root, versioned by time.

use domain::ids::RateId;
use domain::range::TimeRange;
use domain::rate::{Rate, RateKind, Tier};
use domain::tree::OrganizationKind;
use insta::assert_snapshot;
use metadata::Role;
use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, TestServer};

const PATH: &str = "/api/v1/rates";

async fn declare_meter(server: &TestServer, key: &str, aggregation: &str) {
    let meter = json!({
        "slug": aggregation.to_lowercase(), "eventType": "flight", "aggregation": aggregation,
        "valueProperty": "$.hours",
    });
    let made = server.post(key, "/api/v1/meters", &meter.to_string()).await;
    assert_eq!(made.status, 201, "{}", made.body);
}

#[tokio::test]
async fn a_rate_is_declared_and_repriced_from_a_day_on() {
    let server = TestServer::start().await;
    let owner = server.key(server.root().await, Role::Operator).await;
    declare_meter(&server, &owner, "SUM").await;
    let body = r#"{"meter":"sum","kind":"ipu","tiers":[{"upTo":2,"price":6},{"price":0.60}]}"#;
    let made = server.post(&owner, PATH, body).await;
    assert_snapshot!(made.show(), @r#"
    201 application/json
    {
      "allowance": 0,
      "billable": true,
      "chargeNumber": null,
      "createdAt": "2026-06-01T12:00:00Z",
      "currency": null,
      "id": "[id]",
      "kind": "ipu",
      "listPrice": null,
      "meter": "sum",
      "meterId": "[id]",
      "organizationId": null,
      "per": 1,
      "since": null,
      "subscriptionId": null,
      "tiers": [
        {
          "price": 6,
          "upTo": 2
        },
        {
          "price": 0.6,
          "upTo": null
        }
      ],
      "unit": "",
      "until": null,
      "updatedAt": "2026-06-01T12:00:00Z"
    }
    "#);
    let path = format!("{PATH}/{}", made.json()["id"].as_str().unwrap());
    let body = r#"{"price":0.16,"since":"2026-05-01T00:00:00Z"}"#;
    let repriced = server.patch(&owner, &path, body).await.json();
    assert_eq!(repriced["since"], "2026-05-01T00:00:00Z");
    assert_eq!(
        repriced["tiers"].to_string(),
        r#"[{"price":0.16,"upTo":null}]"#
    );
    assert_eq!(server.delete(&owner, &path).await.status, 204);
    assert_eq!(
        server.get(&owner, &path).await.json()["until"],
        "2026-06-01T12:00:00Z"
    );
    assert_eq!(
        server.get(&owner, PATH).await.json()["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn what_cannot_be_priced_is_refused_in_words() {
    let server = TestServer::start().await;
    let owner = server.key(server.root().await, Role::Owner).await;
    declare_meter(&server, &owner, "SUM").await;
    declare_meter(&server, &owner, "AVG").await;
    let first = r#"{"meter":"sum","kind":"ipu","price":1}"#;
    assert_eq!(server.post(&owner, PATH, first).await.status, 201);
    let mut shown = String::new();
    for body in [
        first,
        r#"{"meter":"avg","kind":"ipu","price":1}"#,
        r#"{"meter":"none","kind":"ipu","price":1}"#,
        r#"{"meter":"sum","kind":"ipu"}"#,
        r#"{"meter":"sum","kind":"ipu","price":1,"currency":"EUR"}"#,
        r#"{"meter":"sum","kind":"ipu","price":1,"allowence":5}"#,
        r#"{"meter":"sum","kind":"money","price":-1}"#,
        r#"{"meter":"sum","kind":"money","price":1,"per":0}"#,
        r#"{"meter":"sum","kind":"money","tiers":[{"upTo":2,"price":1}]}"#,
    ] {
        let answer = server.post(&owner, PATH, body).await;
        let detail = answer.json()["detail"].clone();
        shown += &format!("{} {}\n", answer.status, detail.as_str().unwrap());
    }
    let shown = shown.replace("type: ", "type:\n");
    assert_snapshot!(crate::harness::redact(&shown), @r#"
    409 rate [id] already prices this meter for the same organization in that time
    400 meter avg cannot be rated: AVG and MIN do not add up
    404 no such meter
    400 give `price` or `tiers`, one of them
    400 consumption units have no currency
    400 unknown field `allowence` at line 1 column 52
    400 a price is not negative
    400 per is at least 1
    400 tiers ascend by `upTo`, and the last has none
    "#);
}

/// Stores an IPU rate with terms, as earlier releases took them.
async fn stored_with_terms(server: &TestServer, meter: &str) -> Rate {
    let app = server.app();
    let root = server.root().await;
    let control = app.metadata.snapshot_for(root).await.unwrap();
    let rate = Rate {
        id: RateId::from_random(7),
        meter: control.meter(meter).unwrap().unwrap().id,
        organization: None,
        kind: RateKind::Ipu,
        valid: TimeRange::ALWAYS,
        per: 1_000,
        unit: String::new(),
        tiers: vec![Tier {
            up_to: None,
            price: "2".parse().unwrap(),
        }],
        allowance: "10".parse().unwrap(),
        billable: false,
        list_price: None,
        subscription_id: None,
        charge_number: None,
        currency: None,
    };
    let mut change = app.metadata.begin_change(app.now()).await.unwrap();
    change.insert_rate(control.account(), &rate).await.unwrap();
    app.commit(change).await.unwrap();
    rate
}

#[tokio::test]
async fn what_a_consumption_rate_would_ignore_is_refused() {
    let server = TestServer::start().await;
    let owner = server.key(server.root().await, Role::Owner).await;
    declare_meter(&server, &owner, "SUM").await;
    let mut shown = String::new();
    for term in [r#""per":1000"#, r#""allowance":0.5"#, r#""billable":false"#] {
        let body = format!(r#"{{"meter":"sum","kind":"ipu","price":1,{term}}}"#);
        let answer = server.post(&owner, PATH, &body).await;
        let detail = answer.json()["detail"].clone();
        shown += &format!("{} {}\n", answer.status, detail.as_str().unwrap());
    }
    assert_snapshot!(shown, @r"
    400 per is 1000: expected 1, since an ipu price is for one unit of the meter's scalar
    400 allowance is 0.5: expected 0, since ipu has none; make it a first tier of price 0
    400 billable is false: expected true, since ipu counts all usage; make the price 0
    ");
    let money =
        r#"{"meter":"sum","kind":"money","price":1,"per":9,"allowance":1,"billable":false}"#;
    assert_eq!(server.post(&owner, PATH, money).await.status, 201);
    let neutral = r#"{"meter":"sum","kind":"ipu","price":1,"per":1,"allowance":0,"billable":true}"#;
    assert_eq!(server.post(&owner, PATH, neutral).await.status, 201);
}

#[tokio::test]
async fn a_stored_consumption_rate_with_terms_keeps_them_in_no_new_version() {
    let server = TestServer::start().await;
    let owner = server.key(server.root().await, Role::Owner).await;
    declare_meter(&server, &owner, "SUM").await;
    let stored = stored_with_terms(&server, "sum").await;
    let path = format!("{PATH}/{}", stored.id);
    assert_eq!(server.get(&owner, &path).await.json()["per"], 1_000);
    let kept = server.patch(&owner, &path, r#"{"price":3}"#).await;
    assert_eq!(kept.status, 400, "{}", kept.body);
    let cleared = r#"{"price":3,"per":1,"allowance":0,"billable":true}"#;
    let cleared = server.patch(&owner, &path, cleared).await;
    assert_eq!(cleared.status, 200, "{}", cleared.body);
    assert_eq!(server.delete(&owner, &path).await.status, 204);
}

#[tokio::test]
async fn apply_names_stored_consumption_rates_with_terms_and_takes_no_new_ones() {
    let server = TestServer::start().await;
    let owner = server.key(server.root().await, Role::Owner).await;
    declare_meter(&server, &owner, "SUM").await;
    stored_with_terms(&server, "sum").await;
    let meter = "{slug: sum, eventType: flight, aggregation: SUM, valueProperty: $.hours}";
    let apply = async |rates: &str| {
        let setup = format!("meters: [{meter}]\nrates: {rates}\n");
        let body = json!({"setup": setup, "environment": {}}).to_string();
        server.post(server.token(), "/api/v1/setup", &body).await
    };
    let old = "{meter: sum, kind: ipu, price: 2, per: 1000, allowance: 10, billable: false}";
    let named =
        "IPU rate of meter \"sum\": 2 since ever is priced without what ipu ignores: per is";
    for rates in ["[]".to_owned(), format!("[{old}]")] {
        let applied = apply(&rates).await;
        assert_eq!(applied.status, 200, "{}", applied.body);
        let warnings = applied.json()["warnings"].clone();
        assert_eq!(warnings.as_array().unwrap().len(), 1, "{warnings}");
        let warning = warnings[0].as_str().unwrap();
        assert!(warning.starts_with(named), "{warning}");
    }
    let new = "{meter: sum, kind: ipu, price: 3, per: 100, since: 2026-01-01}";
    let refused = apply(&format!("[{old}, {new}]")).await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    let detail = refused.json()["detail"].clone();
    let expected = "rate of meter \"sum\": per is 100: expected 1";
    assert!(detail.as_str().unwrap().starts_with(expected), "{detail}");

    let plain = "{meter: sum, kind: ipu, price: 3, since: 2026-01-01}";
    let followed = apply(&format!("[{old}, {plain}]")).await;
    assert_eq!(followed.status, 200, "{}", followed.body);
    assert_eq!(followed.json()["warnings"].as_array().unwrap().len(), 1);
    let replaced = apply("[{meter: sum, kind: ipu, price: 2}]").await;
    assert_eq!(replaced.json()["warnings"], json!([]), "{}", replaced.body);
}

#[tokio::test]
async fn those_below_read_the_default_and_their_own_and_declare_nothing() {
    let server = TestServer::start().await;
    let root = server.root().await;
    let owner = server.key(root, Role::Owner).await;
    declare_meter(&server, &owner, "SUM").await;
    let sub = OrganizationKind::SubOrganization;
    let (left, right) = (
        server.organization("Left", sub, root).await,
        server.organization("Right", sub, root).await,
    );
    let mut paths = Vec::new();
    for organization in [None, Some(left), Some(right)] {
        let body = json!({
            "meter": "sum", "kind": "money", "price": 1, "organizationId": organization,
        });
        let made = server.post(&owner, PATH, &body.to_string()).await.json();
        assert_eq!(made["currency"], "USD", "the root's");
        paths.push(format!("{PATH}/{}", made["id"].as_str().unwrap()));
    }
    let below = server.key(left, Role::Owner).await;
    let mut read = Vec::new();
    for path in &paths {
        read.push(server.get(&below, path).await.status);
    }
    assert_eq!(read, [200, 200, 404]);
    assert_eq!(
        server.get(&below, PATH).await.json()["items"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let body = r#"{"meter":"sum","kind":"ipu","price":1}"#;
    assert_eq!(server.post(&below, PATH, body).await.status, 403);
    assert_eq!(server.patch(&below, &paths[1], "{}").await.status, 403);
    assert_eq!(server.delete(&below, &paths[1]).await.status, 403);
    let stranger = server
        .key(server.account("Stranger").await, Role::Owner)
        .await;
    assert_eq!(server.get(&stranger, &paths[0]).await.status, 404);
    assert_eq!(server.patch(&stranger, &paths[0], "{}").await.status, 404);
    for method in [Method::GET, Method::POST] {
        assert_eq!(Answer::of(server.request(method, PATH)).await.status, 401);
    }
}

#[tokio::test]
async fn a_meter_is_changed_by_making_a_version() {
    let server = TestServer::start().await;
    let root = server.root().await;
    let owner = server.key(root, Role::Owner).await;
    declare_meter(&server, &owner, "SUM").await;
    let path = "/api/v1/meters/sum";
    let body = r#"{"name":"Hours","jobLevelLayout":"generic","since":null}"#;
    let changed = server.patch(&owner, path, body).await.json();
    assert_eq!(
        (&changed["name"], &changed["jobLevelLayout"]),
        (&json!("Hours"), &json!("generic"))
    );
    assert_eq!(
        server
            .patch(&owner, path, r#"{"slug":"other"}"#)
            .await
            .status,
        400
    );
    assert_eq!(
        server
            .patch(&owner, "/api/v1/meters/none", "{}")
            .await
            .status,
        404
    );
    let sub = OrganizationKind::SubOrganization;
    let child = server.organization("Child", sub, root).await;
    let below = server.key(child, Role::Owner).await;
    assert_eq!(server.patch(&below, path, "{}").await.status, 403);
    assert_eq!(server.delete(&below, path).await.status, 403);
    assert_eq!(
        Answer::of(server.request(Method::PATCH, path)).await.status,
        401
    );
}
