//! A damaged store of usage: what is answered meanwhile, and what goes on after its repair.

use std::path::{Path, PathBuf};

use metadata::{Metadata, Role};
use serde_json::{Value, json};
use server::clock::Clock;
use server::config::Config;
use server::run::{Loss, start, start_with};

use crate::exports::{analyst, ask, january, path};
use crate::harness::TestServer;
use crate::metering::METER;

/// Copies the folder of the usage as a crash would leave it: with rows in the journal.
fn usage_now(server: &TestServer, to: &Path) -> PathBuf {
    let copy = to.join("usage");
    copy_folder(&server.data_dir().join("usage"), &copy);
    copy
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn put_back(copy: &Path, data_dir: &Path) {
    let usage = data_dir.join("usage");
    std::fs::remove_dir_all(&usage).unwrap();
    copy_folder(copy, &usage);
}

/// Offsets of the frames with rows in the first journal file.
fn frames(journal: &[u8]) -> Vec<usize> {
    let number = |at: usize| u32::from_le_bytes(journal[at..at + 4].try_into().unwrap());
    let mut offset = 64;
    let mut found = Vec::new();
    while offset < journal.len() {
        if number(offset + 8) == 1 {
            found.push(offset);
        }
        offset += 48 + usize::try_from(number(offset + 4)).unwrap();
    }
    found
}

/// Flips a bit of a frame with rows.
fn flip(data_dir: &Path, frame: usize) {
    let path = data_dir.join("usage/journal/000000000001.journal");
    let mut journal = std::fs::read(&path).unwrap();
    let offset = frames(&journal)[frame];
    journal[offset + 100] ^= 1;
    std::fs::write(&path, journal).unwrap();
}

async fn send(server: &TestServer, ids: &[&str]) {
    let writer = server.key(server.root().await, Role::Writer).await;
    for id in ids {
        let event = json!({
            "specversion": "1.0", "id": id, "source": "test", "type": "flight", "subject": id,
            "time": "2026-01-05T00:00:00Z", "data": {"hours": 1},
        });
        let media = "application/cloudevents+json";
        let body = event.to_string();
        let sent = server.send(&writer, "/api/v1/events", media, &body).await;
        assert_eq!(sent.status, 204);
    }
}

/// Asks for an export and gives its answer once it has ended.
async fn made(server: &TestServer, key: &str, body: &Value) -> Value {
    let asked = ask(server, key, body).await;
    assert_eq!(asked.status, 202, "{}", asked.body);
    server.run_jobs_until_idle().await;
    server.get(key, &path(&asked)).await.json()
}

/// Reads of now fail, those at an earlier watermark go on, and no period is spent.
async fn check_damaged(server: &TestServer, key: &str, before: &Value, after: &Value) {
    assert_eq!(server.get(key, "/readyz").await.status, 503);
    let query = format!("/api/v1/meters/{METER}/query");
    for path in ["/api/v1/events", &query] {
        let answer = server.get(key, path).await;
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (500, &json!("corrupt")),
            "{path}"
        );
    }
    let at = |export: &Value| {
        let mut body = january("SUMMARY");
        body["asOf"] = export["asOf"].clone();
        body
    };
    let older = made(server, key, &at(before)).await;
    assert_eq!(older["status"], "SUCCESS", "{older}");
    assert_eq!(older["progress"], before["progress"]);
    let past = ask(server, key, &at(after)).await;
    assert_eq!(
        (past.status, &past.json()["code"]),
        (500, &json!("corrupt"))
    );
    let failed = made(server, key, &january("SUMMARY")).await;
    let told = "usage is damaged or missing: ask again once it is repaired";
    assert_eq!(
        (&failed["status"], &failed["errorMessage"]),
        (&json!("FAILED"), &json!(told))
    );
    let schedules = || server.app().exports.schedules.clone();
    assert_eq!(schedules().step().await.unwrap(), 0, "periods wait");
    let report = server
        .post(server.token(), "/api/v1/verification", "")
        .await
        .json();
    assert_eq!(report["damage"].as_array().unwrap().len(), 1, "{report}");
}

/// A server with an export before two events that lie in the journal, and one after them.
struct Story {
    server: TestServer,
    key: String,
    before: Value,
    after: Value,
    /// The usage as a crash leaves it then.
    sound: PathBuf,
    _aside: tempfile::TempDir,
}

impl Story {
    async fn begin() -> Self {
        let (server, key) = analyst().await;
        let before = made(&server, &key, &january("SUMMARY")).await;
        send(&server, &["d-1", "d-2"]).await;
        let after = made(&server, &key, &january("SUMMARY")).await;
        let aside = tempfile::tempdir().unwrap();
        let sound = usage_now(&server, aside.path());
        Self {
            server,
            key,
            before,
            after,
            sound,
            _aside: aside,
        }
    }
}

#[tokio::test]
async fn a_damaged_journal_answers_no_smaller_numbers_and_all_goes_on_after_its_repair() {
    let Story {
        server,
        key,
        before,
        after,
        sound,
        _aside,
    } = Story::begin().await;
    let schedule = json!({"kind": "SUMMARY", "every": "daily"}).to_string();
    let schedule = server
        .post(&key, "/api/v1/export-schedules", &schedule)
        .await;
    assert_eq!(schedule.status, 201, "{}", schedule.body);
    server.advance(2 * 24 * 3_600);

    // The frame of d-1: the three events before it were one frame.
    let server = server
        .restart(|data_dir| {
            put_back(&sound, data_dir);
            flip(data_dir, 1);
        })
        .await;
    check_damaged(&server, &key, &before, &after).await;

    let server = server.restart(|data_dir| put_back(&sound, data_dir)).await;
    assert_eq!(server.get(&key, "/readyz").await.status, 200);
    let again = made(&server, &key, &january("SUMMARY")).await;
    assert_eq!(
        (&again["status"], &again["progress"]),
        (&json!("SUCCESS"), &after["progress"])
    );
    let schedules = server.app().exports.schedules.clone();
    assert!(schedules.step().await.unwrap() > 0, "periods are caught up");
    server.run_jobs_until_idle().await;
    let failed = server
        .get(&key, "/api/v1/exports?status=FAILED")
        .await
        .json();
    assert_eq!(
        failed["items"].as_array().unwrap().len(),
        1,
        "none of them is the schedule's"
    );
}

/// What a start that fails says.
async fn refused(config: &Config) -> String {
    let started = start(config.clone(), Clock::system()).await;
    started.unwrap_err().to_string()
}

#[tokio::test]
async fn a_folder_without_the_store_that_the_database_knows_keeps_the_server_from_starting() {
    let (server, key) = analyst().await;
    let config = server.app().config.clone();
    let _folder = server.stop().await;
    let other = TestServer::start().await;
    let other_dir = other.data_dir();
    let _other_folder = other.stop().await;
    let data_dir = &config.server.data_dir;
    let (usage, aside) = (data_dir.join("usage"), data_dir.join("aside"));

    std::fs::rename(&usage, &aside).unwrap();
    let said = refused(&config).await;
    assert!(
        said.contains("usage holds no store: expected store "),
        "{said}"
    );
    assert!(said.contains("events up to sequence 3"), "{said}");
    assert!(said.contains("serve --accept-usage-loss"), "{said}");
    assert!(!usage.exists(), "nothing was created");
    std::fs::rename(other_dir.join("usage"), &usage).unwrap();
    let said = refused(&config).await;
    assert!(said.contains("usage holds store "), "{said}");

    let database = metadata::Options::file(data_dir.join("metadata.sqlite"));
    let metadata = Metadata::open(database).await.unwrap();
    // A store that cannot be opened is not accepted, and what is known of the last one stays.
    let manifest = usage.join("manifest");
    let sound = std::fs::read(&manifest).unwrap();
    std::fs::write(&manifest, "torn").unwrap();
    let accepting = || start_with(config.clone(), Clock::system(), Loss::Accepted);
    assert!(accepting().await.is_err());
    let known = metadata.known_usage().await.unwrap();
    assert_eq!(known.durable_through, 3);
    std::fs::write(&manifest, sound).unwrap();

    // The loss is accepted: the other store is taken for complete from now on.
    accepting().await.unwrap().stop().await.unwrap();
    assert!(metadata.usage_forgotten_at().await.unwrap().is_some());
    metadata.close().await;
    start(config.clone(), Clock::system())
        .await
        .unwrap()
        .stop()
        .await
        .unwrap();
    drop(key);
}

#[tokio::test]
async fn a_journal_cut_at_a_frame_is_noticed_by_what_the_database_knows() {
    let Story {
        server,
        key,
        before,
        after,
        sound,
        _aside,
    } = Story::begin().await;
    server.advance(2 * 24 * 3_600);
    let server = server
        .restart(|data_dir| {
            put_back(&sound, data_dir);
            let path = data_dir.join("usage/journal/000000000001.journal");
            let mut journal = std::fs::read(&path).unwrap();
            journal.truncate(frames(&journal)[1]);
            std::fs::write(&path, journal).unwrap();
        })
        .await;
    check_damaged(&server, &key, &before, &after).await;
}
