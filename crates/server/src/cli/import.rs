//! `tallyport import`: takes usage in from files.

use clap::Args;

use super::Global;

/// Options of `tallyport import`.
#[derive(Debug, Args)]
pub struct Import {}

impl Import {
    /// Runs the command.
    pub async fn run(self, _global: &Global) -> anyhow::Result<()> {
        anyhow::bail!("this release has no `tallyport import` yet")
    }
}
