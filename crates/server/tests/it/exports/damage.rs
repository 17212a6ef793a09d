//! Artifacts with a flipped bit: never given out, made again, or gone.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use domain::ids::ExportId;
use export::Made;
use metadata::ExportStatus;
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::runtime::Handle;

use super::{analyst, ask, january, path};
use crate::harness::{Answer, TestServer};
use crate::metering::{EXPORTS as VENDOR, flights, post, status_path, summary};

/// Where an export's file of this kind lies.
fn file(server: &TestServer, export: &str, extension: &str) -> PathBuf {
    let name = format!("{export}.{extension}");
    server.data_dir().join("artifacts").join(name)
}

fn flip(file: &PathBuf, place: usize) {
    let mut bytes = std::fs::read(file).unwrap();
    bytes[place] ^= 1;
    std::fs::write(file, bytes).unwrap();
}

async fn whole(server: &TestServer, key: &str, path: &str) -> (StatusCode, Vec<u8>) {
    let request = server.request(Method::GET, path).bearer_auth(key);
    let response = request.send().await.unwrap();
    (response.status(), response.bytes().await.unwrap().to_vec())
}

fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.json()["code"], code, "{}", answer.body);
}

#[tokio::test]
async fn a_damaged_file_is_not_given_out_and_comes_again_as_it_was() {
    let (server, key) = analyst().await;
    let asked = ask(&server, &key, &january("SUMMARY")).await;
    server.run_jobs_until_idle().await;
    let made = server.get(&key, &path(&asked)).await.json();
    let id = made["id"].as_str().unwrap();
    let (download, manifest) = (path(&asked) + "/download", path(&asked) + "/manifest");
    let (_, before) = whole(&server, &key, &download).await;
    let described = server.get(&key, &manifest).await.body;
    let zip = file(&server, id, "zip");

    for damage in ["first byte", "last byte", "gone"] {
        match damage {
            "first byte" => flip(&zip, 0),
            "last byte" => flip(&zip, before.len() - 1),
            _ => std::fs::remove_file(&zip).unwrap(),
        }
        let mut request = server.request(Method::GET, &download).bearer_auth(&key);
        if damage == "last byte" {
            request = request.header("range", "bytes=4-13");
        }
        let answer = Answer::of(request).await;
        refused(&answer, 503, "unavailable");
        assert_eq!(answer.header("retry-after"), "5", "{damage}");
        let waiting = server.get(&key, &manifest).await;
        refused(&waiting, 503, "unavailable");
        let shown = server.get(&key, &path(&asked)).await.json();
        assert_eq!(
            (&shown["status"], &shown["outcome"]),
            (&json!("CREATED"), &json!("SUCCESS"))
        );
        let cancelled = server.delete(&key, &path(&asked)).await;
        refused(&cancelled, 409, "export_ended");
        server.run_jobs_until_idle().await;
        let again = server.get(&key, &path(&asked)).await.json();
        for member in [
            "status",
            "outcome",
            "artifact",
            "expiresAt",
            "asOf",
            "progress",
        ] {
            assert_eq!(again[member], made[member], "{damage} {member}");
        }
        assert_eq!(
            whole(&server, &key, &download).await,
            (StatusCode::OK, before.clone())
        );
        assert_eq!(server.get(&key, &manifest).await.body, described);
    }
}

#[tokio::test]
async fn a_file_damaged_again_and_again_is_named_and_given_up() {
    let (server, key) = analyst().await;
    let asked = ask(&server, &key, &january("SUMMARY")).await;
    server.run_jobs_until_idle().await;
    let id = asked.json()["id"].as_str().unwrap().to_owned();
    let (download, manifest) = (path(&asked) + "/download", path(&asked) + "/manifest");
    let zip = file(&server, &id, "zip");
    let verify = async || {
        let found = server
            .post(server.token(), "/api/v1/verification", "")
            .await;
        found.json()
    };
    assert_eq!(verify().await["damage"], json!([]));
    assert_eq!(verify().await["artifacts"], 1);
    for _ in 0..3 {
        flip(&zip, 7);
        refused(&server.get(&key, &download).await, 503, "unavailable");
        server.run_jobs_until_idle().await;
    }
    flip(&zip, 7);
    let named = json!([{
        "file": format!("artifacts, {id}.zip"),
        "reason": "the block at byte 0 does not fit its checksum",
    }]);
    assert_eq!(verify().await["damage"], named);
    refused(&server.get(&key, &download).await, 503, "unavailable");
    refused(&server.get(&key, &download).await, 410, "export_lost");
    refused(&server.get(&key, &manifest).await, 410, "export_lost");
    assert!(!zip.exists());
}

#[tokio::test]
async fn a_damaged_manifest_and_a_file_cut_short_are_made_again_too() {
    let (server, key) = analyst().await;
    let asked = ask(&server, &key, &january("ASSET")).await;
    server.run_jobs_until_idle().await;
    let made = server.get(&key, &path(&asked)).await.json();
    let id = made["id"].as_str().unwrap();
    let (download, manifest) = (path(&asked) + "/download", path(&asked) + "/manifest");
    let described = server.get(&key, &manifest).await.body;
    let (_, before) = whole(&server, &key, &download).await;

    flip(&file(&server, id, "json"), 30);
    refused(&server.get(&key, &manifest).await, 503, "unavailable");
    server.run_jobs_until_idle().await;
    assert_eq!(server.get(&key, &manifest).await.body, described);

    let zip = file(&server, id, "zip");
    std::fs::write(&zip, &before[..before.len() - 1]).unwrap();
    refused(&server.get(&key, &download).await, 503, "unavailable");
    server.run_jobs_until_idle().await;
    assert_eq!(
        whole(&server, &key, &download).await,
        (StatusCode::OK, before.clone())
    );

    // Damaged or missing checksums are written again from a file that is what its row says.
    flip(&file(&server, id, "blocks"), 3);
    assert_eq!(
        whole(&server, &key, &download).await,
        (StatusCode::OK, before.clone())
    );
    std::fs::remove_file(file(&server, id, "blocks")).unwrap();
    assert_eq!(server.get(&key, &manifest).await.body, described);
    assert!(file(&server, id, "blocks").exists());
    std::fs::remove_file(file(&server, id, "blocks")).unwrap();
    flip(&zip, 7);
    refused(&server.get(&key, &download).await, 503, "unavailable");
}

#[tokio::test]
async fn a_damaged_job_of_the_metering_family_says_so_in_its_own_words() {
    let (server, session) = flights().await;
    let job = post(&server, &session, VENDOR, &summary()).await;
    server.run_jobs_until_idle().await;
    let download = format!("{}/download", status_path(&job));
    let get = async || {
        server
            .in_session(&session, Method::GET, &download, "")
            .await
    };
    let id = job.json()["jobId"].as_str().unwrap().to_owned();
    flip(&file(&server, &id, "zip"), 9);
    let waiting = get().await;
    assert_eq!(waiting.status, 503);
    assert_eq!(waiting.header("retry-after"), "5");
    assert_eq!(waiting.json()["error"]["code"], "unavailable");
    server.run_jobs_until_idle().await;
    let request = server.request(Method::GET, &download);
    let response = request.header("INFA-SESSION-ID", &session).send().await;
    let response = response.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.bytes().await.unwrap().starts_with(b"PK\x03\x04"));
}

/// A finished export whose file is three blocks of anything, which no worker would make.
async fn of_three_blocks(server: &TestServer, id: ExportId) -> Vec<u8> {
    let exports = &server.app().exports;
    let claimed = exports.worker.claim().await.unwrap().unwrap();
    assert_eq!(claimed.export.id, id);
    let bytes: Vec<u8> = (0..3 * 1024 * 1024 - 5_u32)
        .map(|index| index.wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect();
    let mut archive = tempfile::tempfile().unwrap();
    archive.write_all(&bytes).unwrap();
    let (artifacts, runtime) = (exports.artifacts().clone(), Handle::current());
    let put = move || {
        let gauge = Arc::default();
        artifacts.put_archive(&runtime, (id, "zip"), &mut archive, &gauge)
    };
    let stored = tokio::task::spawn_blocking(put).await.unwrap().unwrap();
    let put = exports
        .artifacts()
        .put_manifest(id, &stored, b"{}".to_vec());
    put.await.unwrap();
    let (rows, missing) = (1, None);
    let made = Made {
        stored,
        rows,
        missing,
    };
    exports.worker.settle(&claimed, made).await.unwrap();
    bytes
}

#[tokio::test]
async fn a_damaged_block_further_on_breaks_the_connection_and_ranges_before_it_are_served() {
    let (server, key) = analyst().await;
    let asked = ask(&server, &key, &january("SUMMARY")).await;
    let id = asked.json()["id"].as_str().unwrap().to_owned();
    let bytes = of_three_blocks(&server, id.parse().unwrap()).await;
    let download = path(&asked) + "/download";
    let fetch = async |range: &str| {
        let request = server.request(Method::GET, &download).bearer_auth(&key);
        request.header("range", range).send().await.unwrap()
    };
    flip(&file(&server, &id, "zip"), 2 * 1024 * 1024 + 100);
    let sound = fetch("bytes=1000000-2097151").await;
    assert_eq!(sound.status(), 206);
    assert_eq!(sound.bytes().await.unwrap(), &bytes[1_000_000..2_097_152]);

    // No byte of the damaged block is sent, although the first one asked for is sound.
    let broken = fetch("bytes=2097150-").await;
    assert_eq!(broken.status(), 206);
    let mut sent = Vec::new();
    let mut broken = broken;
    let end = loop {
        match broken.chunk().await {
            Ok(Some(chunk)) => sent.extend_from_slice(&chunk),
            end => break end,
        }
    };
    assert!(end.is_err(), "the connection breaks: {end:?}");
    assert_eq!(sent, &bytes[2_097_150..2_097_152]);
    refused(&server.get(&key, &download).await, 503, "unavailable");

    // What a worker makes now is not what was there.
    server.run_jobs_until_idle().await;
    refused(&server.get(&key, &download).await, 410, "export_lost");
    let row = server.get(&key, &path(&asked)).await.json();
    assert_eq!(row["status"], ExportStatus::Failed.as_str());
    assert!(!file(&server, &id, "zip").exists());
}
