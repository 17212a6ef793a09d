//! Keys that all servers of a database share.

use std::fmt;

use domain::Timestamp;

use crate::database::{Bind, Column, hexadecimal, sql};
use crate::error::{Error, Result};
use crate::open::Metadata;
use crate::random;

/// Hexadecimal digits of a secret.
const SECRET_DIGITS: usize = 64;

/// A key that all servers of a database share.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerKey {
    /// 256 random bits.
    pub secret: [u8; 32],
    /// When it was made, to the microsecond.
    pub made_at: Timestamp,
}

impl fmt::Debug for ServerKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = formatter.debug_struct("ServerKey");
        debug.field("made_at", &self.made_at);
        debug.finish_non_exhaustive()
    }
}

impl Metadata {
    /// The key of this name, made by the first server that needs it.
    pub async fn server_key(&self, name: &str, now: Timestamp) -> Result<ServerKey> {
        let found = sql("SELECT secret FROM server_keys WHERE name = $1").bind(name);
        if let Some(row) = self.database.read().one(found).await? {
            return row.get("secret");
        }
        let key = ServerKey {
            secret: random::secret()?,
            made_at: now,
        };
        // Where another server was faster, its key comes back.
        let statement = sql("INSERT INTO server_keys (name, secret) VALUES ($1, $2)
             ON CONFLICT (name) DO UPDATE SET secret = server_keys.secret RETURNING secret")
        .bind(name)
        .bind(&key);
        let row = self.database.write_one(statement).await?;
        row.ok_or_else(|| Error::not_found("key of the server", name))?
            .get("secret")
    }
}

// One column holds both, so that they are written at once.
impl From<&ServerKey> for Bind {
    fn from(key: &ServerKey) -> Self {
        let micros = key.made_at.as_microsecond();
        Self::from(format!("{}{micros:016x}", hexadecimal(&key.secret)))
    }
}

impl Column for ServerKey {
    type Stored = String;

    fn read(stored: &String) -> Option<Self> {
        let (secret, micros) = stored.split_at_checked(SECRET_DIGITS)?;
        let micros = u64::from_str_radix(micros, 16).ok()?;
        Some(Self {
            secret: Column::read(&secret.to_owned())?,
            made_at: Timestamp::from_microsecond(i64::try_from(micros).ok()?).ok()?,
        })
    }
}
