//! A JSON value that keeps every digit of its numbers and borrows its text.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::Hasher;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use siphasher::sip::SipHasher13;

pub(crate) mod canonical;
pub(crate) mod scan;

use scan::Number;

use crate::limits::DATA_DEPTH_MAX;
use crate::number::{Scalar, spelled};

/// The key under which `serde_json` hands over a number of arbitrary precision.
pub(crate) const NUMBER_KEY: &str = "$serde_json::private::Number";

/// A parsed JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number as it was written. The full parser, which gets hardly a text, puts a sign before
    /// each exponent.
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
        scan::parse(text).map_or_else(|| Self::parse_any(text), Ok)
    }

    /// As [`Self::parse`], by the full parser.
    fn parse_any(text: &'a str) -> Result<Self, serde_json::Error> {
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

    /// A scalar as it was sent; `None` for null, arrays and objects.
    pub fn scalar(&self) -> Option<Scalar<'_>> {
        match self {
            Self::Bool(true) => Some(Scalar::Text("true")),
            Self::Bool(false) => Some(Scalar::Text("false")),
            Self::String(text) => Some(Scalar::Text(text)),
            Self::Number(text) => Some(Scalar::Number(text)),
            Self::Null | Self::Array(_) | Self::Object(_) => None,
        }
    }

    /// The text of a scalar as it was sent; `None` for null, arrays and objects.
    pub fn text(&self) -> Option<&str> {
        self.scalar().map(Scalar::sent)
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
            Self::Number(text) => {
                hash_number(&Number::of(text), hasher);
            }
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
#[inline]
pub(crate) fn hash_text(tag: u8, text: &str, hasher: &mut impl Hasher) {
    hasher.write(&head(tag, text.len()));
    hasher.write(text.as_bytes());
}

/// A tag and a length.
#[inline]
fn head(tag: u8, length: usize) -> [u8; 9] {
    let mut head = [tag; 9];
    head[1..].copy_from_slice(&(length as u64).to_le_bytes());
    head
}

/// Feeds a number as sign, place of its point and significant digits; gives false for one that
/// was fed as it is written.
fn hash_number(number: &Number<'_>, hasher: &mut impl Hasher) -> bool {
    let exponent = number.exponent;
    let exponent = exponent.strip_prefix('+').unwrap_or(exponent);
    let exponent = if exponent.is_empty() { "0" } else { exponent };
    // Exponents beyond an i32 are kept as spelled: such numbers fit no meter anyway. Fingerprints
    // are stored: the spelling stays that of the first release.
    let Ok(exponent) = exponent.parse::<i32>() else {
        hash_text(b'x', &spelled(number.text), hasher);
        return false;
    };
    let digits = number.digits();
    let (zero, point) = (digits.is_zero(), digits.point + i64::from(exponent));
    hasher.write_u8(if number.negative && !zero { b'-' } else { b'+' });
    hasher.write(&if zero { 0 } else { point }.to_le_bytes());
    hasher.write(&head(b'd', digits.len()));
    hasher.write(digits.whole.as_bytes());
    hasher.write(digits.fraction.as_bytes());
    true
}

/// Gathers what is to be hashed: one long text takes far less time than many short ones.
#[derive(Debug)]
pub(crate) struct Gathered(Vec<u8>);

impl Default for Gathered {
    fn default() -> Self {
        Self::new()
    }
}

impl Gathered {
    pub(crate) fn new() -> Self {
        Self(Vec::with_capacity(1024))
    }

    /// Starts over.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// What there is to hash.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Hasher for Gathered {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    #[inline]
    fn write_u8(&mut self, byte: u8) {
        self.0.push(byte);
    }

    fn finish(&self) -> u64 {
        SipHasher13::new().hash(&self.0)
    }
}

/// The first eight bytes of a text, in an order that is the text's wherever they differ.
#[inline]
fn prefix(text: &[u8]) -> u64 {
    if let Some(chunk) = text.first_chunk() {
        return u64::from_be_bytes(*chunk);
    }
    let missing = 64 - 8 * text.len();
    match (text.first_chunk(), text.last_chunk()) {
        // They overlap where the text is shorter than both, with the same bytes.
        (Some(first), Some(last)) => {
            let (first, last) = (u32::from_be_bytes(*first), u32::from_be_bytes(*last));
            u64::from(first) << 32 | u64::from(last) << missing
        }
        _ => text
            .iter()
            .fold(0, |word, byte| word << 8 | u64::from(*byte))
            .checked_shl(u32::try_from(missing).unwrap_or(64))
            .unwrap_or(0),
    }
}

/// Whether one key stands before another.
fn before(one: &str, other: &str) -> bool {
    compare(one, other).is_lt()
}

fn compare(one: &str, other: &str) -> Ordering {
    let prefixes = prefix(one.as_bytes()).cmp(&prefix(other.as_bytes()));
    prefixes.then_with(|| one.cmp(other))
}

/// Sorts members by key; of equal keys the last one stays.
fn sort(members: &mut Vec<(Cow<'_, str>, Json<'_>)>) {
    members.sort_by(|(one, _), (other, _)| compare(one, other));
    members.dedup_by(|later, earlier| {
        let same = later.0 == earlier.0;
        if same {
            std::mem::swap(later, earlier);
        }
        same
    });
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
        sort(&mut members);
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
        assert_eq!(json.get("b").unwrap().text(), Some("1e400"));
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
        // Fingerprints of before hold the spelling of the full parser.
        let far = "1E99999999999";
        let mut hasher = SipHasher13::new();
        Json::parse_any(far).unwrap().hash_canonical(&mut hasher);
        assert_eq!(hash(far), hasher.finish());
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
