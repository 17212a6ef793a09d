//! Conditions in JSON, as OpenMeter's clients write them: `{"$in": ["a", "b"]}`.

use std::fmt;
use std::marker::PhantomData;

use domain::condition::{LEVELS_MAX, Pattern, TextCondition, TimeCondition};
use domain::{Timestamp, instant};
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, de::DeserializeOwned};
use utoipa::ToSchema;

use crate::error::{ApiError, ApiResult};

/// A condition on a text: one operator.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TextConditionIn {
    /// It is this text.
    #[serde(rename = "$eq")]
    eq: Option<String>,
    /// It is another text.
    #[serde(rename = "$ne")]
    ne: Option<String>,
    /// It is one of these.
    #[serde(rename = "$in")]
    one_of: Option<Vec<String>>,
    /// It is none of these.
    #[serde(rename = "$nin")]
    none_of: Option<Vec<String>>,
    /// It fits a pattern of SQL with `%` and `_`.
    #[serde(rename = "$like")]
    like: Option<String>,
    /// It does not fit it.
    #[serde(rename = "$nlike")]
    nlike: Option<String>,
    /// It fits it in any case.
    #[serde(rename = "$ilike")]
    ilike: Option<String>,
    /// It does not fit it in any case.
    #[serde(rename = "$nilike")]
    nilike: Option<String>,
    /// It comes after this text.
    #[serde(rename = "$gt")]
    gt: Option<String>,
    /// It is this text or comes after it.
    #[serde(rename = "$gte")]
    gte: Option<String>,
    /// It comes before this text.
    #[serde(rename = "$lt")]
    lt: Option<String>,
    /// It is this text or comes before it.
    #[serde(rename = "$lte")]
    lte: Option<String>,
    /// All of these hold.
    #[serde(rename = "$and")]
    #[schema(no_recursion)]
    and: Option<Vec<Self>>,
    /// One of these holds at least.
    #[serde(rename = "$or")]
    #[schema(no_recursion)]
    or: Option<Vec<Self>>,
}

impl TextConditionIn {
    /// The condition; `name` is the parameter it came in.
    pub fn read(self, name: &str) -> ApiResult<TextCondition> {
        self.read_at(name, 1)
    }

    fn read_at(self, name: &str, level: usize) -> ApiResult<TextCondition> {
        use TextCondition as Is;
        check_level(name, level)?;
        let one = |text: String| vec![text];
        let list = |texts: Option<Vec<String>>| texts.map(|list| filled(name, list)).transpose();
        let inner = |conditions: Option<Vec<Self>>| {
            let read = |list: Vec<Self>| {
                let list = filled(name, list)?.into_iter();
                list.map(|inner| inner.read_at(name, level + 1)).collect()
            };
            conditions.map(read).transpose()
        };
        let pattern = |ignores_case| move |text: String| Pattern::new(&text, ignores_case);
        let given = [
            self.eq.map(one).map(Is::In),
            self.ne.map(one).map(Is::NotIn),
            list(self.one_of)?.map(Is::In),
            list(self.none_of)?.map(Is::NotIn),
            self.like.map(pattern(false)).map(Is::Like),
            self.nlike.map(pattern(false)).map(Is::NotLike),
            self.ilike.map(pattern(true)).map(Is::Like),
            self.nilike.map(pattern(true)).map(Is::NotLike),
            self.gt.map(Is::Greater),
            self.gte.map(Is::GreaterOrEqual),
            self.lt.map(Is::Less),
            self.lte.map(Is::LessOrEqual),
            inner(self.and)?.map(Is::All),
            inner(self.or)?.map(Is::Any),
        ];
        only(name, given)
    }
}

/// A condition on an instant: one operator.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TimeConditionIn {
    #[serde(rename = "$gt")]
    gt: Option<String>,
    #[serde(rename = "$gte")]
    gte: Option<String>,
    #[serde(rename = "$lt")]
    lt: Option<String>,
    #[serde(rename = "$lte")]
    lte: Option<String>,
    #[serde(rename = "$and")]
    #[schema(no_recursion)]
    and: Option<Vec<Self>>,
    #[serde(rename = "$or")]
    #[schema(no_recursion)]
    or: Option<Vec<Self>>,
}

impl TimeConditionIn {
    /// The condition; `name` is the parameter it came in.
    pub fn read(self, name: &str) -> ApiResult<TimeCondition> {
        self.read_at(name, 1)
    }

    fn read_at(self, name: &str, level: usize) -> ApiResult<TimeCondition> {
        use TimeCondition as Is;
        check_level(name, level)?;
        let at = |text: Option<String>| text.map(|text| instant_of(name, &text)).transpose();
        let inner = |conditions: Option<Vec<Self>>| {
            let read = |list: Vec<Self>| {
                let list = filled(name, list)?.into_iter();
                list.map(|inner| inner.read_at(name, level + 1)).collect()
            };
            conditions.map(read).transpose()
        };
        let given = [
            at(self.gt)?.map(Is::Greater),
            at(self.gte)?.map(Is::GreaterOrEqual),
            at(self.lt)?.map(Is::Less),
            at(self.lte)?.map(Is::LessOrEqual),
            inner(self.and)?.map(Is::All),
            inner(self.or)?.map(Is::Any),
        ];
        only(name, given)
    }
}

/// A text as an instant.
pub fn instant_of(name: &str, text: &str) -> ApiResult<Timestamp> {
    instant::parse(text).ok_or_else(|| {
        ApiError::invalid(format!(
            "{name} is {text:?}: expected {}",
            instant::EXPECTED
        ))
    })
}

fn check_level(name: &str, level: usize) -> ApiResult<()> {
    if level <= LEVELS_MAX {
        return Ok(());
    }
    let message = format!("{name} nests deeper than {LEVELS_MAX} levels: expected fewer");
    Err(ApiError::invalid(message))
}

fn filled<T>(name: &str, list: Vec<T>) -> ApiResult<Vec<T>> {
    if list.is_empty() {
        let message = format!("{name} holds an empty list: expected at least one value in it");
        return Err(ApiError::invalid(message));
    }
    Ok(list)
}

/// The one operator that was given.
fn only<T, const N: usize>(name: &str, given: [Option<T>; N]) -> ApiResult<T> {
    let mut given = given.into_iter().flatten();
    match (given.next(), given.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(ApiError::invalid(format!(
            "{name} holds a condition without operator: expected one such as {{\"$eq\": \"a\"}}"
        ))),
        (Some(_), Some(_)) => Err(ApiError::invalid(format!(
            "{name} holds a condition with several operators: expected one, or $and of several"
        ))),
    }
}

/// A JSON text in a parameter.
pub fn json<T: DeserializeOwned>(name: &str, text: &str) -> ApiResult<T> {
    serde_json::from_str(text).map_err(|error| {
        let message = format!("{name} is not what it should be: {error}");
        ApiError::invalid(message)
    })
}

/// The members of an object in order; a name that is there twice is refused.
#[derive(Debug, Clone)]
pub struct Members<V>(pub Vec<(String, V)>);

impl<V> Default for Members<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Members<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor(PhantomData))
    }
}

struct MembersVisitor<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for MembersVisitor<V> {
    type Value = Members<V>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut sent: A) -> Result<Members<V>, A::Error> {
        let mut members: Vec<(String, V)> = Vec::new();
        while let Some((name, value)) = sent.next_entry()? {
            if members.iter().any(|(known, _)| *known == name) {
                return Err(A::Error::custom(format!("{name:?} is there twice")));
            }
            members.push((name, value));
        }
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<TextCondition, String> {
        let sent: ApiResult<TextConditionIn> = json("f", text);
        sent.and_then(|sent| sent.read("f"))
            .map_err(|error| error.message)
    }

    #[test]
    fn each_operator_is_a_condition_and_nulls_are_none() {
        let holds = |text: &str, value: &str| read(text).unwrap().holds(Some(value));
        assert!(holds(r#"{"$eq":"a"}"#, "a") && holds(r#"{"$ne":"a","$in":null}"#, "b"));
        assert!(holds(r#"{"$in":["a","b"]}"#, "b") && !holds(r#"{"$nin":["a"]}"#, "a"));
        assert!(holds(r#"{"$like":"g%"}"#, "gpt") && holds(r#"{"$nilike":"G%"}"#, "o1"));
        assert!(!holds(r#"{"$nlike":"g%"}"#, "gpt") && holds(r#"{"$ilike":"G_T"}"#, "gpt"));
        assert!(holds(r#"{"$gt":"a"}"#, "b") && holds(r#"{"$gte":"a"}"#, "a"));
        assert!(holds(r#"{"$lt":"b"}"#, "a") && holds(r#"{"$lte":"b"}"#, "b"));
        let both = r#"{"$and":[{"$gte":"a"},{"$or":[{"$eq":"a"},{"$eq":"z"}]}]}"#;
        assert!(holds(both, "z") && !holds(both, "b"));
    }

    #[test]
    fn what_is_no_condition_is_refused_by_name() {
        let nested = |levels: usize| {
            let (open, close) = (r#"{"$and":["#.repeat(levels), "]}".repeat(levels));
            read(&format!(r#"{open}{{"$eq":"a"}}{close}"#))
        };
        assert!(nested(LEVELS_MAX - 1).is_ok());
        assert!(nested(LEVELS_MAX).unwrap_err().contains("8 levels"));
        assert!(nested(200).is_err());
        let unknown = read(r#"{"$regex":"a"}"#).unwrap_err();
        assert!(unknown.contains("unknown field `$regex`"), "{unknown}");
        for text in ["{}", r#"{"$eq":null}"#] {
            assert!(
                read(text).unwrap_err().contains("without operator"),
                "{text}"
            );
        }
        let several = read(r#"{"$gt":"a","$lt":"b"}"#).unwrap_err();
        assert!(several.contains("several operators"), "{several}");
        assert!(read(r#"{"$in":[]}"#).unwrap_err().contains("empty list"));
        assert!(read(r#"{"$eq":7}"#).is_err());
        let twice = json::<Members<u8>>("f", r#"{"a":1,"a":2}"#)
            .unwrap_err()
            .message;
        assert!(twice.contains("\"a\" is there twice"), "{twice}");
    }
}
