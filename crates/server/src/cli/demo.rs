//! `tallyport demo`: the whole way from usage to export on real data.

use clap::Args;

use super::Global;

/// Options of `tallyport demo`.
#[derive(Debug, Args)]
pub struct Demo {}

impl Demo {
    /// Runs the command.
    pub async fn run(self, _global: &Global) -> anyhow::Result<()> {
        anyhow::bail!("this release has no `tallyport demo` yet")
    }
}
