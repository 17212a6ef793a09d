//! Passwords of people: argon2id, off the async threads and only a few at a time.
//!
//! One check costs some 20 MiB and tens of milliseconds on purpose; the limits here keep a flood of
//! logins from taking the machine away from usage.

use std::sync::{Arc, LazyLock};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

use crate::secret::Secret;

/// Hashes computed at once.
const RUNNING_MAX: usize = 2;
/// Hashes that may wait for one of those places; more are turned away.
const WAITING_MAX: usize = 64;
/// Characters a new password has at least.
pub const PASSWORD_CHARS_MIN: usize = 8;
/// Characters of a password, as the vendor's login allows.
pub const PASSWORD_CHARS_MAX: usize = 255;

/// Stands in for the hash of a user that does not exist, so that both cases take as long.
static DECOY: LazyLock<String> = LazyLock::new(|| hash_now(&crate::secret::new_password()));

/// Why a password could not be set or checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too many logins are waiting.
    #[error("too many passwords are being checked: at most {WAITING_MAX} may wait")]
    Busy,
    /// A new password is too short or too long.
    #[error(
        "a password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters, this one {chars}"
    )]
    Length {
        /// Characters it has.
        chars: usize,
    },
}

/// Computes and checks password hashes within bounds.
#[derive(Debug, Clone)]
pub struct Passwords {
    waiting: Arc<Semaphore>,
    running: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            waiting: Arc::new(Semaphore::new(WAITING_MAX + RUNNING_MAX)),
            running: Arc::new(Semaphore::new(RUNNING_MAX)),
        }
    }
}

impl Passwords {
    /// The PHC string to store for a new password.
    pub async fn hash(&self, password: Secret) -> Result<String, PasswordError> {
        check_length(&password)?;
        self.run(move || hash_now(&password)).await
    }

    /// Whether `password` belongs to `hash`; `None` takes as long and is always false.
    pub async fn verify(
        &self,
        password: Secret,
        hash: Option<String>,
    ) -> Result<bool, PasswordError> {
        self.run(move || {
            let known = hash.is_some();
            let text = hash.unwrap_or_else(|| DECOY.clone());
            verify_now(&password, &text) && known
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let _place = self
            .waiting
            .try_acquire()
            .map_err(|_| PasswordError::Busy)?;
        let permit = Arc::clone(&self.running)
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        Ok(task.await.expect("hashing does not panic"))
    }
}

/// Refuses a new password that is too short or too long.
pub fn check_length(password: &Secret) -> Result<(), PasswordError> {
    let chars = password.reveal().chars().count();
    if (PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX).contains(&chars) {
        Ok(())
    } else {
        Err(PasswordError::Length { chars })
    }
}

/// Whether `text` is a hash this module can check.
pub fn is_hash(text: &str) -> bool {
    PasswordHash::new(text).is_ok_and(|hash| hash.algorithm.as_str() == "argon2id")
}

fn hash_now(password: &Secret) -> String {
    Argon2::default()
        .hash_password(password.reveal().as_bytes())
        .expect("a password of bounded length hashes")
        .to_string()
}

fn verify_now(password: &Secret, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| {
        Argon2::default()
            .verify_password(password.reveal().as_bytes(), &hash)
            .is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_known_again_and_another_is_not() {
        let passwords = Passwords::default();
        let hash = passwords.hash(Secret::new("correct horse")).await.unwrap();
        assert!(is_hash(&hash) && hash.starts_with("$argon2id$"));
        let verify = |text: &'static str, hash| passwords.verify(Secret::new(text), hash);
        assert!(verify("correct horse", Some(hash.clone())).await.unwrap());
        assert!(!verify("wrong horse", Some(hash)).await.unwrap());
        assert!(!verify("correct horse", None).await.unwrap());
    }

    #[tokio::test]
    async fn short_passwords_are_refused_with_their_length() {
        let refused = Passwords::default().hash(Secret::new("short")).await;
        assert_eq!(refused, Err(PasswordError::Length { chars: 5 }));
    }
}
