//! `tallyport check-config`: is the configuration sound, and what is in force?

use clap::Args;

use super::Global;
use crate::config::DEFAULTS;

/// Options of `tallyport check-config`.
#[derive(Debug, Args)]
pub struct CheckConfig {
    /// Print the documented defaults instead, as a start for a file of one's own.
    #[arg(long)]
    defaults: bool,
}

impl CheckConfig {
    /// Runs the command.
    pub fn run(self, global: &Global) -> anyhow::Result<()> {
        if self.defaults {
            print!("{DEFAULTS}");
            return Ok(());
        }
        let config = global.config()?;
        if global.json {
            println!("{}", serde_json::to_string_pretty(&config)?);
        } else {
            print!("{}", toml::Table::try_from(&config)?);
        }
        Ok(())
    }
}
