//! `/api/v1/meters`.

mod numbers;
mod query;

use domain::tree::OrganizationKind;
use insta::assert_snapshot;
use metadata::Role;
use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, TestServer, fold};

pub(crate) const PATH: &str = "/api/v1/meters";

#[tokio::test]
async fn a_meter_is_declared_shown_listed_and_archived() {
    let server = TestServer::start().await;
    let key = server.key(server.root().await, Role::Operator).await;
    let sent = json!({
        "slug": "hours", "eventType": "use", "aggregation": "SUM", "valueProperty": "$.hours",
        "groupBy": {"region": "$.region"}, "windowSize": "MINUTE", "unit": "hours",
        "scalar": {"name": "HOURS", "factor": 1, "metricCategory": "COMPUTE_UNITS"},
        "jobLevelLayout": "generic", "filters": [{"path": "$.kind", "values": ["a"]}],
        "since": "2026-01-01T00:00:00Z",
    });
    let created = server.post(&key, PATH, &sent.to_string()).await;
    assert_snapshot!(created.show(), @r#"
    201 application/json
    {
      "aggregation": "SUM",
      "category": "",
      "createdAt": "2026-06-01T12:00:00Z",
      "description": "",
      "eventFrom": "2026-01-01T00:00:00Z",
      "eventType": "use",
      "feature": "hours",
      "filters": [
        {
          "path": "$.kind",
          "values": [
            "a"
          ]
        }
      ],
      "groupBy": {
        "region": "$.region"
      },
      "id": "[id]",
      "jobLevelLayout": "generic",
      "name": "hours",
      "scalar": {
        "factor": 1,
        "metricCategory": "COMPUTE_UNITS",
        "name": "HOURS"
      },
      "service": "",
      "since": "2026-01-01T00:00:00Z",
      "slug": "hours",
      "status": "ready",
      "unit": "hours",
      "updatedAt": "2026-06-01T12:00:00Z",
      "valueProperty": "$.hours",
      "zeroRows": false
    }
    "#);
    let id = created.json()["id"].as_str().unwrap().to_owned();
    for name in ["hours", id.as_str()] {
        let shown = server.get(&key, &format!("{PATH}/{name}")).await;
        assert_eq!(shown.json(), created.json());
    }
    assert_eq!(server.get(&key, PATH).await.json(), json!([created.json()]));
    assert_eq!(server.post(&key, PATH, &sent.to_string()).await.status, 409);

    server.advance(60);
    assert_eq!(
        server.delete(&key, &format!("{PATH}/hours")).await.status,
        204
    );
    assert_eq!(server.get(&key, &format!("{PATH}/hours")).await.status, 404);
    assert_eq!(server.get(&key, PATH).await.body, "[]");
    assert_eq!(server.post(&key, PATH, &sent.to_string()).await.status, 201);
}

#[tokio::test]
async fn a_meter_that_cannot_hold_is_refused_by_field() {
    let server = TestServer::start().await;
    let key = server.key(server.root().await, Role::Operator).await;
    let base = json!({"slug": "m", "eventType": "t", "aggregation": "SUM", "valueProperty": "$.n"});
    let mut shown = String::new();
    for (field, value) in [
        ("slug", json!("not a slug")),
        ("eventType", json!("")),
        ("valueProperty", json!(null)),
        ("valueProperty", json!("$..n")),
        ("aggregation", json!("MEDIAN")),
        ("scalar", json!({"name": "X", "factor": 0})),
    ] {
        let mut sent = base.clone();
        sent[field] = value;
        let answer = server.post(&key, PATH, &sent.to_string()).await;
        shown += &format!("{} {}\n", answer.status, answer.json()["detail"]);
    }
    assert_snapshot!(fold(&shown), @r#"
    400 "slug is \"not a slug\": expected 1 to 64 letters, digits, _ and -"
    400 "eventType is empty: expected a text"
    400 "valueProperty is missing: expected a path such as $.hours"
    400 "valueProperty: \"$..n\" is not a path to one value: \"..n\" is not supported,
      expected $.name, $['name'] or $.list[0] at line 1 column 71"
    400 "aggregation: unknown variant `MEDIAN`, expected one of `SUM`, `COUNT`, `MIN`,
      `MAX`, `AVG`, `UNIQUE_COUNT`, `LATEST` at line 1 column 23"
    400 "scalar.factor is 0: expected at least 1"
    "#);
}

#[tokio::test]
async fn meters_belong_to_their_account_and_roles() {
    let server = TestServer::start().await;
    let root = server.root().await;
    let owner = server.key(root, Role::Owner).await;
    let sent = json!({"slug": "calls", "eventType": "call", "aggregation": "COUNT"}).to_string();
    assert_eq!(server.post(&owner, PATH, &sent).await.status, 201);
    let analyst = server.key(root, Role::Analyst).await;
    assert_eq!(
        server.get(&analyst, &format!("{PATH}/calls")).await.status,
        200
    );
    assert_eq!(server.post(&analyst, PATH, &sent).await.status, 403);
    assert_eq!(
        server
            .delete(&analyst, &format!("{PATH}/calls"))
            .await
            .status,
        403
    );
    assert_eq!(
        Answer::of(server.request(Method::GET, PATH)).await.status,
        401
    );

    let stranger = server.account("Elsewhere").await;
    let stranger = server.key(stranger, Role::Owner).await;
    for path in ["/calls", "/calls/query"] {
        let foreign = server.get(&stranger, &format!("{PATH}{path}")).await;
        assert_eq!(foreign.status, 404, "{path}");
    }
    assert_eq!(
        server
            .delete(&stranger, &format!("{PATH}/calls"))
            .await
            .status,
        404
    );
    assert_eq!(server.get(&stranger, PATH).await.body, "[]");
    assert_eq!(
        server.post(&stranger, PATH, &sent).await.status,
        201,
        "slugs are per account"
    );
    let below = server
        .organization("North", OrganizationKind::SubOrganization, root)
        .await;
    let below = server.key(below, Role::Analyst).await;
    assert_eq!(
        server.get(&below, &format!("{PATH}/calls")).await.status,
        200
    );
}
