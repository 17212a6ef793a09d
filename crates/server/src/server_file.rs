//! `server.json`: how commands find the server that has a data directory open.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// Name of the file in the data directory.
const NAME: &str = "server.json";
/// How long a server of the same machine may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Where the running server is and how commands of the same machine authenticate.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServerFile {
    /// Its base URL without a trailing slash.
    pub url: String,
    /// The local administrator's token, good until the server stops.
    pub token: String,
    /// Its process.
    pub pid: u32,
}

impl ServerFile {
    /// Reads the file of a data directory; `None` when no server runs on it.
    ///
    /// A file that a crash left behind counts as none: nobody answers at its address.
    pub fn read(data_dir: &Path) -> anyhow::Result<Option<Self>> {
        let path = data_dir.join(NAME);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("could not read {}", path.display()));
            }
        };
        let file: Self = serde_json::from_slice(&bytes)
            .with_context(|| format!("{} is damaged: remove it", path.display()))?;
        Ok(file.answers().then_some(file))
    }

    /// Whether something listens at the address.
    fn answers(&self) -> bool {
        let address = self.url.strip_prefix("http://").unwrap_or(&self.url);
        let connect =
            |address: &SocketAddr| TcpStream::connect_timeout(address, CONNECT_TIMEOUT).is_ok();
        address.parse().as_ref().is_ok_and(connect)
    }

    /// Writes the file, readable by its owner only; it goes when the guard is dropped.
    pub fn publish(&self, data_dir: &Path) -> anyhow::Result<Published> {
        let path = data_dir.join(NAME);
        let temporary = data_dir.join("server.json.new");
        let write = || -> std::io::Result<()> {
            let mut file = owner_only(&temporary)?;
            file.write_all(&serde_json::to_vec(self)?)?;
            fs::rename(&temporary, &path)
        };
        write().with_context(|| format!("could not write {}", path.display()))?;
        Ok(Published(path))
    }
}

fn owner_only(path: &Path) -> std::io::Result<fs::File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Removes `server.json` at the end.
#[derive(Debug)]
pub struct Published(PathBuf);

impl Drop for Published {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::warn!("could not remove {}: {error}", self.0.display());
        }
    }
}
