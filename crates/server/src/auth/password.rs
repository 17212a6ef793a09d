//! Passwords of people: argon2id, off the async threads and only a few at a time.
//!
//! One check costs some 20 MiB and tens of milliseconds on purpose; the limits here keep a flood of
//! logins from taking the machine away from usage.

use std::sync::{Arc, LazyLock};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

use crate::blocking;
use crate::error::{ApiError, ApiResult, Code};
use crate::random;

/// Hashes computed at once.
const RUNNING_MAX: usize = 2;
/// Hashes that may wait for one of those places; more are turned away.
const WAITING_MAX: usize = 64;
/// Characters a new password has at least.
pub const PASSWORD_CHARS_MIN: usize = 8;
/// Characters of a password, as the vendor's login allows.
pub const PASSWORD_CHARS_MAX: usize = 255;
/// Seconds after which one of the places should be free.
const RETRY_AFTER_S: u64 = 2;

static PLACES: Semaphore = Semaphore::const_new(RUNNING_MAX + WAITING_MAX);
static RUNNING: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(RUNNING_MAX)));
/// Stands in for the hash of a user that does not exist, so that both cases take as long.
static DECOY: LazyLock<String> = LazyLock::new(|| hash_now(&random::secret()));

/// Hashes a new password with a random salt.
pub async fn hash(password: String) -> ApiResult<String> {
    check_length(&password).map_err(ApiError::invalid)?;
    run(move || hash_now(&password)).await
}

/// Whether a password is the one that was hashed; without a hash it takes as long and is not.
pub async fn verify(password: String, hash: Option<String>) -> ApiResult<bool> {
    run(move || {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| DECOY.clone());
        verify_now(&password, &hash) && known
    })
    .await
}

/// Says why a new password is too short or too long.
pub fn check_length(password: &str) -> Result<(), String> {
    let chars = password.chars().count();
    if (PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX).contains(&chars) {
        return Ok(());
    }
    Err(format!(
        "a password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters, this one {chars}"
    ))
}

/// Whether `text` is a hash that can be checked here.
pub fn is_hash(text: &str) -> bool {
    PasswordHash::new(text).is_ok_and(|hash| hash.algorithm.as_str() == "argon2id")
}

async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> ApiResult<T> {
    let busy = |_| {
        let message = format!("{WAITING_MAX} passwords wait to be checked");
        ApiError::new(Code::TooManyRequests, message).retry_after(RETRY_AFTER_S)
    };
    let _place = PLACES.try_acquire().map_err(busy)?;
    blocking::run(&RUNNING, work).await
}

fn hash_now(password: &str) -> String {
    Argon2::default()
        .hash_password(password.as_bytes())
        .expect("a password of bounded length hashes")
        .to_string()
}

fn verify_now(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| {
        Argon2::default()
            .verify_password(password.as_bytes(), &hash)
            .is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_known_again_and_another_is_not() {
        let hashed = hash("correct horse".to_owned()).await.unwrap();
        assert!(is_hash(&hashed) && hashed.starts_with("$argon2id$"));
        let knows = async |text: &str, hash| verify(text.to_owned(), hash).await.unwrap();
        assert!(knows("correct horse", Some(hashed.clone())).await);
        assert!(!knows("wrong horse", Some(hashed)).await);
        assert!(!knows("correct horse", None).await);
    }

    #[tokio::test]
    async fn short_passwords_are_refused_with_their_length() {
        let refused = hash("short".to_owned()).await.unwrap_err();
        assert_eq!(
            refused.message,
            "a password has 8 to 255 characters, this one 5"
        );
    }
}
