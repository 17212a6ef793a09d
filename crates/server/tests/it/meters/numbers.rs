//! Numbers as values: what is counted, grouped by and filtered.

use metadata::Role;
use serde_json::{Value, json};

use super::PATH;
use crate::harness::TestServer;
use crate::upgrade::values;

/// A server whose meters read these values, one event each, of a text or a number.
async fn measured(sent: &[&str]) -> (TestServer, String) {
    let server = TestServer::start().await;
    let key = server.key(server.root().await, Role::Owner).await;
    let group_by = json!({"v": "$.v"});
    for meter in [
        json!({
            "slug": "unique", "eventType": "use", "aggregation": "UNIQUE_COUNT",
            "valueProperty": "$.v", "groupBy": group_by,
        }),
        json!({
            "slug": "events", "eventType": "use", "aggregation": "COUNT", "groupBy": group_by,
        }),
        json!({
            "slug": "filtered", "eventType": "use", "aggregation": "COUNT", "groupBy": group_by,
            "filters": [{"path": "$.v", "values": ["42", "3.10", "0"]}],
        }),
    ] {
        let declared = server.post(&key, PATH, &meter.to_string()).await;
        assert_eq!(declared.status, 201, "{}", declared.body);
    }
    let events = (0..).zip(sent).map(|(number, value)| {
        format!(
            r#"{{"specversion":"1.0","id":"{number}","source":"s","type":"use","subject":"s",
            "time":"2026-06-01T11:00:00Z","data":{{"v":{value}}}}}"#
        )
    });
    let events = format!("[{}]", events.collect::<Vec<_>>().join(","));
    let stored = server.post(&key, "/api/v1/events", &events).await;
    assert_eq!(stored.status, 204, "{}", stored.body);
    (server, key)
}

#[tokio::test]
async fn a_number_counts_by_value_and_a_text_byte_for_byte() {
    let sent = [
        "42", "42.0", "4.2e1", "\"42\"", "-0", "0.0", "\"3.10\"", "\"3.1\"", "\"007\"", "\"7\"",
        "3.10", "1e0", "\"1e+0\"", "true",
    ];
    let (server, key) = measured(&sent).await;
    let groups = "0=2, 007=1, 1=1, 1e+0=1, 3.1=2, 3.10=1, 42=4, 7=1, true=1";
    let check = async |server: &TestServer| {
        let values = async |query: &str| values(server, &key, query).await;
        assert_eq!(values("unique/query").await, "=9");
        assert_eq!(values("events/query?groupBy=v").await, groups);
        // Of a declared filter, too, a number counts by value: 3.10 was sent as one.
        let filtered = values("filtered/query?groupBy=v").await;
        assert_eq!(filtered, "0=2, 3.1=1, 3.10=1, 42=4");
        for (value, expected) in [
            ("42", "42=4"),
            ("3.1", "3.1=2"),
            ("3.10", "3.10=1"),
            ("007", "007=1"),
            ("42.0", ""),
        ] {
            let query = format!("events/query?groupBy=v&filterGroupBy[v]={value}");
            assert_eq!(values(&query).await, expected, "{value}");
        }
    };
    check(&server).await;
    // From a segment they read the same as from the journal.
    let server = server.restart(|_| ()).await;
    check(&server).await;
}

#[tokio::test]
async fn numbers_of_any_size_are_neither_merged_nor_rounded_nor_written_out_without_end() {
    let forty = "1234567890123456789012345678901234567890";
    let (next, whole) = (format!("{}1", &forty[..39]), format!("{forty}.000"));
    let far = format!("1e{}", "9".repeat(30));
    let sent = [
        forty, &next, &whole, "1e400", "10e399", "1e401", &far, "5e-324", "0.5E-323",
    ];
    let (server, key) = measured(&sent).await;
    assert_eq!(values(&server, &key, "unique/query").await, "=6");
    let expected = format!("{forty}=2, {next}=1, 1e400=2, 1e401=1, {far}=1, 5e-324=2");
    let found = values(&server, &key, "events/query?groupBy=v").await;
    assert_eq!(found, expected);
}

#[tokio::test]
async fn what_cannot_be_read_is_named_as_it_was_sent() {
    let (server, key) = measured(&["1e400"]).await;
    let sum = json!({
        "slug": "sum", "eventType": "sum", "aggregation": "SUM", "valueProperty": "$.v",
    });
    server.post(&key, PATH, &sum.to_string()).await;
    let event = r#"{"specversion":"1.0","id":"x","source":"s","type":"sum","subject":"s",
        "time":"2026-06-01T11:00:00Z","data":{"v":1e400}}"#;
    assert_eq!(server.post(&key, "/api/v1/events", event).await.status, 204);
    let listed = server
        .get(&key, "/api/v1/events?hasError=true")
        .await
        .json();
    let errors = listed.as_array().unwrap().iter();
    let errors: Vec<&str> = errors
        .map(|event: &Value| event["validationError"].as_str().unwrap())
        .collect();
    let expected = "meter sum: $.v holds \"1e400\": expected a decimal number below 10^24";
    assert_eq!(errors, [expected]);
}
