//! `tallyport verify`: checks every byte and every count.

use clap::Args;

use super::Global;

/// Options of `tallyport verify`.
#[derive(Debug, Args)]
pub struct Verify {}

impl Verify {
    /// Runs the command.
    pub fn run(self, _global: &Global) -> anyhow::Result<()> {
        anyhow::bail!("this release has no `tallyport verify` yet")
    }
}
