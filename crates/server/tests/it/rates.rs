//! Rates: declared by the account's root, versioned by time.

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
    422 Failed to deserialize the JSON body into the target type:
    unknown field `allowence` at line 1 column 52
    400 a price is not negative
    400 per is at least 1
    400 tiers ascend by `upTo`, and the last has none
    "#);
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
        422
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
