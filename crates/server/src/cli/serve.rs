//! `tallyport serve`: the server, until SIGTERM or SIGINT.

use clap::Args;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::Global;
use crate::bootstrap::FirstAdmin;
use crate::run::{Loss, Running, must_hold_store, start_with};
use crate::{clock::Clock, log};

/// Options of `tallyport serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// Go on with whatever usage is there, although the database knows of more: for one start,
    /// after a folder that cannot be restored.
    #[arg(long)]
    accept_usage_loss: bool,
}

impl Serve {
    /// Runs the command.
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let config = global.config()?;
        log::start(&config.log)?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let loss = if self.accept_usage_loss {
            must_hold_store(&config)?;
            Loss::Accepted
        } else {
            Loss::Refused
        };
        let running = start_with(config, Clock::system(), loss).await?;
        announce(&running, global.json);
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        running.stop().await
    }
}

fn announce(running: &Running, json: bool) {
    let first = running.first_admin();
    if json {
        let made = |admin: &FirstAdmin| admin.is_generated.then(|| admin.password.clone());
        let admin = first.map(|admin| json!({"user": admin.user, "password": made(admin)}));
        println!("{}", json!({"url": running.url(), "admin": admin}));
        return;
    }
    println!("Tallyport listens on {}", running.url());
    match first {
        Some(admin) if admin.is_generated => {
            println!("First administrator, shown only now:");
            println!("  user {}  password {}", admin.user, admin.password);
        }
        Some(admin) => println!(
            "First administrator, with the configured password: {}",
            admin.user
        ),
        None => {}
    }
}
