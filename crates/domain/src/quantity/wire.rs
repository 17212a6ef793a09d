//! Quantities in JSON and YAML: numbers with all their digits, or strings.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Error, Serialize, Serializer};
use serde_json::Number;

use super::{Quantity, Total};
use crate::json::NUMBER_KEY;

fn serialize_digits<S: Serializer>(digits: &str, serializer: S) -> Result<S::Ok, S::Error> {
    digits
        .parse::<Number>()
        .map_err(S::Error::custom)?
        .serialize(serializer)
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_digits(&self.to_string(), serializer)
    }
}

impl Serialize for Total {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_digits(&self.to_string(), serializer)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(QuantityVisitor)
    }
}

struct QuantityVisitor;

impl<'de> Visitor<'de> for QuantityVisitor {
    type Value = Quantity;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a decimal number below 10^24, plain or as a string")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Quantity, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Quantity, E> {
        self.visit_str(&number.to_string())
    }

    /// A format without exact numbers: the shortest decimal that names the float is what was
    /// written, unless it was written with more digits than a float holds.
    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Quantity, E> {
        let text = number.to_string();
        if text.bytes().filter(u8::is_ascii_digit).count() > 15 {
            return Err(E::custom(format!(
                "{text} may have lost digits: write it as a string"
            )));
        }
        self.visit_str(&text)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Quantity, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Quantity, A::Error> {
        match map.next_key::<String>()? {
            Some(key) if key == NUMBER_KEY => self.visit_str(&map.next_value::<String>()?),
            _ => Err(de::Error::invalid_type(de::Unexpected::Map, &self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_all_digits_both_ways() {
        let text = "123456789012345678901234.000000000001";
        let error = serde_json::from_str::<Quantity>("1e24")
            .unwrap_err()
            .to_string();
        assert!(error.contains("is not below 10^24"), "{error}");
        let text = &text[1..];
        let quantity: Quantity = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&quantity).unwrap(), text);
        let quoted: Quantity = serde_json::from_str(&format!("\"{text}\"")).unwrap();
        assert_eq!(quoted, quantity);
        assert!(serde_json::from_str::<Quantity>(r#"{"a":1}"#).is_err());
    }
}
