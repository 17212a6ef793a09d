//! Configuration: embedded defaults, the operator's file, then the environment.

mod environment;
pub mod exports;
pub mod limits;
pub mod log;
pub mod login;
pub mod secret;
pub mod server;
pub mod store;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

pub use environment::variables;
pub use exports::Exports;
pub use limits::Limits;
pub use log::{Log, LogFormat};
pub use login::{Admin, Login};
pub use secret::Secret;
pub use server::Server;
pub use store::{Database, Store, StoreMode};

/// The documented defaults, as embedded into the binary.
pub const DEFAULTS: &str = include_str!("config.default.toml");

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
    /// An environment variable names no key.
    #[error(
        "{name} sets no known key: expected TALLYPORT_<SECTION>_<KEY>, as `tallyport check-config` \
         prints them"
    )]
    UnknownVariable {
        /// The variable.
        name: String,
    },
    /// Two environment variables are names of one key.
    #[error("{first} and {second} set the same key: expected one of them")]
    Twice {
        /// The one that was read first.
        first: String,
        /// The other.
        second: String,
    },
    /// An environment variable is not UTF-8.
    #[error("{name} is not UTF-8: expected a text")]
    NotText {
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
        let mut set = BTreeMap::new();
        for (name, value) in variables {
            let Some(setting) = environment::setting(&defaults, &name, &value)? else {
                continue;
            };
            let key = (setting.section.clone(), setting.key.clone());
            if let Some(first) = set.insert(key, name.clone()) {
                return Err(ConfigError::Twice {
                    first,
                    second: name,
                });
            }
            setting.set(&mut merged);
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
            ("TALLYPORT_CONFIG", "tallyport.toml"),
            ("TALLYPORT_KEY", "tp_"),
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
    fn a_variable_that_names_no_key_is_refused_whatever_its_section() {
        for name in [
            "TALLYPORT_LIMIT_BODY",
            "TALLYPORT_VERBOSE",
            "TALLYPORT_",
            "TALLYPORT_URL",
        ] {
            let unknown = refused("", &[(name, "1")]);
            assert!(
                unknown.starts_with(&format!("{name} sets no known key")),
                "{unknown}"
            );
        }
    }

    #[test]
    fn the_folder_and_the_address_have_short_names() {
        let variables = [
            ("TALLYPORT_DATA_DIR", "/srv/usage"),
            ("TALLYPORT_LISTEN", "127.0.0.1:9"),
        ];
        let server = load("", &variables).unwrap().server;
        assert_eq!(server.data_dir.to_str(), Some("/srv/usage"));
        assert_eq!(server.listen.to_string(), "127.0.0.1:9");
        let twice = [variables[1], ("TALLYPORT_SERVER_LISTEN", "127.0.0.1:8")];
        assert_eq!(
            refused("", &twice),
            "TALLYPORT_LISTEN and TALLYPORT_SERVER_LISTEN set the same key: expected one of them"
        );
    }

    #[test]
    fn what_an_orchestrator_sets_for_a_service_of_our_name_is_no_key() {
        let variables = [
            ("TALLYPORT_SERVICE_HOST", "10.0.0.7"),
            ("TALLYPORT_SERVICE_PORT", "8080"),
            ("TALLYPORT_SERVICE_PORT_HTTP", "8080"),
            ("TALLYPORT_PORT", "tcp://10.0.0.7:8080"),
            ("TALLYPORT_PORT_8080_TCP", "tcp://10.0.0.7:8080"),
            ("TALLYPORT_PORT_8080_TCP_PROTO", "tcp"),
            ("TALLYPORT_API_PORT_8080_TCP_ADDR", "10.0.0.7"),
        ];
        assert!(load("", &variables).is_ok());
        let port = refused("", &[("TALLYPORT_PORT", "8080")]);
        assert!(
            port.starts_with("TALLYPORT_PORT sets no known key"),
            "{port}"
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
