//! Step 5 of usage out: rows become lines of a CSV, or cells of a Parquet file.

use std::collections::BTreeMap;

use domain::export::{Cell, Column, FileFormat, Form, Row, file_name, places};
use jiff::civil::Date;
use usage::table_parquet::TableWriter;

use super::{Build, Sums};
use crate::csv;
use crate::error::{Error, Result};
use crate::manifest::FileFacts;

/// Bytes of a Parquet file handed on at once, so that its own pages decide no cut.
const PART_BYTES: usize = 64 * 1024;

/// A Parquet file being written.
#[derive(Debug)]
pub(super) struct Table {
    writer: TableWriter,
    forms: Vec<Form>,
    ready: Vec<u8>,
}

impl Build<'_> {
    /// Starts a file with those of its columns that are chosen.
    pub(super) fn start<C: Cell>(
        &mut self,
        name: Option<String>,
        columns: &[Column<C>],
    ) -> Result<()> {
        let name = name.ok_or_else(|| Error::Internal("a plan names too few files".into()))?;
        self.archive
            .start(&file_name(&name, self.parameters.format))?;
        self.file = Sums::new();
        self.order = places(columns, &self.parameters.columns)?;
        let chosen = self.order.iter().map(|place| &columns[*place]);
        match self.parameters.format {
            FileFormat::Csv => {
                self.line.clear();
                csv::write_header(chosen, &mut self.line);
                self.archive.write(None, &self.line)
            }
            FileFormat::Parquet => {
                let named = chosen.map(|column| (column.header, column.cell.form()));
                self.table = Some(Table::new(&named.collect::<Vec<_>>())?);
                Ok(())
            }
        }
    }

    /// Prints a row of a day.
    pub(super) fn row<R: Row>(
        &mut self,
        date: Option<Date>,
        columns: &[Column<R::Cell>],
        row: &R,
    ) -> Result<()>
    where
        R::Cell: Cell,
    {
        self.file.rows += 1;
        self.gauge.count_row();
        let chosen = self.order.iter().map(|place| &columns[*place]);
        let Some(table) = &mut self.table else {
            self.line.clear();
            let is_safe = self.parameters.csv_safe;
            let must_be_safe = |cell: R::Cell| is_safe && cell.form() == Form::Text;
            csv::write_row(chosen, row, must_be_safe, &mut self.cell, &mut self.line);
            return self.archive.write(date, &self.line);
        };
        for (index, column) in chosen.enumerate() {
            self.cell.clear();
            row.write(column.cell, &mut self.cell);
            table.set(index, column.header, &self.cell)?;
        }
        for part in table.end_row()? {
            self.archive.write(None, &part)?;
        }
        Ok(())
    }

    /// Sets the blocks of two organizations apart in a file of lines.
    pub(super) fn gap(&mut self) -> Result<()> {
        match self.table {
            Some(_) => Ok(()),
            None => self.archive.write(None, b"\n"),
        }
    }

    /// Ends the file, which adds up to `controls`.
    pub(super) fn end(&mut self, controls: BTreeMap<&'static str, String>) -> Result<()> {
        if let Some(table) = self.table.take() {
            for part in table.finish()?.chunks(PART_BYTES) {
                self.archive.write(None, part)?;
            }
        }
        let entry = self.archive.end()?;
        let rows = self.file.rows;
        self.files.push(FileFacts {
            entry,
            rows,
            controls,
        });
        Ok(())
    }
}

impl Table {
    fn new(columns: &[(&str, Form)]) -> Result<Self> {
        Ok(Self {
            writer: TableWriter::new(columns)?,
            forms: columns.iter().map(|(_, form)| *form).collect(),
            ready: Vec::new(),
        })
    }

    fn set(&mut self, index: usize, header: &str, printed: &str) -> Result<()> {
        let value = self.forms[index].read(printed);
        let value = value.ok_or_else(|| Error::NoFit {
            column: header.to_owned(),
            text: printed.chars().take(64).collect(),
        })?;
        Ok(self.writer.set(index, value)?)
    }

    /// Ends a row and gives the parts that are full.
    fn end_row(&mut self) -> Result<Vec<Vec<u8>>> {
        self.writer.end_row()?;
        self.ready.append(&mut self.writer.take());
        let full = self.ready.len() - self.ready.len() % PART_BYTES;
        let parts: Vec<_> = self.ready[..full]
            .chunks(PART_BYTES)
            .map(<[u8]>::to_vec)
            .collect();
        self.ready.drain(..full);
        Ok(parts)
    }

    fn finish(mut self) -> Result<Vec<u8>> {
        let mut rest = self.writer.finish()?;
        self.ready.append(&mut rest);
        Ok(self.ready)
    }
}
