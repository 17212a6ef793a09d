//! Group keys as small numbers, and one fold per group.

use std::collections::HashMap;

use arrow_array::{Array, StringArray};
use domain::aggregation::Fold;
use domain::limits::TOTALS_ROWS_MAX;

use crate::columns::Strings;
use crate::error::{Error, Result};

/// Stands for a key without a value.
pub(super) const NONE: u32 = 0;
const UNKNOWN: u32 = u32::MAX;

/// Distinct texts by number, from 1.
#[derive(Debug, Default)]
pub(super) struct Texts {
    numbers: HashMap<Box<str>, u32>,
    list: Vec<Box<str>>,
}

impl Texts {
    pub(super) fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        self.list.push(text.into());
        let number = u32::try_from(self.list.len()).unwrap_or(UNKNOWN - 1);
        self.numbers.insert(text.into(), number);
        number
    }

    pub(super) fn text(&self, number: u32) -> Option<&str> {
        let index = (number as usize).checked_sub(1)?;
        self.list.get(index).map(AsRef::as_ref)
    }
}

/// Remembers something about each code of a coded column while its values stay the same.
#[derive(Debug, Default)]
pub(super) struct CodeCache {
    held: Option<StringArray>,
    by_code: Vec<u32>,
}

impl CodeCache {
    /// Prepares for the column of a new batch.
    pub(super) fn turn_to(&mut self, column: Strings<'_>) {
        let Strings::Coded { values, .. } = column else {
            return;
        };
        // Batches of one row group share their values: the same memory is the same list.
        let same = self.held.as_ref().is_some_and(|held| {
            held.len() == values.len()
                && held.value_data().as_ptr() == values.value_data().as_ptr()
                && held.value_offsets().as_ptr() == values.value_offsets().as_ptr()
        });
        if !same {
            self.by_code = vec![UNKNOWN; values.len()];
            self.held = Some(values.clone());
        }
    }

    /// What `learn` said of the row's text; [`NONE`] for null.
    pub(super) fn get(
        &mut self,
        column: Strings<'_>,
        row: usize,
        learn: impl FnOnce(&str) -> u32,
    ) -> u32 {
        let Some(code) = column.code(row) else {
            return column.get(row).map_or(NONE, learn);
        };
        if self.by_code[code] == UNKNOWN {
            self.by_code[code] = learn(column.at(row));
        }
        self.by_code[code]
    }
}

/// One fold per group; a group is a list of numbers.
#[derive(Debug, Default)]
pub(super) struct Groups {
    places: HashMap<Box<[u32]>, usize>,
    folds: Vec<Fold>,
    last: Option<(Box<[u32]>, usize)>,
}

impl Groups {
    /// The place of a group's fold, made by `new` when the group is met first.
    pub(super) fn place(&mut self, group: &[u32], new: impl FnOnce() -> Fold) -> Result<usize> {
        if let Some((_, place)) = self.last.as_ref().filter(|(last, _)| **last == *group) {
            return Ok(*place);
        }
        let place = match self.places.get(group) {
            Some(place) => *place,
            None => self.insert(group, new())?,
        };
        self.last = Some((group.into(), place));
        Ok(place)
    }

    fn insert(&mut self, group: &[u32], fold: Fold) -> Result<usize> {
        if self.folds.len() >= TOTALS_ROWS_MAX {
            return Err(Error::OverLimit {
                what: "number of totals",
                asked: TOTALS_ROWS_MAX as u64 + 1,
                limit: TOTALS_ROWS_MAX as u64,
            });
        }
        self.folds.push(fold);
        self.places.insert(group.into(), self.folds.len() - 1);
        Ok(self.folds.len() - 1)
    }

    pub(super) fn fold(&mut self, place: usize) -> &mut Fold {
        &mut self.folds[place]
    }

    /// Every group with its place and fold, in no order.
    pub(super) fn into_folds(self) -> impl Iterator<Item = (Box<[u32]>, usize, Fold)> {
        let mut folds: Vec<Option<Fold>> = self.folds.into_iter().map(Some).collect();
        self.places
            .into_iter()
            .filter_map(move |(group, place)| Some((group, place, folds[place].take()?)))
    }
}
