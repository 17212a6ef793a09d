//! A data directory as the release before numbers counted by value left it.
//!
//! Its meters are `models` (UNIQUE_COUNT of `$.model`), `large` (COUNT where `$.size` is 42) and
//! `tokens` (SUM with a job-level report); eight events lie in a segment, six in the journal.
//! `usage.csv` and `jobs.csv` are what that release exported of them.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use metadata::Role;
use serde_json::{Value, json};
use server::store::layout;
use usage::disk::real::RealDisk;
use usage::manifest::Layout;
use usage::{EmbeddedStore, Options};

use crate::client::unzip;
use crate::exports::{ask, path};
use crate::harness::TestServer;
use crate::meters::PATH;

const BEFORE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/before");
/// The watermarks of its two exports.
const USAGE_AS_OF: &str = "2n7ArTpQhjjfnFWnOVD15GeypUdtMONhhkpKnfNT31z6a4aDvi2gWIg";
const JOBS_AS_OF: &str = "2wmxntHVBdSIl4vpJcnsWpwpWOPaQNkYUMTEW4ybehNdUpvktdn3YlQ";
/// From the clock of a test server to later than the directory.
const SECONDS: i64 = 200 * 24 * 60 * 60;

/// Puts the directory in the place of the server's.
fn put_back(data_dir: &Path) {
    fs::remove_dir_all(data_dir).unwrap();
    for (folder, file) in [
        ("usage", "manifest"),
        ("usage/journal", "000000000002.journal"),
        ("usage/keys", "000000000001-000000000008-100000.keys"),
        ("usage/segments", "000000000001-000000000008-100000.parquet"),
    ] {
        let folder = data_dir.join(folder);
        fs::create_dir_all(&folder).unwrap();
        fs::copy(Path::new(BEFORE).join(file), folder.join(file)).unwrap();
    }
    let packed = fs::File::open(Path::new(BEFORE).join("metadata.sqlite.zst")).unwrap();
    let database = zstd::decode_all(packed).unwrap();
    fs::write(data_dir.join("metadata.sqlite"), database).unwrap();
}

async fn upgraded() -> (TestServer, String) {
    let server = TestServer::start().await;
    server.advance(SECONDS);
    let server = server.restart(put_back).await;
    let key = server.key(server.root().await, Role::Owner).await;
    (server, key)
}

fn usage() -> Value {
    json!({
        "kind": "USAGE", "from": "2026-05-01", "to": "2026-06-01",
        "columns": ["date", "meter", "task_id", "user", "usage"],
    })
}

fn jobs() -> Value {
    json!({
        "kind": "JOB_LEVEL", "from": "2026-05-01", "to": "2026-06-01", "meters": ["tokens"],
    })
}

/// The only file of an export, at a watermark or now.
async fn exported(server: &TestServer, key: &str, mut body: Value, as_of: Option<&str>) -> String {
    if let Some(as_of) = as_of {
        body["asOf"] = json!(as_of);
    }
    let asked = ask(server, key, &body).await;
    assert_eq!(asked.status, 202, "{}", asked.body);
    server.run_jobs_until_idle().await;
    let download = format!("{}/download", path(&asked));
    let request = server.request(reqwest::Method::GET, &download);
    let answer = request.bearer_auth(key).send().await.unwrap();
    let zip = answer.bytes().await.unwrap();
    unzip(&zip).into_values().next().unwrap()
}

async fn check_old_exports(server: &TestServer, key: &str) {
    for (file, body, as_of) in [
        ("usage.csv", usage(), USAGE_AS_OF),
        ("jobs.csv", jobs(), JOBS_AS_OF),
    ] {
        let expected = fs::read_to_string(Path::new(BEFORE).join(file)).unwrap();
        let found = exported(server, key, body, Some(as_of)).await;
        assert_eq!(found, expected, "{file}");
    }
}

/// Brings every segment to the layout of the meters, as the server does in the background.
fn rewrite(data_dir: &Path, layout: Layout) {
    let rules = layout.rules.clone();
    let paths = layout.values.iter();
    let paths = paths.map(|path| (path.to_string(), path.clone())).collect();
    let options = Options::new(data_dir.join("usage"));
    let store = EmbeddedStore::open(options, Arc::new(RealDisk), layout).unwrap();
    store.compact_now().unwrap();
    for rule in &rules {
        let built = store.progress(rule, &paths);
        assert_eq!((built.rows, built.rows_built), (14, 14), "{rule:?}");
    }
    store.close().unwrap();
}

/// The values of a query, each after its group, by group.
pub(crate) async fn values(server: &TestServer, key: &str, query: &str) -> String {
    let answer = server.get(key, &format!("{PATH}/{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let rows = answer.json()["data"].as_array().unwrap().clone();
    let mut rows: Vec<_> = rows
        .iter()
        .map(|row| {
            let groups = row["groupBy"].as_object().unwrap().values();
            let groups = groups.map(|group| group.as_str().unwrap_or("none"));
            (groups.collect::<Vec<_>>().join(" "), row["value"].clone())
        })
        .collect();
    rows.sort_by(|(left, _), (right, _)| left.cmp(right));
    let shown = rows
        .iter()
        .map(|(groups, value)| format!("{groups}={value}"));
    shown.collect::<Vec<_>>().join(", ")
}

async fn check_new_queries(server: &TestServer, key: &str) {
    assert_eq!(values(server, key, "models/query").await, "=8");
    assert_eq!(values(server, key, "large/query").await, "=4");
    assert_eq!(
        values(server, key, "tokens/query?groupBy=size").await,
        "0=203, 007=7, 1=211, 1e400=207, 3.1=6, 3.10=5, 42=10, 7=8"
    );
    let large = "tokens/query?groupBy=model&filterGroupBy[size]=42";
    assert_eq!(values(server, key, large).await, "42=10");
}

#[tokio::test]
async fn exports_at_watermarks_of_before_are_the_same_and_new_reads_take_numbers_by_value() {
    let (server, key) = upgraded().await;
    check_new_queries(&server, &key).await;
    check_old_exports(&server, &key).await;
    let now = exported(&server, &key, usage(), None).await;
    let expected = "date,meter,task_id,user,usage\n\
        2026-05-01,large,,,1\n\
        2026-05-01,large,1e0,,1\n\
        2026-05-02,large,007,,1\n\
        2026-05-03,large,1E5,1.50,1\n\
        2026-05-01,models,,,4\n\
        2026-05-02,models,,,5\n\
        2026-05-03,models,,,4\n\
        2026-05-01,tokens,,,115\n\
        2026-05-01,tokens,1e0,,102\n\
        2026-05-02,tokens,,,220\n\
        2026-05-02,tokens,007,,2\n\
        2026-05-03,tokens,,,112\n\
        2026-05-03,tokens,1E5,1.50,3\n\
        2026-05-03,tokens,1e+0,,103\n";
    assert_eq!(now, expected);
    let now = exported(&server, &key, jobs(), None).await;
    let old = fs::read_to_string(Path::new(BEFORE).join("jobs.csv")).unwrap();
    // The third stands for a text, the others for numbers.
    let expected = old
        .replacen(",1e+0,", ",1e0,", 2)
        .replace(",1e+5,", ",1E5,");
    assert_eq!(now, expected);
}

#[tokio::test]
async fn the_upgrade_is_made_once_and_rewritten_segments_read_by_both_rules() {
    let (server, key) = upgraded().await;
    let revision = server.app().metadata.control_revision().await.unwrap();
    let again = json!({
        "specversion": "1.0", "id": "e3", "source": "fixture", "type": "call", "subject": "s",
        "time": "2026-05-03T10:00:00Z",
        "data": {"model": 42, "size": 42, "tokens": 3, "taskId": 100_000, "user": 1.5},
    });
    let answer = server
        .post(&key, "/api/v1/events", &again.to_string())
        .await;
    assert_eq!(answer.status, 204, "{}", answer.body);
    let listed = server
        .get(&key, "/api/v1/events?from=2026-01-01T00:00:00Z&limit=100")
        .await
        .json();
    assert_eq!(listed.as_array().unwrap().len(), 14, "{listed}");

    let layout = layout(&server.app().metadata).await.unwrap();
    let server = server.restart(|data_dir| rewrite(data_dir, layout)).await;
    let found = server.app().metadata.control_revision().await.unwrap();
    assert_eq!(found, revision);
    check_new_queries(&server, &key).await;
    check_old_exports(&server, &key).await;
}
