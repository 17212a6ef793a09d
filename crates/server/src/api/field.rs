//! Fields of a PATCH body that null may clear.

use serde::{Deserialize, Deserializer};

/// A field that was left out, set to null, or set to a value. Needs `#[serde(default)]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Field<T> {
    /// Left out: it stays.
    #[default]
    Absent,
    /// Null: it goes.
    Null,
    /// A value: it is replaced.
    Value(T),
}

impl<T> Field<T> {
    /// What the field is afterwards, given what it was.
    pub fn over(self, before: Option<T>) -> Option<T> {
        match self {
            Self::Absent => before,
            Self::Null => None,
            Self::Value(value) => Some(value),
        }
    }

    /// The value sent, if one was.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let sent = Option::deserialize(deserializer)?;
        Ok(sent.map_or(Self::Null, Self::Value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        field: Field<u8>,
    }

    #[test]
    fn left_out_null_and_a_value_are_three_things() {
        let after = |json: &str| {
            let body: Body = serde_json::from_str(json).unwrap();
            body.field.over(Some(1))
        };
        assert_eq!(after("{}"), Some(1));
        assert_eq!(after(r#"{"field":null}"#), None);
        assert_eq!(after(r#"{"field":2}"#), Some(2));
    }
}
