//! What a failed statement means: constraints by their name, locks, lost connections.

use sqlx::error::{DatabaseError, ErrorKind};

use crate::error::Error;
use crate::organization::NAME_OR_ALIAS;

/// A unique constraint: its name in PostgreSQL, its columns as SQLite tells them, and what for.
struct Unique {
    name: &'static str,
    columns: &'static str,
    what: &'static str,
}

macro_rules! unique {
    ($($name:literal, $columns:literal, $what:expr;)*) => {
        &[$(Unique { name: $name, columns: $columns, what: $what },)*]
    };
}

const UNIQUES: &[Unique] = unique! {
    "accounts_id_unique", "accounts.id", "account id";
    "organizations_id_unique", "organizations.id", "organization id";
    "organizations_realm_unique", "organization_versions.realm_id", "realm id";
    "organizations_alias_unique",
        "organization_aliases.account_id, organization_aliases.alias", NAME_OR_ALIAS;
    "meters_id_unique", "meters.account_id, meters.id", "meter id";
    "meters_slug_unique", "meter_versions.account_id, meter_versions.slug", "meter slug";
    "rates_id_unique", "rates.id", "rate id";
    "users_id_unique", "users.id", "user id";
    "users_name_unique", "users.name", "user name";
    "sessions_token_unique", "sessions.token_sha256", "session token";
    "keys_id_unique", "api_keys.id", "key id";
    "keys_secret_unique", "api_keys.secret_sha256", "key secret";
    "exports_id_unique", "exports.id", "export id";
    "exports_idempotency_unique",
        "exports.organization_id, exports.idempotency_key", "idempotency key";
    "exports_period_unique",
        "exports.schedule_id, exports.period_from", "period of the schedule";
    "export_schedules_id_unique", "export_schedules.id", "schedule id";
    "webhooks_id_unique", "webhooks.id", "webhook id";
    "webhooks_callbacks_unique", "webhooks.organization_id", "webhook for callbacks";
};

/// SQLite: busy, locked, and a race for the lock, with their extended codes in the higher bytes.
const SQLITE_BUSY: [i64; 3] = [5, 6, 15];
/// SQLite: no permission, read-only, input or output failed, full, cannot open.
const SQLITE_UNAVAILABLE: [i64; 5] = [3, 8, 10, 13, 14];
/// SQLite: input or output failed, full.
const SQLITE_FULL: [i64; 2] = [10, 13];
/// SQLite: the file is damaged, or is no database.
const SQLITE_DAMAGED: [i64; 2] = [11, 26];
/// PostgreSQL: lock not available, deadlock, serialization, statement cancelled by its time limit.
const POSTGRES_BUSY: [&str; 4] = ["55P03", "40P01", "40001", "57014"];
/// PostgreSQL: classes of lost connections, exhausted resources, shutdown and failures of its
/// system, and a server that only reads.
const POSTGRES_UNAVAILABLE: [&str; 5] = ["08", "53", "57", "58", "25006"];

/// Whether an SQLite file could not be written for want of room, or its disk failed.
pub(crate) fn is_full(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(refusal) => {
            let code = refusal.code().unwrap_or_default();
            let primary = code.parse::<i64>().map_or(0, |code| code & 0xff);
            code.len() != 5 && SQLITE_FULL.contains(&primary)
        }
        sqlx::Error::Io(error) => error.kind() == std::io::ErrorKind::StorageFull,
        _ => false,
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::PoolTimedOut => Self::Busy(error),
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            // The state of a connection was not what it should be; it is closed.
            | sqlx::Error::BeginFailed
            | sqlx::Error::InvalidSavePointStatement => Self::Unavailable(error),
            sqlx::Error::Database(refusal) => {
                named(refusal.as_ref()).unwrap_or_else(|| classed(error))
            }
            // What is read back is what this crate wrote: other columns or types are damage.
            sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::ColumnIndexOutOfBounds { .. } => Self::DamagedDatabase(error),
            _ => Self::Statement(error),
        }
    }
}

/// The constraint that refused a row.
fn named(refusal: &dyn DatabaseError) -> Option<Error> {
    let message = refusal.message();
    let told = message.split_once(": ").map_or(message, |(_, told)| told);
    let name = refusal.constraint().unwrap_or(told);
    match refusal.kind() {
        ErrorKind::UniqueViolation => {
            let unique = UNIQUES
                .iter()
                .find(|unique| unique.name == name || unique.columns == name);
            Some(unique.map_or_else(
                || constraint(name),
                |unique| Error::Taken {
                    what: unique.what,
                    constraint: unique.name,
                },
            ))
        }
        // SQLite tells that a reference dangles, not which one.
        ErrorKind::ForeignKeyViolation if refusal.constraint().is_none() => {
            Some(constraint("references_known"))
        }
        ErrorKind::ForeignKeyViolation
        | ErrorKind::NotNullViolation
        | ErrorKind::CheckViolation => Some(constraint(name)),
        _ => None,
    }
}

fn constraint(name: &str) -> Error {
    Error::Constraint {
        constraint: name.to_owned(),
    }
}

/// What a refusal that is no constraint's means.
fn classed(error: sqlx::Error) -> Error {
    let code = error.as_database_error().and_then(DatabaseError::code);
    let code = code.as_deref().unwrap_or_default().to_owned();
    let sqlite = code.len() != 5;
    let primary = code.parse::<i64>().map_or(0, |code| code & 0xff);
    let (busy, unavailable) = if sqlite {
        (
            SQLITE_BUSY.contains(&primary),
            SQLITE_UNAVAILABLE.contains(&primary),
        )
    } else {
        (
            POSTGRES_BUSY.contains(&code.as_str()),
            POSTGRES_UNAVAILABLE
                .iter()
                .any(|class| code.starts_with(class)),
        )
    };
    if sqlite && SQLITE_DAMAGED.contains(&primary) {
        return Error::DamagedDatabase(error);
    }
    match (busy, unavailable) {
        (true, _) => Error::Busy(error),
        (_, true) => Error::Unavailable(error),
        _ => Error::Statement(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::{Statement, sql};
    use crate::open::{Metadata, Options};

    const SCHEMA: &str = concat!(
        include_str!("../../migrations/0001_control.sql"),
        include_str!("../../migrations/0002_access.sql"),
        include_str!("../../migrations/0003_jobs.sql"),
        include_str!("../../migrations/0004_webhooks.sql"),
        include_str!("../../migrations/0005_schedules.sql"),
        include_str!("../../migrations/0009_checksums.sql"),
        include_str!("../../migrations/0010_remakes.sql"),
    );

    #[test]
    fn every_unique_constraint_told_by_name_is_in_the_schema() {
        for unique in UNIQUES {
            let index = format!("UNIQUE INDEX {} ", unique.name);
            let column = format!("CONSTRAINT {} ", unique.name);
            assert!(
                SCHEMA.contains(&index) || SCHEMA.contains(&column),
                "{}",
                unique.name
            );
        }
    }

    #[tokio::test]
    async fn a_refused_row_names_its_constraint() {
        let folder = tempfile::tempdir().unwrap();
        let options = Options::file(folder.path().join("metadata.db"));
        let metadata = Metadata::open(options).await.unwrap();
        let refused = async |statement: Statement| {
            let error = metadata.database.run(statement).await.unwrap_err();
            match error {
                Error::Constraint { constraint } => constraint,
                other => panic!("expected a constraint, got {other:?}"),
            }
        };
        let user = "INSERT INTO users (id, name, password_hash, organization_id, status,
                server_administrator, first_name, last_name, emails, created_at, updated_at)
            VALUES ('u', 'u', '', 'nobody', $1, FALSE, '', '', '[]', 0, 0)";
        assert_eq!(
            refused(sql(user).bind("asleep")).await,
            "users_status_known"
        );
        assert_eq!(refused(sql(user).bind("active")).await, "references_known");
        let lock = sql("INSERT INTO locks (name, taken) VALUES ('exports', 0)");
        assert_eq!(refused(lock).await, "locks.name");
    }
}
