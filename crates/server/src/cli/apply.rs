//! `tallyport apply`: declares what a setup file says.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use domain::Timestamp;
use metadata::Metadata;

use super::Global;
use super::local::Local;
use crate::api::setup::SetupIn;
use crate::config::Config;
use crate::run::{create_data_dir, has_database, open_metadata, read_metadata};
use crate::server_file::ServerFile;
use crate::setup::apply::{Applied, Mode, apply};
use crate::setup::stored::Stored;
use crate::setup::{Authority, SETUP_BYTES_MAX, Setup, SetupError};

/// Options of `tallyport apply`.
#[derive(Debug, Args)]
pub struct Apply {
    /// The setup file; `-` for standard input.
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Show what would change; nothing is written or created.
    #[arg(long)]
    dry_run: bool,
    /// Server to declare to, instead of the one that has the data directory open.
    #[arg(long, requires = "key")]
    url: Option<String>,
    /// API key for --url, of an owner of the account's root; it declares that account.
    #[arg(long, env = "TALLYPORT_KEY", hide_env_values = true)]
    key: Option<String>,
}

impl Apply {
    /// Runs the command.
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let request = self.request()?;
        let applied = match self.server(global)? {
            Some(server) => server.post("/api/v1/setup", &request).await?,
            None => apply_here(&global.config()?, &request).await?,
        };
        if global.json {
            println!("{}", serde_json::to_string(&applied)?);
        } else {
            print(&applied);
        }
        Ok(())
    }

    /// The server to ask: that of `--url`, or the one that has the data directory open.
    fn server(&self, global: &Global) -> anyhow::Result<Option<Local>> {
        if let Some(url) = &self.url {
            let key = self.key.as_deref().unwrap_or_default();
            return Local::remote(url, key).map(Some);
        }
        let found = ServerFile::read(&global.config()?.server.data_dir)?;
        found.as_ref().map(Local::new).transpose()
    }

    /// The file's text with the variables it names.
    fn request(&self) -> anyhow::Result<SetupIn> {
        let text = read(&self.file)?;
        let setup = Setup::parse(&text).with_context(|| self.file.display().to_string())?;
        let mut environment = HashMap::new();
        for name in setup.variables() {
            match std::env::var(&name) {
                Ok(value) => environment.insert(name, value),
                Err(_) => bail!("{}: the environment has no {name}", self.file.display()),
            };
        }
        Ok(SetupIn {
            setup: text,
            environment,
            dry_run: self.dry_run,
        })
    }
}

/// The text of a file or of standard input, read no further than a setup file may go.
fn read(file: &Path) -> anyhow::Result<String> {
    let could_not = || format!("could not read {}", file.display());
    let input: Box<dyn Read> = if file == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(file).with_context(could_not)?)
    };
    let mut text = Vec::new();
    let mut input = input.take(SETUP_BYTES_MAX as u64 + 1);
    input.read_to_end(&mut text).with_context(could_not)?;
    if text.len() > SETUP_BYTES_MAX {
        return Err(SetupError::too_large()).with_context(|| file.display().to_string());
    }
    String::from_utf8(text).with_context(could_not)
}

/// Applies to a data directory that no server has open.
async fn apply_here(config: &Config, request: &SetupIn) -> anyhow::Result<Applied> {
    let (setup, mode) = request.read()?;
    if mode == Mode::DryRun {
        return plan(config, &setup).await;
    }
    if !has_database(config) {
        // A refused file leaves nothing behind.
        plan(config, &setup).await?;
        create_data_dir(&config.server)?;
    }
    let metadata = open_metadata(config).await?;
    apply_to(&metadata, config, &setup, mode).await
}

/// What would change, with nothing written or created.
async fn plan(config: &Config, setup: &Setup) -> anyhow::Result<Applied> {
    let metadata = read_metadata(config).await?;
    apply_to(&metadata, config, setup, Mode::DryRun).await
}

async fn apply_to(
    metadata: &Metadata,
    config: &Config,
    setup: &Setup,
    mode: Mode,
) -> anyhow::Result<Applied> {
    let (stored, now) = (Stored::Closed(config), Timestamp::now());
    let applied = apply(metadata, stored, setup, Authority::Server, mode, now).await;
    metadata.close().await;
    applied.map_err(|error| anyhow::anyhow!(error.chain()))
}

fn print(applied: &Applied) {
    for change in &applied.changes {
        println!("{change}");
    }
    for made in &applied.secrets {
        println!("{}, shown only now: {}", made.of, made.secret);
    }
    for warning in &applied.warnings {
        println!("! {warning}");
    }
    match (applied.changes.len(), applied.dry_run) {
        (0, _) => println!("nothing to change: everything is as declared"),
        (1, true) => println!("1 change, not made: this was a dry run"),
        (1, false) => println!("1 change made"),
        (count, true) => println!("{count} changes, none made: this was a dry run"),
        (count, false) => println!("{count} changes made"),
    }
}

impl SetupIn {
    /// The setup with its secrets, and whether to write.
    pub fn read(&self) -> Result<(Setup, Mode), SetupError> {
        let mut setup = Setup::parse(&self.setup)?;
        setup.take_environment(|name| self.environment.get(name).cloned())?;
        let mode = if self.dry_run {
            Mode::DryRun
        } else {
            Mode::Write
        };
        Ok((setup, mode))
    }
}
