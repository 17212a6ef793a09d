//! A JSON value that keeps every digit of its numbers and borrows its text.

use std::borrow::Cow;
use std::fmt;
use std::hash::Hasher;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::limits::DATA_DEPTH_MAX;

/// The key under which `serde_json` hands over a number of arbitrary precision.
pub(crate) const NUMBER_KEY: &str = "$serde_json::private::Number";

/// A parsed JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number as it was written.
    Number(Cow<'a, str>),
    /// A string, unescaped.
    String(Cow<'a, str>),
    /// An array.
    Array(Vec<Json<'a>>),
    /// An object sorted by key; of equal keys the last one.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

impl<'a> Json<'a> {
    /// Parses one JSON text; the error names line and column.
    pub fn parse(text: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The member `key` of an object.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members
                .binary_search_by(|(name, _)| name.as_ref().cmp(key))
                .ok()
                .and_then(|index| members.get(index))
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// A scalar as text; `None` for null, arrays and objects.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Bool(true) => Some("true"),
            Self::Bool(false) => Some("false"),
            Self::Number(text) | Self::String(text) => Some(text),
            Self::Null | Self::Array(_) | Self::Object(_) => None,
        }
    }

    /// Whether arrays and objects nest deeper than [`DATA_DEPTH_MAX`].
    pub fn is_too_deep(&self) -> bool {
        self.depth_exceeds(DATA_DEPTH_MAX)
    }

    fn depth_exceeds(&self, left: usize) -> bool {
        let below = |value: &Self| left == 0 || value.depth_exceeds(left - 1);
        match self {
            Self::Array(items) => left == 0 || items.iter().any(below),
            Self::Object(members) => left == 0 || members.iter().any(|(_, value)| below(value)),
            _ => false,
        }
    }

    /// Feeds a form that is equal for equal values: keys sorted, numbers as exact decimals.
    pub fn hash_canonical(&self, hasher: &mut impl Hasher) {
        match self {
            Self::Null => hasher.write_u8(b'n'),
            Self::Bool(value) => hasher.write_u8(if *value { b't' } else { b'f' }),
            Self::Number(text) => hash_number(text, hasher),
            Self::String(text) => hash_text(b's', text, hasher),
            Self::Array(items) => {
                hasher.write_u8(b'[');
                for item in items {
                    item.hash_canonical(hasher);
                }
                hasher.write_u8(b']');
            }
            Self::Object(members) => {
                hasher.write_u8(b'{');
                for (key, value) in members {
                    hash_text(b'k', key, hasher);
                    value.hash_canonical(hasher);
                }
                hasher.write_u8(b'}');
            }
        }
    }
}

/// Feeds a tagged text with its length, so that neighbours cannot run together.
pub(crate) fn hash_text(tag: u8, text: &str, hasher: &mut impl Hasher) {
    hasher.write_u8(tag);
    hasher.write(&(text.len() as u64).to_le_bytes());
    hasher.write(text.as_bytes());
}

fn hash_number(text: &str, hasher: &mut impl Hasher) {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(unsigned) => (true, unsigned),
        None => (false, text),
    };
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: String = [whole, fraction].concat();
    let trimmed = digits.trim_start_matches('0');
    let leading = digits.len() - trimmed.len();
    let significant = trimmed.trim_end_matches('0');
    // Exponents beyond an i64 are kept as written: such numbers fit no meter anyway.
    let Ok(exponent) = exponent
        .strip_prefix('+')
        .unwrap_or(exponent)
        .parse::<i32>()
    else {
        return hash_text(b'x', text, hasher);
    };
    let length = |length: usize| i64::try_from(length).unwrap_or(i64::MAX);
    let point = length(whole.len()) - length(leading) + i64::from(exponent);
    hasher.write_u8(if negative && !significant.is_empty() {
        b'-'
    } else {
        b'+'
    });
    hasher.write(&if significant.is_empty() { 0 } else { point }.to_le_bytes());
    hash_text(b'd', significant, hasher);
}

impl<'de: 'a, 'a> Deserialize<'de> for Json<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

/// A string that borrows from the input when it holds no escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor).map(Self)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text))
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Json::Number(value.to_string().into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Json::Number(value.to_string().into()))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Json::String(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Json::String(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element()? {
            array.push(item);
        }
        Ok(Json::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members: Vec<(Cow<'de, str>, Json<'de>)> = Vec::new();
        while let Some(Text(key)) = map.next_key()? {
            if members.is_empty() && key == NUMBER_KEY {
                return map.next_value().map(|Text(number)| Json::Number(number));
            }
            members.push((key, map.next_value()?));
        }
        members.sort_by(|(left, _), (right, _)| left.cmp(right));
        members.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                std::mem::swap(later, earlier);
            }
            same
        });
        Ok(Json::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use siphasher::sip::SipHasher13;

    use super::*;

    fn hash(text: &str) -> u64 {
        let mut hasher = SipHasher13::new();
        Json::parse(text).unwrap().hash_canonical(&mut hasher);
        hasher.finish()
    }

    #[test]
    fn numbers_keep_every_digit() {
        let json = Json::parse(r#"{"a":0.1000000000000000000000000000001,"b":1e400}"#).unwrap();
        assert_eq!(
            json.get("a").unwrap().text(),
            Some("0.1000000000000000000000000000001")
        );
        assert_eq!(json.get("b").unwrap().text(), Some("1e+400"));
    }

    #[test]
    fn of_equal_keys_the_last_counts() {
        let json = Json::parse(r#"{"a":1,"b":2,"a":3}"#).unwrap();
        assert_eq!(json.get("a").unwrap().text(), Some("3"));
    }

    #[test]
    fn spelling_does_not_change_the_canonical_form() {
        assert_eq!(
            hash(r#"{"a":1,"b":[2.50]}"#),
            hash(r#"{ "b" : [25e-1], "a" : 1.0 }"#)
        );
        assert_eq!(hash("[0,-0.0,0e9]"), hash("[0.00,0,-0]"));
        assert_eq!(hash(r#"["é"]"#), hash(r#"["\u00e9"]"#));
    }

    #[test]
    fn different_values_differ() {
        let texts = [
            "1", "10", "0.1", "-1", "\"1\"", "[1]", "[[1]]", "null", "true", "{}", "[]",
        ];
        for (index, left) in texts.iter().enumerate() {
            for right in &texts[index + 1..] {
                assert_ne!(hash(left), hash(right), "{left} {right}");
            }
        }
        assert_ne!(hash(r#"["ab","c"]"#), hash(r#"["a","bc"]"#));
    }

    #[test]
    fn depth_is_bounded() {
        let nest = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(!Json::parse(&nest(DATA_DEPTH_MAX)).unwrap().is_too_deep());
        assert!(
            Json::parse(&nest(DATA_DEPTH_MAX + 1))
                .unwrap()
                .is_too_deep()
        );
    }
}
