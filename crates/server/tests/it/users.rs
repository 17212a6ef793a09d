//! Users: created, disabled, and their passwords.

use domain::tree::OrganizationKind;
use insta::assert_snapshot;
use metadata::Role;
use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, TestServer};

const PATH: &str = "/api/v1/users";

#[tokio::test]
async fn a_user_without_a_password_gets_one_shown_once_and_logs_in() {
    let server = TestServer::start().await;
    let owner = server.key(server.root().await, Role::Owner).await;
    let body = r#"{"name":"ann","firstName":"Ann","roles":[{"role":"analyst"}]}"#;
    let made = server.post(&owner, PATH, body).await;
    let password = made.json()["password"].as_str().unwrap().to_owned();
    assert_snapshot!(made.show().replace(&password, "[password]"), @r#"
    201 application/json
    {
      "createdAt": "2026-06-01T12:00:00Z",
      "emails": [],
      "firstName": "Ann",
      "id": "[id]",
      "lastName": "",
      "name": "ann",
      "organizationId": "[id]",
      "password": "[password]",
      "roles": [
        {
          "organizationId": "[id]",
          "role": "analyst"
        }
      ],
      "serverAdministrator": false,
      "status": "active",
      "updatedAt": "2026-06-01T12:00:00Z"
    }
    "#);
    let path = format!("{PATH}/{}", made.json()["id"].as_str().unwrap());
    assert!(!server.get(&owner, &path).await.body.contains("password"));
    let session = server.session("ann", &password).await;
    let own = server.in_session(&session, Method::GET, &path, "").await;
    assert_eq!(own.json()["name"], "ann", "everyone may see themselves");
    let all = server.in_session(&session, Method::GET, PATH, "").await;
    assert_eq!(all.status, 403, "but an analyst sees no others");
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions() {
    let server = TestServer::start().await;
    let (user, password) = server.admin();
    let kept = server.session(&user, &password).await;
    let other = server.session(&user, &password).await;
    let login = server.log_in(&user, &password).await.json();
    let path = format!(
        "{PATH}/{}/password",
        login["userInfo"]["id"].as_str().unwrap()
    );
    let change = async |body: &str| {
        let json = ("content-type", "application/json");
        let request = server
            .request(Method::PUT, &path)
            .header("INFA-SESSION-ID", &kept);
        Answer::of(request.header(json.0, json.1).body(body.to_owned())).await
    };
    let wrong = change(r#"{"current":"guess","password":"another one"}"#).await;
    assert_eq!(
        (wrong.status, wrong.json()["code"].clone()),
        (401, json!("wrong_password"))
    );
    let short = json!({"current": password, "password": "short"}).to_string();
    assert_eq!(change(&short).await.status, 400);
    let good = json!({"current": password, "password": "another one"}).to_string();
    assert_eq!(change(&good).await.status, 200);
    let alive = async |session: &str| {
        server
            .in_session(session, Method::GET, "/api/v1/organizations", "")
            .await
            .status
            == 200
    };
    assert!(alive(&kept).await && !alive(&other).await);
    assert_eq!(server.log_in(&user, &password).await.status, 401);
    assert_eq!(server.log_in(&user, "another one").await.status, 200);
}

#[tokio::test]
async fn a_disabled_user_is_out_at_once() {
    let server = TestServer::start().await;
    let owner = server.key(server.root().await, Role::Owner).await;
    let body = r#"{"name":"bob","password":"long enough","roles":[{"role":"owner"}]}"#;
    let made = server.post(&owner, PATH, body).await.json();
    assert_eq!(
        made["password"],
        json!(null),
        "a password that was sent is not shown"
    );
    let session = server.session("bob", "long enough").await;
    let path = format!("{PATH}/{}", made["id"].as_str().unwrap());
    assert_eq!(server.delete(&owner, &path).await.status, 204);
    let after = server
        .in_session(&session, Method::GET, "/api/v1/organizations", "")
        .await;
    assert_eq!(after.status, 401);
    assert_eq!(server.log_in("bob", "long enough").await.status, 401);
    let back = server.patch(
        &owner,
        &path,
        r#"{"status":"active","roles":[{"role":"analyst"}]}"#,
    );
    assert_eq!(back.await.json()["roles"][0]["role"], "analyst");
    server.session("bob", "long enough").await;
}

#[tokio::test]
async fn owners_reach_neither_strangers_nor_server_administrators() {
    let server = TestServer::start().await;
    let root = server.root().await;
    let sub = OrganizationKind::SubOrganization;
    let child = server.organization("Child", sub, root).await;
    let (above, below) = (
        server.key(root, Role::Owner).await,
        server.key(child, Role::Owner).await,
    );
    let listed = server.get(&above, PATH).await.json();
    let admin = format!("{PATH}/{}", listed["items"][0]["id"].as_str().unwrap());
    for answer in [
        server.get(&below, &admin).await,
        server.patch(&below, &admin, "{}").await,
        server.delete(&below, &admin).await,
        server.put(&below, &format!("{admin}/password"), "{}").await,
    ] {
        assert_eq!(answer.json()["detail"], "no such user");
    }
    for answer in [
        server.patch(&above, &admin, "{}").await,
        server.delete(&above, &admin).await,
        server.put(&above, &format!("{admin}/password"), "{}").await,
    ] {
        assert_eq!(answer.status, 403, "{}", answer.body);
    }
    let role_above = json!({"name": "eve", "roles": [{"role": "owner", "organizationId": root}]});
    assert_eq!(
        server
            .post(&below, PATH, &role_above.to_string())
            .await
            .status,
        404
    );
    let taken = server.post(&below, PATH, r#"{"name":"admin"}"#).await;
    assert_eq!(taken.status, 409, "{}", taken.body);
    for method in [Method::GET, Method::POST] {
        assert_eq!(Answer::of(server.request(method, PATH)).await.status, 401);
    }
}

#[tokio::test]
async fn a_forgotten_password_is_reset_by_a_server_administrator() {
    let server = TestServer::start().await;
    let path = "/api/v1/password-resets";
    let (user, old) = server.admin();
    let body = json!({"name": user}).to_string();
    let owner = server.key(server.root().await, Role::Owner).await;
    assert_eq!(server.post(&owner, path, &body).await.status, 403);
    let made = server.post(server.token(), path, &body).await.json();
    assert_eq!(server.log_in(&user, &old).await.status, 401);
    server
        .session(&user, made["password"].as_str().unwrap())
        .await;
    assert_eq!(
        server
            .post(server.token(), path, r#"{"name":"nobody"}"#)
            .await
            .status,
        404
    );
}
