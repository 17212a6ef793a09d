//! `tallyport demo`: the whole way from usage to export on real data.
//!
//! `account` declares who uses what, `usage` imports the flights by HTTP, `exports` orders and
//! fetches every kind of export as a client would, `check` reads them back, `told` says it all.

mod account;
mod check;
mod credentials;
mod exports;
mod told;
mod usage;

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::Global;
use crate::clock::Clock;
use crate::config::Config;
use crate::log;
use crate::run::{Running, start};
use credentials::Credentials;
use told::Told;

/// Where the demo keeps its data unless told otherwise: never the folder of a real server.
const DATA_DIR: &str = "tallyport-demo";
/// Folder of downloaded exports in the data directory.
const DOWNLOADS: &str = "demo";

/// Options of `tallyport demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Full year of flights (CSV, or packed as .zip, .gz or .zst) in place of the two months.
    #[arg(long, value_name = "FILE")]
    flights: Option<PathBuf>,
    /// Leave out the flights of the last 24 hours.
    #[arg(long)]
    no_live: bool,
    /// End once everything is shown, instead of serving on.
    #[arg(long)]
    once: bool,
}

impl Demo {
    /// Runs the command.
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let config = config(global)?;
        log::start(&config.log)?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let data_dir = config.server.data_dir.clone();
        let clock = Clock::system();
        let credentials = Credentials::of(&data_dir)?;
        account::declare(&config, &credentials, clock.now()).await?;
        let running = start(config, clock).await?;
        if let Some(admin) = running.first_admin() {
            let (user, password) = (&admin.user, &admin.password);
            eprintln!("administrator, shown only now: user {user}  password {password}");
        }
        let shown = tokio::select! {
            shown = self.show(&running, &credentials, &data_dir) => shown,
            _ = terminate.recv() => Err(anyhow::anyhow!("the demo was stopped")),
            _ = interrupt.recv() => Err(anyhow::anyhow!("the demo was stopped")),
        };
        match shown {
            Ok(told) => told.print(global.json, self.once)?,
            Err(error) => {
                running.stop().await?;
                return Err(error);
            }
        }
        if !self.once {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        running.stop().await
    }

    /// Imports, exports and checks.
    async fn show(
        &self,
        running: &Running,
        credentials: &Credentials,
        data_dir: &Path,
    ) -> anyhow::Result<Told> {
        let url = running.url();
        let imported = usage::import(&url, &credentials.api_key, self.flights.as_deref()).await?;
        eprintln!("flights of 2013: {}", imported.sentence());
        if !self.no_live {
            let now = running.app().now();
            let live = usage::replay(&url, &credentials.api_key, now).await?;
            eprintln!("flights of the last 24 hours: {}", live.sentence());
        }
        let account = account::describe(running.app()).await?;
        let folder = std::path::absolute(data_dir.join(DOWNLOADS))?;
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("could not create {}", folder.display()))?;
        let door = exports::Door::login(&url, credentials).await?;
        let orders = exports::orders(&account, self.flights.is_some());
        let mut checked = Vec::new();
        for order in orders {
            let path = door.fetch(&order, &folder).await?;
            checked.push(check::check(running.app(), &account, &order, path).await?);
        }
        door.logout().await?;
        Ok(Told {
            url,
            credentials: credentials.clone(),
            account,
            exports: checked,
        })
    }
}

fn config(global: &Global) -> anyhow::Result<Config> {
    let mut config = global.config()?;
    let untold = Config::load(None, [])?.server.data_dir;
    if config.server.data_dir == untold && global.data_dir.is_none() {
        config.server.data_dir = DATA_DIR.into();
    }
    Ok(config)
}
