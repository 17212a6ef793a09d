//! `server.json`: how commands find the server that has a data directory open.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// Name of the file in the data directory.
const NAME: &str = "server.json";

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
    pub fn read(data_dir: &Path) -> anyhow::Result<Option<Self>> {
        let path = data_dir.join(NAME);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .with_context(|| format!("{} is damaged: remove it", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("could not read {}", path.display())),
        }
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
