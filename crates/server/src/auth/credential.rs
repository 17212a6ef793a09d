//! The credential a request carries, and at which doors it counts.

use axum::http::{HeaderMap, header};
use sha2::{Digest, Sha256};

use crate::error::body::Door;
use crate::error::{ApiError, ApiResult, Code};
use crate::random;

/// Headers that carry a login session.
const SESSION_HEADERS: [&str; 3] = ["infa-session-id", "icsessionid", "ids-session-id"];

/// Every API key and the local administrator's token start like this.
pub const KEY_PREFIX: &str = "tp_";

/// A credential as sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Presented<'r> {
    /// `INFA-SESSION-ID`, `icSessionId` or `IDS-SESSION-ID`.
    Session(&'r str),
    /// `Authorization: Key K`, or `Bearer` with a key.
    Key(&'r str),
    /// `Authorization: Bearer X` with an access token.
    AccessToken(&'r str),
}

impl std::fmt::Debug for Presented<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Session(_) => "Session",
            Self::Key(_) => "Key",
            Self::AccessToken(_) => "AccessToken",
        })
    }
}

impl<'r> Presented<'r> {
    /// The one credential of a request at a door.
    pub fn find(headers: &'r HeaderMap, door: Door) -> ApiResult<Self> {
        let sessions = SESSION_HEADERS
            .iter()
            .flat_map(|name| headers.get_all(*name))
            .map(|value| value.to_str().map(Presented::Session).ok());
        let authorizations = headers
            .get_all(header::AUTHORIZATION)
            .iter()
            .map(|value| value.to_str().ok().and_then(authorization));
        let mut all = sessions.chain(authorizations);
        let first = all.next().ok_or_else(missing)?;
        if all.next().is_some() {
            let code = Code::TwoCredentials;
            return Err(ApiError::new(code, code.meaning()));
        }
        first.filter(|it| it.counts_at(door)).ok_or_else(missing)
    }

    fn counts_at(&self, door: Door) -> bool {
        match (self, door) {
            (_, Door::Own) => true,
            (Self::Session(_), door) => matches!(door, Door::MeteringV3 | Door::MeteringV2),
            (Self::Key(_) | Self::AccessToken(_), door) => {
                matches!(door, Door::Marketplace | Door::Cost)
            }
        }
    }

    /// The secret itself.
    pub fn secret(&self) -> &'r str {
        match self {
            Self::Session(secret) | Self::Key(secret) | Self::AccessToken(secret) => secret,
        }
    }
}

fn authorization(value: &str) -> Option<Presented<'_>> {
    let (scheme, secret) = value.split_once(' ')?;
    let secret = secret.trim();
    if scheme.eq_ignore_ascii_case("key") {
        Some(Presented::Key(secret))
    } else if !scheme.eq_ignore_ascii_case("bearer") {
        None
    } else if secret.starts_with(KEY_PREFIX) {
        Some(Presented::Key(secret))
    } else {
        Some(Presented::AccessToken(secret))
    }
}

fn missing() -> ApiError {
    ApiError::new(
        Code::Unauthenticated,
        "no credential that counts here: send Authorization: Bearer with an API key or a session \
         header such as INFA-SESSION-ID",
    )
}

/// Makes the secret of a new API key.
pub fn new_key() -> String {
    format!("{KEY_PREFIX}{}", random::secret())
}

/// Whether a text has the form of a key made by [`new_key`].
pub fn is_key(text: &str) -> bool {
    text.strip_prefix(KEY_PREFIX).is_some_and(|rest| {
        rest.len() == random::SECRET_CHARS && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// What secrets are known by.
pub fn sha256(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(door: Door, sent: &[(&'static str, &'static str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(*name, value.parse().unwrap());
        }
        match Presented::find(&headers, door) {
            Ok(Presented::Session(secret)) => format!("session {secret}"),
            Ok(Presented::Key(secret)) => format!("key {secret}"),
            Ok(Presented::AccessToken(secret)) => format!("token {secret}"),
            Err(error) => error.code.as_str().to_owned(),
        }
    }

    #[test]
    fn each_credential_counts_at_its_doors_only() {
        let session = [("infa-session-id", "s")];
        assert_eq!(find(Door::MeteringV3, &session), "session s");
        assert_eq!(find(Door::Own, &session), "session s");
        assert_eq!(find(Door::Cost, &session), "unauthenticated");
        assert_eq!(find(Door::Own, &[("authorization", "Key k")]), "key k");
        assert_eq!(
            find(Door::MeteringV2, &[("authorization", "Key k")]),
            "unauthenticated"
        );
        assert_eq!(
            find(Door::Own, &[("authorization", "bearer tp_k")]),
            "key tp_k"
        );
        assert_eq!(
            find(Door::Cost, &[("authorization", "Bearer abc")]),
            "token abc"
        );
        assert_eq!(
            find(Door::Own, &[("authorization", "OAuth x")]),
            "unauthenticated"
        );
        assert_eq!(find(Door::Own, &[]), "unauthenticated");
    }

    #[test]
    fn two_credentials_are_one_too_many() {
        let two = [("authorization", "Key k"), ("icsessionid", "s")];
        assert_eq!(find(Door::Own, &two), "two_credentials");
        let twice = [("authorization", "Key k"), ("authorization", "Key k")];
        assert_eq!(find(Door::Own, &twice), "two_credentials");
    }
}
