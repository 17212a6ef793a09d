//! One account, whichever of the first start and the first file comes first; and whose file it is.

use metadata::{PageRequest, Role};
use serde_json::json;

use super::{apply, lines};
use crate::harness::TestServer;

async fn accounts(server: &TestServer) -> usize {
    let page = PageRequest::default();
    server
        .app()
        .metadata
        .list_accounts(&page)
        .await
        .unwrap()
        .items
        .len()
}

#[tokio::test]
async fn a_file_takes_over_the_unused_account_of_the_first_start() {
    let server = TestServer::start().await;
    let admin = server.running().first_admin().unwrap().clone();
    let file = "organizations: [{name: United, organizations: [{name: Trial, kind: sandbox}]}]\n\
                ---\n\
                organizations: [{name: Second}]";
    let expected = "\
~ organization \"Default\": adopted, unused since the first start
~ organization \"Default\": name \"Default\" -> \"United\"
+ organization \"Trial\" (sandbox)
+ account with root \"Second\"";
    assert_eq!(lines(&apply(&server, file, true).await), expected);
    assert_eq!(lines(&apply(&server, file, false).await), expected);
    assert_eq!(lines(&apply(&server, file, false).await), "");
    assert_eq!(accounts(&server).await, 2);
    let session = server.session(&admin.user, &admin.password).await;
    let path = "/api/v1/organizations";
    let seen = server
        .in_session(&session, reqwest::Method::GET, path, "")
        .await;
    assert!(seen.body.contains("Trial"), "{}", seen.body);
}

#[tokio::test]
async fn an_unused_account_gives_way_to_the_ids_a_file_demands() {
    let server = TestServer::start().await;
    let admin = server.running().first_admin().unwrap().clone();
    let file = "
account: 6jVqPzL0bYkR3xW8sT1uNc
organizations: [{name: United, id: 4wMFqGlxAKVlIFTixlTSOY}]
users: [{name: admin, firstName: Ada}]
";
    let done = apply(&server, file, false).await;
    insta::assert_snapshot!(crate::harness::fold(&lines(&done)), @r#"
    + account with root "United", in place of account [id] with root "Default", unused
      since the first start
    ~ user "admin": firstName "" -> "Ada"
    "#);
    assert_eq!(accounts(&server).await, 1);
    assert_eq!(lines(&apply(&server, file, false).await), "");
    let session = server.session(&admin.user, &admin.password).await;
    let path = "/api/v1/organizations";
    let seen = server
        .in_session(&session, reqwest::Method::GET, path, "")
        .await;
    assert!(
        seen.body.contains("4wMFqGlxAKVlIFTixlTSOY"),
        "{}",
        seen.body
    );
}

#[tokio::test]
async fn a_used_account_of_the_first_start_stays_and_is_named() {
    let server = TestServer::start().await;
    server.key(server.root().await, Role::Writer).await;
    let done = apply(&server, "organizations: [{name: United}]", false).await;
    assert_eq!(lines(&done), "+ account with root \"United\"");
    let warning = crate::harness::redact(done["warnings"][0].as_str().unwrap());
    insta::assert_snapshot!(crate::harness::fold(&warning), @"
    account [id] of the first start stays beside the new one, since it has usage,
      organizations, keys or meters: write `account: [id]` at the top of the file to
      declare into it
    ");
    assert_eq!(accounts(&server).await, 2);
}

#[tokio::test]
async fn a_file_without_a_tree_makes_an_account_that_the_next_file_takes_over() {
    let server = TestServer::start().await;
    let meters = "meters: [{slug: calls, eventType: call, aggregation: COUNT}]";
    apply(&server, meters, false).await;
    let tree = "organizations: [{name: United}]\nrates: [{meter: calls, kind: ipu, price: 1}]";
    apply(&server, tree, false).await;
    assert_eq!(accounts(&server).await, 1);
    assert_eq!(lines(&apply(&server, tree, false).await), "");
}

#[tokio::test]
async fn an_owners_key_declares_its_own_account_alone() {
    let server = TestServer::start().await;
    let (own, other) = (server.root().await, server.account("Other").await);
    let owner = server.key(own, Role::Owner).await;
    let send = async |key: &str, setup: String| {
        let body = json!({"setup": setup}).to_string();
        server.post(key, "/api/v1/setup", &body).await
    };
    let file = "organizations: [{name: Default, organizations: [{name: Sub}]}]";
    let done = send(&owner, file.to_owned()).await;
    assert_eq!(done.status, 200, "{}", done.body);
    assert_eq!(
        lines(&done.json()),
        "~ organization \"Default\": adopted, which the first start made\n\
         + organization \"Sub\" (sub_organization)"
    );
    let keys = send(
        &owner,
        "keys: [{name: k, role: writer, organization: Sub}]".to_owned(),
    )
    .await;
    assert_eq!(keys.status, 200, "{}", keys.body);
    let account = server
        .app()
        .metadata
        .find_account_of(other)
        .await
        .unwrap()
        .unwrap()
        .id;
    for (setup, status) in [
        (
            format!("account: {account}\nkeys: [{{name: k, role: owner}}]"),
            403,
        ),
        (
            format!("organizations: [{{name: Other, id: {other}}}]"),
            400,
        ),
        (
            format!("keys: [{{name: k, role: owner, organization: {other}}}]"),
            400,
        ),
        (
            format!("organizations: [{{name: X, parent: {other}}}]"),
            400,
        ),
        ("organizations: [{name: Other}]".to_owned(), 400),
    ] {
        let refused = send(&owner, setup.clone()).await;
        assert_eq!(refused.status, status, "{setup}: {}", refused.body);
    }
    assert_eq!(accounts(&server).await, 2);
    let sub = server.called("Sub").await;
    for key in [
        server.key(sub, Role::Owner).await,
        server.key(own, Role::Operator).await,
    ] {
        assert_eq!(send(&key, file.to_owned()).await.status, 403);
    }
}
