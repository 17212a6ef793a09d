//! The release binary under measurement: started, asked, stopped and killed.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;

use super::client::Client;
use crate::process::{self, Running, Signal};
use crate::workspace::{cargo, root};

/// Administrator of the benches' own servers.
pub(crate) const ADMIN_USER: &str = "bench";
pub(crate) const ADMIN_PASSWORD: &str = "bench-password-of-no-worth";
const START_LIMIT: Duration = Duration::from_mins(5);

/// A running server on a folder of its own.
#[derive(Debug)]
pub(crate) struct Server {
    running: Running,
    access: Access,
    /// From the start of the process to the first good answer of `/readyz`.
    pub(crate) ready_after: Duration,
}

/// Where a server listens, and the credential of its local administrator.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    address: SocketAddr,
    token: String,
}

impl Access {
    /// A connection of the local administrator.
    pub(crate) fn client(&self) -> Result<Client> {
        self.client_with(&self.credential())
    }

    /// A connection with another credential: whole header lines.
    pub(crate) fn client_with(&self, credential: &str) -> Result<Client> {
        Client::connect(self.address, credential).context("cannot reach the server")
    }

    /// The header line of the local administrator.
    pub(crate) fn credential(&self) -> String {
        format!("authorization: Bearer {}", self.token)
    }

    /// Base URL of the listener.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Builds the release binary and gives its path.
pub(crate) fn build() -> Result<PathBuf> {
    process::run(cargo().args(["build", "--release", "--locked", "--package", "server"]))?;
    Ok(root().join("target/release/tallyport"))
}

/// A command of the binary on a folder.
pub(crate) fn tallyport(binary: &Path, folder: &Path) -> Command {
    let mut command = Command::new(binary);
    command.env("TALLYPORT_ADMIN_USER", ADMIN_USER);
    command.env("TALLYPORT_ADMIN_PASSWORD", ADMIN_PASSWORD);
    command.env("TALLYPORT_LOG_FILTER", "warn");
    // Receivers of messages are on this machine.
    command.env("TALLYPORT_EXPORTS_CALLBACK_ADDRESSES", "127.0.0.1");
    command.arg("--data-dir").arg(folder);
    command
}

impl Server {
    /// Starts on a folder, new or used, and waits until it is ready.
    pub(crate) fn start(binary: &Path, folder: &Path) -> Result<Self> {
        let mut command = tallyport(binary, folder);
        command.args(["serve", "--listen", "127.0.0.1:0"]);
        command.stdout(Stdio::null());
        let start = Instant::now();
        let mut running = Running::start(&mut command, Signal::Terminate)?;
        let (address, token) = process::wait_for("server.json", START_LIMIT, || {
            anyhow::ensure!(!running.ended()?, "the server ended while starting");
            Ok(published(folder, running.pid()))
        })?;
        process::wait_for("readiness", START_LIMIT, || {
            anyhow::ensure!(!running.ended()?, "the server ended while starting");
            let answer = Client::connect(address, "accept: */*").and_then(|mut c| c.get("/readyz"));
            Ok(answer.ok().filter(|answer| answer.status == 200))
        })?;
        Ok(Self {
            running,
            access: Access { address, token },
            ready_after: start.elapsed(),
        })
    }

    /// Starts on an emptied folder and declares what the benches need.
    pub(crate) fn fresh(binary: &Path, folder: &Path) -> Result<Self> {
        Self::declared(binary, folder, &root().join("bench/setup.yaml"))
    }

    /// Starts on an emptied folder and applies a setup file.
    pub(crate) fn declared(binary: &Path, folder: &Path, setup: &Path) -> Result<Self> {
        fs::remove_dir_all(folder)?;
        fs::create_dir(folder)?;
        let server = Self::start(binary, folder)?;
        let mut apply = tallyport(binary, folder);
        process::output(apply.args(["apply", "-f"]).arg(setup))?;
        Ok(server)
    }

    /// A connection of the local administrator.
    pub(crate) fn client(&self) -> Result<Client> {
        self.access.client()
    }

    /// A connection with another credential.
    pub(crate) fn client_with(&self, credential: &str) -> Result<Client> {
        self.access.client_with(credential)
    }

    /// Where it listens and by which credential.
    pub(crate) fn access(&self) -> Access {
        self.access.clone()
    }

    /// Events that the server counts, by the meter that counts them.
    pub(crate) fn counted(&self) -> Result<u64> {
        let answer = self
            .client()?
            .get("/api/v1/meters/flights/query")?
            .json(200)?;
        let Some(row) = answer["data"].get(0) else {
            return Ok(0);
        };
        let value = row["value"].to_string();
        value
            .parse()
            .with_context(|| format!("the count is {value}"))
    }

    /// Process id.
    pub(crate) fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// Ends it in order, or as a crash would.
    pub(crate) fn end(mut self, signal: Signal) -> Result<()> {
        self.running.end(signal)
    }
}

/// Address and token from `server.json`, once this very process has written it.
fn published(folder: &Path, pid: u32) -> Option<(SocketAddr, String)> {
    let text = fs::read(folder.join("server.json")).ok()?;
    let file: Value = serde_json::from_slice(&text).ok()?;
    if file["pid"].as_u64() != Some(u64::from(pid)) {
        return None;
    }
    let address = file["url"]
        .as_str()?
        .strip_prefix("http://")?
        .parse()
        .ok()?;
    Some((address, file["token"].as_str()?.to_owned()))
}
