//! Cursors: each is of one list, one choice of filters and one organization.

use domain::ids::OrganizationId;
use domain::tree::OrganizationKind;
use metadata::Role;
use serde_json::{Value, json};

use crate::harness::{Answer, TestServer};

/// A list, and filters of it.
struct List {
    path: String,
    filters: Vec<String>,
}

/// A server with two items or more in every list, and the key of its root's owner.
async fn filled() -> (TestServer, String) {
    let server = TestServer::start().await;
    let root = server.root().await;
    let owner = server.key(root, Role::Owner).await;
    for number in 0..3 {
        let kind = OrganizationKind::SubOrganization;
        server
            .organization(&format!("Sub {number}"), kind, root)
            .await;
        let slug = format!("flights-{number}");
        let daily = json!({"kind": "SUMMARY", "every": "daily"});
        for (path, body) in [
            ("users", json!({"name": format!("user {number}")})),
            ("keys", json!({"name": "writer", "role": "writer"})),
            (
                "meters",
                json!({"slug": slug, "eventType": "flight", "aggregation": "COUNT"}),
            ),
            ("rates", json!({"meter": slug, "kind": "ipu", "price": "1"})),
            ("webhooks", json!({"url": "https://example.com"})),
            ("export-schedules", daily),
            (
                "exports",
                json!({"kind": "SUMMARY", "from": "2026-01-01", "to": "2026-02-01"}),
            ),
        ] {
            let path = format!("/api/v1/{path}");
            let made = server.post(&owner, &path, &body.to_string()).await;
            assert!(matches!(made.status, 201 | 202), "{path}: {}", made.body);
        }
        let subject = json!([{"key": format!("customer {number}"), "displayName": "A"}]);
        let put = server
            .post(&owner, "/api/v1/subjects", &subject.to_string())
            .await;
        assert_eq!(put.status, 200, "{}", put.body);
    }
    (server, owner)
}

/// Every list of the API, deliveries of two webhooks among them.
async fn lists(server: &TestServer, owner: &str, root: OrganizationId) -> Vec<List> {
    let mut lists: Vec<_> = [
        "organizations",
        "users",
        "keys",
        "meters",
        "rates",
        "subjects",
        "webhooks",
        "export-schedules",
        "exports",
    ]
    .map(|name| List {
        path: format!("/api/v1/{name}"),
        filters: Vec::new(),
    })
    .into();
    let schedules = items(&server.get(owner, "/api/v1/export-schedules").await);
    let schedule = text(&schedules[0], "id");
    lists[8].filters = vec![
        "status=CREATED".to_owned(),
        "kind=SUMMARY".to_owned(),
        "source=own".to_owned(),
        format!("organization={root}"),
        format!("schedule={schedule}"),
    ];
    for webhook in &items(&server.get(owner, "/api/v1/webhooks?limit=2").await) {
        let path = format!("/api/v1/webhooks/{}", text(webhook, "id"));
        for _ in 0..3 {
            let sent = server.post(owner, &format!("{path}/test"), "").await;
            assert_eq!(sent.status, 202, "{}", sent.body);
        }
        lists.push(List {
            path: path + "/deliveries",
            filters: vec!["state=pending".to_owned()],
        });
    }
    lists
}

fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap().to_owned()
}

fn items(page: &Answer) -> Vec<Value> {
    assert_eq!(page.status, 200, "{}", page.body);
    let body = page.json();
    let list = if body.is_array() {
        &body
    } else {
        &body["items"]
    };
    list.as_array().unwrap().clone()
}

/// The cursor of the next page, in the body or in the header `Link`.
fn next(page: &Answer) -> Option<String> {
    let link = page.header("link").split(['=', '>']).nth(1);
    let next = page.json()["next"].as_str().map(str::to_owned);
    next.or_else(|| link.map(str::to_owned))
}

async fn first_cursor(server: &TestServer, key: &str, path: &str) -> String {
    let page = server.get(key, &format!("{path}?limit=1")).await;
    next(&page).unwrap_or_else(|| panic!("{path}: {}", page.body))
}

async fn must_be_refused(server: &TestServer, key: &str, path: &str, cursor: &str) {
    let answer = server.get(key, path).await;
    let shown = cursor.get(..40).unwrap_or(cursor);
    let begin = format!("cursor is {shown:?}");
    assert_eq!(answer.status, 400, "{path}: {}", answer.body);
    let body = answer.json();
    assert_eq!(body["code"], "invalid_request", "{path}");
    let detail = text(&body, "detail");
    assert!(detail.starts_with(&begin), "{path}: {detail}");
    assert!(
        detail.ends_with("start again without cursor"),
        "{path}: {detail}"
    );
}

#[tokio::test]
async fn a_cursor_of_one_list_is_refused_by_every_other() {
    let (server, owner) = filled().await;
    let lists = lists(&server, &owner, server.root().await).await;
    for (from, list) in lists.iter().enumerate() {
        let cursor = first_cursor(&server, &owner, &list.path).await;
        for (to, other) in lists.iter().enumerate() {
            let path = format!("{}?cursor={cursor}", other.path);
            if from == to {
                assert_eq!(server.get(&owner, &path).await.status, 200, "{path}");
            } else {
                must_be_refused(&server, &owner, &path, &cursor).await;
            }
        }
        // As releases before this one gave them out: the key alone.
        let old = &cursor[16..];
        let path = format!("{}?cursor={old}", list.path);
        must_be_refused(&server, &owner, &path, old).await;
    }
}

#[tokio::test]
async fn a_cursor_is_refused_with_another_filter_and_taken_with_another_limit() {
    let (server, owner) = filled().await;
    for list in lists(&server, &owner, server.root().await).await {
        let cursor = first_cursor(&server, &owner, &list.path).await;
        for limit in [1, 2, 1_000] {
            let path = format!("{}?limit={limit}&cursor={cursor}", list.path);
            assert_eq!(server.get(&owner, &path).await.status, 200, "{path}");
        }
        for filter in &list.filters {
            let path = format!("{}?{filter}&cursor={cursor}", list.path);
            must_be_refused(&server, &owner, &path, &cursor).await;
        }
        let Some(filter) = list.filters.first() else {
            continue;
        };
        let filtered = format!("{}?{filter}&limit=1", list.path);
        let page = server.get(&owner, &filtered).await;
        let cursor = next(&page).unwrap();
        let path = format!("{filtered}&cursor={cursor}");
        assert_eq!(items(&server.get(&owner, &path).await).len(), 1);
        let path = format!("{}?cursor={cursor}", list.path);
        must_be_refused(&server, &owner, &path, &cursor).await;
    }
}

#[tokio::test]
async fn a_cursor_is_refused_from_another_organization() {
    let (server, owner) = filled().await;
    let root = server.root().await;
    let lists = lists(&server, &owner, root).await;
    let kind = OrganizationKind::SubOrganization;
    let child = server.organization("Child", kind, root).await;
    let below = server.key(child, Role::Owner).await;
    let foreign = server.account("Other").await;
    let foreign = server.key(foreign, Role::Owner).await;
    let same = server.key(root, Role::Owner).await;
    for list in lists
        .iter()
        .filter(|list| !list.path.ends_with("deliveries"))
    {
        let cursor = first_cursor(&server, &owner, &list.path).await;
        let path = format!("{}?cursor={cursor}", list.path);
        assert_eq!(server.get(&same, &path).await.status, 200, "{path}");
        for key in [&below, &foreign] {
            assert_eq!(server.get(key, &list.path).await.status, 200);
            must_be_refused(&server, key, &path, &cursor).await;
        }
    }
}

#[tokio::test]
async fn pages_of_one_walk_every_list_to_its_end() {
    let (server, owner) = filled().await;
    for list in lists(&server, &owner, server.root().await).await {
        let whole = items(&server.get(&owner, &list.path).await);
        assert!(whole.len() >= 3, "{}", list.path);
        let (mut walked, mut path) = (Vec::new(), format!("{}?limit=1", list.path));
        loop {
            let page = server.get(&owner, &path).await;
            walked.extend(items(&page));
            match next(&page) {
                Some(next) => path = format!("{}?limit=1&cursor={next}", list.path),
                None => break,
            }
        }
        assert_eq!(walked, whole, "{}", list.path);
    }
}
