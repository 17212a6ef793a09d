//! `/api/v1/meters/{meterIdOrSlug}/query`.

use domain::tree::OrganizationKind;
use insta::assert_snapshot;
use metadata::Role;
use reqwest::Method;
use serde_json::{Value, json};

use super::PATH;
use crate::events::event;
use crate::harness::{Answer, TestServer};

/// A server with one meter of each aggregation, named after it in small letters.
async fn metered() -> (TestServer, String) {
    let server = TestServer::start().await;
    let key = server.key(server.root().await, Role::Owner).await;
    for aggregation in [
        "SUM",
        "COUNT",
        "MIN",
        "MAX",
        "AVG",
        "UNIQUE_COUNT",
        "LATEST",
    ] {
        let meter = json!({
            "slug": aggregation.to_lowercase(), "eventType": "use", "aggregation": aggregation,
            "valueProperty": "$.hours", "groupBy": {"region": "$.region"},
        });
        assert_eq!(
            server.post(&key, PATH, &meter.to_string()).await.status,
            201
        );
    }
    (server, key)
}

/// Posts events given as (time, subject, region, hours).
async fn post(server: &TestServer, key: &str, rows: &[(&str, &str, &str, &str)]) {
    let events: Vec<Value> = (0..)
        .zip(rows)
        .map(|(number, (time, subject, region, hours))| {
            let mut event = event(&format!("{time} {number}"));
            event["time"] = json!(time);
            event["subject"] = json!(subject);
            event["data"] = json!({"hours": hours, "region": region});
            event
        })
        .collect();
    let answer = server
        .post(key, "/api/v1/events", &json!(events).to_string())
        .await;
    assert_eq!(answer.status, 204, "{}", answer.body);
}

async fn csv(server: &TestServer, key: &str, query: &str) -> String {
    let request = server
        .request(Method::GET, &format!("{PATH}/{query}"))
        .bearer_auth(key);
    let answer = Answer::of(request.header("accept", "text/csv")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

#[tokio::test]
async fn a_tenth_ten_times_is_one() {
    let (server, key) = metered().await;
    let rows = [("2026-06-01T10:00:00Z", "s", "r", "0.1"); 10];
    post(&server, &key, &rows).await;
    let answer = server.get(&key, &format!("{PATH}/sum/query")).await;
    assert_snapshot!(answer.show(), @r#"
    200 application/json
    {
      "data": [
        {
          "groupBy": {},
          "subject": null,
          "value": 1,
          "windowEnd": "2026-06-01T10:01:00Z",
          "windowStart": "2026-06-01T10:00:00Z"
        }
      ]
    }
    "#);
}

#[tokio::test]
async fn each_aggregation_gives_its_number_with_all_its_digits() {
    let (server, key) = metered().await;
    let rows = [
        (
            "2026-06-01T10:00:00Z",
            "s",
            "r",
            "123456789012345678.000000000001",
        ),
        ("2026-06-01T10:30:00Z", "s", "r", "-2"),
        ("2026-06-01T10:20:00Z", "s", "r", "-2.0"),
    ];
    post(&server, &key, &rows).await;
    let mut shown = String::new();
    for meter in [
        "sum",
        "count",
        "min",
        "max",
        "avg",
        "unique_count",
        "latest",
    ] {
        let answer = server.get(&key, &format!("{PATH}/{meter}/query")).await;
        shown += &format!("{meter} {}\n", answer.json()["data"][0]["value"]);
    }
    assert_snapshot!(shown, @"
    sum 123456789012345674.000000000001
    count 3
    min -2
    max 123456789012345678.000000000001
    avg 41152263004115224.666666666667
    unique_count 3
    latest -2
    ");
}

#[tokio::test]
async fn windows_follow_the_clock_of_their_zone_across_its_changes() {
    let (server, key) = metered().await;
    let rows = [
        ("2026-03-28T22:59:59Z", "s", "r", "1"),
        ("2026-03-28T23:00:00Z", "s", "r", "2"),
        ("2026-03-29T21:59:59Z", "s", "r", "4"),
        ("2026-03-29T22:00:00Z", "s", "r", "8"),
        ("2025-10-26T00:30:00Z", "s", "r", "16"),
        ("2025-10-26T01:30:00Z", "s", "r", "32"),
    ];
    post(&server, &key, &rows).await;
    let days = "sum/query?windowSize=DAY&windowTimeZone=Europe/Paris";
    assert_snapshot!(csv(&server, &key, days).await, @"
    window_start,window_end,value
    2025-10-25T22:00:00Z,2025-10-26T23:00:00Z,48
    2026-03-27T23:00:00Z,2026-03-28T23:00:00Z,1
    2026-03-28T23:00:00Z,2026-03-29T22:00:00Z,6
    2026-03-29T22:00:00Z,2026-03-30T22:00:00Z,8
    ");
    let hours = "sum/query?windowSize=HOUR&windowTimeZone=Europe/Paris&to=2025-12-01T00:00:00Z";
    assert_snapshot!(csv(&server, &key, hours).await, @"
    window_start,window_end,value
    2025-10-26T00:00:00Z,2025-10-26T01:00:00Z,16
    2025-10-26T01:00:00Z,2025-10-26T02:00:00Z,32
    ");
    let months = "sum/query?windowSize=MONTH&windowTimeZone=Europe/Paris";
    assert_snapshot!(csv(&server, &key, months).await, @"
    window_start,window_end,value
    2025-09-30T22:00:00Z,2025-10-31T23:00:00Z,48
    2026-02-28T23:00:00Z,2026-03-31T22:00:00Z,15
    ");
}

#[tokio::test]
async fn an_hour_that_half_an_hour_cuts_is_a_window_of_thirty_minutes() {
    let (server, key) = metered().await;
    let rows = [
        ("2025-10-04T15:29:59Z", "s", "r", "1"),
        ("2025-10-04T15:30:00Z", "s", "r", "2"),
        ("2025-10-04T16:00:00Z", "s", "r", "4"),
        ("2026-04-04T14:59:59Z", "s", "r", "8"),
        ("2026-04-04T15:00:00Z", "s", "r", "16"),
        ("2026-04-04T15:30:00Z", "s", "r", "32"),
    ];
    post(&server, &key, &rows).await;
    let hours = "sum/query?windowSize=HOUR&windowTimeZone=Australia/Lord_Howe";
    assert_snapshot!(csv(&server, &key, hours).await, @"
    window_start,window_end,value
    2025-10-04T14:30:00Z,2025-10-04T15:30:00Z,1
    2025-10-04T15:30:00Z,2025-10-04T16:00:00Z,2
    2025-10-04T16:00:00Z,2025-10-04T17:00:00Z,4
    2026-04-04T14:00:00Z,2026-04-04T15:00:00Z,8
    2026-04-04T15:00:00Z,2026-04-04T15:30:00Z,16
    2026-04-04T15:30:00Z,2026-04-04T16:30:00Z,32
    ");
}

#[tokio::test]
async fn of_events_of_one_instant_the_last_accepted_is_the_latest() {
    let (server, key) = metered().await;
    let tied = "2026-06-01T10:00:00Z";
    post(
        &server,
        &key,
        &[(tied, "s", "r", "7"), (tied, "s", "r", "3")],
    )
    .await;
    let latest = format!("{PATH}/latest/query");
    let value = async || server.get(&key, &latest).await.json()["data"][0]["value"].clone();
    assert_eq!(value().await, 3);
    // Ids of events are their time and place, so the third of a body is another than those before.
    let rows = [
        ("2026-06-01T09:59:58Z", "s", "r", "9"),
        ("2026-06-01T09:59:59Z", "s", "r", "8"),
        (tied, "s", "late", "5"),
    ];
    post(&server, &key, &rows).await;
    assert_eq!(value().await, 5);
}

#[tokio::test]
async fn groups_and_filters_tell_usage_apart() {
    let (server, key) = metered().await;
    let rows = [
        ("2026-06-01T10:00:00Z", "a", "north", "1"),
        ("2026-06-01T10:01:00Z", "a", "south", "2"),
        ("2026-06-01T11:00:00Z", "b", "north", "4"),
        ("2026-06-01T11:00:01Z", "c", "north", "8"),
    ];
    post(&server, &key, &rows).await;
    let shown = async |query: &str| csv(&server, &key, &format!("sum/query?{query}")).await;
    assert_snapshot!(shown("groupBy=region&groupBy=subject&windowSize=HOUR").await, @"
    window_start,window_end,region,subject,value
    2026-06-01T10:00:00Z,2026-06-01T11:00:00Z,north,a,1
    2026-06-01T10:00:00Z,2026-06-01T11:00:00Z,south,a,2
    2026-06-01T11:00:00Z,2026-06-01T12:00:00Z,north,b,4
    2026-06-01T11:00:00Z,2026-06-01T12:00:00Z,north,c,8
    ");
    assert_snapshot!(shown("subject=a&subject=b").await, @"
    window_start,window_end,subject,value
    2026-06-01T10:00:00Z,2026-06-01T10:02:00Z,a,3
    2026-06-01T11:00:00Z,2026-06-01T11:01:00Z,b,4
    ");
    assert_snapshot!(shown("filterGroupBy[region]=north&from=2026-06-01T11:00:00Z").await, @"
    window_start,window_end,value
    2026-06-01T11:00:00Z,2026-06-01T11:01:00Z,12
    ");
    let body = json!({"subject": ["a"], "groupBy": ["region"], "windowSize": "DAY"}).to_string();
    let posted = server.post(&key, &format!("{PATH}/sum/query"), &body).await;
    assert_snapshot!(posted.show(), @r#"
    200 application/json
    {
      "data": [
        {
          "groupBy": {
            "region": "north"
          },
          "subject": "a",
          "value": 1,
          "windowEnd": "2026-06-02T00:00:00Z",
          "windowStart": "2026-06-01T00:00:00Z"
        },
        {
          "groupBy": {
            "region": "south"
          },
          "subject": "a",
          "value": 2,
          "windowEnd": "2026-06-02T00:00:00Z",
          "windowStart": "2026-06-01T00:00:00Z"
        }
      ],
      "windowSize": "DAY"
    }
    "#);
}

#[tokio::test]
async fn nothing_to_count_is_zero_without_a_window_and_no_row_with_one() {
    let (server, key) = metered().await;
    let data = async |query: &str| {
        let answer = server.get(&key, &format!("{PATH}/{query}")).await;
        answer.json()["data"].take()
    };
    assert_eq!(data("sum/query?windowSize=DAY").await, json!([]));
    assert_eq!(data("sum/query?groupBy=region").await, json!([]));
    assert_eq!(data("sum/query").await[0]["value"], json!(0));
    assert_eq!(
        data("max/query").await,
        json!([]),
        "there is no largest of none"
    );
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_by_name() {
    let (server, key) = metered().await;
    let mut shown = String::new();
    for query in [
        "windowSize=WEEK",
        "windowSize=DAY&windowTimeZone=Mars",
        "groupBy=colour",
        "filterGroupBy[colour]=red",
        "from=now",
        "organization=nowhere",
    ] {
        let answer = server.get(&key, &format!("{PATH}/sum/query?{query}")).await;
        shown += &format!("{} {}\n", answer.status, answer.json()["detail"]);
    }
    assert_snapshot!(shown, @r#"
    400 "windowSize is \"WEEK\": expected MINUTE, HOUR, DAY or MONTH"
    400 "windowTimeZone is \"Mars\": expected a name such as Europe/Paris"
    400 "no group \"colour\": expected subject, organization or one of [\"region\"]"
    400 "no group \"colour\": expected subject, organization or one of [\"region\"]"
    400 "from is \"now\": expected an RFC 3339 instant such as 2026-01-31T12:00:00Z"
    404 "no such organization"
    "#);
}

#[tokio::test]
async fn a_parent_sees_the_sum_and_each_organization_its_own() {
    let (server, key) = metered().await;
    let root = server.root().await;
    let kind = OrganizationKind::SubOrganization;
    let north = server.organization("North", kind, root).await;
    let south = server.organization("South", kind, root).await;
    for (organization, hours) in [(north, "1"), (south, "2"), (root, "4")] {
        let key = server.key(organization, Role::Owner).await;
        post(&server, &key, &[("2026-06-01T10:00:00Z", "s", "r", hours)]).await;
    }
    let value = async |key: &str, query: &str| {
        let answer = server.get(key, &format!("{PATH}/sum/query{query}")).await;
        answer.json()["data"][0]["value"].to_string()
    };
    assert_eq!(value(&key, "").await, "7");
    assert_eq!(value(&key, "?organization=north").await, "1");
    let south = server.key(south, Role::Analyst).await;
    assert_eq!(value(&south, "").await, "2");
    let foreign = server
        .get(&south, &format!("{PATH}/sum/query?organization=north"))
        .await;
    assert_eq!(foreign.status, 404);
}

#[tokio::test]
async fn texts_that_spreadsheets_run_get_an_apostrophe_where_csv_is_to_be_safe() {
    let (server, key) = metered().await;
    let rows = [
        ("2026-06-01T10:00:00Z", "=s", "@r", "-2"),
        ("2026-06-01T10:00:00Z", "s", "\tr", "3"),
    ];
    post(&server, &key, &rows).await;
    let query = "sum/query?groupBy=subject&groupBy=region";
    let plain = csv(&server, &key, query).await;
    assert!(plain.contains(",=s,@r,-2\n"), "{plain}");
    assert!(plain.contains(",s,\tr,3\n"), "{plain}");
    let safe = csv(&server, &key, &format!("{query}&csvSafe=true")).await;
    assert!(safe.contains(",'=s,'@r,-2\n"), "{safe}");
    assert!(safe.contains(",s,'\tr,3\n"), "{safe}");
    let path = format!("{PATH}/{query}&csvSafe=true");
    let refused = server.get(&key, &path).await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    let expected = "csvSafe is true: expected false, or Accept: text/csv";
    assert_eq!(refused.json()["detail"], expected);
    let body = json!({"csvSafe": true}).to_string();
    let refused = server.post(&key, &format!("{PATH}/sum/query"), &body).await;
    assert_eq!(refused.status, 400, "{}", refused.body);
}
