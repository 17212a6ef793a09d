//! `/api/v1/subjects`.

use domain::tree::OrganizationKind;
use insta::assert_snapshot;
use metadata::Role;
use reqwest::Method;

use crate::harness::{Answer, TestServer};

#[tokio::test]
async fn putting_a_subject_again_renames_it() {
    let server = TestServer::start().await;
    let key = server.key(server.root().await, Role::Operator).await;
    let first = r#"[{"key": "customer-1"}, {"key": "customer-2", "displayName": "Two"}]"#;
    assert_eq!(
        server.post(&key, "/api/v1/subjects", first).await.status,
        200
    );
    let again = r#"[{"key": "customer-1", "displayName": "One"}]"#;
    assert_eq!(
        server.post(&key, "/api/v1/subjects", again).await.status,
        200
    );
    assert_snapshot!(server.get(&key, "/api/v1/subjects").await.show(), @r#"
    200 application/json
    [
      {
        "createdAt": "2026-06-01T12:00:00Z",
        "displayName": "One",
        "id": "customer-1",
        "key": "customer-1",
        "organization": "[id]",
        "updatedAt": "2026-06-01T12:00:00Z"
      },
      {
        "createdAt": "2026-06-01T12:00:00Z",
        "displayName": "Two",
        "id": "customer-2",
        "key": "customer-2",
        "organization": "[id]",
        "updatedAt": "2026-06-01T12:00:00Z"
      }
    ]
    "#);
    let page = server.get(&key, "/api/v1/subjects?limit=1").await;
    assert_eq!(page.json().as_array().unwrap().len(), 1);
    let next = page
        .header("link")
        .split(['<', '>'])
        .nth(1)
        .unwrap()
        .to_owned();
    let last = server.get(&key, &next).await;
    assert_eq!(last.json()[0]["key"], "customer-2");
    assert_eq!(last.header("link"), "");
}

#[tokio::test]
async fn subjects_are_refused_to_writers_strangers_and_without_a_key() {
    let server = TestServer::start().await;
    let writer = server.key(server.root().await, Role::Writer).await;
    assert_eq!(server.get(&writer, "/api/v1/subjects").await.status, 403);
    assert_eq!(
        server.post(&writer, "/api/v1/subjects", "[]").await.status,
        403
    );
    let request = server.request(Method::GET, "/api/v1/subjects");
    assert_eq!(Answer::of(request).await.status, 401);
    let owner = server.key(server.root().await, Role::Owner).await;
    let long = format!(r#"[{{"key": "{}"}}]"#, "k".repeat(1025));
    assert_snapshot!(server.post(&owner, "/api/v1/subjects", &long).await.show(), @r#"
    400 application/problem+json
    {
      "code": "invalid_request",
      "detail": "key has 1025 bytes: expected 1 to 1024",
      "requestId": "[id]",
      "status": 400,
      "title": "Bad Request",
      "type": "about:blank"
    }
    "#);
}

const PATH: &str = "/api/v1/subjects";

/// What a key sees of the subject `ann`: the names in the list, and the one it reads.
async fn seen(server: &TestServer, key: &str) -> (Vec<String>, String) {
    let listed = server.get(key, PATH).await.json();
    let listed = listed.as_array().unwrap().iter();
    let listed = listed.map(|one| one["displayName"].as_str().unwrap().to_owned());
    let one = server.get(key, &format!("{PATH}/ann")).await;
    let name = one.json()["displayName"].as_str().unwrap_or("").to_owned();
    (listed.collect(), name)
}

#[tokio::test]
async fn a_subject_belongs_to_the_organization_that_named_it() {
    let server = TestServer::start().await;
    let root = server.root().await;
    let additional = OrganizationKind::AdditionalProduction;
    let left = server.organization("Left", additional, root).await;
    let right = server.organization("Right", additional, root).await;
    let sub = OrganizationKind::SubOrganization;
    let deep = server.organization("Deep", sub, left).await;
    let mut keys = Vec::new();
    for organization in [root, left, right, deep] {
        keys.push(server.key(organization, Role::Operator).await);
    }
    let [of_root, of_left, of_right, of_deep] = keys.as_slice() else {
        panic!("four organizations")
    };
    let put = async |key: &str, name: &str| {
        let body = format!(r#"[{{"key": "ann", "displayName": "{name}"}}]"#);
        assert_eq!(server.post(key, PATH, &body).await.status, 200);
    };
    put(of_deep, "Deep").await;
    let nothing = server.get(of_right, &format!("{PATH}/ann")).await;
    assert_eq!(seen(&server, of_right).await.0, Vec::<String>::new());
    assert_eq!(
        (nothing.status, nothing.json()["detail"].clone()),
        (404, "no such subject".into())
    );
    assert_eq!(
        server.delete(of_right, &format!("{PATH}/ann")).await.status,
        404
    );
    put(of_right, "Right").await;
    // Two edges to one, one edge to the other.
    assert_eq!(seen(&server, of_root).await.1, "Right");
    put(of_left, "Left").await;
    let (listed, one) = seen(&server, of_root).await;
    assert_eq!(listed.len(), 3, "{listed:?}");
    let first = if left < right { "Left" } else { "Right" };
    assert_eq!(
        one, first,
        "of equally near ones the least organization id counts"
    );
    put(of_root, "Root").await;
    assert_eq!(seen(&server, of_root).await.1, "Root");
    let both = vec!["Deep".to_owned(), "Left".to_owned()];
    let (mut listed, own) = seen(&server, of_left).await;
    listed.sort();
    assert_eq!(
        (listed, own.as_str()),
        (both, "Left"),
        "neither above nor beside"
    );
    assert_eq!(seen(&server, of_deep).await.1, "Deep");
    let left_one = server.get(of_left, &format!("{PATH}/ann")).await.json();
    assert_eq!(left_one["organization"], left.to_string());
}

#[tokio::test]
async fn deleting_a_subject_takes_the_own_one_first_and_then_the_nearest_below() {
    let server = TestServer::start().await;
    let root = server.root().await;
    let sub = OrganizationKind::SubOrganization;
    let child = server.organization("Child", sub, root).await;
    let above = server.key(root, Role::Operator).await;
    let below = server.key(child, Role::Operator).await;
    let body = r#"[{"key": "a/b c", "displayName": "x"}]"#;
    for key in [&above, &below] {
        assert_eq!(server.post(key, PATH, body).await.status, 200);
    }
    let path = format!("{PATH}/a%2Fb%20c");
    let reads = async |key: &str| server.get(key, &path).await.json()["organization"].clone();
    let analyst = server.key(root, Role::Analyst).await;
    assert_eq!(server.delete(&analyst, &path).await.status, 403);
    assert_eq!(reads(&analyst).await, root.to_string());
    assert_eq!(server.delete(&above, &path).await.status, 204);
    assert_eq!(reads(&below).await, child.to_string());
    assert_eq!(reads(&above).await, child.to_string());
    assert_eq!(server.delete(&above, &path).await.status, 204);
    assert_eq!(server.get(&below, &path).await.status, 404);
    assert_eq!(server.delete(&above, &path).await.status, 404);
    for method in [Method::GET, Method::DELETE] {
        assert_eq!(Answer::of(server.request(method, &path)).await.status, 401);
    }
}

#[tokio::test]
async fn pages_of_subjects_go_on_between_organizations_of_one_key() {
    let server = TestServer::start().await;
    let root = server.root().await;
    let sub = OrganizationKind::SubOrganization;
    let mut owners = vec![root];
    for name in ["One", "Two", "Three"] {
        owners.push(server.organization(name, sub, root).await);
    }
    for owner in &owners {
        let key = server.key(*owner, Role::Operator).await;
        let body = r#"[{"key": "shared"}, {"key": "a key with spaces"}]"#;
        assert_eq!(server.post(&key, PATH, body).await.status, 200);
    }
    let key = server.key(root, Role::Analyst).await;
    let (mut seen, mut path) = (Vec::new(), format!("{PATH}?limit=3"));
    loop {
        let page = server.get(&key, &path).await;
        for one in page.json().as_array().unwrap() {
            let text = |name: &str| one[name].as_str().unwrap().to_owned();
            seen.push((text("key"), text("organization")));
        }
        match page.header("link").split(['<', '>']).nth(1) {
            Some(next) => path = format!("{next}&limit=3"),
            None => break,
        }
    }
    let mut sorted = seen.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!((seen.len(), &seen), (8, &sorted));
    let foreign = server.get(&key, &format!("{PATH}?cursor=61")).await;
    assert_eq!(foreign.status, 400, "{}", foreign.body);
}
