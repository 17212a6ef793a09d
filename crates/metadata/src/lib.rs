//! Control data and jobs: accounts, organizations, meters, rates, users, keys and exports.
//!
//! Everything lies in one SQL database: SQLite in the data directory by default, PostgreSQL by
//! URL where several servers share it. Control data (what a plan reads) changes only through
//! [`Change`], one revision at a time, and is read back as a [`ControlSnapshot`]; users, keys and
//! jobs are ordinary rows. Nothing here knows of HTTP or of usage.

mod account;
mod below;
mod check;
mod checksum;
mod database;
mod declaration;
mod edge;
mod error;
mod export;
mod instance;
mod key;
mod known_usage;
mod meter;
mod open;
mod organization;
mod outbox;
mod page;
mod random;
mod rate;
mod revision;
mod role;
mod schedule;
mod server_key;
mod session;
mod snapshot;
mod subject;
mod throttle;
mod user;
mod webhook;

pub use account::{Account, NewAccount};
pub use below::Tops;
pub use checksum::{ControlReport, FileCheck, RowDamage};
pub use declaration::{Declaration, Maker};
pub use error::{Error, Result};
pub use export::{
    ACTIVE_EXPORTS_MAX, ACTIVE_OWN_EXPORTS_MAX, Artifact, AsOf, Claim, Claimed, Export,
    ExportFilter, ExportKind, ExportSource, ExportStatus, Inserted, Lane, NewExport, Pins,
    Progress, Remake, Scheduled, Settlement,
};
pub use instance::Instance;
pub use key::{Key, KeyState, NewKey};
pub use known_usage::KnownUsage;
pub use meter::{MeterList, MeterOrder, MeterRecord};
pub use open::{BUSY_TIMEOUT_MS, Metadata, Options, Target};
pub use organization::{
    BillingAnchor, BillingPeriod, EqualName, InheritedAnchor, NewOrganization, Organization,
    OrganizationAttributes,
};
pub use outbox::{
    Delivery, DeliveryState, Due, HOST_FAILURES_MAX, HostNews, NewDelivery, Tried, TryEnd,
};
pub use page::{Cursor, PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX, Page, PageRequest};
pub use rate::RateRecord;
pub use revision::Change;
pub use role::{Role, RoleAssignment};
pub use schedule::{NewSchedule, SCHEDULES_MAX, Schedule, SchedulePatch, Turn};
pub use server_key::ServerKey;
pub use session::{SESSION_IDLE_SECONDS_MAX, Session};
pub use snapshot::{ControlSnapshot, OrganizationVersion, SnapshotOrganization};
pub use subject::Subject;
pub use throttle::LoginFailures;
pub use user::{NewUser, User, UserProfile, UserStatus};
pub use webhook::{Disabled, NewWebhook, Webhook, WebhookChange};
