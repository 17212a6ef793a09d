//! JSON paths: the part of the notation that names one value.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::json::Json;

/// A path to one value: `$.a.b`, `$['a b']`, `$.list[0]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JsonPath {
    text: String,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Step {
    Key(String),
    Index(usize),
}

/// Says why a text is not a path Tallyport follows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a path to one value: {part:?} is not supported, expected $.name, $['name'] or \
     $.list[0]"
)]
pub struct PathError {
    /// The refused text.
    pub text: String,
    /// The part of it that is not supported.
    pub part: String,
}

/// Characters of a refused text that an error repeats.
const SHOWN_CHARS: usize = 256;

impl PathError {
    fn new(text: &str) -> Self {
        let shown = |text: &str| text.chars().take(SHOWN_CHARS).collect();
        Self {
            text: shown(text),
            part: shown(unsupported(text).unwrap_or(text)),
        }
    }
}

impl JsonPath {
    /// The value at this path, when there is one.
    pub fn find<'j, 'a>(&self, json: &'j Json<'a>) -> Option<&'j Json<'a>> {
        self.steps
            .iter()
            .try_fold(json, |value, step| match (value, step) {
                (Json::Object(_), Step::Key(key)) => value.get(key),
                (Json::Array(items), Step::Index(index)) => items.get(*index),
                _ => None,
            })
    }

    /// The member of the outermost object that the path goes through; `None` when it names none.
    pub fn first_key(&self) -> Option<&str> {
        match self.steps.first() {
            Some(Step::Key(key)) => Some(key),
            _ => None,
        }
    }

    /// Refuses a path that is followed as one strange name, though it was surely meant as more: a
    /// sum, a call, an index behind a dot. Earlier releases stored such paths, so reading one back
    /// does not check.
    pub fn check(&self) -> Result<(), PathError> {
        match unsupported(&self.text) {
            Some(_) => Err(PathError::new(&self.text)),
            None => Ok(()),
        }
    }

    /// The path as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for JsonPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        parse(text)
            .map(|steps| Self {
                text: text.to_owned(),
                steps,
            })
            .ok_or_else(|| PathError::new(text))
    }
}

fn parse(text: &str) -> Option<Vec<Step>> {
    let mut rest = text.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        let (step, after) = if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            (Step::Key(after[..end].to_owned()), &after[end..])
        } else {
            bracketed(rest.strip_prefix('[')?)?
        };
        if matches!(&step, Step::Key(key) if key.is_empty() || key == "*") {
            return None;
        }
        steps.push(step);
        rest = after;
    }
    (!steps.is_empty()).then_some(steps)
}

fn bracketed(text: &str) -> Option<(Step, &str)> {
    for quote in ['\'', '"'] {
        if let Some(after) = text.strip_prefix(quote) {
            let end = after.find(quote)?;
            let rest = after[end + 1..].strip_prefix(']')?;
            return Some((Step::Key(after[..end].to_owned()), rest));
        }
    }
    let (index, rest) = text.split_once(']')?;
    Some((Step::Index(index.parse().ok()?), rest))
}

/// The first part of a text that is no step of a path to one value.
///
/// Names after a dot are letters, digits, `_` and `-`, and do not begin with a digit or `-`; any
/// other name stands in brackets and quotes, without escapes.
fn unsupported(text: &str) -> Option<&str> {
    let Some(mut rest) = text.strip_prefix('$').filter(|rest| !rest.is_empty()) else {
        return Some(text);
    };
    while !rest.is_empty() {
        rest = match rest.strip_prefix('.') {
            Some(name) => {
                let length = name_length(name);
                if length == 0 || name[length..].starts_with('(') {
                    return Some(rest);
                }
                &name[length..]
            }
            None => match in_brackets(rest) {
                Some(after) => after,
                None => return Some(rest),
            },
        };
    }
    None
}

/// Bytes of the name a text begins with.
fn name_length(text: &str) -> usize {
    let is_first = |char: char| char.is_alphabetic() || char == '_';
    if !text.starts_with(is_first) {
        return 0;
    }
    let is_inner = |char: char| char.is_alphanumeric() || char == '_' || char == '-';
    text.find(|char| !is_inner(char)).unwrap_or(text.len())
}

/// What follows `['name']` or `[0]`.
fn in_brackets(text: &str) -> Option<&str> {
    let text = text.strip_prefix('[')?;
    let quote = text
        .chars()
        .next()
        .filter(|first| ['\'', '"'].contains(first));
    let Some(quote) = quote else {
        let (index, after) = text.split_once(']')?;
        let is_index = index == "0" || !index.starts_with('0');
        let is_number = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
        return (is_index && is_number && index.parse::<usize>().is_ok()).then_some(after);
    };
    let (name, after) = text[1..].split_once(quote)?;
    let is_plain = !name.is_empty() && name != "*" && !name.contains('\\');
    after.strip_prefix(']').filter(|_| is_plain)
}

impl fmt::Display for JsonPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl Serialize for JsonPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for JsonPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(path: &str, json: &str) -> Option<String> {
        let json = Json::parse(json).unwrap();
        path.parse::<JsonPath>()
            .unwrap()
            .find(&json)
            .and_then(Json::text)
            .map(Into::into)
    }

    #[test]
    fn names_quotes_and_indexes_lead_to_one_value() {
        let json = r#"{"a":{"b c":[10,{"d":"x"}]}}"#;
        assert_eq!(find("$.a['b c'][0]", json).as_deref(), Some("10"));
        assert_eq!(find("$.a[\"b c\"][1].d", json).as_deref(), Some("x"));
        assert_eq!(find("$.a.b", json), None);
        assert_eq!(find("$.a[0]", json), None);
    }

    #[test]
    fn paths_to_many_values_are_refused() {
        for text in [
            "", "a", "$", "$.", "$..a", "$.*", "$[*]", "$.a[", "$['a", "$.a[-1]",
        ] {
            assert!(text.parse::<JsonPath>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_part_that_is_not_supported_is_named() {
        let part = |text: &str| {
            let parsed = text.parse::<JsonPath>().and_then(|path| path.check());
            parsed.err().map(|error| error.part)
        };
        for text in [
            "$.a",
            "$.a-b.ü_1[0][12]",
            "$['a b'][\"c.d\"].e",
            "$['0']",
            "$._",
        ] {
            assert_eq!(part(text), None, "{text}");
        }
        for (text, expected) in [
            ("$.a + $.b", " + $.b"),
            ("$.sum()", ".sum()"),
            ("$.a.length()", ".length()"),
            ("$.arr.0", ".0"),
            ("$.arr.-1", ".-1"),
            ("$.a b", " b"),
            ("$.a[01]", "[01]"),
            ("$.a[+1]", "[+1]"),
            ("$.a[-1]", "[-1]"),
            ("$.a[0:2]", "[0:2]"),
            ("$.a[?(@.b)]", "[?(@.b)]"),
            ("$['a\\'b']", "['a\\'b']"),
            ("$['a','b']", "['a','b']"),
            ("$..a", "..a"),
            ("$.*", ".*"),
            ("$.a,$.b", ",$.b"),
            ("a.b", "a.b"),
            ("$", "$"),
        ] {
            assert_eq!(part(text).as_deref(), Some(expected), "{text}");
        }
        let error = "$.arr.0".parse::<JsonPath>().unwrap().check().unwrap_err();
        let message = "\"$.arr.0\" is not a path to one value: \".0\" is not supported, expected \
                       $.name, $['name'] or $.list[0]";
        assert_eq!(error.to_string(), message);
    }
}
