//! Query parameters, bodies and `Accept` of every route of ours: each counts or is refused by name.

use insta::assert_snapshot;
use metadata::Role;
use reqwest::Method;
use serde_json::{Value, json};

use crate::events::event;
use crate::harness::{Answer, TestServer, fold};

/// Methods and paths of `/api/v1` and `/api/v2` in the document, with text for what they name.
fn routes() -> Vec<(Method, String, Value)> {
    let document = serde_json::to_value(server::api::document()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let ours = paths.iter().filter(|(path, _)| path.starts_with("/api/"));
    let mut routes = Vec::new();
    for (path, item) in ours {
        for (method, operation) in item.as_object().unwrap() {
            let method: Method = method.to_ascii_uppercase().parse().unwrap();
            let path = path.replace(['{', '}'], "");
            routes.push((method, path, operation["parameters"].clone()));
        }
    }
    routes
}

#[tokio::test]
async fn every_route_refuses_an_unknown_parameter_by_name() {
    let server = TestServer::start().await;
    let key = server.key(server.root().await, Role::Owner).await;
    let routes = routes();
    assert!(routes.len() > 50, "{} routes", routes.len());
    for (method, path, _) in routes {
        let request = server.request(method.clone(), &format!("{path}?no_such=1"));
        let request = request.bearer_auth(&key);
        let refused = Answer::of(request.header("content-type", "application/json")).await;
        let told = refused.json()["detail"].as_str().unwrap().to_owned();
        assert_eq!(refused.status, 400, "{method} {path}: {told}");
        let named = "unknown parameter \"no_such\": expected ";
        assert!(told.starts_with(named), "{method} {path}: {told}");
    }
}

#[tokio::test]
async fn every_parameter_that_may_stand_once_is_refused_when_it_is_repeated() {
    let server = TestServer::start().await;
    let key = server.key(server.root().await, Role::Owner).await;
    let mut checked = 0;
    for (method, path, parameters) in routes() {
        let parameters = parameters.as_array().cloned().unwrap_or_default();
        for parameter in parameters.iter().filter(|one| one["in"] == "query") {
            let types = parameter["schema"]["type"].to_string();
            if types.contains("array") || types.contains("object") {
                continue;
            }
            let name = parameter["name"].as_str().unwrap();
            let twice = format!("{path}?{name}=1&{name}=1");
            let request = server.request(method.clone(), &twice).bearer_auth(&key);
            let refused = Answer::of(request).await;
            let detail = format!("{name} is there more than once: expected it once");
            assert_eq!(refused.json()["detail"], detail, "{method} {path}");
            checked += 1;
        }
    }
    assert!(checked > 30, "{checked} parameters");
}

#[tokio::test]
async fn parameters_that_cannot_be_meant_never_give_the_whole_sum() {
    let (server, key) = metered().await;
    let mut shown = String::new();
    for query in [
        "filterGroupBy=%7B'model':'claude'%7D",
        "filterGroupBy[model",
        "filterGroupBy[]=claude",
        "filterGroupBy[region]=eu",
        "subjects=ann",
        "subject=",
        "subject=%FE",
        "from=2026-06-02T00:00:00Z&to=2026-06-01T00:00:00Z",
        "from=2026-06-01T00:00:00Z&to=2026-06-01T00:00:00Z",
        "from=",
        "windowSize=",
        "csvSafe=yes",
        "groupBy=",
    ] {
        let refused = server
            .get(&key, &format!("/api/v1/meters/sum/query?{query}"))
            .await;
        assert_eq!(refused.status, 400, "{query}: {}", refused.body);
        shown += &(fold(refused.json()["detail"].as_str().unwrap()) + "\n");
    }
    assert_snapshot!(shown, @r#"
    filterGroupBy is no parameter: expected filterGroupBy[NAME]=VALUE
    filterGroupBy[model is no parameter: expected filterGroupBy[NAME]=VALUE
    filterGroupBy[] is no parameter: expected filterGroupBy[NAME]=VALUE
    no group "region": expected subject, organization or one of ["model"]
    unknown parameter "subjects": expected advancedMeterGroupByFilters, clientId,
      csvSafe, filterGroupBy, from, groupBy, organization, subject, to, windowSize,
      windowTimeZone
    subject is empty: expected a text, or no subject
    subject is "%FE" in the URL: expected escapes that make UTF-8
    from is 2026-06-02T00:00:00Z and to is 2026-06-01T00:00:00Z: expected from before
      to
    from is 2026-06-01T00:00:00Z and to is 2026-06-01T00:00:00Z: expected from before
      to
    from is "": expected an RFC 3339 instant such as 2026-01-31T12:00:00Z
    windowSize is "": expected MINUTE, HOUR, DAY or MONTH
    csvSafe is "yes": expected true or false
    groupBy is empty: expected a text, or no groupBy
    "#);
}

#[tokio::test]
async fn a_parameter_of_openmeter_clients_that_says_nothing_to_us_is_taken() {
    let (server, key) = metered().await;
    let path = "/api/v1/meters/sum/query?clientId=dashboard-1";
    assert_eq!(server.get(&key, path).await.json()["data"][0]["value"], 3);
}

#[tokio::test]
async fn members_that_a_body_of_a_query_or_an_export_lacks_are_refused_by_name() {
    let (server, key) = metered().await;
    let january = json!({"kind": "SUMMARY", "from": "2026-01-01", "to": "2026-02-01"});
    for (path, mut body) in [
        ("/api/v1/meters/sum/query", json!({})),
        ("/api/v1/exports", january.clone()),
        (
            "/api/v1/export-schedules",
            json!({"kind": "SUMMARY", "every": "daily"}),
        ),
    ] {
        body["subjekt"] = json!(["ann"]);
        let refused = server.post(&key, path, &body.to_string()).await;
        let told = refused.json()["detail"].as_str().unwrap().to_owned();
        assert_eq!(refused.status, 400, "{path}: {told}");
        assert!(told.contains("unknown field `subjekt`"), "{path}: {told}");
    }
    let ordered = r#"{"from":"2026-06-02T00:00:00Z","to":"2026-06-01T00:00:00Z"}"#;
    let refused = server.post(&key, "/api/v1/meters/sum/query", ordered).await;
    assert_eq!(refused.status, 400, "{}", refused.body);
}

#[tokio::test]
async fn the_media_type_that_the_client_weighs_most_is_given() {
    let (server, key) = metered().await;
    let media = async |accept: &str| {
        let request = server.request(Method::GET, "/api/v1/meters/sum/query");
        let request = request.bearer_auth(&key).header("accept", accept);
        let answer = Answer::of(request).await;
        format!("{} {}", answer.status, answer.header("content-type"))
    };
    let csv = "200 text/csv; charset=utf-8";
    assert_eq!(media("application/json;q=0.1, text/csv").await, csv);
    assert_eq!(media("text/csv;q=0.1, application/json;q=0.05").await, csv);
    assert_eq!(media("text/*").await, csv);
    assert_eq!(media("text/csv;q=0, */*").await, "200 application/json");
    let refused = media("text/html, text/csv;q=0").await;
    assert_eq!(refused, "406 application/problem+json");
    assert_eq!(
        media("text/csv;q=high").await,
        "400 application/problem+json"
    );
}

#[tokio::test]
async fn an_optional_body_that_is_there_counts() {
    let server = TestServer::start().await;
    let key = server.key(server.root().await, Role::Owner).await;
    let path = server.get(&key, "/api/v1/keys").await.json()["items"][0]["id"].clone();
    let path = format!("/api/v1/keys/{}/rotate", path.as_str().unwrap());
    let request = server.request(Method::POST, &path).bearer_auth(&key);
    let refused = Answer::of(request.body("{\"overlap\":60}")).await;
    assert_eq!(refused.status, 415, "{}", refused.body);
    let made = server.post(&key, &path, "").await;
    assert_eq!(made.status, 201, "{}", made.body);
}

/// A server with a meter whose sum is 3.
async fn metered() -> (TestServer, String) {
    let server = TestServer::start().await;
    let key = server.key(server.root().await, Role::Owner).await;
    let meter = json!({
        "slug": "sum", "eventType": "use", "aggregation": "SUM", "valueProperty": "$.hours",
        "groupBy": {"model": "$.model"},
    });
    let made = server
        .post(&key, "/api/v1/meters", &meter.to_string())
        .await;
    assert_eq!(made.status, 201, "{}", made.body);
    let mut used = event("1");
    used["data"] = json!({"hours": 3, "model": "claude"});
    let taken = server.post(&key, "/api/v1/events", &used.to_string()).await;
    assert_eq!(taken.status, 204, "{}", taken.body);
    (server, key)
}
