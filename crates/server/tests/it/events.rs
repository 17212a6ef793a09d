//! `/api/v1/events`.

mod budget;
mod busy;
mod forms;
mod list;
mod stream;

use domain::tree::OrganizationKind;
use insta::assert_snapshot;
use metadata::Role;
use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, TestServer};

/// An event of type `use` with one hour, one hour before the server's clock.
pub(crate) fn event(id: &str) -> serde_json::Value {
    json!({
        "specversion": "1.0", "id": id, "source": "test", "type": "use", "subject": "customer-1",
        "time": "2026-06-01T11:00:00Z", "data": {"hours": "0.1", "region": "north"},
    })
}

const PATH: &str = "/api/v1/events";

#[tokio::test]
async fn each_event_gets_its_outcome_and_repeating_is_harmless() {
    let server = TestServer::start().await;
    let key = server.key(server.root().await, Role::Writer).await;
    let mut other = event("a");
    other["data"]["hours"] = json!("0.2");
    let mut bad = event("c");
    bad["data"] = json!([1]);
    let body = json!([event("a"), event("b"), other, bad, event("a")]).to_string();
    let request = || {
        let request = server.request(Method::POST, PATH).bearer_auth(&key);
        let request = request.header("prefer", "return=representation");
        request
            .header("content-type", "application/json")
            .body(body.clone())
    };
    let first = Answer::of(request()).await;
    assert_eq!(first.header("preference-applied"), "return=representation");
    assert_snapshot!(first.show(), @r#"
    200 application/json
    {
      "counts": {
        "accepted": 2,
        "conflict": 1,
        "duplicate": 1,
        "received": 5,
        "refused": 1
      },
      "outcomes": [
        {
          "outcome": "accepted"
        },
        {
          "outcome": "accepted"
        },
        {
          "outcome": "conflict"
        },
        {
          "code": "data_not_object",
          "message": "data is [1]: expected an object or null",
          "outcome": "refused"
        },
        {
          "outcome": "duplicate"
        }
      ]
    }
    "#);
    let again = Answer::of(request()).await;
    assert_snapshot!(format!("{:#}", again.json()["counts"]), @r#"
    {
      "accepted": 0,
      "conflict": 1,
      "duplicate": 3,
      "received": 5,
      "refused": 1
    }
    "#);
}

#[tokio::test]
async fn malformed_events_are_listed_and_the_good_ones_stored() {
    let server = TestServer::start().await;
    let root = server.root().await;
    let key = server.key(root, Role::Writer).await;
    let mut no_subject = event("b");
    no_subject.as_object_mut().unwrap().remove("subject");
    let mut xml = event("c");
    xml["datacontenttype"] = json!("text/xml");
    let body = json!([event("a"), no_subject, xml, 7]).to_string();
    assert_snapshot!(server.post(&key, PATH, &body).await.show(), @r#"
    400 application/problem+json
    {
      "code": "malformed_events",
      "detail": "3 of 4 events are malformed and were not taken; the others are stored,
      and sending all again is harmless",
      "events": [
        {
          "code": "missing_attribute",
          "index": 1,
          "message": "subject is missing: expected a text that is not empty"
        },
        {
          "code": "unsupported_datacontenttype",
          "index": 2,
          "message": "datacontenttype is \"text/xml\": expected \"application/json\""
        },
        {
          "code": "malformed_event",
          "index": 3,
          "message": "the event is not a CloudEvents object: invalid type: integer `7`,
      expected struct Draft at line 1 column 1"
        }
      ],
      "received": 4,
      "refused": 3,
      "requestId": "[id]",
      "status": 400,
      "stored": 1,
      "title": "Bad Request",
      "type": "about:blank"
    }
    "#);
    let analyst = server.key(root, Role::Analyst).await;
    let stored = server.get(&analyst, PATH).await.json();
    assert_eq!(stored.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_event_that_fits_no_meter_is_kept_and_says_why() {
    let server = TestServer::start().await;
    let key = server.key(server.root().await, Role::Owner).await;
    let answer = server.post(&key, PATH, &event("a").to_string()).await;
    assert_snapshot!(answer.show(), @"204");
    assert_snapshot!(server.get(&key, PATH).await.show(), @r#"
    200 application/json
    [
      {
        "event": {
          "data": {
            "hours": "0.1",
            "region": "north"
          },
          "id": "a",
          "organization": "[id]",
          "source": "test",
          "specversion": "1.0",
          "subject": "customer-1",
          "time": "2026-06-01T11:00:00Z",
          "type": "use"
        },
        "ingestedAt": "2026-06-01T12:00:00Z",
        "storedAt": "2026-06-01T12:00:00Z",
        "validationError": "no meter reads events of type \"use\" like this"
      }
    ]
    "#);
}

#[tokio::test]
async fn posting_needs_a_credential_that_writes() {
    let server = TestServer::start().await;
    let request = server.request(Method::POST, PATH).body("{}");
    assert_eq!(Answer::of(request).await.status, 401);
    let analyst = server.key(server.root().await, Role::Analyst).await;
    assert_snapshot!(server.post(&analyst, PATH, "{}").await.show(), @r#"
    403 application/problem+json
    {
      "code": "forbidden",
      "detail": "the role analyst does not allow this",
      "requestId": "[id]",
      "status": 403,
      "title": "Forbidden",
      "type": "about:blank"
    }
    "#);
    let writer = server.key(server.root().await, Role::Writer).await;
    assert_eq!(server.get(&writer, PATH).await.status, 403);
}

#[tokio::test]
async fn a_sibling_that_posts_the_same_ids_changes_and_learns_nothing() {
    let server = TestServer::start().await;
    let root = server.root().await;
    let kind = OrganizationKind::SubOrganization;
    let north = server.organization("North", kind, root).await;
    let south = server.organization("South", kind, root).await;
    let ours = server.key(north, Role::Owner).await;
    let theirs = server.key(south, Role::Owner).await;
    assert_eq!(
        server
            .post(&ours, PATH, &event("a").to_string())
            .await
            .status,
        204
    );

    let mut forged = event("a");
    forged["data"]["hours"] = json!("9");
    let request = server.request(Method::POST, PATH).bearer_auth(&theirs);
    let request = request
        .header("prefer", "return=representation")
        .json(&forged);
    let outcome = Answer::of(request).await.json();
    assert_eq!(outcome["outcomes"][0]["outcome"], "accepted");

    forged["organization"] = json!("north");
    let refused = server.post(&theirs, PATH, &forged.to_string()).await;
    assert_eq!(refused.json()["events"][0]["code"], "unknown_organization");
    forged["organization"] = json!("nowhere");
    let unknown = server.post(&theirs, PATH, &forged.to_string()).await;
    assert_eq!(unknown.json()["events"][0]["code"], "unknown_organization");

    let seen = server.get(&ours, PATH).await.json();
    assert_eq!(seen.as_array().unwrap().len(), 1);
    assert_eq!(seen[0]["event"]["data"]["hours"], "0.1");
}

#[tokio::test]
async fn a_parent_posts_for_an_organization_under_it_by_alias() {
    let server = TestServer::start().await;
    let root = server.root().await;
    let north = server
        .organization("North", OrganizationKind::SubOrganization, root)
        .await;
    let key = server.key(root, Role::Owner).await;
    let mut sent = event("a");
    sent["organization"] = json!("north");
    assert_eq!(server.post(&key, PATH, &sent.to_string()).await.status, 204);
    let seen = server
        .get(&server.key(north, Role::Analyst).await, PATH)
        .await
        .json();
    assert_eq!(seen[0]["event"]["organization"], north.to_string());
}

#[tokio::test]
async fn whether_a_credential_may_send_for_an_organization_is_judged_at_receipt() {
    let server = TestServer::start().await;
    let root = server.root().await;
    let kind = OrganizationKind::AdditionalProduction;
    let old = server.organization("Old", kind, root).await;
    let new = server.organization("New", kind, root).await;
    let child = OrganizationKind::SubOrganization;
    let child = server.organization("Child", child, old).await;
    let app = server.app();
    let mut change = app.metadata.begin_change(app.now()).await.unwrap();
    let moved = Some("2026-05-01T00:00:00Z".parse().unwrap());
    change.move_organization(child, new, moved).await.unwrap();
    app.commit(change).await.unwrap();
    for (owner, time, status) in [
        (old, "2026-04-01T00:00:00Z", 400),
        (new, "2026-04-01T00:00:00Z", 204),
        (old, "2026-05-02T00:00:00Z", 400),
        (new, "2026-05-02T00:00:00Z", 204),
    ] {
        let writer = server.key(owner, Role::Writer).await;
        let mut sent = event(time);
        sent["time"] = json!(time);
        sent["organization"] = json!(child);
        let answer = server
            .post(&writer, "/api/v1/events", &sent.to_string())
            .await;
        assert_eq!(answer.status, status, "at {time}: {}", answer.body);
    }
}
