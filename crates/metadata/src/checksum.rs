//! Checksums of rows of control data: written with every row, compared whenever one is read.
//!
//! One flipped bit in a rate would change every price. Rows are written through [`Change::put`],
//! [`Change::cut`] and [`Change::amend`] alone, which write the checksum, and each function that
//! turns a row into a value begins with [`Table::check`]. A row that is missing has no checksum:
//! totals of each account and revision find it. FORMAT.md describes the bytes.

mod fill;
mod history;
mod tables;
mod totals;
mod verify;

pub(crate) use fill::fill;
pub(crate) use tables::{ALIASES, EDGES, METER_VERSIONS, ORGANIZATIONS, RATE_VERSIONS, VERSIONS};
pub(crate) use totals::{Totals, at as totals_at};
pub use verify::{ControlReport, FileCheck, RowDamage};

use std::fmt::Write as _;

use xxhash_rust::xxh3::Xxh3;

use crate::database::{Bind, Row, Statement, sql};
use crate::error::{Error, Result};
use crate::revision::Change;

/// How a column is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Integer,
    Text,
    Flag,
}

/// A table of control data whose rows carry a checksum.
#[derive(Debug)]
pub(crate) struct Table {
    /// Its name in the schema.
    pub(crate) name: &'static str,
    columns: Vec<(&'static str, Form)>,
    /// What names one of the rows that are not ended; of dated ones the last is `valid_from`.
    key: &'static [&'static str],
    insert: String,
    update: String,
    find: String,
    live: String,
    /// Rows without a checksum, in SQLite and in PostgreSQL.
    bare: (String, String),
    /// Writes the checksum of the row at a place.
    seal: (String, String),
    /// Rows after a place.
    after: (String, String),
    /// Rows of an account.
    of_account: String,
    /// Columns of its totals.
    rows: String,
    sum: String,
}

impl Table {
    /// A table whose rows change in part.
    fn new(
        name: &'static str,
        key: &'static [&'static str],
        columns: &[(&'static str, Form)],
    ) -> Self {
        let names: Vec<_> = columns.iter().map(|(name, _)| *name).collect();
        let live = if names.contains(&"ended_revision") {
            " AND ended_revision IS NULL"
        } else {
            ""
        };
        let (count, list) = (names.len(), names.join(", "));
        let marks = numbered(1, (0..=count).map(|_| ""), ", ");
        let set = numbered(1, names.iter().copied().chain(["checksum"]), ", ");
        let keyed = |first| numbered(first, key.iter().copied(), " AND ");
        let owner = key.iter().copied().filter(|column| *column != "valid_from");
        let (owners, since) = (numbered(1, owner, " AND "), key.len());
        Self {
            name,
            columns: columns.to_vec(),
            key,
            insert: format!("INSERT INTO {name} ({list}, checksum) VALUES ({marks})"),
            update: format!("UPDATE {name} SET {set} WHERE {}{live}", keyed(count + 2)),
            find: format!("SELECT * FROM {name} WHERE {}{live}", keyed(1)),
            live: format!(
                "SELECT * FROM {name} WHERE {owners}{live} AND valid_to > ${since}
                 ORDER BY valid_from"
            ),
            bare: places(|place, _, _| {
                format!("SELECT {place} AS place, * FROM {name} WHERE checksum IS NULL LIMIT $1")
            }),
            seal: places(|_, row, at| {
                format!("UPDATE {name} SET checksum = $2 WHERE {row} = {at}")
            }),
            after: places(|place, row, at| {
                format!(
                    "SELECT {place} AS place, * FROM {name} WHERE {row} > {at}
                     ORDER BY {row} LIMIT $2"
                )
            }),
            of_account: history::of_account(name, columns),
            rows: format!("{name}_rows"),
            sum: format!("{name}_sum"),
        }
    }

    /// Refuses a row that is not as it was written.
    pub(crate) fn check(&self, row: &Row) -> Result<()> {
        self.values(row).map(drop)
    }

    /// The columns of a sound row.
    fn values(&self, row: &Row) -> Result<Vec<Bind>> {
        let values = self.stored(row)?;
        let checksum: Option<i64> = row.maybe("checksum").map_err(|_| self.damaged(&values))?;
        if checksum == Some(self.checksum(&values)) {
            Ok(values)
        } else {
            Err(self.damaged(&values))
        }
    }

    /// The columns of a row as they are; a value of another type is damage too.
    fn stored(&self, row: &Row) -> Result<Vec<Bind>> {
        let mut values = Vec::with_capacity(self.columns.len());
        for (column, form) in &self.columns {
            let value = match form {
                Form::Integer => row.maybe::<i64>(column).map(Bind::Integer),
                Form::Text => row.maybe::<String>(column).map(Bind::Text),
                Form::Flag => row.maybe::<bool>(column).map(Bind::Flag),
            };
            values.push(value.map_err(|_| self.damaged(&values))?);
        }
        Ok(values)
    }

    fn damaged(&self, values: &[Bind]) -> Error {
        let named = self.columns.iter().zip(values);
        let names = |column: &&str| self.key.contains(column) || *column == "revision";
        let shown = named.filter(|((column, _), _)| names(column));
        let shown: Vec<_> = shown
            .map(|((column, _), value)| format!("{column} {}", shown_value(value)))
            .collect();
        Error::DamagedRow {
            table: self.name,
            row: shown.join(", "),
        }
    }

    /// XXH3 over the name of the table and every column that is not null, each with its name, its
    /// type and its length. A column that is added later leaves rows without it as they are.
    fn checksum(&self, values: &[Bind]) -> i64 {
        self.hash(values, |_| true)
    }

    /// The same over some of the columns.
    fn hash(&self, values: &[Bind], covers: impl Fn(&str) -> bool) -> i64 {
        let mut hash = Xxh3::new();
        let mut part = |bytes: &[u8]| {
            hash.update(&(bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        part(self.name.as_bytes());
        let columns = self.columns.iter().map(|(column, _)| *column);
        for (column, value) in columns.zip(values).filter(|(column, _)| covers(column)) {
            let (tag, bytes) = match value {
                Bind::Integer(Some(value)) => (b"i", value.to_le_bytes().to_vec()),
                Bind::Text(Some(value)) => (b"t", value.as_bytes().to_vec()),
                Bind::Flag(Some(value)) => (b"f", vec![u8::from(*value)]),
                Bind::Integer(None) | Bind::Text(None) | Bind::Flag(None) => continue,
            };
            part(column.as_bytes());
            part(tag);
            part(&bytes);
        }
        hash.digest().cast_signed()
    }

    fn set(&self, values: &mut [Bind], column: &str, value: impl Into<Bind>) {
        let place = self.columns.iter().position(|(name, _)| *name == column);
        if let Some(place) = place {
            values[place] = value.into();
        }
    }

    fn get(&self, values: &[Bind], column: &str) -> Option<Bind> {
        let place = self.columns.iter().position(|(name, _)| *name == column)?;
        values.get(place).cloned()
    }

    fn insertion(&'static self, values: Vec<Bind>) -> Statement {
        let checksum = self.checksum(&values);
        bound(sql(&self.insert), values).bind(checksum)
    }
}

impl Change {
    /// Writes a new row; `values` are all columns but the revisions, in the order of the table.
    pub(crate) async fn put(&mut self, table: &'static Table, mut values: Vec<Bind>) -> Result<()> {
        values.resize(table.columns.len(), Bind::Integer(None));
        table.set(&mut values, "revision", self.revision);
        self.insert(table, values).await
    }

    /// Ends the dated rows of an owner that hold from `since` on; what held before is written
    /// again up to there. Refused when one of them is damaged.
    pub(crate) async fn cut(
        &mut self,
        table: &'static Table,
        owner: Vec<Bind>,
        since: i64,
    ) -> Result<()> {
        let live = bound(sql(&table.live), owner).bind(since);
        for row in self.transaction.all(live).await? {
            let mut values = table.values(&row)?;
            self.end(table, values.clone()).await?;
            if row.get::<i64>("valid_from")? < since {
                table.set(&mut values, "valid_to", since);
                table.set(&mut values, "revision", self.revision);
                self.insert(table, values).await?;
            }
        }
        Ok(())
    }

    async fn insert(&mut self, table: &'static Table, values: Vec<Bind>) -> Result<()> {
        self.count(table, None, &values).await?;
        self.run(table.insertion(values)).await.map(drop)
    }

    /// Ends a dated row and writes it again with changes. Refused when it is damaged.
    pub(crate) async fn succeed(
        &mut self,
        table: &'static Table,
        row: &Row,
        changes: &[(&'static str, Bind)],
    ) -> Result<()> {
        let mut values = table.values(row)?;
        self.end(table, values.clone()).await?;
        for (column, value) in changes {
            table.set(&mut values, column, value.clone());
        }
        table.set(&mut values, "revision", self.revision);
        self.insert(table, values).await
    }

    /// Ends the dated row with these values.
    async fn end(&mut self, table: &'static Table, values: Vec<Bind>) -> Result<()> {
        let key = table.key.iter().filter_map(|key| table.get(&values, key));
        let key = key.collect();
        let ended = ("ended_revision", Bind::from(self.revision));
        self.replace(table, values, key, &[ended]).await
    }

    /// Changes columns of the row with this key, when there is one. Refused when it is damaged.
    pub(crate) async fn amend(
        &mut self,
        table: &'static Table,
        key: Vec<Bind>,
        changes: &[(&'static str, Bind)],
    ) -> Result<()> {
        let found = bound(sql(&table.find), key.clone());
        match self.transaction.one(found).await? {
            Some(row) => {
                let values = table.values(&row)?;
                self.replace(table, values, key, changes).await
            }
            None => Ok(()),
        }
    }

    async fn replace(
        &mut self,
        table: &'static Table,
        before: Vec<Bind>,
        key: Vec<Bind>,
        changes: &[(&'static str, Bind)],
    ) -> Result<()> {
        let mut values = before.clone();
        for (column, value) in changes {
            table.set(&mut values, column, value.clone());
        }
        self.count(table, Some(&before), &values).await?;
        let checksum = table.checksum(&values);
        let statement = bound(sql(&table.update), values).bind(checksum);
        self.run(bound(statement, key)).await.map(drop)
    }
}

/// The texts for SQLite and PostgreSQL, whose rows lie at a place: as a text, as it is compared,
/// and read from the first marker.
fn places(text: impl Fn(&str, &str, &str) -> String) -> (String, String) {
    (
        text("CAST(rowid AS TEXT)", "rowid", "CAST($1 AS INTEGER)"),
        text("CAST(ctid AS TEXT)", "ctid", "CAST($1 AS tid)"),
    )
}

fn shown_value(value: &Bind) -> String {
    match value {
        Bind::Integer(Some(value)) => value.to_string(),
        Bind::Text(Some(value)) => format!("{value:?}"),
        Bind::Flag(Some(value)) => value.to_string(),
        Bind::Integer(None) | Bind::Text(None) | Bind::Flag(None) => "NULL".to_owned(),
    }
}

fn bound(statement: Statement, values: Vec<Bind>) -> Statement {
    values.into_iter().fold(statement, Statement::bind)
}

/// Markers from `first` on, each after its column when it has one.
fn numbered(
    first: usize,
    columns: impl Iterator<Item = &'static str>,
    between: &'static str,
) -> String {
    let mut text = String::new();
    for (index, column) in columns.enumerate() {
        let between = if index > 0 { between } else { "" };
        let equals = if column.is_empty() { "" } else { " = " };
        let number = first + index;
        write!(text, "{between}{column}{equals}${number}").expect("a string takes any text");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_tells_every_column_apart_and_leaves_out_what_is_null() {
        let table = Table::new(
            "t",
            &["a"],
            &[("a", Form::Text), ("b", Form::Text), ("c", Form::Integer)],
        );
        let text = |text: &str| Bind::Text(Some(text.to_owned()));
        let of = |a: Bind, b: Bind, c: Bind| table.checksum(&[a, b, c]);
        let none = || Bind::Text(None);
        let sums = [
            of(text("xy"), text(""), Bind::Integer(None)),
            of(text("x"), text("y"), Bind::Integer(None)),
            of(text("xy"), none(), Bind::Integer(None)),
            of(none(), text("xy"), Bind::Integer(None)),
            of(text("xy"), none(), Bind::Integer(Some(0))),
        ];
        let distinct: std::collections::HashSet<_> = sums.iter().collect();
        assert_eq!(distinct.len(), sums.len());
        let narrow = Table::new("t", &["a"], &[("a", Form::Text)]);
        assert_eq!(narrow.checksum(&[text("xy")]), sums[2]);
    }
}
