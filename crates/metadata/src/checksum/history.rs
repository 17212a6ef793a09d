//! Totals of all revisions, computed from the rows: written once after the migration that adds
//! them, and compared by `verify`.

use std::collections::BTreeMap;

use domain::ids::AccountId;

use super::tables::tables;
use super::totals::Totals;
use super::{Form, Table};
use crate::database::{Access, Bind, Database, Pools, Transaction, sql};
use crate::error::{Error, Result};

/// Accounts read at once.
const ACCOUNTS_MAX: u32 = 1_000;

/// What an account has from each revision on that changed it.
pub(super) type History = BTreeMap<i64, Totals>;

/// The history of an account up to a revision, by its rows.
pub(super) async fn computed(
    access: &mut Access<'_>,
    account: &str,
    through: i64,
) -> Result<History> {
    let mut changes = History::new();
    for table in tables() {
        for row in access.all(sql(&table.of_account).bind(account)).await? {
            let values = table.stored(&row)?;
            let number = |column| match table.get(&values, column) {
                Some(Bind::Integer(number)) => number,
                _ => None,
            };
            let begun = number("revision").unwrap_or_default();
            if begun > through {
                continue;
            }
            changes.entry(begun).or_default().begin(table, &values);
            if let Some(ended) = number("ended_revision").filter(|ended| *ended <= through) {
                changes.entry(ended).or_default().end(table, &values);
            }
        }
    }
    let mut totals = Totals::default();
    for change in changes.values_mut() {
        totals.add(change);
        *change = totals;
    }
    Ok(changes)
}

/// The history of an account up to a revision, as it was written.
pub(super) async fn written(
    access: &mut Access<'_>,
    account: &str,
    through: i64,
) -> Result<History> {
    let statement = sql("SELECT * FROM control_totals WHERE account_id = $1 AND revision <= $2");
    let rows = access.all(statement.bind(account).bind(through)).await?;
    let rows = rows
        .iter()
        .map(|row| Ok((row.get("revision")?, Totals::read(row)?)));
    rows.collect()
}

/// Refuses rows of a table that are not those that were written, at any revision.
pub(super) fn compare(
    table: &Table,
    account: AccountId,
    computed: &History,
    written: &History,
) -> Result<()> {
    let empty = Totals::default();
    let at = |history: &History, revision| {
        let before = history.range(..=revision).next_back();
        before.map_or(empty, |(_, totals)| *totals)
    };
    for revision in computed.keys().chain(written.keys()) {
        let written = at(written, *revision);
        written.matches(table, account, &at(computed, *revision))?;
    }
    Ok(())
}

/// The next accounts by id.
pub(super) async fn accounts(
    access: &mut Access<'_>,
    after: Option<&String>,
) -> Result<Vec<AccountId>> {
    let statement = sql("SELECT id FROM accounts WHERE $1 IS NULL OR id > $1
         ORDER BY id LIMIT $2");
    let statement = statement.bind(after.cloned()).bind(ACCOUNTS_MAX);
    let rows = access.all(statement).await?;
    rows.iter().map(|row| row.get("id")).collect()
}

/// Writes the totals of all accounts; refused while SQLite finds its file damaged, so that a row
/// that is hidden already is not taken for one that never was.
pub(super) async fn fill(database: &Database, transaction: &mut Transaction) -> Result<()> {
    let mut is_checked = false;
    let mut after = None;
    loop {
        let accounts = accounts(&mut transaction.access(), after.as_ref()).await?;
        let Some(last) = accounts.last() else {
            return Ok(());
        };
        after = Some(last.to_string());
        if !is_checked {
            check_file(database, transaction).await?;
            is_checked = true;
        }
        for account in accounts {
            fill_account(transaction, &account.to_string()).await?;
        }
    }
}

async fn fill_account(transaction: &mut Transaction, account: &str) -> Result<()> {
    let clear = sql("DELETE FROM control_totals WHERE account_id = $1").bind(account);
    transaction.run(clear).await?;
    let history = computed(&mut transaction.access(), account, i64::MAX).await?;
    for (revision, totals) in history {
        transaction.run(totals.insertion(account, revision)).await?;
    }
    Ok(())
}

async fn check_file(database: &Database, transaction: &mut Transaction) -> Result<()> {
    if !matches!(database.pools, Pools::Sqlite { .. }) {
        return Ok(());
    }
    for row in transaction.all(sql("PRAGMA integrity_check")).await? {
        let found: String = row.get("integrity_check")?;
        if found != "ok" {
            let found = format!("integrity check: {found}");
            return Err(Error::DamagedDatabase(sqlx::Error::Protocol(found)));
        }
    }
    Ok(())
}

/// The text that reads all rows of an account, ended ones too.
pub(super) fn of_account(name: &str, columns: &[(&'static str, Form)]) -> String {
    if columns.iter().any(|(column, _)| *column == "account_id") {
        return format!("SELECT * FROM {name} WHERE account_id = $1");
    }
    // The first column of the other tables names the organization the row is of.
    let organization = columns.first().map_or("", |(column, _)| *column);
    format!(
        "SELECT v.* FROM {name} v JOIN organizations o ON o.id = v.{organization}
         WHERE o.account_id = $1"
    )
}
