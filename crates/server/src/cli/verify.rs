//! `tallyport verify`: checks every byte and every count.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use domain::Timestamp;
use export::ArtifactReport;
use metadata::Metadata;
use usage::disk::Disk;
use usage::disk::real::RealDisk;
use usage::verify::Report;

use super::Global;
use super::local::Local;
use crate::api::verification::VerificationOut;
use crate::config::Config;
use crate::exports;
use crate::run::open_existing;
use crate::server_file::ServerFile;

/// Options of `tallyport verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// Rebuild what can be derived: the filters of key runs. The directory must be free.
    #[arg(long)]
    repair: bool,
}

impl Verify {
    /// Runs the command; fails when anything is damaged.
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let config = global.config()?;
        let server = ServerFile::read(&config.server.data_dir)?;
        let found = match server {
            Some(_) if self.repair => bail!(
                "a server has {} open: stop it before --repair",
                config.server.data_dir.display()
            ),
            Some(server) => {
                Local::new(&server)?
                    .post("/api/v1/verification", &())
                    .await?
            }
            None => check_here(&config, self.repair).await?,
        };
        tell(&found, global.json)?;
        if !found.damage.is_empty() {
            bail!("{} places are damaged", found.damage.len());
        }
        Ok(())
    }
}

/// Verifies a data directory that no server has open, and the control data it is used with.
async fn check_here(config: &Config, repair: bool) -> anyhow::Result<VerificationOut> {
    let metadata = open_existing(config).await?;
    let folder = config.server.data_dir.join("usage");
    let check = move || check(&folder, repair);
    let report = tokio::task::spawn_blocking(check).await??;
    let control = metadata.verify_control().await;
    let known = metadata.known_usage().await;
    let artifacts = artifacts_of(config, &metadata).await;
    metadata.close().await;
    let mut found = VerificationOut::of(report, control?, artifacts?);
    found.compare_with(&known?);
    Ok(found)
}

/// Reads the artifacts; a copy without their folder has none to read.
async fn artifacts_of(config: &Config, metadata: &Metadata) -> anyhow::Result<ArtifactReport> {
    let folder = config.server.data_dir.join("artifacts");
    if config.exports.artifacts_url.is_empty() && !folder.exists() {
        return Ok(ArtifactReport::default());
    }
    let artifacts = exports::artifacts(config).context("could not open the artifact store")?;
    let read = export::verify_artifacts(metadata, &artifacts, Timestamp::now()).await;
    read.context("could not read artifacts")
}

/// Verifies a store nobody has open.
fn check(folder: &Path, repair: bool) -> anyhow::Result<Report> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    if repair {
        let rebuilt = usage::verify::repair(&disk, folder).context("could not repair")?;
        eprintln!("rebuilt the filters of {} key runs", rebuilt.len());
    }
    usage::verify::verify(&disk, folder).context("could not verify")
}

fn tell(found: &VerificationOut, json: bool) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string(found)?);
        return Ok(());
    }
    for damage in &found.damage {
        let offset = damage.offset.map(|offset| format!(" at byte {offset}"));
        let offset = offset.unwrap_or_default();
        println!("{}{offset}: {}", damage.file, damage.reason);
    }
    for kept in &found.kept {
        println!(
            "{}, {} bytes: cut off the end of the journal at a start; remove it once it is of no use",
            kept.file, kept.size_bytes
        );
    }
    println!(
        "{} files, {} bytes, events up to {}: received {} = stored {} + duplicate {} \
         + conflict {} + refused {}",
        found.files,
        found.bytes,
        found.watermark,
        found.received,
        found.stored,
        found.duplicate,
        found.conflict,
        found.refused
    );
    println!(
        "{} rows of control data, check of the database file: {}; {} finished exports, {} bytes",
        found.control_rows, found.database_check, found.artifacts, found.artifact_bytes
    );
    Ok(())
}
