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
#[error("{text:?} is not a path to one value: expected $.name, $['name'] or $.list[0]")]
pub struct PathError {
    /// The refused text.
    pub text: String,
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
            .ok_or_else(|| PathError {
                text: text.chars().take(256).collect(),
            })
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
}
