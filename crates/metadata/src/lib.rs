//! Control data and jobs: accounts, organizations, meters, rates, users, keys and exports.
//!
//! Everything lies in one SQL database: SQLite in the data directory by default, PostgreSQL by
//! URL where several servers share it. Control data (what a plan reads) changes only through
//! [`Change`], one revision at a time, and is read back as a [`ControlSnapshot`]; users, keys and
//! jobs are ordinary rows. Nothing here knows of HTTP or of usage.

mod account;
mod below;
mod check;
mod database;
mod edge;
mod error;
mod export;
mod instance;
mod key;
mod meter;
mod open;
mod organization;
mod outbox;
mod page;
mod random;
mod rate;
mod revision;
mod role;
mod session;
mod snapshot;
mod subject;
mod throttle;
mod user;

pub use account::{Account, NewAccount};
pub use error::{Error, Result};
pub use export::{
    ACTIVE_EXPORTS_MAX, ACTIVE_OWN_EXPORTS_MAX, Artifact, AsOf, Claim, Claimed, Export, ExportKind,
    ExportSource, ExportStatus, Lane, NewExport, Pins, Progress, Settlement,
};
pub use instance::Instance;
pub use key::{Key, KeyState, NewKey};
pub use meter::MeterRecord;
pub use open::{Metadata, Options, Target};
pub use organization::{
    BillingAnchor, BillingPeriod, NewOrganization, Organization, OrganizationAttributes,
};
pub use outbox::{Delivery, DeliveryState, NewDelivery};
pub use page::{Cursor, PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX, Page, PageRequest};
pub use rate::RateRecord;
pub use revision::Change;
pub use role::{Role, RoleAssignment};
pub use session::{SESSION_IDLE_SECONDS_MAX, Session};
pub use snapshot::{ControlSnapshot, OrganizationVersion, SnapshotOrganization};
pub use subject::Subject;
pub use throttle::LoginFailures;
pub use user::{NewUser, User, UserProfile, UserStatus};
