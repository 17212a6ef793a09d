//! Organizations: created, moved, archived, and seen only from above.

use domain::tree::OrganizationKind;
use insta::assert_snapshot;
use metadata::Role;
use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, TestServer};

const PATH: &str = "/api/v1/organizations";

#[tokio::test]
async fn an_organization_is_created_under_the_caller_and_read_back() {
    let server = TestServer::start().await;
    let owner = server.key(server.root().await, Role::Owner).await;
    let body = json!({
        "name": "Delta", "kind": "sub_organization", "since": "2026-01-01T00:00:00Z",
        "aliases": ["DL"], "realmId": "delta-realm", "anchorDay": 15, "currency": "EUR",
    });
    let made = server.post(&owner, PATH, &body.to_string()).await;
    assert_snapshot!(made.show(), @r#"
    201 application/json
    {
      "accountId": "[id]",
      "aliases": [
        "DL"
      ],
      "anchorDay": 15,
      "anchorMonth": 1,
      "archivedAt": null,
      "billingPeriod": "monthly",
      "createdAt": "2026-06-01T12:00:00Z",
      "currency": "EUR",
      "id": "[id]",
      "kind": "sub_organization",
      "meteringEnabled": true,
      "name": "Delta",
      "parentId": "[id]",
      "partnerId": null,
      "realmId": "delta-realm"
    }
    "#);
    let path = format!("{PATH}/{}", made.json()["id"].as_str().unwrap());
    assert_eq!(server.get(&owner, &path).await.body, made.body);
    let patched = server
        .patch(&owner, &path, r#"{"realmId":null,"name":"Delta Air"}"#)
        .await;
    let patched = patched.json();
    assert_eq!(patched["realmId"], json!(null));
    assert_eq!(patched["name"], "Delta Air");
    assert_eq!(patched["currency"], "EUR");
}

#[tokio::test]
async fn what_breaks_a_rule_is_refused_in_words() {
    let server = TestServer::start().await;
    let root = server.root().await;
    let owner = server.key(root, Role::Owner).await;
    let sub = OrganizationKind::SubOrganization;
    let child = server.organization("Child", sub, root).await;
    let mut shown = String::new();
    for body in [
        json!({"name": "", "kind": "sandbox"}),
        json!({"name": "X", "kind": "sandbox", "realmId": "abc"}),
        json!({"name": "X", "kind": "sandbox", "currency": "usd"}),
        json!({"name": "X", "kind": "sandbox", "anchorDay": 32}),
        json!({"name": "X", "kind": "sandbox", "parentid": child}),
        json!({"name": "X", "kind": "production"}),
        json!({"name": "X", "kind": "sub_organization", "parentId": child}),
        json!({"name": "X", "kind": "sandbox", "aliases": ["child"]}),
    ] {
        let answer = server.post(&owner, PATH, &body.to_string()).await;
        let detail = answer.json()["detail"].clone();
        shown += &format!("{} {}\n", answer.status, detail.as_str().unwrap());
    }
    let root_gone = server.delete(&owner, &format!("{PATH}/{root}")).await;
    shown += &format!("{} {}", root_gone.status, root_gone.json()["detail"]);
    let shown = shown.replace("type: ", "type:\n");
    let shown = shown.replace(child.as_str(), "[child]");
    assert_snapshot!(crate::harness::fold(&shown), @r#"
    400 a name has 1 to 255 printable characters and no space around it
    400 a realm id has 5 to 30 letters, digits, dots, dashes or underscores
    400 a currency is three capital letters, not "usd"
    400 an anchor day is 1 to 31, not 32
    400 unknown field `parentid` at line 1 column 65
    403 only a server administrator may do this
    400 an organization of kind sub_organization may not lie under one of kind
      sub_organization: a production holds additional_production, sandbox and
      sub_organization, an additional_production or sandbox holds sub_organization, a
      sub_organization holds none
    409 organization name or alias is already in use
    403 "an organization is archived by one above it"
    "#);
}

#[tokio::test]
async fn siblings_parents_and_strangers_look_like_nothing_at_all() {
    let server = TestServer::start().await;
    let root = server.root().await;
    let sub = OrganizationKind::SubOrganization;
    let (left, right) = (
        server.organization("Left", sub, root).await,
        server.organization("Right", sub, root).await,
    );
    let stranger = server.account("Stranger").await;
    let owner = server.key(left, Role::Owner).await;
    let unknown = server
        .get(&owner, &format!("{PATH}/0000000000000000000000"))
        .await;
    for foreign in [right, root, stranger] {
        let path = format!("{PATH}/{foreign}");
        assert_eq!(server.get(&owner, &path).await.show(), unknown.show());
        assert_eq!(
            server.patch(&owner, &path, r#"{"name":"X"}"#).await.status,
            404
        );
        assert_eq!(server.delete(&owner, &path).await.status, 404);
        let body = json!({"name": "X", "kind": "sub_organization", "parentId": foreign});
        assert_eq!(
            server.post(&owner, PATH, &body.to_string()).await.status,
            404
        );
    }
    let own = server.get(&owner, PATH).await.json();
    assert_eq!(own["items"].as_array().unwrap().len(), 1);
    assert_eq!(
        own["items"][0]["parentId"],
        json!(null),
        "the parent is not told"
    );
}

#[tokio::test]
async fn roles_and_missing_credentials_are_refused() {
    let server = TestServer::start().await;
    let root = server.root().await;
    let analyst = server.key(root, Role::Analyst).await;
    let body = r#"{"name":"X","kind":"sandbox"}"#;
    assert_eq!(server.get(&analyst, PATH).await.status, 200);
    assert_eq!(server.post(&analyst, PATH, body).await.status, 403);
    for (method, path) in [
        (Method::GET, PATH.to_owned()),
        (Method::POST, PATH.to_owned()),
        (Method::GET, format!("{PATH}/{root}")),
        (Method::PATCH, format!("{PATH}/{root}")),
        (Method::DELETE, format!("{PATH}/{root}")),
    ] {
        let answer = Answer::of(server.request(method, &path)).await;
        assert_eq!(answer.status, 401, "{}", answer.body);
    }
}

#[tokio::test]
async fn a_move_hands_later_usage_to_the_new_parent() {
    let server = TestServer::start().await;
    let root = server.root().await;
    let additional = OrganizationKind::AdditionalProduction;
    let old = server.organization("Old", additional, root).await;
    let new = server.organization("New", additional, root).await;
    let sub = OrganizationKind::SubOrganization;
    let child = server.organization("Child", sub, old).await;
    let owner = server.key(root, Role::Owner).await;
    let path = format!("{PATH}/{child}");
    let body = json!({"parentId": new, "since": "2026-05-01T00:00:00Z"}).to_string();
    let moved = server.patch(&owner, &path, &body).await.json();
    assert_eq!(moved["parentId"], json!(new));
    let of_old = server.key(old, Role::Owner).await;
    let of_new = server.key(new, Role::Owner).await;
    assert_eq!(server.get(&of_old, &path).await.status, 404);
    assert_eq!(server.get(&of_new, &path).await.status, 200);
}

#[tokio::test]
async fn pages_follow_each_other_by_an_opaque_cursor() {
    let server = TestServer::start().await;
    let root = server.root().await;
    for name in ["A", "B", "C", "D"] {
        server
            .organization(name, OrganizationKind::Sandbox, root)
            .await;
    }
    let owner = server.key(root, Role::Owner).await;
    let (mut seen, mut path) = (Vec::new(), format!("{PATH}?limit=2"));
    loop {
        let page = server.get(&owner, &path).await.json();
        let names = page["items"].as_array().unwrap().iter();
        seen.extend(names.map(|item| item["name"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => path = format!("{PATH}?limit=2&cursor={next}"),
            None => break,
        }
    }
    seen.sort();
    assert_eq!(seen, ["A", "B", "C", "D", "Default"]);
    for query in ["limit=0", "limit=1001", "limit=x", "cursor=zz"] {
        let answer = server.get(&owner, &format!("{PATH}?{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
    }
}

#[tokio::test]
async fn an_archived_organization_stays_readable() {
    let server = TestServer::start().await;
    let root = server.root().await;
    let child = server
        .organization("Child", OrganizationKind::Sandbox, root)
        .await;
    let owner = server.key(root, Role::Owner).await;
    let path = format!("{PATH}/{child}");
    assert_eq!(server.delete(&owner, &path).await.status, 204);
    let archived = server.get(&owner, &path).await.json();
    assert_eq!(archived["archivedAt"], "2026-06-01T12:00:00Z");
}

#[tokio::test]
async fn only_a_server_administrator_creates_accounts() {
    let server = TestServer::start().await;
    let (root, body) = (
        server.root().await,
        r#"{"name":"Second","kind":"production"}"#,
    );
    let made = server.post(server.token(), PATH, body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_ne!(made.json()["id"], json!(root));
}
