//! `tallyport backup`: copies a data directory in use.

use clap::Args;

use super::Global;

/// Options of `tallyport backup`.
#[derive(Debug, Args)]
pub struct Backup {}

impl Backup {
    /// Runs the command.
    pub fn run(self, _global: &Global) -> anyhow::Result<()> {
        anyhow::bail!("this release has no `tallyport backup` yet")
    }
}
