//! The command line: one file per command.
//!
//! Results go to standard output, progress and logs to standard error.

pub mod apply;
pub mod check_config;
pub mod demo;
pub mod import;
pub mod local;
pub mod serve;
pub mod user;
pub mod verify;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, ConfigError, variables};
use crate::setup::CATALOGUE;

/// Takes usage in once and gives it out in every shape.
#[derive(Debug, Parser)]
#[command(name = "tallyport", version)]
struct CommandLine {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Default, Args)]
pub struct Global {
    /// Configuration file; see `check-config`.
    #[arg(long, global = true, env = "TALLYPORT_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder for everything Tallyport keeps.
    #[arg(long, global = true, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// Address and port to listen on; port 0 takes a free one.
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Print one JSON document on standard output.
    #[arg(long, global = true)]
    pub json: bool,
}

impl Global {
    /// The configuration in force: defaults, file, environment, then the flags.
    pub fn config(&self) -> Result<Config, ConfigError> {
        let mut config = Config::load(self.config.as_deref(), variables()?)?;
        if let Some(data_dir) = &self.data_dir {
            config.server.data_dir.clone_from(data_dir);
        }
        if let Some(listen) = self.listen {
            config.server.listen = listen;
        }
        Ok(config)
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server until it is told to stop.
    Serve(serve::Serve),
    /// Shows the whole way from usage to export on real data.
    Demo(demo::Demo),
    /// Declares accounts, organizations, users, meters and rates from a file.
    Apply(apply::Apply),
    /// Prints the meters of the metering family as a file for `apply`.
    Catalogue,
    /// Takes usage in from files.
    Import(import::Import),
    /// Looks after users.
    User(user::User),
    /// Checks every byte and every count of a data directory.
    Verify(verify::Verify),
    /// Checks the configuration and prints what is in force.
    CheckConfig(check_config::CheckConfig),
}

/// Runs the command the process was started with.
///
/// Blocks: a future is compiled where it is run, and `main.rs` would compile all of them again.
#[tokio::main]
pub async fn main() -> ExitCode {
    let CommandLine { global, command } = CommandLine::parse();
    // A second provider cannot be there yet; were it, it would do as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let done = match command {
        Command::Serve(command) => command.run(&global).await,
        Command::Demo(command) => command.run(&global).await,
        Command::Apply(command) => command.run(&global).await,
        Command::Catalogue => {
            print!("{CATALOGUE}");
            Ok(())
        }
        Command::Import(command) => command.run(&global).await,
        Command::User(command) => command.run(&global).await,
        Command::Verify(command) => command.run(&global).await,
        Command::CheckConfig(command) => command.run(&global),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tallyport: {error:#}");
            ExitCode::FAILURE
        }
    }
}
