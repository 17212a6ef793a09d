//! Metering export jobs as a customer's program runs them: log in, ask, poll, download.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::client::Client;
use super::server::{ADMIN_PASSWORD, ADMIN_USER, Server};

const LOGIN: &str = "/saas/public/core/v3/login";
/// Where jobs are asked for.
pub(crate) const METERING: &str = "/saas/public/core/v3/license/metering";
const JSON: &str = "application/json";
const JOB_LIMIT: Duration = Duration::from_hours(2);
const POLL: Duration = Duration::from_millis(500);

/// One kind of export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A line per meter and day.
    Summary,
    /// A line per event of one meter.
    JobLevel,
}

/// A finished export.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Export {
    pub(crate) seconds: f64,
    pub(crate) zip_bytes: usize,
}

impl Kind {
    /// Every kind there is.
    pub(crate) const ALL: [Self; 2] = [Self::Summary, Self::JobLevel];

    /// Name for people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Summary => "SUMMARY export",
            Self::JobLevel => "job-level export",
        }
    }

    fn path(self) -> String {
        match self {
            Self::Summary => format!("{METERING}/ExportMeteringData"),
            Self::JobLevel => format!("{METERING}/ExportServiceJobLevelMeteringData"),
        }
    }
}

/// Runs one export of the month the events lie in.
pub(crate) fn export(server: &Server, kind: Kind) -> Result<Export> {
    let mut client = log_in(server)?;
    let mut request = json!({
        "startDate": "2026-01-01T00:00:00Z",
        "endDate": "2026-01-31T23:59:59Z",
    });
    match kind {
        Kind::Summary => request["jobType"] = json!("SUMMARY"),
        Kind::JobLevel => request["meterId"] = meter(server, "flight-hours")?,
    }
    let start = Instant::now();
    let body = serde_json::to_vec(&request)?;
    let job = client.post(&kind.path(), JSON, &body)?.json(200)?;
    let id = job["jobId"].as_str().context("the answer names no job")?;
    let status = format!("{METERING}/ExportMeteringData/{id}");
    wait(&mut client, &status)?;
    let seconds = start.elapsed().as_secs_f64();
    let zip = client.get(&format!("{status}/download"))?.expect(200)?;
    Ok(Export {
        seconds,
        zip_bytes: zip.len(),
    })
}

fn log_in(server: &Server) -> Result<Client> {
    server.client_with(&session(server, ADMIN_USER, ADMIN_PASSWORD)?)
}

/// Logs in and gives the header of the session.
pub(crate) fn session(server: &Server, user: &str, password: &str) -> Result<String> {
    let body = json!({"username": user, "password": password}).to_string();
    let mut client = server.client_with("accept: application/json")?;
    let answer = client.post(LOGIN, JSON, body.as_bytes())?.json(200)?;
    let session = answer["userInfo"]["sessionId"]
        .as_str()
        .context("the login gives no session")?;
    Ok(format!("INFA-SESSION-ID: {session}"))
}

/// Id of a meter.
pub(crate) fn meter(server: &Server, slug: &str) -> Result<Value> {
    let answer = server
        .client()?
        .get(&format!("/api/v1/meters/{slug}"))?
        .json(200)?;
    Ok(answer["id"].clone())
}

fn wait(client: &mut Client, status: &str) -> Result<()> {
    let start = Instant::now();
    loop {
        let job = client.get(status)?.json(200)?;
        match job["status"].as_str() {
            Some("SUCCESS") => return Ok(()),
            Some("CREATED" | "PROCESSING") if start.elapsed() < JOB_LIMIT => thread::sleep(POLL),
            _ => bail!("the export did not succeed: {job}"),
        }
    }
}
