//! The vendor's login: sessions, their end, and what happens to those who guess.

use insta::assert_snapshot;
use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, TestServer, fold, redact};

const ORGANIZATIONS: &str = "/api/v1/organizations";

#[tokio::test]
async fn a_v3_login_gives_a_session_for_every_door_and_a_base_url() {
    let server = TestServer::start().await;
    let (user, password) = server.admin();
    let answer = server.log_in(&user, &password).await;
    let shown = answer.show().replace(server.url("").as_str(), "[url]");
    let session = answer.json()["userInfo"]["sessionId"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_snapshot!(shown.replace(&session, "[session]"), @r#"
    200 application/json
    {
      "products": [
        {
          "baseApiUrl": "[url]/saas",
          "name": "Integration Cloud"
        }
      ],
      "userInfo": {
        "groups": {},
        "id": "[id]",
        "name": "admin",
        "orgId": "[id]",
        "orgName": "Default",
        "parentOrgId": "[id]",
        "sessionId": "[session]",
        "status": "Active"
      }
    }
    "#);
    for header in ["INFA-SESSION-ID", "icSessionId", "IDS-SESSION-ID"] {
        let request = server
            .request(Method::GET, ORGANIZATIONS)
            .header(header, &session);
        assert_eq!(Answer::of(request).await.status, 200, "{header}");
    }
    let out = server
        .in_session(&session, Method::POST, "/saas/public/core/v3/logout", "")
        .await;
    assert_eq!(out.status, 200);
    let after = server
        .in_session(&session, Method::GET, ORGANIZATIONS, "")
        .await;
    assert_eq!(after.status, 401);
}

#[tokio::test]
async fn the_base_url_is_the_public_one_however_it_ends() {
    for public_url in ["https://meter.example", "https://meter.example/"] {
        let change = |config: &mut server::config::Config| {
            config.server.public_url = public_url.to_owned();
        };
        let server = TestServer::start_with(change).await;
        let (user, password) = server.admin();
        let products = server.log_in(&user, &password).await.json()["products"].clone();
        let product = json!({
            "name": "Integration Cloud", "baseApiUrl": "https://meter.example/saas",
        });
        assert_eq!(products, json!([product]));
    }
}

#[tokio::test]
async fn a_v2_login_tells_the_server_url_and_the_session() {
    let server = TestServer::start().await;
    let (user, password) = server.admin();
    let body = json!({"@type": "login", "username": user, "password": password}).to_string();
    let request = server
        .request(Method::POST, "/ma/api/v2/user/login")
        .body(body.clone());
    let answer = Answer::of(request).await;
    let session = answer.json()["icSessionId"].as_str().unwrap().to_owned();
    let shown = answer.show().replace(server.url("").as_str(), "[url]");
    assert_snapshot!(shown.replace(&session, "[session]"), @r#"
    200 application/json
    {
      "@type": "user",
      "createTime": "2026-06-01T12:00:00Z",
      "description": "",
      "emails": "",
      "firstName": "",
      "forceChangePassword": false,
      "icSessionId": "[session]",
      "id": "[id]",
      "lastName": "",
      "name": "admin",
      "orgId": "[id]",
      "orgUuid": "[id]",
      "roles": [
        {
          "name": "owner"
        }
      ],
      "serverUrl": "[url]/saas",
      "spiUrl": "[url]/saas",
      "timezone": "UTC",
      "updateTime": "2026-06-01T12:00:00Z",
      "usergroups": [],
      "uuid": "[id]"
    }
    "#);
    let check = json!({"@type": "validatedToken", "userName": user, "icToken": session});
    let check = async || {
        let request = server.request(Method::POST, "/saas/api/v2/user/validSessionId");
        Answer::of(request.body(check.to_string())).await.json()["isValidToken"].clone()
    };
    assert_eq!(check().await, true);
    let all = server
        .request(Method::POST, "/ma/api/v2/user/logoutall")
        .body(body);
    assert_eq!(Answer::of(all).await.status, 200);
    assert_eq!(check().await, false);
    let out = server
        .in_session(&session, Method::POST, "/saas/api/v2/user/logout", "")
        .await;
    assert_snapshot!(out.show(), @r#"
    401 application/json
    {
      "@type": "error",
      "code": "UI_10000",
      "description": "The credential is missing, unknown, expired or revoked.",
      "statusCode": 401
    }
    "#);
}

#[tokio::test]
async fn a_session_ends_after_thirty_minutes_without_use() {
    let server = TestServer::start().await;
    let (user, password) = server.admin();
    let session = server.session(&user, &password).await;
    let use_it = async || {
        server
            .in_session(&session, Method::GET, ORGANIZATIONS, "")
            .await
            .status
    };
    for _ in 0..3 {
        server.advance(25 * 60);
        assert_eq!(use_it().await, 200);
    }
    server.advance(31 * 60);
    assert_eq!(use_it().await, 401);
}

#[tokio::test]
async fn guessing_is_told_nothing_and_soon_throttled() {
    let server = TestServer::start_with(|config| config.login.attempts_max = 3).await;
    let (user, password) = server.admin();
    let wrong = server.log_in(&user, "wrong").await;
    assert_snapshot!(wrong.show(), @r#"
    401 application/json
    {
      "error": {
        "code": "IDS_085",
        "details": null,
        "message": "the user name or the password is wrong",
        "requestId": "[id]"
      }
    }
    "#);
    let unknown = server.log_in("nobody", "wrong").await;
    assert_eq!(unknown.show(), wrong.show());
    for _ in 0..2 {
        assert_eq!(server.log_in(&user, "wrong").await.status, 401);
    }
    let throttled = server.log_in(&user, &password).await;
    assert_eq!(throttled.header("retry-after"), "300");
    assert_snapshot!(throttled.show(), @r#"
    429 application/json
    {
      "error": {
        "code": "too_many_logins",
        "details": null,
        "message": "too many failed logins: wait before the next one",
        "requestId": "[id]"
      }
    }
    "#);
    server.advance(301);
    server.session(&user, &password).await;
}

#[tokio::test]
async fn guesses_at_once_reach_the_password_no_oftener_than_one_by_one() {
    let server = TestServer::start_with(|config| config.login.attempts_max = 5).await;
    let (user, password) = server.admin();
    let guesses = (0..64).map(|_| server.log_in(&user, "wrong"));
    let answers = futures::future::join_all(guesses).await;
    // A guess that met the limit of password checks was not looked at.
    let looked_at = answers.iter().filter(|answer| answer.status == 401).count();
    assert!((1..=5).contains(&looked_at), "{looked_at} of 64");
    let others = answers.iter().filter(|answer| answer.status != 401);
    assert!(others.into_iter().all(|answer| answer.status == 429));
    for _ in looked_at..5 {
        assert_eq!(server.log_in(&user, "wrong").await.status, 401);
    }
    assert_eq!(server.log_in(&user, &password).await.status, 429);
}

#[tokio::test]
async fn one_address_may_not_try_many_names() {
    let server = TestServer::start_with(|config| config.login.attempts_max = 1).await;
    for number in 0..10 {
        assert_eq!(
            server
                .log_in(&format!("user{number}"), "wrong")
                .await
                .status,
            401
        );
    }
    assert_eq!(server.log_in("user10", "wrong").await.status, 429);
}

#[tokio::test]
async fn bodies_that_are_no_login_are_refused_in_the_doors_words() {
    let server = TestServer::start().await;
    let mut shown = String::new();
    for path in ["/saas/public/core/v3/login", "/ma/api/v2/user/login"] {
        for body in ["", "{}", r#"{"username":"","password":""}"#] {
            let request = server.request(Method::POST, path).body(body);
            let answer = Answer::of(request).await;
            shown += &format!("{} {}\n", answer.status, answer.json());
        }
    }
    let no_session = Answer::of(server.request(Method::POST, "/saas/public/core/v3/logout")).await;
    assert_eq!(no_session.status, 401);
    assert_snapshot!(fold(&redact(&shown)), @r#"
    400 {"error":{"code":"invalid_request","details":null,"message":"not a login: EOF
      while parsing a value at line 1 column 0","requestId":"[id]"}}
    400 {"error":{"code":"invalid_request","details":null,"message":"not a login:
      missing field `username`","requestId":"[id]"}}
    400 {"error":{"code":"invalid_request","details":null,"message":"username and
      password have 1 to 255 characters","requestId":"[id]"}}
    400 {"@type":"error","code":"UI_10000","description":"not a login: EOF while
      parsing a value at line 1 column 0","statusCode":400}
    400 {"@type":"error","code":"UI_10000","description":"not a login: missing field
      `username`","statusCode":400}
    400 {"@type":"error","code":"UI_10000","description":"username and password have 1
      to 255 characters","statusCode":400}
    "#);
}
