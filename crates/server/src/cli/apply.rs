//! `tallyport apply`: declares what a setup file says.

use clap::Args;

use super::Global;

/// Options of `tallyport apply`.
#[derive(Debug, Args)]
pub struct Apply {}

impl Apply {
    /// Runs the command.
    pub async fn run(self, _global: &Global) -> anyhow::Result<()> {
        anyhow::bail!("this release has no `tallyport apply` yet")
    }
}
