//! Where roles count: in the organization they were given for and everything under it.

use std::collections::BTreeMap;

use domain::ids::OrganizationId;
use domain::tree::OrganizationKind;
use metadata::{NewUser, Role, RoleAssignment, UserProfile};
use reqwest::Method;
use serde_json::{Value, json};
use server::auth::password;

use crate::harness::{Answer, TestServer};

const PASSWORD: &str = "long enough";
const EXPORTS: &str = "/saas/public/core/v3/license/metering/ExportMeteringData";

/// A user of `home` with roles anywhere, logged in.
async fn session(
    server: &TestServer,
    name: &str,
    home: OrganizationId,
    roles: &[(OrganizationId, Role)],
) -> String {
    let app = server.app();
    let new = NewUser {
        id: None,
        name: name.to_owned(),
        password_hash: password::hash(PASSWORD.to_owned()).await.unwrap(),
        organization: home,
        server_administrator: false,
        profile: UserProfile::default(),
    };
    let user = app.metadata.insert_user(new, app.now()).await.unwrap().id;
    for (organization, role) in roles.iter().copied() {
        let assignment = RoleAssignment {
            user,
            organization,
            role,
        };
        app.metadata
            .insert_role(assignment, app.now())
            .await
            .unwrap();
    }
    server.session(name, PASSWORD).await
}

async fn send(server: &TestServer, session: &str, path: &str, body: &Value) -> Answer {
    let request = server.request(Method::POST, path);
    let request = request.header("INFA-SESSION-ID", session);
    Answer::of(request.json(body)).await
}

/// The names a session's list of organizations holds, sorted.
async fn listed(server: &TestServer, session: &str) -> Vec<String> {
    let path = "/api/v1/organizations";
    let list = server
        .in_session(session, Method::GET, path, "")
        .await
        .json();
    let names = list["items"].as_array().unwrap().iter();
    let mut names: Vec<_> = names
        .map(|item| item["name"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_role_below_the_home_counts_there_and_nowhere_else() {
    let server = TestServer::start().await;
    let root = server.root().await;
    let more = OrganizationKind::AdditionalProduction;
    let trial = server.organization("Trial", more, root).await;
    let deep = server
        .organization("Deep", OrganizationKind::SubOrganization, trial)
        .await;
    server.organization("Other", more, root).await;
    let ann = session(&server, "ann", root, &[(trial, Role::Owner)]).await;
    assert_eq!(listed(&server, &ann).await, ["Deep", "Trial"]);
    let key = json!({"name": "k", "role": "analyst"});
    let made = send(&server, &ann, "/api/v1/keys", &key).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(made.json()["organizationId"], trial.to_string());
    let key = json!({"name": "k", "role": "analyst", "organizationId": deep});
    assert_eq!(send(&server, &ann, "/api/v1/keys", &key).await.status, 201);
    let key = json!({"name": "k", "role": "analyst", "organizationId": root});
    assert_eq!(send(&server, &ann, "/api/v1/keys", &key).await.status, 404);
    let range = json!({
        "startDate": "2026-05-01T00:00:00Z", "endDate": "2026-05-02T00:00:00Z",
        "jobType": "SUMMARY",
    });
    let job = send(&server, &ann, EXPORTS, &range).await;
    assert_eq!(job.status, 200, "{}", job.body);
    let exports = server
        .in_session(&ann, Method::GET, "/api/v1/exports", "")
        .await
        .json();
    assert_eq!(
        exports["items"][0]["organizationId"],
        trial.to_string(),
        "{exports}"
    );
    let event = json!({"specversion": "1.0", "id": "1", "source": "s", "type": "t",
        "subject": "u", "organization": "deep"});
    assert_eq!(
        send(&server, &ann, "/api/v1/events", &event).await.status,
        204
    );
    let event = json!({"specversion": "1.0", "id": "2", "source": "s", "type": "t",
        "subject": "u", "organization": "other"});
    assert_eq!(
        send(&server, &ann, "/api/v1/events", &event).await.status,
        400
    );
}

#[tokio::test]
async fn a_stronger_role_below_counts_beside_a_weaker_one_at_home() {
    let server = TestServer::start().await;
    let root = server.root().await;
    let more = OrganizationKind::AdditionalProduction;
    let trial = server.organization("Trial", more, root).await;
    server.organization("Other", more, root).await;
    let roles = [(root, Role::Analyst), (trial, Role::Owner)];
    let bob = session(&server, "bob", root, &roles).await;
    assert_eq!(listed(&server, &bob).await, ["Default", "Other", "Trial"]);
    let key = |organization| json!({"name": "k", "role": "owner", "organizationId": organization});
    assert_eq!(
        send(&server, &bob, "/api/v1/keys", &key(trial))
            .await
            .status,
        201
    );
    assert_eq!(
        send(&server, &bob, "/api/v1/keys", &key(root)).await.status,
        403
    );
    let keys = server
        .in_session(&bob, Method::GET, "/api/v1/keys", "")
        .await
        .json();
    assert_eq!(keys["items"].as_array().unwrap().len(), 1);
    let rename = async |id: OrganizationId| {
        let path = format!("/api/v1/organizations/{id}");
        let request = server
            .request(Method::PATCH, &path)
            .header("INFA-SESSION-ID", &bob);
        Answer::of(request.json(&json!({"name": "New"})))
            .await
            .status
    };
    assert_eq!([rename(trial).await, rename(root).await], [200, 403]);
}

#[tokio::test]
async fn roles_in_two_places_are_listed_together_and_exported_apart() {
    let server = TestServer::start().await;
    let root = server.root().await;
    let more = OrganizationKind::AdditionalProduction;
    let mut places = Vec::new();
    for name in ["One", "Two", "Three"] {
        places.push(server.organization(name, more, root).await);
    }
    let roles = [(places[0], Role::Analyst), (places[1], Role::Analyst)];
    let eve = session(&server, "eve", root, &roles).await;
    assert_eq!(listed(&server, &eve).await, ["One", "Two"]);
    let ask = async |organizations: &[OrganizationId]| {
        let body = json!({"kind": "SUMMARY", "from": "2026-05-01", "to": "2026-05-02",
            "organizations": organizations});
        send(&server, &eve, "/api/v1/exports", &body).await
    };
    for place in &places[..2] {
        let made = ask(&[*place]).await;
        assert_eq!(made.status, 202, "{}", made.body);
        assert_eq!(made.json()["organizationId"], place.to_string());
    }
    assert_eq!(ask(&places[..2]).await.status, 400);
    assert_eq!(ask(&places[2..]).await.status, 404);
    let exports = server
        .in_session(&eve, Method::GET, "/api/v1/exports", "")
        .await
        .json();
    assert_eq!(exports["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_role_beside_or_above_the_home_reaches_no_further_than_the_home() {
    let server = TestServer::start().await;
    let root = server.root().await;
    let more = OrganizationKind::AdditionalProduction;
    let home = server.organization("Home", more, root).await;
    let beside = server.organization("Beside", more, root).await;
    let up = session(&server, "up", home, &[(root, Role::Owner)]).await;
    assert_eq!(listed(&server, &up).await, ["Home"]);
    let aside = session(&server, "aside", home, &[(beside, Role::Owner)]).await;
    let refused = server
        .in_session(&aside, Method::GET, "/api/v1/organizations", "")
        .await;
    assert_eq!(refused.status, 403, "{}", refused.body);
}

#[tokio::test]
async fn everyone_of_the_example_in_the_docs_may_do_what_it_says() {
    let server = TestServer::start().await;
    let page = include_str!("../../../../docs/SETUP.md");
    let example = page.split("```yaml\n").nth(1).unwrap();
    let example = example.split("```").next().unwrap();
    let body = json!({"setup": example});
    let applied = server
        .post(server.token(), "/api/v1/setup", &body.to_string())
        .await;
    assert_eq!(applied.status, 200, "{}", applied.body);
    let made = applied.json();
    let secret = |of: &str| {
        let all = made["secrets"].as_array().unwrap();
        let made = all.iter().find(|made| made["of"] == of).unwrap();
        made["secret"].as_str().unwrap().to_owned()
    };
    let key = secret("key \"ingest\"");
    let ann = server.session("ann", &secret("user \"ann\"")).await;
    assert_eq!(
        listed(&server, &ann).await,
        ["Express", "Regional", "Trial", "United"]
    );
    let new = json!({"name": "k", "role": "analyst"});
    assert_eq!(send(&server, &ann, "/api/v1/keys", &new).await.status, 201);
    let event = r#"{"specversion":"1.0","id":"1","source":"s","type":"flight","subject":"u",
        "organization":"UA","data":{"hours":1,"status":"SUCCESS"}}"#;
    assert_eq!(server.post(&key, "/api/v1/events", event).await.status, 204);
    // Each role by itself.
    let path = "/api/v1/organizations";
    let list = server.in_session(&ann, Method::GET, path, "").await.json();
    let ids: BTreeMap<_, OrganizationId> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            (
                item["name"].as_str().unwrap(),
                item["id"].as_str().unwrap().parse().unwrap(),
            )
        })
        .collect();
    let below = session(
        &server,
        "below",
        ids["United"],
        &[(ids["Trial"], Role::Analyst)],
    )
    .await;
    assert_eq!(listed(&server, &below).await, ["Trial"]);
    assert_eq!(
        send(&server, &below, "/api/v1/keys", &new).await.status,
        403
    );
}

#[tokio::test]
async fn credentials_of_an_archived_organization_end_with_it() {
    let server = TestServer::start().await;
    let root = server.root().await;
    let more = OrganizationKind::AdditionalProduction;
    let gone = server.organization("Gone", more, root).await;
    let below = server
        .organization("Below", OrganizationKind::SubOrganization, gone)
        .await;
    let owner = server.key(root, Role::Owner).await;
    let of_gone = server.key(gone, Role::Owner).await;
    let of_below = server.key(below, Role::Owner).await;
    let ann = session(&server, "ann", gone, &[(gone, Role::Owner)]).await;
    let path = format!("/api/v1/organizations/{gone}");
    let works = async |key: &str| server.get(key, "/api/v1/organizations").await.status;
    let in_session = async || {
        server
            .in_session(&ann, Method::GET, "/api/v1/organizations", "")
            .await
            .status
    };
    assert_eq!(
        [
            works(&of_gone).await,
            works(&of_below).await,
            in_session().await
        ],
        [200; 3]
    );
    assert_eq!(server.delete(&owner, &path).await.status, 204);
    assert_eq!([works(&of_gone).await, in_session().await], [401, 401]);
    assert_eq!(
        works(&of_below).await,
        200,
        "what lies under it is not archived"
    );
    assert_eq!(server.log_in("ann", PASSWORD).await.status, 401);
    let keys = server.get(&owner, "/api/v1/keys").await.json();
    let of_gone = keys["items"].as_array().unwrap().iter();
    let mut of_gone = of_gone.filter(|key| key["organizationId"] == gone.to_string());
    assert_eq!(of_gone.next().unwrap()["state"], "revoked");
    let users = server.get(&owner, "/api/v1/users").await.json();
    let mut users = users["items"].as_array().unwrap().iter();
    let ann = users.find(|user| user["name"] == "ann").unwrap();
    assert_eq!(ann["status"], "disabled");
    let user = format!("/api/v1/users/{}", ann["id"].as_str().unwrap());
    let back = server.patch(&owner, &user, r#"{"status":"active"}"#).await;
    assert_eq!(
        (back.status, back.json()["detail"].clone()),
        (400, "organization: is archived".into())
    );
    let new = json!({"name": "k", "role": "owner", "organizationId": gone}).to_string();
    assert_eq!(server.post(&owner, "/api/v1/keys", &new).await.status, 400);
}

#[tokio::test]
async fn another_server_ends_the_key_of_an_archived_organization_within_seconds() {
    let server = TestServer::start().await;
    let root = server.root().await;
    let gone = server
        .organization("Gone", OrganizationKind::Sandbox, root)
        .await;
    let key = server.key(gone, Role::Owner).await;
    let works = async || server.get(&key, "/api/v1/organizations").await.status;
    assert_eq!(works().await, 200);
    let app = server.app();
    // As another server of the same database does it, without a word to this one.
    let mut change = app.metadata.begin_change(app.now()).await.unwrap();
    change.archive_organization(gone).await.unwrap();
    change.commit().await.unwrap();
    let seconds = i64::try_from(app.config.limits.credential_cache_s).unwrap();
    server.advance(seconds);
    assert_eq!(works().await, 401);
}
