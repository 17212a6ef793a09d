//! Passwords as argon2id hashes, computed on threads that may block.

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use tokio::task::spawn_blocking;

use crate::error::{ApiError, ApiResult, Code};

/// Bytes of a password.
pub const PASSWORD_BYTES_MAX: usize = 255;

/// Hashes a password with a random salt.
pub async fn hash(password: String) -> ApiResult<String> {
    let hashed = spawn_blocking(move || {
        let hash = Argon2::default().hash_password(password.as_bytes());
        hash.map(|hash| hash.to_string())
    });
    let internal =
        |cause: String| ApiError::new(Code::Internal, Code::Internal.meaning()).caused_by(cause);
    let hashed = hashed.await.map_err(|error| internal(error.to_string()))?;
    hashed.map_err(|error| internal(error.to_string()))
}

/// Whether a password is the one that was hashed.
pub async fn verify(password: String, hash: String) -> bool {
    let verified = spawn_blocking(move || {
        Argon2::default()
            .verify_password(password.as_bytes(), hash.as_str())
            .is_ok()
    });
    verified.await.unwrap_or(false)
}
