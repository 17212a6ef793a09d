//! `tallyport migrate`: brings stored data to this release's form.

use clap::Args;

use super::Global;

/// Options of `tallyport migrate`.
#[derive(Debug, Args)]
pub struct Migrate {}

impl Migrate {
    /// Runs the command.
    pub fn run(self, _global: &Global) -> anyhow::Result<()> {
        anyhow::bail!("this release has no `tallyport migrate` yet")
    }
}
