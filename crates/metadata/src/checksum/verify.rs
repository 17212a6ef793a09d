//! Comparing every row of control data with its checksum, and asking SQLite about its file.

use super::history::History;
use super::tables::tables;
use super::{Table, history};
use domain::ids::AccountId;

use crate::database::{Pools, either, sql};
use crate::error::{Error, Result};
use crate::open::Metadata;

/// Rows read at once.
const ROWS_MAX: u32 = 1_000;
/// What damage of the file itself is named after.
const FILE: &str = "database file";
/// Places told at most.
const DAMAGE_MAX: usize = 1_000;

/// What comparing control data with its checksums came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlReport {
    /// Rows compared.
    pub rows: u64,
    /// What the database says of its own file.
    pub file_check: FileCheck,
    /// Everything that does not fit, up to 1,000 places.
    pub damage: Vec<RowDamage>,
}

/// What the database says of its own file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileCheck {
    /// SQLite found nothing.
    Sound,
    /// SQLite found damage.
    Damaged,
    /// PostgreSQL has no such check.
    NotApplicable,
}

/// A row, or a part of the database, that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowDamage {
    /// Name of the table; `database file` for what SQLite says of its file.
    pub place: String,
    /// What was expected and what is there.
    pub reason: String,
}

impl FileCheck {
    /// In plain words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sound => "ok",
            Self::Damaged => "damaged",
            Self::NotApplicable => "not applicable",
        }
    }
}

impl Metadata {
    /// Compares every row of control data with its checksum, while it stays in use, and runs
    /// SQLite's own checks of its file.
    pub async fn verify_control(&self) -> Result<ControlReport> {
        let mut report = ControlReport {
            rows: 0,
            file_check: FileCheck::NotApplicable,
            damage: Vec::new(),
        };
        if matches!(self.database.pools, Pools::Sqlite { .. }) {
            let checked = self.check_file(&mut report).await;
            report.tell_error(FILE, checked)?;
            let is_sound = report.damage.is_empty();
            report.file_check = if is_sound {
                FileCheck::Sound
            } else {
                FileCheck::Damaged
            };
        }
        for table in tables() {
            let checked = self.check_table(table, &mut report).await;
            report.tell_error(table.name, checked)?;
        }
        let checked = self.check_totals(&mut report).await;
        report.tell_error("control_totals", checked)?;
        Ok(report)
    }

    /// Compares the rows of every account with its totals, at every revision there is now.
    async fn check_totals(&self, report: &mut ControlReport) -> Result<()> {
        let through = self.control_revision().await?;
        let through = i64::try_from(through).unwrap_or(i64::MAX);
        let mut after = None;
        loop {
            let mut access = self.database.read();
            let accounts = history::accounts(&mut access, after.as_ref()).await?;
            let Some(last) = accounts.last() else {
                return Ok(());
            };
            after = Some(last.to_string());
            for account in accounts {
                let id = account.to_string();
                let computed = history::computed(&mut access, &id, through).await;
                let written = history::written(&mut access, &id, through).await?;
                match computed {
                    Ok(computed) => report.compare(account, &computed, &written),
                    // Which row it is has been told already.
                    Err(Error::DamagedRow { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }

    async fn check_file(&self, report: &mut ControlReport) -> Result<()> {
        let mut access = self.database.read();
        for row in access.all(sql("PRAGMA integrity_check")).await? {
            let found: String = row.get("integrity_check")?;
            if found != "ok" {
                report.tell(FILE, format!("integrity check: {found}"));
            }
        }
        for row in access.all(sql("PRAGMA foreign_key_check")).await? {
            let (table, parent): (String, String) = (row.get("table")?, row.get("parent")?);
            report.tell(&table, format!("a row names none of {parent}"));
        }
        Ok(())
    }

    async fn check_table(&self, table: &'static Table, report: &mut ControlReport) -> Result<()> {
        let mut place = match self.database.pools {
            Pools::Sqlite { .. } => i64::MIN.to_string(),
            Pools::Postgres { .. } => "(0,0)".to_owned(),
        };
        loop {
            let rows = either(&table.after.0, &table.after.1);
            let rows = rows.bind(&place).bind(ROWS_MAX);
            let rows = self.database.read().all(rows).await?;
            let Some(last) = rows.last() else {
                return Ok(());
            };
            place = last.get("place")?;
            report.rows += rows.len() as u64;
            for row in &rows {
                match table.check(row) {
                    Ok(()) => {}
                    Err(Error::DamagedRow { row, .. }) => {
                        report.tell(table.name, format!("the row of {row} is damaged"));
                    }
                    Err(error) => report.tell(table.name, error.to_string()),
                }
            }
        }
    }
}

impl ControlReport {
    /// Compares an account with its totals; a table with damaged rows has been told already.
    fn compare(&mut self, account: AccountId, computed: &History, written: &History) {
        let told: Vec<_> = self.damage.iter().map(|one| one.place.clone()).collect();
        for table in tables()
            .into_iter()
            .filter(|one| !told.iter().any(|told| told == one.name))
        {
            if let Err(error) = history::compare(table, account, computed, written) {
                self.tell(table.name, error.to_string());
            }
        }
    }

    fn tell(&mut self, place: &str, reason: String) {
        if self.damage.len() < DAMAGE_MAX {
            self.damage.push(RowDamage {
                place: place.to_owned(),
                reason,
            });
        }
    }

    /// Damage that ends a read is told like any other; a database that is away is an error.
    fn tell_error(&mut self, place: &str, read: Result<()>) -> Result<()> {
        match read {
            Err(error) if error.kind() == domain::kind::Kind::Corrupt => {
                self.tell(place, error.to_string());
                Ok(())
            }
            Err(Error::Statement(error)) => {
                self.tell(place, error.to_string());
                Ok(())
            }
            read => read,
        }
    }
}
