//! The ZIP: streamed, in ranges, for three days, to nobody else.

use std::path::Path;

use domain::tree::OrganizationKind;
use insta::assert_snapshot;
use metadata::Role;
use reqwest::Method;
use sha2::{Digest, Sha256};

use super::{EXPORTS, flights, flights_with, post, session_of, status_path, summary};
use crate::harness::{Answer, TestServer};

async fn finished() -> (TestServer, String, String) {
    let (server, session) = flights().await;
    let job = post(&server, &session, EXPORTS, &summary()).await;
    server.run_jobs_until_idle().await;
    let path = format!("{}/download", status_path(&job));
    (server, session, path)
}

/// Status, interesting headers and the bytes.
async fn fetch(
    server: &TestServer,
    session: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> (u16, reqwest::header::HeaderMap, Vec<u8>) {
    let mut request = server
        .request(Method::GET, path)
        .header("INFA-SESSION-ID", session);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    (status, headers, response.bytes().await.unwrap().to_vec())
}

#[tokio::test]
async fn a_zip_comes_whole_in_parts_or_not_again() {
    let (server, session, path) = finished().await;
    let (status, headers, whole) = fetch(&server, &session, &path, &[]).await;
    assert_eq!(
        (status, &headers["content-type"]),
        (200, &"application/zip".parse().unwrap())
    );
    assert!(whole.starts_with(b"PK\x03\x04"));
    assert_eq!(headers["content-length"], whole.len().to_string().as_str());
    assert_eq!(headers["accept-ranges"], "bytes");
    let disposition = headers["content-disposition"].to_str().unwrap();
    assert_snapshot!(crate::harness::redact(disposition), @r#"attachment; filename="[id].zip""#);
    let tag = headers["etag"].to_str().unwrap();
    let sum = Sha256::digest(&whole);
    let sum: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(tag, format!("\"{sum}\""));
    let (status, headers, part) = fetch(&server, &session, &path, &[("range", "bytes=4-13")]).await;
    assert_eq!((status, part.as_slice()), (206, &whole[4..14]));
    assert_eq!(
        headers["content-range"],
        format!("bytes 4-13/{}", whole.len()).as_str()
    );
    let stale = [("range", "bytes=4-13"), ("if-range", "\"other\"")];
    assert_eq!(fetch(&server, &session, &path, &stale).await.2, whole);
    let (status, _, body) = fetch(&server, &session, &path, &[("if-none-match", tag)]).await;
    assert_eq!((status, body.len()), (304, 0));
    let beyond = fetch(&server, &session, &path, &[("range", "bytes=999999-")]).await;
    assert_eq!(beyond.0, 416);
}

#[tokio::test]
async fn what_is_not_there_yet_or_any_more_is_told_apart() {
    let (server, session) = flights().await;
    let job = post(&server, &session, EXPORTS, &summary()).await;
    let path = format!("{}/download", status_path(&job));
    let early = server.in_session(&session, Method::GET, &path, "").await;
    server.run_jobs_until_idle().await;
    assert_eq!(fetch(&server, &session, &path, &[]).await.0, 200);
    server.advance(3 * 24 * 3600 + 1);
    let (user, password) = server.admin();
    let session = server.session(&user, &password).await;
    let late = server.in_session(&session, Method::GET, &path, "").await;
    server.app().exports.worker.sweep().await.unwrap();
    let swept = server.in_session(&session, Method::GET, &path, "").await;
    assert_eq!(late.show(), swept.show());
    assert_snapshot!(format!("{}\n{}", early.show(), late.show()), @r#"
    400 application/json
    {
      "error": {
        "code": "METERING_NOT_FINISHED",
        "details": null,
        "message": "The job has no file: it is not finished, or it failed. Ask for its
      status.",
        "requestId": "[id]"
      }
    }
    410 application/json
    {
      "error": {
        "code": "METERING_EXPIRED",
        "details": null,
        "message": "The job's file was kept for some days and has been removed; ask for
      a new export.",
        "requestId": "[id]"
      }
    }
    "#);
    let status = server
        .in_session(&session, Method::GET, &status_path(&job), "")
        .await;
    assert_eq!(
        status.json()["status"],
        "SUCCESS",
        "the family knows no expiry"
    );
}

#[tokio::test]
async fn the_files_go_after_the_configured_days_and_the_row_stays() {
    let (server, session) = flights_with(|config| config.exports.artifact_days = 1).await;
    let job = post(&server, &session, EXPORTS, &summary()).await;
    server.run_jobs_until_idle().await;
    let kept = |extension: &str| {
        let id = job.json()["jobId"].as_str().unwrap().to_owned();
        files(&server.data_dir().join("artifacts")).contains(&format!("{id}.{extension}"))
    };
    let sweep = async || server.app().exports.worker.sweep().await.unwrap();
    server.advance(24 * 3600 - 1);
    assert_eq!((sweep().await, kept("zip"), kept("json")), (0, true, true));
    server.advance(1);
    assert_eq!(
        (sweep().await, kept("zip"), kept("json")),
        (1, false, false)
    );
    let (user, password) = server.admin();
    let session = server.session(&user, &password).await;
    let path = status_path(&job);
    let status = server.in_session(&session, Method::GET, &path, "").await;
    assert_eq!(status.json()["status"], "SUCCESS");
    let path = format!("{path}/download");
    assert_eq!(fetch(&server, &session, &path, &[]).await.0, 410);
}

/// Names of the files in a folder and those below it.
fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let names = entries.flat_map(|entry| {
        if entry.file_type().unwrap().is_dir() {
            files(&entry.path())
        } else {
            vec![entry.file_name().into_string().unwrap()]
        }
    });
    names.collect()
}

#[tokio::test]
async fn jobs_of_others_look_like_no_jobs() {
    let (server, _, path) = finished().await;
    let root = server.root().await;
    let sub = OrganizationKind::SubOrganization;
    let child = server.organization("Child", sub, root).await;
    let stranger = server.account("Stranger").await;
    let status = path.trim_end_matches("/download");
    for organization in [child, stranger] {
        let session = session_of(&server, organization, Role::Owner).await;
        for path in [&path, status] {
            let foreign = server.in_session(&session, Method::GET, path, "").await;
            let unknown = format!("{EXPORTS}/0000000000000000000000");
            let unknown = server.in_session(&session, Method::GET, &unknown, "").await;
            assert_eq!((foreign.status, foreign.show()), (404, unknown.show()));
        }
    }
    assert_eq!(
        Answer::of(server.request(Method::GET, &path)).await.status,
        401
    );
}
