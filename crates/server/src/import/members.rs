//! The members of a JSON object that a mapping reads.

use std::borrow::Cow;
use std::fmt;
use std::str::Utf8Error;

use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A value as the text that a cell of CSV would hold; `None` where it is null or not there.
type Value<'a> = Option<Cow<'a, str>>;

/// Reads the members called like `columns`, in their order.
pub(super) fn read<'a>(line: &'a [u8], columns: &[&str]) -> Result<Vec<Value<'a>>, String> {
    let text = std::str::from_utf8(line).map_err(|error| not_utf8(line, error))?;
    let mut json = serde_json::Deserializer::from_str(text);
    let members = (&mut json).deserialize_map(Members { columns });
    let members = members.and_then(|members| json.end().map(|()| members));
    let members = members.map_err(|error| error.to_string())?;
    let value = |(column, member): (&&str, Option<&'a RawValue>)| {
        let value = member.map_or(Ok(None), cell);
        value.map_err(|error| format!("{column} is no text: {error}"))
    };
    columns.iter().zip(members).map(value).collect()
}

fn not_utf8(line: &[u8], error: Utf8Error) -> String {
    let offset = error.valid_up_to();
    let byte = line[offset];
    format!("the record is not UTF-8: byte 0x{byte:02X} at offset {offset} of the record")
}

fn cell(value: &RawValue) -> serde_json::Result<Value<'_>> {
    match value.get() {
        "null" => Ok(None),
        text if text.starts_with('"') => serde_json::from_str(text).map(Cow::Owned).map(Some),
        text => Ok(Some(Cow::Borrowed(text))),
    }
}

/// Finds the members of one object; one that stands twice would leave it open which counts.
struct Members<'c> {
    columns: &'c [&'c str],
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = Vec<Option<&'de RawValue>>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values = vec![None; self.columns.len()];
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            let value: &RawValue = map.next_value()?;
            let place = self.columns.iter().position(|column| *column == name);
            let Some(place) = place else {
                continue;
            };
            if values[place].replace(value).is_some() {
                let reason = format!("{name} stands twice: expected it once");
                return Err(A::Error::custom(reason));
            }
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(line: &str) -> Result<String, String> {
        let values = read(line.as_bytes(), &["a", "b"])?;
        Ok(format!("{values:?}"))
    }

    #[test]
    fn members_are_read_as_cells_in_the_order_of_the_columns() {
        assert_eq!(
            values(r#"{"c":1,"b":"x\u00e4","a":1.50}"#).unwrap(),
            "[Some(\"1.50\"), Some(\"x\u{e4}\")]"
        );
        assert_eq!(values(r#"{"b":null,"x":1,"x":2}"#).unwrap(), "[None, None]");
    }

    #[test]
    fn what_could_be_read_in_two_ways_or_is_no_text_is_refused() {
        for (line, reason) in [
            (r#"{"a":1,"b":2,"a":3}"#, "a stands twice"),
            (r#"{"a":"\ud800"}"#, "a is no text"),
            (r#"{"a":1} {}"#, "trailing characters"),
            ("[1]", "expected an object"),
        ] {
            let refused = values(line).unwrap_err();
            assert!(refused.contains(reason), "{refused}");
        }
        let refused = read(b"{\"a\":\"b\xE4r\"}", &["a"]).unwrap_err();
        let expected = "the record is not UTF-8: byte 0xE4 at offset 7 of the record";
        assert_eq!(refused, expected);
    }
}
