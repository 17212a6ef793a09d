//! `setup.yaml`: an account declared as text, and what applying it would change.
//!
//! The walk: [`Setup::parse`] reads the form, [`Setup::take_environment`] fetches the secrets it
//! names, [`check`] turns it into declarations that contradict neither themselves nor the rules,
//! and [`diff`] compares these with the control data there is. All of it is pure; the command is
//! [`crate::cli::apply`], the route [`crate::api::setup`].

pub mod account;
pub mod apply;
pub mod check;
pub mod diff;
pub mod form;
mod home;
mod present;
pub mod scalar;
pub mod stored;

use domain::ids::AccountId;
use serde::Deserialize;

use crate::config::Secret;
pub use form::AccountForm;

/// The meters of the metering family with what is known of them, as a setup file.
pub const CATALOGUE: &str = include_str!("../../../data/catalogue.yaml");
/// Bytes of a setup file, whichever way it comes.
pub const SETUP_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of a request that brings one: a JSON string may need two for each of the file's, and the
/// values of the variables come beside it.
pub const SETUP_BODY_BYTES_MAX: usize = 2 * SETUP_BYTES_MAX + 1024 * 1024;
/// Accounts in one setup file.
const ACCOUNTS_MAX: usize = 1_000;

/// A setup file: one YAML document for each account.
#[derive(Debug, Clone, PartialEq)]
pub struct Setup {
    /// The accounts in the file's order.
    pub accounts: Vec<AccountForm>,
}

/// Whose setup files they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authority {
    /// A server administrator's, who may create accounts.
    Server,
    /// An owner's of this account's root.
    Account(AccountId),
}

/// Why a setup file is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// It is no YAML, or has a field nobody knows, or one of the wrong type.
    #[error("{message}")]
    Form {
        /// What is wrong, with line and column.
        message: String,
    },
    /// A rule is broken.
    #[error("{place}: {message}")]
    Rule {
        /// What the rule was broken by, such as `meter "hours"`.
        place: String,
        /// The rule.
        message: String,
    },
    /// What is declared cannot be compared with what there is, which is damaged.
    #[error("{cause}")]
    Damaged {
        /// Where.
        cause: String,
    },
}

impl From<metadata::Error> for SetupError {
    /// A snapshot that was loaded gives no other error.
    fn from(error: metadata::Error) -> Self {
        let cause = error.to_string();
        Self::Damaged { cause }
    }
}

impl SetupError {
    /// The file is over [`SETUP_BYTES_MAX`].
    pub fn too_large() -> Self {
        let message = format!(
            "the setup file has more than {SETUP_BYTES_MAX} bytes: divide it, such as by accounts"
        );
        Self::Form { message }
    }

    /// A file or a document of it declares nothing.
    pub fn nothing_declared() -> Self {
        let message = "the file declares nothing: expected organizations, users, keys, meters, \
                       rates or partnerId";
        Self::Form {
            message: message.to_owned(),
        }
    }

    /// A broken rule.
    pub fn rule(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Rule {
            place: place.into(),
            message: message.into(),
        }
    }
}

impl Setup {
    /// Reads the text of a setup file.
    pub fn parse(text: &str) -> Result<Self, SetupError> {
        if text.len() > SETUP_BYTES_MAX {
            return Err(SetupError::too_large());
        }
        let mut accounts = Vec::new();
        for document in serde_norway::Deserializer::from_str(text) {
            if accounts.len() == ACCOUNTS_MAX {
                let message = format!("a setup file declares at most {ACCOUNTS_MAX} accounts");
                return Err(SetupError::Form { message });
            }
            // What stands behind the last `---`, or only comments, is a document of nothing.
            let account = Option::<AccountForm>::deserialize(document);
            let account = account.map_err(|error| SetupError::Form {
                message: error.to_string(),
            })?;
            accounts.extend(account);
        }
        if accounts.is_empty() {
            return Err(SetupError::nothing_declared());
        }
        Ok(Self { accounts })
    }

    /// The environment variables the file names.
    pub fn variables(&self) -> Vec<String> {
        let mut names = Vec::new();
        let collect = |_: String, name: &str| {
            names.push(name.to_owned());
            Ok(Secret::default())
        };
        let read = self.clone().replace_variables(collect);
        debug_assert!(read.is_ok(), "collecting refuses nothing");
        names
    }

    /// Replaces every named environment variable by the secret it holds.
    pub fn take_environment(
        &mut self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<(), SetupError> {
        self.replace_variables(|place, name| {
            let missing = || format!("the environment has no variable {name}");
            let value = variable(name).ok_or_else(|| SetupError::rule(place, missing()))?;
            Ok(Secret::from(value))
        })
    }

    fn replace_variables(
        &mut self,
        mut fetch: impl FnMut(String, &str) -> Result<Secret, SetupError>,
    ) -> Result<(), SetupError> {
        for account in &mut self.accounts {
            for user in &mut account.users {
                let place = format!("user {:?}", user.name);
                if let Some(name) = user.password_env.take() {
                    user.password = Some(fetch(place.clone(), &name)?);
                }
                if let Some(name) = user.password_hash_env.take() {
                    user.password_hash = Some(fetch(place, &name)?);
                }
            }
            for key in &mut account.keys {
                if let Some(name) = key.secret_env.take() {
                    key.secret = Some(fetch(format!("key {:?}", key.name), &name)?);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        Setup::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn each_document_of_the_file_is_an_account() {
        let setup = Setup::parse("partnerId: first\n---\npartnerId: second\n").unwrap();
        let partners: Vec<_> = setup
            .accounts
            .iter()
            .flat_map(|form| &form.partner_id)
            .collect();
        assert_eq!(partners, ["first", "second"]);
    }

    #[test]
    fn an_unknown_field_is_refused_with_its_line() {
        let text = "organizations:\n  - name: Root\n    currency: USD\n    knid: production\n";
        let message = refusal(text);
        assert!(message.contains("unknown field `knid`"), "{message}");
        assert!(message.contains("line 4"), "{message}");
    }

    #[test]
    fn a_password_may_come_from_the_environment() {
        let text = "users:\n  - {name: ann, passwordEnv: ANN}\n";
        let mut setup = Setup::parse(text).unwrap();
        let refused = setup.clone().take_environment(|_| None).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "user \"ann\": the environment has no variable ANN"
        );
        assert_eq!(setup.variables(), ["ANN"]);
        setup
            .take_environment(|name| (name == "ANN").then(|| "long enough".to_owned()))
            .unwrap();
        let user = &setup.accounts[0].users[0];
        assert_eq!(user.password, Some(Secret::from("long enough".to_owned())));
        assert_eq!(user.password_env, None);
    }
}
