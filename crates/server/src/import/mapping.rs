//! The mapping file: which column of a table is what in a CloudEvent.

mod value;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::encoding::Encoding;
use super::{Error, Result};
use value::ValueType;

/// Attributes a mapping may fill; the first four it must.
const ATTRIBUTES: [&str; 6] = ["id", "source", "type", "subject", "time", "organization"];
const REQUIRED: usize = 4;

/// Which column is what, checked.
#[derive(Debug)]
pub(crate) struct Mapping {
    /// What separates the fields of a CSV file.
    pub(crate) delimiter: u8,
    /// How the text is encoded, where that is said.
    pub(crate) encoding: Option<Encoding>,
    /// The text of the file, which tells one mapping from another.
    pub(crate) text: String,
    absent: Vec<String>,
    columns: Vec<String>,
    attributes: Vec<Member>,
    members: Vec<Member>,
    whole: Option<usize>,
}

#[derive(Debug)]
struct Member {
    name: String,
    origin: Origin,
    value_type: ValueType,
    /// Written even when it is empty, so that the intake refuses it.
    always: bool,
}

#[derive(Debug)]
enum Origin {
    /// Index in [`Mapping::columns`].
    Column(usize),
    Constant(String),
    Row,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct MappingIn {
    #[serde(default = "comma")]
    delimiter: char,
    encoding: Option<String>,
    #[serde(default)]
    absent: Vec<String>,
    attributes: BTreeMap<String, MemberIn>,
    #[serde(default)]
    data: BTreeMap<String, MemberIn>,
    data_column: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MemberIn {
    column: Option<String>,
    constant: Option<String>,
    #[serde(default)]
    row: bool,
    #[serde(rename = "type")]
    value_type: Option<String>,
    format: Option<String>,
    zone: Option<String>,
}

fn comma() -> char {
    ','
}

fn delimiter(sent: char) -> Result<u8, String> {
    let usable = |byte: &u8| byte.is_ascii() && !b"\"\r\n".contains(byte);
    let byte = u8::try_from(sent).ok().filter(usable);
    byte.ok_or_else(|| {
        format!("delimiter is {sent:?}: expected an ASCII character, neither quote nor line end")
    })
}

/// What stands in a cell, absent or not.
fn sent<'v>(value: Option<&'v Option<Cow<'_, str>>>) -> &'v str {
    value.and_then(Option::as_deref).unwrap_or_default()
}

impl Mapping {
    /// Reads a mapping file: TOML when its name ends so, YAML otherwise.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::Io {
            action: "read",
            path: path.to_owned(),
            source,
        })?;
        let toml = path.extension().is_some_and(|ending| ending == "toml");
        Self::parse(text, toml).map_err(|reason| Error::Mapping {
            path: path.to_owned(),
            reason,
        })
    }

    /// Columns that are called like the attributes, and `data` as JSON or a struct.
    pub(crate) fn of_cloud_events() -> Self {
        let member = |name: &str| format!("  {name}: {{column: {name}}}\n");
        let attributes: String = ATTRIBUTES.iter().map(|name| member(name)).collect();
        let text = format!("dataColumn: data\nattributes:\n{attributes}");
        Self::parse(text, false).expect("the mapping of CloudEvents holds")
    }

    fn parse(text: String, toml: bool) -> Result<Self, String> {
        let read: MappingIn = if toml {
            toml::from_str(&text).map_err(|error| error.to_string())?
        } else {
            serde_norway::from_str(&text).map_err(|error| error.to_string())?
        };
        let mut mapping = Self {
            delimiter: delimiter(read.delimiter)?,
            encoding: read.encoding.as_deref().map(Encoding::named).transpose()?,
            text,
            absent: read.absent,
            columns: Vec::new(),
            attributes: Vec::new(),
            members: Vec::new(),
            whole: None,
        };
        if let Some(name) = read
            .attributes
            .keys()
            .find(|name| !ATTRIBUTES.contains(&&***name))
        {
            let known = ATTRIBUTES.join(", ");
            return Err(format!(
                "attributes.{name} is unknown: expected one of {known}"
            ));
        }
        for name in &ATTRIBUTES[..REQUIRED] {
            if !read.attributes.contains_key(*name) {
                return Err(format!("attributes.{name} is missing"));
            }
        }
        for (name, member) in read.attributes {
            let is_time = name == "time";
            let usual = if is_time { "time" } else { "string" };
            let mut member = mapping.check("attributes", name, member, usual)?;
            // Without it the event would get the server's clock, which no file means.
            member.always = is_time;
            mapping.attributes.push(member);
        }
        for (name, member) in read.data {
            let member = mapping.check("data", name, member, "string")?;
            mapping.members.push(member);
        }
        if let Some(column) = read.data_column {
            if !mapping.members.is_empty() {
                return Err("data and dataColumn exclude each other".to_owned());
            }
            mapping.whole = Some(mapping.column(column));
        }
        Ok(mapping)
    }

    fn check(
        &mut self,
        section: &str,
        name: String,
        member: MemberIn,
        usual: &str,
    ) -> Result<Member, String> {
        let at = format!("{section}.{name}");
        let origin = match (member.column, member.constant, member.row) {
            (Some(column), None, false) => Origin::Column(self.column(column)),
            (None, Some(text), false) => Origin::Constant(text),
            (None, None, true) => Origin::Row,
            _ => {
                return Err(format!(
                    "{at}: expected one of column, constant and row: true"
                ));
            }
        };
        let value_type = member.value_type.as_deref().unwrap_or(usual);
        let value_type =
            ValueType::read(value_type, member.format.as_deref(), member.zone.as_deref())
                .map_err(|reason| format!("{at}: {reason}"))?;
        Ok(Member {
            name,
            origin,
            value_type,
            always: false,
        })
    }

    fn column(&mut self, column: String) -> usize {
        let known = self.columns.iter().position(|known| *known == column);
        known.unwrap_or_else(|| {
            self.columns.push(column);
            self.columns.len() - 1
        })
    }

    /// Leaves out the attributes of columns that are not there.
    pub(crate) fn keep_columns(&mut self, is_there: impl Fn(&str) -> bool) {
        let columns = &self.columns;
        self.attributes.retain(|member| match member.origin {
            Origin::Column(column) => is_there(&columns[column]),
            Origin::Constant(_) | Origin::Row => true,
        });
    }

    /// The columns it reads; values are given to [`Self::write`] in this order.
    pub(crate) fn columns(&self) -> Vec<&str> {
        self.columns.iter().map(String::as_str).collect()
    }

    /// Writes the event of one record as one line; a value that is not what it should be is
    /// written as it is, so that the intake says what it expects.
    pub(crate) fn write(&self, row: u64, values: &[Option<Cow<'_, str>>], out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"specversion":"1.0""#);
        for member in &self.attributes {
            out.push(b',');
            if !self.write_member(member, row, values, out) {
                out.pop();
            }
        }
        match self.whole {
            Some(column) => {
                if let Some(text) = self.present(values.get(column)) {
                    out.extend_from_slice(br#","data":"#);
                    ValueType::Json.write(text, out);
                }
            }
            None => self.write_data(row, values, out),
        }
        out.extend_from_slice(b"}\n");
    }

    fn write_data(&self, row: u64, values: &[Option<Cow<'_, str>>], out: &mut Vec<u8>) {
        out.extend_from_slice(br#","data":{"#);
        let mut first = true;
        for member in &self.members {
            if !first {
                out.push(b',');
            }
            if self.write_member(member, row, values, out) {
                first = false;
            } else if !first {
                out.pop();
            }
        }
        out.push(b'}');
    }

    /// Writes `"name":value`; `false` and nothing when there is no value.
    fn write_member(
        &self,
        member: &Member,
        row: u64,
        values: &[Option<Cow<'_, str>>],
        out: &mut Vec<u8>,
    ) -> bool {
        let number;
        let text = match &member.origin {
            Origin::Column(column) if member.always => Some(sent(values.get(*column))),
            Origin::Column(column) => self.present(values.get(*column)),
            Origin::Constant(text) => Some(text.as_str()),
            Origin::Row => {
                number = row.to_string();
                Some(number.as_str())
            }
        };
        let Some(text) = text else {
            return false;
        };
        value::write_text(&member.name, out);
        out.push(b':');
        member.value_type.write(text, out);
        true
    }

    /// A value that is none of the absent ones.
    fn present<'v>(&self, value: Option<&'v Option<Cow<'_, str>>>) -> Option<&'v str> {
        let text = value?.as_deref()?;
        let absent = text.is_empty() || self.absent.iter().any(|absent| absent == text);
        (!absent).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: &str = r#"
absent: ["NA"]
attributes:
  id: {row: true}
  source: {constant: billing}
  type: {constant: call}
  subject: {column: who}
  time: {column: at, format: "%d.%m.%Y %H:%M", zone: Europe/Berlin}
  organization: {column: org}
data:
  seconds: {column: seconds, type: number}
  ok: {column: ok, type: boolean}
  extra: {column: extra, type: json}
  region: {constant: eu}
"#;

    fn write(values: &[&str]) -> String {
        let mapping = Mapping::parse(FORM.to_owned(), false).unwrap();
        let place = |column: &str| {
            let names = ["who", "at", "org", "seconds", "ok", "extra"];
            let index = names.iter().position(|name| *name == column).unwrap();
            values.get(index).map(|value| Cow::Borrowed(*value))
        };
        let ordered: Vec<_> = mapping.columns().into_iter().map(place).collect();
        let mut line = Vec::new();
        mapping.write(7, &ordered, &mut line);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn a_record_becomes_a_cloud_event() {
        assert_eq!(
            write(&[
                "ann",
                "31.03.2024 03:30",
                "org",
                "1.50",
                "TRUE",
                "{\"a\": [1]}"
            ]),
            concat!(
                r#"{"specversion":"1.0","id":"7","organization":"org","source":"billing","#,
                r#""subject":"ann","time":"2024-03-31T01:30:00Z","type":"call","#,
                r#""data":{"extra":{"a": [1]},"ok":true,"region":"eu","seconds":1.50}}"#,
                "\n"
            )
        );
    }

    #[test]
    fn absent_values_leave_their_member_out_and_wrong_ones_stay_as_they_are() {
        assert_eq!(
            write(&["", "tomorrow", "NA", "+5", "maybe", "{"]),
            concat!(
                r#"{"specversion":"1.0","id":"7","source":"billing","time":"tomorrow","#,
                r#""type":"call","data":{"extra":"{","ok":"maybe","region":"eu","seconds":"+5"}}"#,
                "\n"
            )
        );
    }

    #[test]
    fn an_absent_time_is_written_as_it_was_sent_so_that_it_is_refused() {
        for absent in ["", "NA"] {
            let line = write(&["ann", absent, "org", "1", "true", "1"]);
            assert!(line.contains(&format!("\"time\":\"{absent}\"")), "{line}");
        }
    }

    #[test]
    fn a_mapping_that_does_not_hold_says_where() {
        let refused =
            |from: &str, to: &str| Mapping::parse(FORM.replace(from, to), false).unwrap_err();
        assert_eq!(
            refused("  subject: {column: who}\n", ""),
            "attributes.subject is missing"
        );
        assert_eq!(
            refused("{constant: eu}", "{constant: eu, row: true}"),
            "data.region: expected one of column, constant and row: true"
        );
        assert_eq!(
            refused("type: json", "type: blob"),
            "data.extra: type is \"blob\": expected string, number, boolean, json or time"
        );
        assert_eq!(
            refused("Europe/Berlin", "Europe/Atlantis"),
            "attributes.time: zone is \"Europe/Atlantis\": expected a time zone such as \
             Europe/Berlin"
        );
        assert!(refused("absent", "abscent").contains("abscent"));
        assert_eq!(
            refused("absent", "encoding: utf-7\nabsent"),
            "encoding is \"utf-7\": expected one of utf-8, windows-1252, iso-8859-1, utf-16, \
             utf-16le, utf-16be"
        );
        for delimiter in ["\u{e9}", "\\n", "\\\""] {
            let refused = refused("absent", &format!("delimiter: \"{delimiter}\"\nabsent"));
            assert!(refused.contains("expected an ASCII character"), "{refused}");
        }
    }

    #[test]
    fn toml_says_the_same_as_yaml() {
        let toml = r#"
            [attributes]
            id = { column = "id" }
            source = { constant = "s" }
            type = { constant = "t" }
            subject = { column = "id" }
            [data]
            n = { column = "n", type = "number" }
        "#;
        let mapping = Mapping::parse(toml.to_owned(), true).unwrap();
        let mut line = Vec::new();
        mapping.write(1, &[Some("a".into()), Some("2".into())], &mut line);
        let line = String::from_utf8(line).unwrap();
        assert!(line.ends_with("\"data\":{\"n\":2}}\n"), "{line}");
    }
}
