//! Totals of an account at each revision that changed it: how many rows of each table hold then,
//! and the sum of the checksums they were written with.
//!
//! A checksum of a row says nothing of a row that does not come: one flipped bit in a page of an
//! index hides it. Every snapshot is therefore compared with its totals.

use std::sync::LazyLock;

use domain::ids::AccountId;

use super::Table;
use super::tables::tables;
use crate::database::{Access, Bind, Row, Statement, Transaction, sql};
use crate::error::{Error, Result};
use crate::revision::Change;

/// How many tables have totals.
const TABLES: usize = 6;

/// Marks a row gets later; totals leave them out, so that they hold while the row does.
const MARKS: [&str; 3] = ["ended_revision", "archived_at", "archived_revision"];

/// Rows of one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Total {
    rows: i64,
    /// Of the checksums the rows were written with; it wraps.
    sum: i64,
}

/// Rows of an account, by table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Totals {
    tables: [Total; TABLES],
}

impl Total {
    fn of(checksum: i64) -> Self {
        Self {
            rows: 1,
            sum: checksum,
        }
    }

    fn add(&mut self, other: Self) {
        self.rows = self.rows.wrapping_add(other.rows);
        self.sum = self.sum.wrapping_add(other.sum);
    }

    fn remove(&mut self, other: Self) {
        self.rows = self.rows.wrapping_sub(other.rows);
        self.sum = self.sum.wrapping_sub(other.sum);
    }
}

impl Totals {
    /// The totals in a row.
    pub(super) fn read(row: &Row) -> Result<Self> {
        let mut totals = Self::default();
        for (table, total) in tables().into_iter().zip(&mut totals.tables) {
            total.rows = row.get(&table.rows)?;
            total.sum = row.get(&table.sum)?;
        }
        Ok(totals)
    }

    /// The row that says what an account has from a revision on.
    pub(super) fn insertion(&self, account: &str, revision: i64) -> Statement {
        static INSERT: LazyLock<String> = LazyLock::new(|| {
            let columns = tables().map(|table| format!("{}, {}", table.rows, table.sum));
            let marks: Vec<_> = (3..3 + 2 * TABLES).map(|mark| format!("${mark}")).collect();
            format!(
                "INSERT INTO control_totals (account_id, revision, {}) VALUES ($1, $2, {})",
                columns.join(", "),
                marks.join(", ")
            )
        });
        let statement = sql(&INSERT).bind(account).bind(revision);
        let totals = self.tables.iter();
        totals.fold(statement, |statement, total| {
            statement.bind(total.rows).bind(total.sum)
        })
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.tables.iter_mut().zip(&other.tables) {
            mine.add(*theirs);
        }
    }

    /// Counts a row of a table from now on.
    pub(super) fn begin(&mut self, table: &Table, values: &[Bind]) {
        self.tables[table.place()].add(Total::of(table.first_checksum(values)));
    }

    /// Counts it no longer.
    pub(super) fn end(&mut self, table: &Table, values: &[Bind]) {
        self.tables[table.place()].remove(Total::of(table.first_checksum(values)));
    }

    /// Refuses rows of a table that are not those that were written.
    pub(crate) fn compare(&self, table: &Table, account: AccountId, rows: &[Row]) -> Result<()> {
        let mut found = Total::default();
        for row in rows {
            found.add(Total::of(table.first_of(row)?));
        }
        self.expect(table, account, found)
    }

    /// Refuses totals of a table that differ.
    pub(super) fn matches(&self, table: &Table, account: AccountId, found: &Self) -> Result<()> {
        self.expect(table, account, found.tables[table.place()])
    }

    fn expect(&self, table: &Table, account: AccountId, found: Total) -> Result<()> {
        let written = self.tables[table.place()];
        if written == found {
            return Ok(());
        }
        Err(Error::DamagedTable {
            table: table.name,
            account,
            found: found.rows,
            written: written.rows,
        })
    }
}

impl Table {
    /// Which of the tables it is.
    fn place(&self) -> usize {
        let mut all = tables().into_iter();
        all.position(|table| table.name == self.name)
            .expect("it is one of them")
    }

    /// The checksum a row was written with, before it was marked as ended or archived.
    fn first_checksum(&self, values: &[Bind]) -> i64 {
        self.hash(values, |column| !MARKS.contains(&column))
    }

    /// The same of a row whose checksum was compared, which has it still unless it was marked.
    fn first_of(&self, row: &Row) -> Result<i64> {
        let own = |mark: &&&'static str| self.columns.iter().any(|(column, _)| column == *mark);
        let mut marks = MARKS.iter().filter(own);
        if marks.all(|mark| matches!(row.maybe::<i64>(mark), Ok(None)))
            && let Ok(Some(checksum)) = row.maybe("checksum")
        {
            return Ok(checksum);
        }
        Ok(self.first_checksum(&self.stored(row)?))
    }

    /// Whether nothing has ended the row.
    fn is_live(&self, values: &[Bind]) -> bool {
        let ended = self.get(values, "ended_revision");
        !matches!(ended, Some(Bind::Integer(Some(_))))
    }
}

impl Change {
    /// Counts a row that was written in place of another, or of none.
    pub(super) async fn count(
        &mut self,
        table: &'static Table,
        before: Option<&[Bind]>,
        after: &[Bind],
    ) -> Result<()> {
        let account = self.account_of(table, after).await?;
        let totals = self.totals.entry(account).or_default();
        if let Some(before) = before.filter(|before| table.is_live(before)) {
            totals.end(table, before);
        }
        if table.is_live(after) {
            totals.begin(table, after);
        }
        Ok(())
    }

    /// The account a row belongs to: by its column, or by the organization it is of.
    async fn account_of(&mut self, table: &Table, values: &[Bind]) -> Result<String> {
        if let Some(Bind::Text(Some(account))) = table.get(values, "account_id") {
            if table.name == "organizations"
                && let Some(Bind::Text(Some(organization))) = values.first()
            {
                self.accounts.insert(organization.clone(), account.clone());
            }
            return Ok(account);
        }
        let Some(Bind::Text(Some(organization))) = values.first() else {
            return Err(Error::not_found("organization of a row of", table.name));
        };
        if let Some(account) = self.accounts.get(organization) {
            return Ok(account.clone());
        }
        let statement = sql("SELECT account_id FROM organizations WHERE id = $1");
        let row = self.transaction.one(statement.bind(organization)).await?;
        let row = row.ok_or_else(|| Error::not_found("organization", organization))?;
        let account: String = row.get("account_id")?;
        self.accounts.insert(organization.clone(), account.clone());
        Ok(account)
    }

    /// Writes what every account has from this revision on.
    pub(crate) async fn write_totals(&mut self) -> Result<()> {
        let revision = i64::try_from(self.revision).unwrap_or(i64::MAX);
        for (account, change) in std::mem::take(&mut self.totals) {
            if change == Totals::default() {
                continue;
            }
            let mut totals = before(&mut self.transaction, &account, revision).await?;
            totals.add(&change);
            self.transaction
                .run(totals.insertion(&account, revision))
                .await?;
        }
        Ok(())
    }
}

/// What an account had before a revision; nothing if it begins there.
async fn before(transaction: &mut Transaction, account: &str, revision: i64) -> Result<Totals> {
    let newest = at(&mut transaction.access(), account, revision - 1).await?;
    newest.map_or_else(|| Ok(Totals::default()), Ok)
}

/// What an account has at a revision; `None` where nothing is written of it, because it did not
/// exist then.
pub(crate) async fn at(
    access: &mut Access<'_>,
    account: &str,
    revision: i64,
) -> Result<Option<Totals>> {
    let statement = sql(
        "SELECT * FROM control_totals WHERE account_id = $1 AND revision <= $2
         ORDER BY revision DESC LIMIT 1",
    );
    let row = access.one(statement.bind(account).bind(revision)).await?;
    if let Some(row) = row {
        return Totals::read(&row).map(Some);
    }
    let begun = sql("SELECT id FROM accounts WHERE id = $1 AND revision <= $2");
    match access.one(begun.bind(account).bind(revision)).await? {
        Some(_) => Err(missing(account)),
        None => Ok(None),
    }
}

fn missing(account: &str) -> Error {
    Error::DamagedRow {
        table: "control_totals",
        row: format!("account_id {account:?}"),
    }
}
