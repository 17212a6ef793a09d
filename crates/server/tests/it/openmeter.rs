//! What OpenMeter's clients ask for beyond our own words: meters, queries, events, subjects.

use metadata::Role;
use reqwest::Method;
use serde_json::{Value, json};

use crate::events::event;
use crate::harness::{Answer, TestServer};

const METER: &str = "/api/v1/meters/tokens";

/// An event of a model's tokens.
fn call(id: &str, time: &str, model: Option<&str>, tokens: u64) -> Value {
    let mut call = event(id);
    call["time"] = json!(time);
    call["data"] = json!({"tokens": tokens});
    if let Some(model) = model {
        call["data"]["model"] = json!(model);
    }
    call
}

/// A server with a meter of tokens by model, and four calls.
async fn metered() -> (TestServer, String) {
    let server = TestServer::start().await;
    let key = server.key(server.root().await, Role::Owner).await;
    let meter = json!({
        "slug": "tokens", "eventType": "use", "aggregation": "SUM", "valueProperty": "$.tokens",
        "groupBy": {"model": "$.model"}, "metadata": {"team": "ml"},
    });
    let made = server
        .post(&key, "/api/v1/meters", &meter.to_string())
        .await;
    assert_eq!(made.status, 201, "{}", made.body);
    let calls = json!([
        call("a-1", "2026-06-01T10:00:30Z", Some("gpt-4"), 1),
        call("a-2", "2026-06-01T10:59:59.999Z", Some("gpt-4o"), 2),
        call("b-1", "2026-06-01T11:07:00Z", Some("claude"), 4),
        call("b-2", "2026-06-01T11:08:10Z", None, 8),
    ]);
    let taken = server
        .post(&key, "/api/v1/events", &calls.to_string())
        .await;
    assert_eq!(taken.status, 204, "{}", taken.body);
    (server, key)
}

/// The rows of a query: value, start and end.
fn rows(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.body);
    let row = |row: &Value| {
        format!(
            "{} {} {}",
            row["value"], row["windowStart"], row["windowEnd"]
        )
    };
    let json = answer.json();
    json["data"].as_array().unwrap().iter().map(row).collect()
}

async fn query(server: &TestServer, key: &str, parameters: &str) -> Answer {
    server
        .get(key, &format!("{METER}/query?{parameters}"))
        .await
}

async fn post_query(server: &TestServer, key: &str, body: &Value) -> Answer {
    server
        .post(key, &format!("{METER}/query"), &body.to_string())
        .await
}

#[tokio::test]
async fn rows_without_windows_reach_from_the_first_readings_minute_to_the_end_of_the_lasts() {
    let (server, key) = metered().await;
    let all = query(&server, &key, "").await;
    assert_eq!(
        rows(&all),
        [r#"15 "2026-06-01T10:00:00Z" "2026-06-01T11:09:00Z""#]
    );
    assert_eq!(all.json().get("windowSize"), None);
    let from = query(&server, &key, "from=2026-06-01T10:30:00Z").await;
    assert_eq!(
        rows(&from),
        [r#"14 "2026-06-01T10:30:00Z" "2026-06-01T11:09:00Z""#]
    );
    let both = query(
        &server,
        &key,
        "from=2026-06-01T00:00:00Z&to=2026-06-01T11:00:00Z",
    )
    .await;
    assert_eq!(
        rows(&both),
        [r#"3 "2026-06-01T00:00:00Z" "2026-06-01T11:00:00Z""#]
    );
    let models = query(&server, &key, "groupBy=model&to=2026-06-02T00:00:00Z").await;
    let expected = [
        r#"1 "2026-06-01T10:00:00Z" "2026-06-02T00:00:00Z""#,
        r#"2 "2026-06-01T10:59:00Z" "2026-06-02T00:00:00Z""#,
        r#"4 "2026-06-01T11:07:00Z" "2026-06-02T00:00:00Z""#,
        r#"8 "2026-06-01T11:08:00Z" "2026-06-02T00:00:00Z""#,
    ];
    assert_eq!(rows(&models), expected);
    let hours = query(&server, &key, "windowSize=hour").await;
    assert_eq!(hours.json()["windowSize"], "HOUR");
    assert_eq!(
        rows(&hours)[0],
        r#"3 "2026-06-01T10:00:00Z" "2026-06-01T11:00:00Z""#
    );
}

#[tokio::test]
async fn a_posted_query_takes_nulls_any_case_and_no_body_at_all() {
    let (server, key) = metered().await;
    let nulls = json!({
        "from": null, "to": null, "windowSize": null, "windowTimeZone": null, "subject": null,
        "groupBy": null, "filterGroupBy": null, "advancedMeterGroupByFilters": null,
        "filterCustomerId": null, "clientId": null,
    });
    assert_eq!(rows(&post_query(&server, &key, &nulls).await).len(), 1);
    let hours =
        json!({"windowSize": "Hour", "clientId": "1", "from": "2026-06-01T10:00:00.00000000001Z"});
    let hours = post_query(&server, &key, &hours).await;
    assert_eq!(
        (hours.json()["windowSize"].clone(), rows(&hours).len()),
        ("HOUR".into(), 2)
    );
    let bare = server
        .request(Method::POST, &format!("{METER}/query"))
        .bearer_auth(&key);
    let csv = Answer::of(bare.header("accept", "text/csv")).await;
    let expected = "window_start,window_end,value\n2026-06-01T10:00:00Z,2026-06-01T11:09:00Z,15\n";
    assert_eq!(csv.body, expected);
    let customer = json!({"filterCustomerId": ["c"]});
    let refused = post_query(&server, &key, &customer).await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    assert!(
        refused.body.contains("filterCustomerId"),
        "{}",
        refused.body
    );
    assert_eq!(query(&server, &key, "filterCustomerId=c").await.status, 400);
    let twice = r#"{"filterGroupBy":{"model":["gpt-4"],"model":["claude"]}}"#;
    let twice = server.post(&key, &format!("{METER}/query"), twice).await;
    assert_eq!(twice.status, 400, "{}", twice.body);
}

#[tokio::test]
async fn conditions_on_groups_keep_the_rows_that_fulfil_them() {
    let (server, key) = metered().await;
    let sum = async |condition: Value| {
        let body = json!({"advancedMeterGroupByFilters": {"model": condition}});
        let answer = post_query(&server, &key, &body).await;
        assert_eq!(answer.status, 200, "{condition}: {}", answer.body);
        answer.json()["data"][0]["value"].clone()
    };
    assert_eq!(sum(json!({"$eq": "gpt-4"})).await, 1);
    assert_eq!(sum(json!({"$in": ["gpt-4", "claude"]})).await, 5);
    assert_eq!(sum(json!({"$like": "gpt-4%"})).await, 3);
    // An absent value is an empty text, which is none of these.
    assert_eq!(sum(json!({"$ne": "gpt-4"})).await, 14);
    assert_eq!(sum(json!({"$eq": ""})).await, 8);
    let range = json!({"$and": [{"$gte": "gpt"}, {"$nilike": "%O"}]});
    assert_eq!(sum(range).await, 1);
    let parameter =
        "advancedMeterGroupByFilters=%7B%22model%22%3A%7B%22%24nin%22%3A%5B%22gpt-4%22%5D%7D%7D";
    assert_eq!(
        query(&server, &key, parameter).await.json()["data"][0]["value"],
        14
    );
    for (condition, named) in [
        (json!({"$regex": "g"}), "$regex"),
        (json!({"$gt": "a", "$lt": "b"}), "several operators"),
        (json!({}), "without operator"),
        (json!({"$in": []}), "empty list"),
    ] {
        let body = json!({"advancedMeterGroupByFilters": {"model": condition}});
        let refused = post_query(&server, &key, &body).await;
        assert_eq!(refused.status, 400, "{}", refused.body);
        assert!(refused.body.contains(named), "{}", refused.body);
    }
    let unknown = json!({"advancedMeterGroupByFilters": {"region": {"$eq": "eu"}}});
    assert_eq!(post_query(&server, &key, &unknown).await.status, 400);
    assert_eq!(
        query(&server, &key, "advancedMeterGroupByFilters=model")
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn a_meter_lists_its_subjects_and_the_values_of_its_groups() {
    let (server, key) = metered().await;
    let subjects = server.get(&key, &format!("{METER}/subjects")).await;
    assert_eq!(subjects.json(), json!(["customer-1"]));
    let none = "subjects?from=2026-06-01T11:30:00Z";
    assert_eq!(
        server.get(&key, &format!("{METER}/{none}")).await.json(),
        json!([])
    );
    let models = server
        .get(&key, &format!("{METER}/group-by/model/values"))
        .await;
    assert_eq!(models.json(), json!(["claude", "gpt-4", "gpt-4o"]));
    let late = "group-by/model/values?from=2026-06-01T11:00:00Z&to=2026-06-01T12:00:00Z";
    assert_eq!(
        server.get(&key, &format!("{METER}/{late}")).await.json(),
        json!(["claude"])
    );
    let unknown = server
        .get(&key, &format!("{METER}/group-by/region/values"))
        .await;
    assert_eq!(unknown.status, 400, "{}", unknown.body);
    assert_eq!(
        server
            .get(&key, "/api/v1/meters/none/subjects")
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn put_replaces_what_people_see_of_a_meter_and_leaves_what_it_reads() {
    let (server, key) = metered().await;
    let before = server.get(&key, METER).await.json();
    assert_eq!(before["metadata"], json!({"team": "ml"}));
    let update = json!({
        "name": "Tokens", "groupBy": {"kind": "$.model"}, "metadata": {"team": "web", "tier": 1},
        "slug": "ignored", "createdAt": "2020-01-01T00:00:00Z",
    });
    let changed = server.put(&key, METER, &update.to_string()).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    let after = server.get(&key, METER).await.json();
    assert_eq!(after, changed.json());
    for (member, value) in [
        ("name", json!("Tokens")),
        ("slug", json!("tokens")),
        ("groupBy", json!({"kind": "$.model"})),
        ("metadata", json!({"team": "web", "tier": 1})),
        ("valueProperty", before["valueProperty"].clone()),
        ("id", before["id"].clone()),
    ] {
        assert_eq!(after[member], value, "{member}");
    }
    // The groups hold for stored usage, too.
    assert_eq!(rows(&query(&server, &key, "groupBy=kind").await).len(), 4);
    let bare = server.put(&key, METER, "{}").await.json();
    assert_eq!(
        (bare["name"].clone(), bare.get("metadata")),
        (json!("tokens"), None)
    );
    let analyst = server.key(server.root().await, Role::Analyst).await;
    assert_eq!(server.put(&analyst, METER, "{}").await.status, 403);
    let large = json!({"metadata": {"text": "x".repeat(20_000)}}).to_string();
    assert_eq!(server.put(&key, METER, &large).await.status, 400);
}

#[tokio::test]
async fn a_meter_reads_from_its_event_from_on() {
    let (server, key) = metered().await;
    let meter = json!({
        "slug": "late", "eventType": "use", "aggregation": "COUNT",
        "eventFrom": "2026-06-01T11:00:00Z",
    });
    let made = server
        .post(&key, "/api/v1/meters", &meter.to_string())
        .await;
    assert_eq!(
        made.json()["eventFrom"],
        "2026-06-01T11:00:00Z",
        "{}",
        made.body
    );
    let counted = server.get(&key, "/api/v1/meters/late/query").await;
    assert_eq!(counted.json()["data"][0]["value"], 2);
    let mut both = meter;
    both["slug"] = json!("both");
    both["since"] = json!("2026-06-01T10:00:00Z");
    let refused = server.post(&key, "/api/v1/meters", &both.to_string()).await;
    assert_eq!(refused.status, 400, "{}", refused.body);
}

#[tokio::test]
async fn meters_come_by_page_and_in_the_order_asked_for() {
    let (server, key) = metered().await;
    for (slug, name) in [("a", "Zulu"), ("c", "Alpha"), ("b", "Mike")] {
        server.advance(1);
        let meter = json!({
            "slug": slug, "name": name, "eventType": "use", "aggregation": "COUNT",
        });
        let made = server
            .post(&key, "/api/v1/meters", &meter.to_string())
            .await;
        assert_eq!(made.status, 201, "{}", made.body);
    }
    assert_eq!(server.delete(&key, "/api/v1/meters/c").await.status, 204);
    server.advance(1);
    let slugs = async |query: &str| {
        let answer = server.get(&key, &format!("/api/v1/meters?{query}")).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.body);
        let meters = answer.json();
        let slug = |meter: &Value| meter["slug"].as_str().unwrap().to_owned();
        let slugs: Vec<_> = meters.as_array().unwrap().iter().map(slug).collect();
        slugs.join(" ")
    };
    assert_eq!(slugs("page=1").await, "tokens a b");
    assert_eq!(slugs("orderBy=key&order=DESC").await, "tokens b a");
    assert_eq!(
        slugs("orderBy=name&includeDeleted=true").await,
        "c b a tokens"
    );
    assert_eq!(slugs("orderBy=key&pageSize=2").await, "a b");
    assert_eq!(slugs("orderBy=key&pageSize=2&page=2").await, "tokens");
    assert_eq!(slugs("orderBy=key&page=9").await, "");
    // Equal ones come by id, which is random.
    let by_aggregation = slugs("orderBy=aggregation&order=desc").await;
    assert!(
        ["tokens a b", "tokens b a"].contains(&by_aggregation.as_str()),
        "{by_aggregation}"
    );
    let deleted = server.get(&key, "/api/v1/meters?includeDeleted=true").await;
    let deleted = deleted.json();
    let archived = deleted
        .as_array()
        .unwrap()
        .iter()
        .find(|meter| meter["slug"] == "c");
    assert!(archived.unwrap()["deletedAt"].is_string(), "{deleted}");
    for bad in [
        "page=0",
        "pageSize=0",
        "pageSize=1001",
        "order=UP",
        "orderBy=slug",
        "page=1&limit=2",
    ] {
        let refused = server.get(&key, &format!("/api/v1/meters?{bad}")).await;
        assert_eq!(refused.status, 400, "{bad}: {}", refused.body);
    }
}

#[tokio::test]
async fn events_of_all_time_come_page_by_page_and_by_conditions() {
    let (server, key) = metered().await;
    let listed = async |query: &str| {
        let answer = server.get(&key, &format!("/api/v2/events?{query}")).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.body);
        let page = answer.json();
        let id = |item: &Value| item["event"]["id"].as_str().unwrap().to_owned();
        let ids: Vec<_> = page["items"].as_array().unwrap().iter().map(id).collect();
        (
            ids.join(" "),
            page["nextCursor"].as_str().map(str::to_owned),
        )
    };
    assert_eq!(listed("clientId=x").await, ("b-2 b-1 a-2 a-1".into(), None));
    let (first, next) = listed("limit=3").await;
    assert_eq!(first, "b-2 b-1 a-2");
    let next = next.unwrap();
    assert_eq!(
        listed(&format!("limit=3&cursor={next}")).await,
        ("a-1".into(), None)
    );
    let filtered = async |filter: Value| {
        let text: String =
            url::form_urlencoded::byte_serialize(filter.to_string().as_bytes()).collect();
        listed(&format!("filter={text}")).await.0
    };
    assert_eq!(filtered(json!({"id": {"$like": "a-%"}})).await, "a-2 a-1");
    let one = json!({"id": {"$in": ["a-1", "b-1"]}, "time": {"$gt": "2026-06-01T10:00:30Z"}});
    assert_eq!(filtered(one).await, "b-1");
    assert_eq!(filtered(json!({"type": {"$ne": "use"}})).await, "");
    let all = json!({"source": {"$eq": "test"}, "subject": {"$eq": "customer-1"}, "type": null});
    assert_eq!(filtered(all).await, "b-2 b-1 a-2 a-1");
    assert_eq!(
        filtered(json!({"ingestedAt": {"$gt": "2026-06-01T12:00:00Z"}})).await,
        ""
    );
    for bad in [
        "filter=%7B%22customerId%22%3A%7B%22%24in%22%3A%5B%22c%22%5D%7D%7D",
        "filter=%7B%22data%22%3A%7B%22%24eq%22%3A%22c%22%7D%7D",
        "filter=%7B%22time%22%3A%7B%22%24eq%22%3A%222026-06-01T12%3A00%3A00Z%22%7D%7D",
        "cursor=abc",
        "limit=0",
        "from=2026-06-01T10:00:00Z",
    ] {
        let refused = server.get(&key, &format!("/api/v2/events?{bad}")).await;
        assert_eq!(refused.status, 400, "{bad}: {}", refused.body);
    }
    let stranger = server.key(server.account("Other").await, Role::Owner).await;
    let page = server
        .get(&stranger, &format!("/api/v2/events?cursor={next}"))
        .await;
    assert_eq!(page.json(), json!({"items": []}));
}

#[tokio::test]
async fn events_are_found_by_a_part_of_their_id_and_by_receipt() {
    let (server, key) = metered().await;
    let count = async |query: &str| {
        let answer = server.get(&key, &format!("/api/v1/events?{query}")).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.body);
        answer.json().as_array().unwrap().len()
    };
    assert_eq!(count("id=a-&clientId=x").await, 2);
    assert_eq!(count("id=b-1").await, 1);
    assert_eq!(count("ingestedAtFrom=2026-06-01T12:00:00Z").await, 4);
    assert_eq!(count("ingestedAtTo=2026-06-01T12:00:00Z").await, 0);
    let wrong = "ingestedAtFrom=2026-06-02T12:00:00Z&ingestedAtTo=2026-06-01T12:00:00Z";
    let refused = server.get(&key, &format!("/api/v1/events?{wrong}")).await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    let before = server
        .get(&key, "/api/v1/events?to=2026-05-01T00:00:00Z")
        .await;
    assert_eq!(before.status, 400, "{}", before.body);
}

#[tokio::test]
async fn an_event_shows_the_error_of_one_meter_even_when_another_reads_it() {
    let (server, key) = metered().await;
    let meter = json!({
        "slug": "seconds", "eventType": "use", "aggregation": "SUM", "valueProperty": "$.seconds",
    });
    let made = server
        .post(&key, "/api/v1/meters", &meter.to_string())
        .await;
    assert_eq!(made.status, 201, "{}", made.body);
    let failed = server
        .get(&key, "/api/v1/events?hasError=true&id=a-1")
        .await
        .json();
    let expected = "meter seconds: nothing at $.seconds: expected a value";
    assert_eq!(failed[0]["validationError"], expected);
    // The other meter counts it all the same.
    assert_eq!(
        query(&server, &key, "").await.json()["data"][0]["value"],
        15
    );
}

#[tokio::test]
async fn subjects_keep_the_metadata_of_their_clients() {
    let server = TestServer::start().await;
    let key = server.key(server.root().await, Role::Owner).await;
    let put = async |body: Value| {
        let answer = server
            .post(&key, "/api/v1/subjects", &body.to_string())
            .await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()[0]["metadata"].clone()
    };
    let noted = json!({"hubspotId": "123456", "tags": ["a"]});
    let body =
        json!([{"key": "ann", "displayName": "Ann", "metadata": noted, "stripeCustomerId": "x"}]);
    assert_eq!(put(body).await, noted);
    assert_eq!(put(json!([{"key": "ann"}])).await, noted);
    let ann = server.get(&key, "/api/v1/subjects/ann").await.json();
    assert_eq!((&ann["id"], &ann["metadata"]), (&json!("ann"), &noted));
    assert_eq!(
        put(json!([{"key": "ann", "metadata": null}])).await,
        Value::Null
    );
    assert_eq!(
        server.delete(&key, "/api/v1/subjects/ann").await.status,
        204
    );
    assert_eq!(server.get(&key, "/api/v1/subjects/ann").await.status, 404);
}

#[tokio::test]
async fn an_organization_in_another_case_is_refused_and_charged_to_nobody() {
    let (server, key) = metered().await;
    let mut sent = call("c", "2026-06-01T11:00:00Z", None, 100);
    sent["Organization"] = json!("child");
    let refused = server.post(&key, "/api/v1/events", &sent.to_string()).await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    assert!(refused.body.contains("Organization"), "{}", refused.body);
    let mut packed = event("d");
    packed["data"] = Value::Null;
    packed["data_base64"] = json!("eyJ0b2tlbnMiOjE2fQ==");
    packed["time"] = json!("2026-06-01T11:00:00.12345678901234567890Z");
    let taken = server
        .post(&key, "/api/v1/events", &packed.to_string())
        .await;
    assert_eq!(taken.status, 204, "{}", taken.body);
    assert_eq!(
        query(&server, &key, "").await.json()["data"][0]["value"],
        31
    );
}
