//! Names in a request: they become ids once, at the watermark the request is read at.

use domain::ids::OrganizationId;
use domain::tree::OrganizationKind;
use metadata::{Change, Role};
use serde_json::{Value, json};

use super::{analyst, ask, ask_once, january, path};
use crate::events::event;
use crate::harness::{Answer, TestServer};

/// Alpha and Beta under the root, with usage of their own; Alpha has the alias `team`.
struct Story {
    server: TestServer,
    key: String,
    alpha: OrganizationId,
    beta: OrganizationId,
}

impl Story {
    async fn begin() -> Self {
        let (server, key) = analyst().await;
        let root = server.root().await;
        let mut made = Vec::new();
        for (name, hours) in [("Alpha", "3"), ("Beta", "11")] {
            let kind = OrganizationKind::AdditionalProduction;
            let organization = server.organization(name, kind, root).await;
            let writer = server.key(organization, Role::Writer).await;
            let mut sent = event(name);
            sent["type"] = json!("flight");
            sent["time"] = json!("2026-01-07T10:00:00Z");
            sent["data"] = json!({"hours": hours});
            let media = "application/cloudevents+json";
            let answer = server
                .send(&writer, "/api/v1/events", media, &sent.to_string())
                .await;
            assert_eq!(answer.status, 204, "{}", answer.body);
            made.push(organization);
        }
        let story = Self {
            server,
            key,
            alpha: made[0],
            beta: made[1],
        };
        story.alias(story.alpha, &["team"]).await;
        story
    }

    async fn change(&self, steps: impl AsyncFnOnce(&mut Change) -> metadata::Result<()>) {
        let app = self.server.app();
        let mut change = app.metadata.begin_change(app.now()).await.unwrap();
        steps(&mut change).await.unwrap();
        app.commit(change).await.unwrap();
    }

    async fn alias(&self, organization: OrganizationId, names: &[&str]) {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        self.change(async |change| change.put_aliases(organization, &names).await)
            .await;
    }

    async fn move_alias(&self) {
        self.alias(self.alpha, &[]).await;
        self.alias(self.beta, &["team"]).await;
    }

    /// Asks, lets workers work, and gives the finished export.
    async fn made(&self, key: &str, body: &Value) -> Value {
        let asked = ask(&self.server, key, body).await;
        assert_eq!(asked.status, 202, "{}", asked.body);
        self.server.run_jobs_until_idle().await;
        let made = self.server.get(key, &path(&asked)).await.json();
        assert_eq!(made["status"], "SUCCESS", "{made}");
        made
    }

    /// The same request at the watermark of an export.
    async fn again(&self, key: &str, body: &Value, first: &Value) -> Value {
        let mut body = body.clone();
        body["asOf"] = first["asOf"].clone();
        self.made(key, &body).await
    }
}

fn sha256(export: &Value) -> &Value {
    &export["artifact"]["sha256"]
}

fn team() -> Value {
    let mut body = january("SUMMARY");
    body["organizations"] = json!(["team"]);
    body
}

#[tokio::test]
async fn an_alias_that_moved_names_the_same_organization_at_the_same_watermark() {
    let story = Story::begin().await;
    let first = story.made(&story.key, &team()).await;
    story.move_alias().await;
    let again = story.again(&story.key, &team(), &first).await;
    assert_eq!(sha256(&again), sha256(&first));
    assert_eq!(again["asOf"], first["asOf"], "one watermark, one text");
    let organizations = |export: &Value| export["request"]["organizations"].clone();
    assert_eq!(organizations(&again), json!([story.alpha]));
    let now = story.made(&story.key, &team()).await;
    assert_eq!(organizations(&now), json!([story.beta]));
    assert_ne!(sha256(&now), sha256(&first));
    // An alias that nobody had at a watermark names nobody there.
    story.alias(story.beta, &["team", "later"]).await;
    let mut later = team();
    later["organizations"] = json!(["later"]);
    later["asOf"] = first["asOf"].clone();
    let unknown = ask(&story.server, &story.key, &later).await;
    assert_eq!(unknown.status, 404, "{}", unknown.body);
}

#[tokio::test]
async fn a_slug_given_to_another_meter_names_the_same_meter_at_the_same_watermark() {
    let story = Story::begin().await;
    let mut body = january("USAGE");
    body["meters"] = json!(["hours"]);
    let first = story.made(&story.key, &body).await;
    let owner = story.server.key(story.server.root().await, Role::Owner);
    let owner = owner.await;
    let gone = story.server.delete(&owner, "/api/v1/meters/hours").await;
    assert_eq!(gone.status, 204, "{}", gone.body);
    let other = json!({
        "slug": "hours", "eventType": "flight", "aggregation": "COUNT", "since": null,
    });
    let other = other.to_string();
    let created = story.server.post(&owner, "/api/v1/meters", &other).await;
    assert_eq!(created.status, 201, "{}", created.body);
    let again = story.again(&story.key, &body, &first).await;
    assert_eq!(sha256(&again), sha256(&first));
    let meters = |export: &Value| export["request"]["meters"].clone();
    assert_eq!(meters(&again), meters(&first));
    let now = story.made(&story.key, &body).await;
    assert_eq!(meters(&now), json!([created.json()["id"]]));
}

#[tokio::test]
async fn an_organization_that_moved_away_is_where_it_was_at_the_same_watermark() {
    let story = Story::begin().await;
    let kind = OrganizationKind::SubOrganization;
    let sub = story.server.organization("Sub", kind, story.alpha).await;
    let key = story.server.key(story.alpha, Role::Analyst).await;
    let mut body = january("SUMMARY");
    body["organizations"] = json!(["sub", story.alpha]);
    let first = story.made(&key, &body).await;
    story
        .change(async |change| change.move_organization(sub, story.beta, None).await)
        .await;
    let again = story.again(&key, &body, &first).await;
    assert_eq!(sha256(&again), sha256(&first));
    let now = ask(&story.server, &key, &body).await;
    assert_eq!(now.status, 404, "{}", now.body);
}

#[tokio::test]
async fn a_repetition_is_the_same_request_although_a_name_moved() {
    let story = Story::begin().await;
    let first = ask_once(&story.server, &story.key, "once", &team()).await;
    assert_eq!(first.status, 202, "{}", first.body);
    story.move_alias().await;
    let id = |answer: &Answer| answer.json()["id"].clone();
    let again = ask_once(&story.server, &story.key, "once", &team()).await;
    assert_eq!((again.status, id(&again)), (200, id(&first)));
    story.alias(story.beta, &[]).await;
    let again = ask_once(&story.server, &story.key, "once", &team()).await;
    assert_eq!((again.status, id(&again)), (200, id(&first)));
    // By id it asks for the same; for another organization it is another request.
    let mut by_id = team();
    by_id["organizations"] = json!([story.alpha, story.alpha]);
    let again = ask_once(&story.server, &story.key, "once", &by_id).await;
    assert_eq!((again.status, id(&again)), (200, id(&first)));
    by_id["organizations"] = json!([story.beta]);
    let other = ask_once(&story.server, &story.key, "once", &by_id).await;
    assert_eq!(other.json()["code"], "idempotency_key_reused");
}

#[tokio::test]
async fn a_schedule_keeps_to_the_organizations_it_named_when_it_was_made() {
    let story = Story::begin().await;
    let body = json!({
        "kind": "SUMMARY", "every": "daily", "organizations": ["team"], "meters": ["hours"],
    });
    let path = "/api/v1/export-schedules";
    let made = story.server.post(&story.key, path, &body.to_string()).await;
    assert_eq!(made.status, 201, "{}", made.body);
    story.move_alias().await;
    story.server.advance(24 * 3_600);
    let schedules = &story.server.app().exports.schedules;
    assert_eq!(schedules.step().await.unwrap(), 1);
    let listed = story.server.get(&story.key, super::EXPORTS).await.json();
    let request = &listed["items"][0]["request"];
    assert_eq!(request["organizations"], json!([story.alpha]));
    assert_eq!(request["meters"], made.json()["request"]["meters"]);
}
