//! What can go wrong with control data and jobs.

use std::fmt::Display;

use domain::ids::{AccountId, DeliveryId, ExportId, OrganizationId, WebhookId};
use domain::kind::Kind;
use domain::tree::NESTING;

/// A result of the metadata store.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the metadata store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The thing named does not exist.
    #[error("no {what} {name}")]
    NotFound {
        /// What was looked for, such as "organization".
        what: &'static str,
        /// Its id or name.
        name: String,
    },
    /// A field of the request is not acceptable.
    #[error("{field}: {reason}")]
    Invalid {
        /// Name of the field.
        field: &'static str,
        /// What was expected and what is there.
        reason: String,
    },
    /// The part of a list that is asked for is none of this list.
    #[error("{parameter} is {value}: expected {expected}")]
    Page {
        /// Which parameter.
        parameter: &'static str,
        /// What it is.
        value: String,
        /// What it should be, and what to do.
        expected: String,
    },
    /// A name or id that must be unique is in use.
    #[error("{what} is already in use")]
    Taken {
        /// What must be unique, such as "user name".
        what: &'static str,
        /// Name of the constraint in the schema.
        constraint: &'static str,
    },
    /// A constraint of the schema refused a row for a reason not checked before.
    #[error("constraint {constraint} does not hold")]
    Constraint {
        /// Name of the constraint in the schema.
        constraint: String,
    },
    /// An organization of one kind may not lie under one of another.
    #[error("an organization of kind {child} may not lie under one of kind {parent}: {NESTING}")]
    Misplaced {
        /// Kind of the organization below.
        child: &'static str,
        /// Kind of the organization above.
        parent: &'static str,
    },
    /// The root of an account stays its root.
    #[error("organization {organization} is the root of its account: it cannot be moved")]
    RootStays {
        /// The root.
        organization: OrganizationId,
    },
    /// Two rates of one kind would price the same usage.
    #[error("rate {rate} already prices this meter for the same organization in that time")]
    RateOverlap {
        /// The rate that is there.
        rate: domain::ids::RateId,
    },
    /// The meter's aggregation cannot be rated.
    #[error("meter {slug} cannot be rated: AVG and MIN do not add up")]
    NotRateable {
        /// Slug of the meter.
        slug: String,
    },
    /// The organization has as many unfinished exports as it may have.
    #[error("organization {organization} has {limit} active exports: wait for one to end")]
    TooManyExports {
        /// Whose exports.
        organization: OrganizationId,
        /// The limit.
        limit: u32,
    },
    /// The organization has as many schedules as it may have.
    #[error("organization {organization} has {limit} schedules: delete one first")]
    TooManySchedules {
        /// Whose schedules.
        organization: OrganizationId,
        /// The limit.
        limit: u32,
    },
    /// The organization has as many webhooks as it may have.
    #[error("organization {organization} has {limit} webhooks: delete one")]
    TooManyWebhooks {
        /// Whose webhooks.
        organization: OrganizationId,
        /// The limit.
        limit: u32,
    },
    /// The webhook is disabled or deleted.
    #[error("webhook {webhook} is {state}")]
    WebhookOff {
        /// The webhook.
        webhook: WebhookId,
        /// `disabled` or `deleted`.
        state: &'static str,
    },
    /// The message is still on its way.
    #[error("delivery {delivery} is still pending: it is tried again by itself")]
    DeliveryPending {
        /// The message.
        delivery: DeliveryId,
    },
    /// Another worker took the export over; this one's result does not count.
    #[error("export {export} was taken over: fence {fence} is no longer valid")]
    Fenced {
        /// The export.
        export: ExportId,
        /// The fencing number of the late worker.
        fence: u64,
    },
    /// The export is not in a state that allows this.
    #[error("export {export} is {status}: {expected}")]
    WrongStatus {
        /// The export.
        export: ExportId,
        /// Its status.
        status: &'static str,
        /// What would be needed.
        expected: &'static str,
    },
    /// Another process holds the data directory.
    #[error("the data directory is held by {holder}")]
    InUse {
        /// Who holds it.
        holder: String,
    },
    /// A read asks for a control revision that does not exist yet.
    #[error("control data of this revision does not exist yet: expected an earlier one")]
    BeyondRevision {
        /// What was asked for.
        asked: u64,
        /// The newest committed revision.
        newest: u64,
    },
    /// The database was written by a newer release.
    #[error("the database has schema {found}: this release knows up to {known}")]
    NewerSchema {
        /// Version found.
        found: i64,
        /// The newest version known here.
        known: i64,
    },
    /// The database was written by an earlier release, and nothing may be written to it.
    #[error(
        "the database has schema {found} of an earlier release: this one has {known}, and a start \
         of the server or any command that writes migrates it"
    )]
    OlderSchema {
        /// Version found.
        found: i64,
        /// The newest version known here.
        known: i64,
    },
    /// A stored value is not what this release writes.
    #[error("column {column} holds {value:?}: {reason}")]
    Corrupt {
        /// Name of the column.
        column: String,
        /// The value, cut to a printable length.
        value: String,
        /// What was expected.
        reason: String,
    },
    /// A row of control data is not as it was written.
    #[error("{table}: the row of {row} is damaged: restore control data from a backup")]
    DamagedRow {
        /// Name of the table.
        table: &'static str,
        /// What names the row, as it is stored.
        row: String,
    },
    /// Rows of an account are missing, or there are others than were written.
    #[error(
        "{table}: rows of account {account} are not those that were written ({found} found, \
         {written} written): restore control data from a backup"
    )]
    DamagedTable {
        /// Name of the table.
        table: &'static str,
        /// Whose rows.
        account: AccountId,
        /// How many there are.
        found: i64,
        /// How many were written.
        written: i64,
    },
    /// The file of the database is damaged.
    #[error("the database is damaged: restore control data from a backup")]
    DamagedDatabase(#[source] sqlx::Error),
    /// Every connection is busy, or another process keeps the database locked.
    #[error("the database is busy")]
    Busy(#[source] sqlx::Error),
    /// The database cannot be reached or refuses writes.
    #[error("the database is not available")]
    Unavailable(#[source] sqlx::Error),
    /// The last write failed, and whether the next one works is being found out.
    #[error("the database takes no writes")]
    Unwritable,
    /// A statement of the transaction failed before: it can only be undone.
    #[error("the transaction goes on after a statement of it failed")]
    Undone,
    /// The database could not be brought to this release's schema.
    #[error("the schema could not be migrated")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    Randomness(#[source] getrandom::Error),
    /// A statement failed in a way no input should cause.
    #[error("a statement failed")]
    Statement(#[source] sqlx::Error),
}

impl Error {
    /// The class of the error.
    pub fn kind(&self) -> Kind {
        match self {
            Self::NotFound { .. } => Kind::NotFound,
            Self::Invalid { .. }
            | Self::Page { .. }
            | Self::Misplaced { .. }
            | Self::RootStays { .. }
            | Self::NotRateable { .. }
            | Self::BeyondRevision { .. } => Kind::Invalid,
            Self::Taken { .. }
            | Self::Constraint { .. }
            | Self::RateOverlap { .. }
            | Self::TooManyWebhooks { .. }
            | Self::WebhookOff { .. }
            | Self::DeliveryPending { .. }
            | Self::Fenced { .. }
            | Self::TooManySchedules { .. }
            | Self::WrongStatus { .. } => Kind::Conflict,
            Self::TooManyExports { .. } | Self::Busy(_) => Kind::Busy,
            Self::InUse { .. }
            | Self::Unavailable(_)
            | Self::Unwritable
            | Self::NewerSchema { .. }
            | Self::OlderSchema { .. }
            | Self::Migration(_) => Kind::Unavailable,
            Self::Corrupt { .. }
            | Self::DamagedRow { .. }
            | Self::DamagedTable { .. }
            | Self::DamagedDatabase(_) => Kind::Corrupt,
            Self::Randomness(_) | Self::Statement(_) | Self::Undone => Kind::Internal,
        }
    }

    /// Whether the disk of an SQLite database has no room, or fails: SQLite does not say which for
    /// the files beside the database.
    pub fn is_full(&self) -> bool {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = cause {
            if error.downcast_ref().is_some_and(crate::database::is_full) {
                return true;
            }
            cause = error.source();
        }
        false
    }

    pub(crate) fn not_found(what: &'static str, name: impl Display) -> Self {
        Self::NotFound {
            what,
            name: name.to_string(),
        }
    }

    pub(crate) fn invalid(field: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid {
            field,
            reason: reason.into(),
        }
    }
}
