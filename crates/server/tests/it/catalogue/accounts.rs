//! The catalogue in two accounts of one server: the same meter ids, numbers of their own.

use std::io::Read;

use domain::ids::OrganizationId;
use metadata::Role;
use reqwest::Method;
use server::setup::CATALOGUE;

use super::{apply, events};
use crate::exports::{ask, january, path};
use crate::harness::TestServer;

/// Declares the catalogue in the account of a root, which has none of it.
async fn load(server: &TestServer, root: OrganizationId) {
    let account = server.app().metadata.find_account_of(root).await.unwrap();
    let setup = format!("account: {}\n{CATALOGUE}", account.unwrap().id);
    let applied = apply(server, &setup).await;
    assert_eq!(applied.status, 200, "{}", applied.body);
    let changes = applied.json()["changes"].as_array().unwrap().len();
    assert_eq!(changes, 60, "35 meters and 25 rates");
    let again = apply(server, &setup).await.json();
    assert_eq!(again["changes"].as_array().unwrap().len(), 0);
}

/// The lines of usage by meter that an account exports.
async fn exported(server: &TestServer, root: OrganizationId) -> Vec<String> {
    let key = server.key(root, Role::Analyst).await;
    let mut body = january("USAGE");
    body["packing"] = "gzip".into();
    body["combined"] = true.into();
    body["columns"] = serde_json::json!(["meter_id", "meter", "usage"]);
    let asked = ask(server, &key, &body).await;
    server.run_jobs_until_idle().await;
    let made = server.get(&key, &path(&asked)).await;
    assert_eq!(made.json()["status"], "SUCCESS", "{}", made.body);
    let url = format!("{}/download", path(&asked));
    let request = server.request(Method::GET, &url).bearer_auth(&key);
    let packed = request.send().await.unwrap().bytes().await.unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(&packed[..])
        .read_to_string(&mut text)
        .unwrap();
    let lines = text.lines().skip(1).map(str::to_owned);
    lines.collect()
}

#[tokio::test]
async fn two_accounts_load_it_and_each_counts_its_own_usage() {
    let server = TestServer::start().await;
    let (one, two) = (server.root().await, server.account("Second").await);
    load(&server, one).await;
    load(&server, two).await;
    let send = async |root: OrganizationId, events: String| {
        let key = server.key(root, Role::Writer).await;
        let media = "application/cloudevents-batch+json";
        let sent = server.send(&key, "/api/v1/events", media, &events).await;
        assert_eq!(sent.status, 204, "{}", sent.body);
    };
    send(one, events().to_string()).await;
    send(two, events().to_string().replace("1.5", "8.25")).await;

    let first = exported(&server, one).await;
    let second = exported(&server, two).await;
    assert_eq!((first.len(), second.len()), (7, 7));
    let line = "a2nB20h1o0lc7k3P9xtWS8,data-integration,";
    assert!(first.contains(&format!("{line}1.5")), "{first:?}");
    assert!(second.contains(&format!("{line}8.25")), "{second:?}");

    // What one account does to its meter leaves the other's alone.
    let owner = server.key(two, Role::Owner).await;
    let meter = "/api/v1/meters/data-integration";
    let renamed = server.patch(&owner, meter, r#"{"name":"Ours","since":null}"#);
    assert_eq!(renamed.await.json()["name"], "Ours");
    assert_eq!(exported(&server, one).await, first);
    let gone = server.delete(&owner, meter).await;
    assert_eq!(gone.status, 204, "{}", gone.body);
    assert_eq!(server.get(&owner, meter).await.status, 404);
    let other = server.key(one, Role::Owner).await;
    assert_eq!(server.get(&other, meter).await.status, 200);
    let query = server.get(&other, &format!("{meter}/query")).await.json();
    assert_eq!(query["data"][0]["value"].to_string(), "1.5", "{query}");
}
