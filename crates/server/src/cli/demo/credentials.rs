//! What the demo logs in with: made once, kept in the data directory for its owner.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::auth::credential::new_key;
use crate::random;

/// Name of the file in the data directory.
const NAME: &str = "demo.json";
/// The user the setup declares.
const USER: &str = "demo";

/// User, password and key of the demo's account.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Credentials {
    /// Login name.
    pub(super) user: String,
    /// Its password.
    pub(super) password: String,
    /// An API key of the root with role owner.
    pub(super) api_key: String,
}

impl Credentials {
    /// Those of the data directory; made and written there the first time.
    pub(super) fn of(data_dir: &Path) -> anyhow::Result<Self> {
        let path = data_dir.join(NAME);
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .with_context(|| format!("{} is damaged", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let credentials = Self {
                    user: USER.to_owned(),
                    password: random::password(),
                    api_key: new_key(),
                };
                let written = credentials.write(data_dir, &path);
                written.with_context(|| format!("could not write {}", path.display()))?;
                Ok(credentials)
            }
            Err(error) => Err(error).with_context(|| format!("could not read {}", path.display())),
        }
    }

    fn write(&self, data_dir: &Path, path: &Path) -> std::io::Result<()> {
        let mut folder = fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
        folder.recursive(true).create(data_dir)?;
        let mut options = fs::OpenOptions::new();
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.write(true).create_new(true).open(path)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()
    }
}
