//! `tallyport user`: looks after users.

use clap::Args;

use super::Global;

/// Options of `tallyport user`.
#[derive(Debug, Args)]
pub struct User {}

impl User {
    /// Runs the command.
    pub async fn run(self, _global: &Global) -> anyhow::Result<()> {
        anyhow::bail!("this release has no `tallyport user` yet")
    }
}
