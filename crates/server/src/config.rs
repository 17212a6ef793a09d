//! Configuration: embedded defaults, the operator's file, then the environment.

pub mod exports;
pub mod limits;
pub mod log;
pub mod login;
pub mod secret;
pub mod server;
pub mod store;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

pub use exports::Exports;
pub use limits::Limits;
pub use log::{Log, LogFormat};
pub use login::{Admin, Login};
pub use secret::Secret;
pub use server::Server;
pub use store::{Database, Store, StoreMode};

/// The documented defaults, as embedded into the binary.
pub const DEFAULTS: &str = include_str!("config.default.toml");

/// Start of the names of environment variables that set keys.
const ENVIRONMENT_PREFIX: &str = "TALLYPORT_";

/// What the server does where requests do not say otherwise.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where it listens and what it is called.
    pub server: Server,
    /// Where usage lives.
    pub store: Store,
    /// Where control data lives.
    pub database: Database,
    /// Bounds of requests.
    pub limits: Limits,
    /// Login attempts.
    pub login: Login,
    /// Export jobs and their artifacts.
    pub exports: Exports,
    /// What is logged and how.
    pub log: Log,
    /// The administrator of the first start.
    pub admin: Admin,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The operator's file cannot be read.
    #[error("could not read the configuration file {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The operator's file is no TOML.
    #[error("{} is not TOML", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// An environment variable names no key of its section.
    #[error("{name} sets no known key: see `tallyport check-config` for the keys")]
    UnknownVariable {
        /// The variable.
        name: String,
    },
    /// An environment variable does not hold what its key expects.
    #[error("{name} is {value:?}: expected {expected}")]
    Variable {
        /// The variable.
        name: String,
        /// Its value.
        value: String,
        /// What was expected.
        expected: &'static str,
    },
    /// A key is unknown or has a value it cannot have.
    #[error("the configuration does not hold")]
    Invalid(#[source] Box<toml::de::Error>),
}

impl Config {
    /// Reads the defaults, then `file`, then `variables` (name and value), and checks the whole.
    pub fn load(
        file: Option<&Path>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let defaults: Table = DEFAULTS.parse().expect("the embedded defaults are TOML");
        let mut merged = defaults.clone();
        if let Some(path) = file {
            merge(&mut merged, read(path)?);
        }
        for (name, value) in variables {
            set_from_environment(&mut merged, &defaults, &name, &value)?;
        }
        let invalid = |error| ConfigError::Invalid(Box::new(error));
        merged.try_into().map_err(invalid)
    }
}

fn read(path: &Path) -> Result<Table, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    text.parse().map_err(|source| ConfigError::Syntax {
        path: path.to_owned(),
        source: Box::new(source),
    })
}

fn merge(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(inner)), Value::Table(table)) => merge(inner, table),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// Sets the key a variable names; variables of no known section are someone else's.
fn set_from_environment(
    merged: &mut Table,
    defaults: &Table,
    name: &str,
    text: &str,
) -> Result<(), ConfigError> {
    let Some(rest) = name.strip_prefix(ENVIRONMENT_PREFIX) else {
        return Ok(());
    };
    let lower = rest.to_ascii_lowercase();
    let Some((section, key)) = lower.split_once('_') else {
        return Ok(());
    };
    let Some(Value::Table(known)) = defaults.get(section) else {
        return Ok(());
    };
    let unknown = || ConfigError::UnknownVariable {
        name: name.to_owned(),
    };
    let value = like(known.get(key).ok_or_else(unknown)?, text);
    let value = value.map_err(|expected| ConfigError::Variable {
        name: name.to_owned(),
        value: text.to_owned(),
        expected,
    })?;
    if let Some(Value::Table(table)) = merged.get_mut(section) {
        table.insert(key.to_owned(), value);
    }
    Ok(())
}

/// Reads `text` as a value of the same type as `default`.
fn like(default: &Value, text: &str) -> Result<Value, &'static str> {
    match default {
        Value::Integer(_) => text
            .parse()
            .map(Value::Integer)
            .map_err(|_| "a whole number"),
        Value::Boolean(_) => text
            .parse()
            .map(Value::Boolean)
            .map_err(|_| "true or false"),
        Value::Array(_) => {
            let items = text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty());
            Ok(Value::Array(items.map(Value::from).collect()))
        }
        _ => Ok(Value::from(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tallyport.toml");
        std::fs::write(&path, file).unwrap();
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Config::load(Some(&path), variables.iter().map(owned))
    }

    fn refused(file: &str, variables: &[(&str, &str)]) -> String {
        format!(
            "{:#}",
            anyhow::Error::from(load(file, variables).unwrap_err())
        )
    }

    #[test]
    fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
        let file = "[server]\nlisten = \"127.0.0.1:1\"\nshutdown_timeout_s = 7\n";
        let variables = [
            ("TALLYPORT_SERVER_LISTEN", "127.0.0.1:2"),
            ("TALLYPORT_SERVER_ALLOWED_HOSTS", "a.example, b.example"),
            ("TALLYPORT_SERVICE_HOST", "set by an orchestrator"),
            ("HOME", "/"),
        ];
        let config = load(file, &variables).unwrap();
        assert_eq!(config.server.listen.to_string(), "127.0.0.1:2");
        assert_eq!(config.server.shutdown_timeout_s, 7);
        assert_eq!(config.server.allowed_hosts, ["a.example", "b.example"]);
        assert_eq!(config.exports.artifact_days, 3);
    }

    #[test]
    fn unknown_keys_and_wrong_values_are_refused_by_name() {
        let unknown = refused("[server]\nlistne = \"\"", &[]);
        assert!(unknown.contains("listne"), "{unknown}");
        let variable = refused("", &[("TALLYPORT_SERVER_LISTNE", "")]);
        assert!(variable.contains("TALLYPORT_SERVER_LISTNE"), "{variable}");
        let number = refused("", &[("TALLYPORT_EXPORTS_WORKERS", "many")]);
        assert_eq!(
            number,
            "TALLYPORT_EXPORTS_WORKERS is \"many\": expected a whole number"
        );
    }

    #[test]
    fn every_default_carries_a_comment() {
        let lines: Vec<_> = DEFAULTS.lines().collect();
        for pair in lines.windows(2).filter(|pair| pair[1].contains(" = ")) {
            assert!(
                pair[0].starts_with('#') || pair[1].starts_with('#'),
                "{}",
                pair[1]
            );
        }
    }

    #[test]
    fn a_secret_is_never_printed() {
        let config = load("[admin]\npassword = \"hunter\"", &[]).unwrap();
        assert!(!format!("{config:?}").contains("hunter"));
        assert!(
            !Table::try_from(&config)
                .unwrap()
                .to_string()
                .contains("hunter")
        );
    }
}
