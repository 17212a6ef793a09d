//! Text columns read the same way, plain or coded.

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, StringArray};
use arrow_buffer::NullBuffer;
use arrow_schema::DataType;

/// A text column.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Strings<'a> {
    /// Each value spelled out.
    Plain(&'a StringArray),
    /// A code per row into the distinct values.
    Coded {
        codes: &'a [i32],
        nulls: Option<&'a NullBuffer>,
        values: &'a StringArray,
    },
}

impl<'a> Strings<'a> {
    /// Looks at a text column.
    pub(crate) fn of(column: &'a ArrayRef) -> Self {
        if matches!(column.data_type(), DataType::Dictionary(_, _)) {
            let coded = column.as_dictionary::<Int32Type>();
            return Self::Coded {
                codes: coded.keys().values(),
                nulls: coded.keys().nulls(),
                values: coded.values().as_string(),
            };
        }
        Self::Plain(column.as_string())
    }

    /// The text of a row; `None` for null.
    pub(crate) fn get(&self, row: usize) -> Option<&'a str> {
        match self {
            Self::Plain(array) => array.is_valid(row).then(|| array.value(row)),
            Self::Coded { values, .. } => self.code(row).map(|code| values.value(code)),
        }
    }

    /// The text of a row of a column without nulls.
    pub(crate) fn at(&self, row: usize) -> &'a str {
        self.get(row).unwrap_or_default()
    }

    /// The code of a row; `None` for null or a plain column.
    pub(crate) fn code(&self, row: usize) -> Option<usize> {
        match self {
            Self::Plain(_) => None,
            Self::Coded { codes, nulls, .. } => {
                if nulls.is_some_and(|nulls| nulls.is_null(row)) {
                    return None;
                }
                usize::try_from(codes[row]).ok()
            }
        }
    }

    /// Whether two rows hold the same text.
    pub(crate) fn same(&self, left: usize, right: usize) -> bool {
        match self {
            Self::Coded { codes, .. } if codes[left] == codes[right] => true,
            _ => self.get(left) == self.get(right),
        }
    }
}
