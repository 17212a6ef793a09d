//! Schedules: a clock moved by days, and one export for each day.

use domain::tree::OrganizationKind;
use insta::assert_snapshot;
use metadata::Role;
use reqwest::Method;
use serde_json::{Value, json};

use super::{EXPORTS, analyst};
use crate::harness::{Answer, TestServer};
use crate::metering::{METER, flights_with};

const SCHEDULES: &str = "/api/v1/export-schedules";
const DAY: i64 = 24 * 3_600;

async fn create(server: &TestServer, key: &str, body: &Value) -> Answer {
    server.post(key, SCHEDULES, &body.to_string()).await
}

fn one(schedule: &Answer) -> String {
    let id = schedule.json()["id"].as_str().map(str::to_owned);
    format!(
        "{SCHEDULES}/{}",
        id.unwrap_or_else(|| panic!("{}", schedule.body))
    )
}

/// Lets schedules take their turns and gives how many exports they made.
async fn step(server: &TestServer) -> usize {
    server.app().exports.schedules.step().await.unwrap()
}

/// Period and status of a schedule's exports, the first period first.
async fn runs(server: &TestServer, key: &str, schedule: &Answer) -> String {
    let id = schedule.json()["id"].clone();
    let url = format!("{EXPORTS}?schedule={}", id.as_str().unwrap());
    let listed = server.get(key, &url).await.json();
    let mut shown = Vec::new();
    for export in listed["items"].as_array().unwrap() {
        assert_eq!(export["schedule"], id);
        let (period, request) = (&export["period"], &export["request"]);
        assert_eq!(
            (&period["from"], &period["to"]),
            (&request["from"], &request["to"])
        );
        let words = [&period["from"], &period["to"], &export["status"]];
        shown.push(words.map(|word| word.as_str().unwrap()).join(" "));
    }
    // Exports of one moment are listed in any order.
    shown.sort();
    shown.join("\n")
}

#[tokio::test]
async fn a_daily_schedule_makes_one_export_a_day_and_catches_up() {
    let (server, key) = analyst().await;
    let body = json!({"kind": "SUMMARY", "every": "daily", "delayHours": 2});
    let schedule = create(&server, &key, &body).await;
    assert_eq!(schedule.header("location"), server.url(&one(&schedule)));
    assert_snapshot!(schedule.show().replace(&server.url(""), "[url]"), @r#"
    201 application/json
    {
      "createdAt": "2026-06-01T12:00:00Z",
      "delayHours": 2,
      "dueAt": "2026-06-02T02:00:00Z",
      "every": "daily",
      "id": "[id]",
      "links": {
        "exports": "[url]/api/v1/exports?schedule=[id]",
        "self": "[url]/api/v1/export-schedules/[id]"
      },
      "organizationId": "[id]",
      "paused": false,
      "period": {
        "from": "2026-06-01",
        "to": "2026-06-02"
      },
      "request": {
        "callbackUrl": null,
        "columns": [],
        "combined": false,
        "csvSafe": false,
        "format": "csv",
        "kind": "SUMMARY",
        "meters": [],
        "organizations": [],
        "packing": "zip"
      },
      "updatedAt": "2026-06-01T12:00:00Z",
      "userId": null
    }
    "#);
    // It is noon of the first of June: its day ends in 12 hours.
    server.advance(14 * 3_600 - 1);
    assert_eq!(step(&server).await, 0);
    server.advance(1);
    assert_eq!(step(&server).await, 1);
    assert_eq!(step(&server).await, 0, "once a period");
    server.advance(3 * DAY);
    assert_eq!(step(&server).await, 3);
    server.run_jobs_until_idle().await;
    assert_snapshot!(runs(&server, &key, &schedule).await, @"
    2026-06-01 2026-06-02 SUCCESS
    2026-06-02 2026-06-03 SUCCESS
    2026-06-03 2026-06-04 SUCCESS
    2026-06-04 2026-06-05 SUCCESS
    ");
    let next = server.get(&key, &one(&schedule)).await.json();
    assert_eq!(
        next["period"],
        json!({"from": "2026-06-05", "to": "2026-06-06"})
    );
    assert_eq!(next["dueAt"], "2026-06-06T02:00:00Z");
}

#[tokio::test]
async fn a_monthly_schedule_covers_calendar_months() {
    let (server, key) = analyst().await;
    let body = json!({"kind": "ASSET", "every": "monthly", "delayHours": 0});
    let schedule = create(&server, &key, &body).await;
    server.advance(61 * DAY);
    assert_eq!(step(&server).await, 2);
    assert_snapshot!(runs(&server, &key, &schedule).await, @"
    2026-06-01 2026-07-01 CREATED
    2026-07-01 2026-08-01 CREATED
    ");
}

#[tokio::test]
async fn two_servers_make_one_export_a_period() {
    let (server, key) = analyst().await;
    let body = json!({"kind": "SUMMARY", "every": "daily"});
    let schedule = create(&server, &key, &body).await;
    server.advance(5 * DAY);
    let (first, second) = tokio::join!(step(&server), step(&server));
    assert_eq!(first + second, 5);
    assert_eq!(runs(&server, &key, &schedule).await.lines().count(), 5);
}

#[tokio::test]
async fn over_the_limit_periods_wait_and_none_is_lost() {
    let (server, _) = flights_with(|config| config.exports.active_per_organization = 2).await;
    let key = server.key(server.root().await, Role::Analyst).await;
    let body = json!({"kind": "SUMMARY", "every": "daily"});
    let schedule = create(&server, &key, &body).await;
    server.advance(5 * DAY);
    let mut made = Vec::new();
    for _ in 0..4 {
        made.push(step(&server).await);
        server.run_jobs_until_idle().await;
        server.advance(60);
    }
    assert_eq!(made, [2, 2, 1, 0]);
    let runs = runs(&server, &key, &schedule).await;
    assert_eq!(runs.matches("SUCCESS").count(), 5, "{runs}");
}

#[tokio::test]
async fn a_paused_schedule_waits_and_a_deleted_one_is_over() {
    let (server, key) = analyst().await;
    let body = json!({"kind": "SUMMARY", "every": "daily"});
    let schedule = create(&server, &key, &body).await;
    let paused = server
        .patch(&key, &one(&schedule), r#"{"paused": true}"#)
        .await;
    assert_eq!(
        (paused.status, &paused.json()["paused"]),
        (200, &json!(true))
    );
    server.advance(2 * DAY);
    assert_eq!(step(&server).await, 0);
    let patch = r#"{"paused": false, "delayHours": 3, "callbackUrl": "https://example.com/"}"#;
    let resumed = server.patch(&key, &one(&schedule), patch).await.json();
    assert_eq!(resumed["dueAt"], "2026-06-02T03:00:00Z");
    assert_eq!(resumed["request"]["callbackUrl"], "https://example.com/");
    assert_eq!(step(&server).await, 2, "what ended meanwhile comes now");
    assert_eq!(server.delete(&key, &one(&schedule)).await.status, 204);
    server.advance(DAY);
    assert_eq!(step(&server).await, 0);
    assert_eq!(server.get(&key, &one(&schedule)).await.status, 404);
    assert_eq!(runs(&server, &key, &schedule).await.lines().count(), 2);
}

#[tokio::test]
async fn bad_schedules_are_refused() {
    let (server, key) = analyst().await;
    let mut shown = String::new();
    for body in [
        json!({"kind": "SUMMARY", "every": "hourly"}),
        json!({"kind": "SUMMARY"}),
        json!({"kind": "COST", "every": "daily"}),
        json!({"kind": "SUMMARY", "every": "daily", "delayHours": 73}),
        json!({"kind": "SUMMARY", "every": "daily", "from": "2026-01-01"}),
        json!({"kind": "SUMMARY", "every": "daily", "organizations": ["nobody"]}),
    ] {
        let refused = create(&server, &key, &body).await;
        shown += &format!("{} {}\n", refused.status, refused.json()["code"]);
    }
    assert_snapshot!(shown, @r#"
    400 "invalid_request"
    400 "invalid_request"
    400 "export_kind"
    400 "invalid_request"
    400 "invalid_request"
    404 "not_found"
    "#);
    let body = json!({"kind": "SUMMARY", "every": "daily", "meters": [METER]});
    let schedule = create(&server, &key, &body).await;
    for patch in [r#"{"delayHours": 73}"#, r#"{"callbackUrl": "x"}"#] {
        assert_eq!(
            server.patch(&key, &one(&schedule), patch).await.status,
            400,
            "{patch}"
        );
    }
    let content = server
        .patch(&key, &one(&schedule), r#"{"kind": "ASSET"}"#)
        .await;
    assert_eq!(content.status, 400);
}

#[tokio::test]
async fn schedules_of_others_look_like_none() {
    let (server, key) = analyst().await;
    let body = json!({"kind": "SUMMARY", "every": "daily"});
    let schedule = create(&server, &key, &body).await;
    let sub = OrganizationKind::SubOrganization;
    let child = server.organization("Child", sub, server.root().await).await;
    let stranger = server.account("Stranger").await;
    for organization in [child, stranger] {
        let other = server.key(organization, Role::Owner).await;
        let listed = server.get(&other, SCHEDULES).await;
        assert_eq!(listed.json()["items"], json!([]));
        assert_eq!(server.get(&other, &one(&schedule)).await.status, 404);
        assert_eq!(server.delete(&other, &one(&schedule)).await.status, 404);
        let patched = server.patch(&other, &one(&schedule), "{}").await;
        assert_eq!(patched.status, 404);
    }
    let writer = server.key(server.root().await, Role::Writer).await;
    for (method, url) in [
        (Method::POST, SCHEDULES.to_owned()),
        (Method::GET, SCHEDULES.to_owned()),
        (Method::GET, one(&schedule)),
        (Method::PATCH, one(&schedule)),
        (Method::DELETE, one(&schedule)),
    ] {
        let sent = if method == Method::PATCH {
            json!({})
        } else {
            body.clone()
        };
        let bare = server.request(method.clone(), &url).json(&sent);
        assert_eq!(Answer::of(bare).await.status, 401, "{method} {url}");
        let request = server.request(method.clone(), &url).bearer_auth(&writer);
        assert_eq!(
            Answer::of(request.json(&sent)).await.status,
            403,
            "{method} {url}"
        );
    }
    let listed = server.get(&key, SCHEDULES).await.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
}
