//! `tallyport export`: writes an export to a folder.

use clap::Args;

use super::Global;

/// Options of `tallyport export`.
#[derive(Debug, Args)]
pub struct Export {}

impl Export {
    /// Runs the command.
    pub fn run(self, _global: &Global) -> anyhow::Result<()> {
        anyhow::bail!("this release has no `tallyport export` yet")
    }
}
