//! Watermarks outside: one text each, which shows nothing and which nobody else makes.

use std::collections::BTreeSet;

use domain::export::AsOf;
use export::request::pins;
use metadata::{Claim, Lane};
use serde_json::{Value, json};
use server::auth::sha256;

use super::{EXPORTS, analyst, ask, january, path};
use crate::harness::{Answer, TestServer};

/// Asks for January's summary at a watermark.
async fn ask_at(server: &TestServer, key: &str, as_of: &str) -> Answer {
    let mut body = january("SUMMARY");
    body["asOf"] = json!(as_of);
    ask(server, key, &body).await
}

/// January's summary as the server shows it once it is made.
async fn made(server: &TestServer, key: &str) -> Value {
    let asked = ask(server, key, &january("SUMMARY")).await;
    server.run_jobs_until_idle().await;
    server.get(key, &path(&asked)).await.json()
}

/// The same, whose first claim pinned it to this watermark.
async fn made_at(server: &TestServer, key: &str, as_of: AsOf) -> Value {
    let asked = ask(server, key, &january("SUMMARY")).await;
    let claim = Claim {
        worker: "earlier".to_owned(),
        pins: pins(as_of),
        lease_ms: 1,
        lane: Lane::Ordinary,
    };
    let app = server.app();
    let claimed = app.metadata.claim_export(&claim, app.now()).await.unwrap();
    assert_eq!(claimed.unwrap().pins.as_of, as_of);
    server.advance(1);
    server.run_jobs_until_idle().await;
    server.get(key, &path(&asked)).await.json()
}

/// The newest watermark, at an instant.
async fn newest(server: &TestServer, time: &str) -> AsOf {
    let app = server.app();
    AsOf {
        sequence: app.usage.watermark().await.unwrap(),
        revision: app.metadata.control_revision().await.unwrap(),
        time: time.parse().unwrap(),
    }
}

/// The watermark of an export, as numbers.
async fn numbers(server: &TestServer, export: &Value) -> AsOf {
    let id = export["id"].as_str().unwrap().parse().unwrap();
    let found = server.app().metadata.find_export(id).await.unwrap();
    found.unwrap().pins.unwrap().as_of
}

/// A text as earlier releases made it.
fn open(as_of: AsOf) -> String {
    let (sequence, revision) = (as_of.sequence, as_of.revision);
    let micros = as_of.time.as_microsecond();
    let numbers = format!("{sequence:016x}{revision:016x}{micros:016x}");
    let guard = sha256(&numbers).map(|byte| format!("{byte:02x}")).concat();
    format!("1{numbers}{}", &guard[..8])
}

fn text(export: &Value) -> &str {
    export["asOf"].as_str().unwrap()
}

#[tokio::test]
async fn one_watermark_has_one_text_of_at_most_64_characters_also_after_a_restart() {
    let (server, key) = analyst().await;
    let first = made(&server, &key).await;
    let sealed = text(&first).to_owned();
    assert!(sealed.len() <= 64, "{sealed}");
    let again = ask_at(&server, &key, &sealed).await;
    assert_eq!((again.status, text(&again.json())), (202, sealed.as_str()));
    server.advance(1);
    let later = made(&server, &key).await;
    assert_ne!(text(&later), sealed);

    let server = server.restart(|_| ()).await;
    let shown = server.get(&key, &path(&again)).await.json();
    assert_eq!(text(&shown), sealed);
    let listed = server.get(&key, EXPORTS).await.json();
    let listed = listed["items"].as_array().unwrap().iter();
    assert_eq!(listed.filter(|export| text(export) == sealed).count(), 2);
    let again = ask_at(&server, &key, &sealed).await;
    assert_eq!((again.status, text(&again.json())), (202, sealed.as_str()));
}

#[tokio::test]
async fn a_text_that_was_not_given_out_is_refused_in_words_that_tell_nothing() {
    let (server, key) = analyst().await;
    server.advance(1);
    let first = made(&server, &key).await;
    let numbers = numbers(&server, &first).await;
    let mut changed = text(&first).to_owned();
    let last = if changed.ends_with('A') { "B" } else { "A" };
    changed.replace_range(changed.len() - 1.., last);
    let (other, stranger) = analyst().await;
    let foreign = made(&other, &stranger).await;
    let earlier = AsOf {
        time: "2026-05-31T00:00:00Z".parse().unwrap(),
        ..numbers
    };
    let mut details = BTreeSet::new();
    for made_up in [
        changed,
        text(&foreign).to_owned(),
        text(&first)[..54].to_owned(),
        // Its numbers are those of an export, whose text was sealed from the beginning.
        open(numbers),
        open(earlier),
        open(AsOf {
            sequence: 0,
            ..earlier
        }),
        open(AsOf {
            sequence: 1 << 40,
            ..earlier
        }),
    ] {
        let refused = ask_at(&server, &key, &made_up).await;
        assert_eq!(refused.status, 400, "{made_up}: {}", refused.body);
        assert_eq!(refused.json()["code"], "invalid_as_of", "{made_up}");
        details.insert(refused.json()["detail"].as_str().unwrap().to_owned());
    }
    let only = "asOf is no watermark of this server".to_owned();
    assert_eq!(details, BTreeSet::from([only]));
}

#[tokio::test]
async fn a_text_of_an_earlier_release_stays_valid_while_its_export_is_there() {
    let (server, key) = analyst().await;
    let as_of = newest(&server, "2026-06-01T11:00:00.000001Z").await;
    let first = made_at(&server, &key, as_of).await;
    assert_eq!(first["status"], "SUCCESS", "{first}");
    let again = ask_at(&server, &key, &open(as_of)).await;
    assert_eq!(again.status, 202, "{}", again.body);
    assert_eq!(text(&again.json()), text(&first));
    server.run_jobs_until_idle().await;
    let again = server.get(&key, &path(&again)).await.json();
    assert_eq!(again["artifact"]["sha256"], first["artifact"]["sha256"]);
    for neighbour in [as_of.sequence - 1, as_of.sequence + 1] {
        let neighbour = AsOf {
            sequence: neighbour,
            ..as_of
        };
        let refused = ask_at(&server, &key, &open(neighbour)).await;
        assert_eq!(refused.status, 400, "{}", refused.body);
    }
}

#[tokio::test]
async fn a_manifest_shows_the_sealed_text_and_no_number_of_the_watermark() {
    let (server, key) = analyst().await;
    let export = made(&server, &key).await;
    let id = export["id"].as_str().unwrap();
    let url = format!("{EXPORTS}/{id}/manifest");
    let manifest = server.get(&key, &url).await;
    assert_eq!(manifest.json()["asOf"], export["asOf"]);
    let artifacts = server.app().exports.artifacts();
    let stored = artifacts.manifest(id.parse().unwrap()).await.unwrap();
    let stored: Value = serde_json::from_slice(&stored).unwrap();
    let as_of = numbers(&server, &export).await;
    assert_eq!(stored["asOf"]["sequence"], as_of.sequence, "kept as it was");
    let mut expected = stored;
    expected["asOf"] = export["asOf"].clone();
    assert_eq!(manifest.json(), expected);
    let order = ["format", "layout", "export", "asOf", "archive", "files"];
    let places = order.map(|member| manifest.body.find(&format!("\n  \"{member}\":")));
    assert!(places.is_sorted() && places[0].is_some(), "{places:?}");
}

#[tokio::test]
async fn an_export_at_usage_that_is_gone_fails_without_naming_a_sequence() {
    let (server, key) = analyst().await;
    let mut as_of = newest(&server, "2026-06-01T11:00:00Z").await;
    as_of.sequence += 987_654;
    let failed = made_at(&server, &key, as_of).await;
    let told = "usage could not be read";
    assert_eq!(
        (&failed["status"], &failed["errorMessage"]),
        (&json!("FAILED"), &json!(told))
    );
    let refused = ask_at(&server, &key, text(&failed)).await;
    assert_eq!(refused.status, 400);
    assert_eq!(refused.json()["detail"], "asOf is ahead of now");
}

#[tokio::test]
async fn a_watermark_of_usage_that_was_given_up_is_gone() {
    let (server, key) = analyst().await;
    let before = made(&server, &key).await;
    server.advance(1);
    let (metadata, now) = (server.app().metadata.clone(), server.app().now());
    metadata.forget_usage(now).await.unwrap();
    // As a start that accepts the loss does; what it gave up is read then.
    let server = server.restart(|_| {}).await;
    let refused = ask_at(&server, &key, text(&before)).await;
    assert_eq!(refused.status, 410, "{}", refused.body);
    server.advance(1);
    let after = made(&server, &key).await;
    assert_eq!(ask_at(&server, &key, text(&after)).await.status, 202);
}
