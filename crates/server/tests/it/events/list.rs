//! `GET /api/v1/events`.

use domain::tree::OrganizationKind;
use metadata::Role;
use reqwest::Method;
use serde_json::{Value, json};

use super::{PATH, event};
use crate::harness::{Answer, TestServer};

fn ids(answer: &Answer) -> Vec<String> {
    let list = answer.json();
    let id = |item: &Value| item["event"]["id"].as_str().unwrap().to_owned();
    list.as_array().unwrap().iter().map(id).collect()
}

async fn stocked() -> (TestServer, String) {
    let server = TestServer::start().await;
    let key = server.key(server.root().await, Role::Owner).await;
    let meter = json!({"slug": "hours", "eventType": "use", "aggregation": "SUM",
        "valueProperty": "$.hours"});
    assert_eq!(
        server
            .post(&key, "/api/v1/meters", &meter.to_string())
            .await
            .status,
        201
    );
    let mut old = event("old");
    old["time"] = json!("2026-05-28T00:00:00Z");
    let mut other = event("other");
    other["subject"] = json!("customer-2");
    other["time"] = json!("2026-06-01T10:00:00Z");
    let mut misfit = event("misfit");
    misfit["data"] = json!({"hours": "NaN"});
    misfit["time"] = json!("2026-06-01T11:30:00Z");
    let body = json!([old, other, event("first"), misfit]).to_string();
    assert_eq!(server.post(&key, PATH, &body).await.status, 204);
    (server, key)
}

#[tokio::test]
async fn the_newest_come_first_and_filters_narrow_them() {
    let (server, key) = stocked().await;
    let listed = async |query: &str| ids(&server.get(&key, &format!("{PATH}{query}")).await);
    assert_eq!(listed("").await, ["misfit", "first", "other"]);
    assert_eq!(listed("?limit=1").await, ["misfit"]);
    assert_eq!(listed("?subject=customer-2").await, ["other"]);
    assert_eq!(listed("?subject=customer-2&subject=x").await, ["other"]);
    assert_eq!(listed("?hasError=true").await, ["misfit"]);
    assert_eq!(listed("?hasError=false").await, ["first", "other"]);
    assert_eq!(
        listed("?from=2026-05-01T00:00:00Z&to=2026-06-01T11:00:00Z").await,
        ["other", "old"]
    );
    let misfit = server.get(&key, &format!("{PATH}?limit=1")).await.json();
    assert_eq!(
        misfit[0]["validationError"],
        "meter hours: $.hours holds \"NaN\": expected a decimal number below 10^24"
    );
}

#[tokio::test]
async fn parameters_that_cannot_hold_are_refused_by_name() {
    let (server, key) = stocked().await;
    for query in [
        "limit=0",
        "limit=1001",
        "limit=x",
        "from=yesterday",
        "hasError=maybe",
    ] {
        let answer = server.get(&key, &format!("{PATH}?{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
        let name = query.split('=').next().unwrap();
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.starts_with(name), "{detail}");
    }
    let open = Answer::of(server.request(Method::GET, PATH)).await;
    assert_eq!(open.status, 401);
}

#[tokio::test]
async fn another_organizations_events_look_as_if_there_were_none() {
    let (server, _) = stocked().await;
    let root = server.root().await;
    let below = server
        .organization("North", OrganizationKind::SubOrganization, root)
        .await;
    let key = server.key(below, Role::Owner).await;
    assert_eq!(server.get(&key, PATH).await.body, "[]");
    let foreign = server
        .get(&key, &format!("{PATH}?organization={root}"))
        .await;
    let unknown = server
        .get(&key, &format!("{PATH}?organization=nowhere"))
        .await;
    assert_eq!(foreign.status, 404);
    assert_eq!(foreign.json()["detail"], unknown.json()["detail"]);
}
