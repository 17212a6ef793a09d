//! `tallyport user`: looks after users.

use anyhow::Context;
use clap::{Args, Subcommand};
use domain::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::Global;
use super::local::Local;
use crate::api::users::ResetIn;
use crate::auth::password;
use crate::config::Config;
use crate::random;
use crate::run::open_existing;
use crate::server_file::ServerFile;

/// Options of `tallyport user`.
#[derive(Debug, Args)]
pub struct User {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Gives a user a random password and ends every session of theirs.
    ResetPassword {
        /// Login name.
        name: String,
    },
}

#[derive(Debug, Serialize)]
struct Reset {
    user: String,
    password: String,
}

impl User {
    /// Runs the command.
    pub async fn run(self, global: &Global) -> anyhow::Result<()> {
        let Command::ResetPassword { name } = self.command;
        let config = global.config()?;
        let password = match ServerFile::read(&config.server.data_dir)? {
            Some(server) => {
                let body = ResetIn { name: name.clone() };
                let local = Local::new(&server)?;
                let made: Value = local.post("/api/v1/password-resets", &body).await?;
                made["password"].as_str().unwrap_or_default().to_owned()
            }
            None => reset_here(&config, &name).await?,
        };
        if global.json {
            println!(
                "{}",
                json!(Reset {
                    user: name,
                    password
                })
            );
        } else {
            println!("New password of {name}, shown only now: {password}");
        }
        Ok(())
    }
}

/// Resets in a data directory that no server has open.
async fn reset_here(config: &Config, name: &str) -> anyhow::Result<String> {
    let metadata = open_existing(config).await?;
    let user = metadata.find_user_by_name(name).await?;
    let user = user.with_context(|| format!("no user {name:?}"))?;
    let made = random::password();
    let hashed = password::hash(made.clone()).await;
    let hash = hashed.map_err(|error| anyhow::anyhow!(error.chain()))?;
    metadata
        .put_password(user.id, &hash, None, Timestamp::now())
        .await?;
    metadata
        .clear_login_failures(&format!("user:{name}"))
        .await?;
    metadata.close().await;
    Ok(made)
}
