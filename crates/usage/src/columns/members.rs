//! Takes from the data of a row what columns hold, without a tree of the rest.
//!
//! Flat objects of plain scalars, which most data is, are walked once. Anything else is left to
//! [`Json::parse`]: both ways find the same.

use std::borrow::Cow;

use domain::dimension::Dimension;
use domain::json::Json;
use domain::meter::ReadingRule;
use domain::number;
use domain::path::JsonPath;

use super::Column;

/// Members of one object whose place is remembered: rows of one program look alike.
const PLACES_MAX: usize = 64;

/// What the dimensions have, by [`Dimension`].
pub(super) type Dimensions<'t> = [Option<number::Scalar<'t>>; Dimension::ALL.len()];

/// What was found in one row.
#[derive(Debug)]
pub(super) struct Found<'t> {
    pub(super) dimensions: Dimensions<'t>,
    /// An object of the members that rules and paths look at.
    pub(super) data: Json<'t>,
}

/// Which members columns are made of.
#[derive(Debug)]
pub(super) struct Members {
    dimensions: bool,
    /// First keys of the paths of rules and of declared paths.
    kept: Vec<String>,
    /// The keys of the row before, spelled with quotes and colon, and what they are for.
    places: Vec<(String, Use)>,
}

/// What a member is for.
#[derive(Debug, Clone, Copy)]
struct Use {
    dimension: Option<Dimension>,
    is_kept: bool,
}

impl Members {
    pub(super) fn of(columns: &[Column]) -> Self {
        let mut kept: Vec<String> = Vec::new();
        let mut keep = |path: &JsonPath| kept.extend(path.first_key().map(str::to_owned));
        for column in columns {
            match column {
                Column::Path(path) | Column::PathValue(path) => keep(path),
                Column::Reading(rule) => paths(rule).for_each(&mut keep),
                _ => {}
            }
        }
        kept.sort_unstable();
        kept.dedup();
        let is_dimension =
            |column: &Column| matches!(column, Column::Dimension(_) | Column::SentDimension(_));
        Self {
            dimensions: columns.iter().any(is_dimension),
            kept,
            places: Vec::new(),
        }
    }

    /// Finds the members in `text`; `None` when it is no flat object of plain scalars.
    pub(super) fn find<'t>(&mut self, text: &'t str) -> Option<Found<'t>> {
        let mut walk = Walk { text, at: 0 };
        let mut dimensions = [None; Dimension::ALL.len()];
        let mut kept: Vec<(Cow<'t, str>, Json<'t>)> = Vec::new();
        walk.pass(b'{')?;
        let mut more = walk.peek()? != b'}';
        let mut place = 0;
        while more {
            let (key, used) = self.key(place, &mut walk)?;
            let value = walk.scalar()?;
            place += 1;
            if let Some(dimension) = used.dimension {
                dimensions[dimension as usize] = value.scalar();
            }
            if used.is_kept {
                keep(&mut kept, key, value.into());
            }
            more = walk.peek()? == b',';
            if more {
                walk.pass(b',')?;
            }
        }
        walk.pass(b'}')?;
        walk.ends().then_some(Found {
            dimensions,
            data: Json::Object(kept),
        })
    }

    /// The key of the member at `place`, and what it is for.
    fn key<'t>(&mut self, place: usize, walk: &mut Walk<'t>) -> Option<(&'t str, Use)> {
        walk.peek()?;
        let start = walk.at;
        if let Some((spelled, used)) = self.places.get(place)
            && walk.pass_exactly(spelled).is_some()
        {
            let key = walk.text.get(start + 1..walk.at - 2)?;
            return Some((key, *used));
        }
        let key = walk.string()?;
        walk.pass(b':')?;
        // A first key of this kind may mean something else to the parser.
        if key.starts_with('$') {
            return None;
        }
        let used = Use {
            dimension: Dimension::of_key(key).filter(|_| self.dimensions),
            is_kept: self.kept.iter().any(|kept| kept == key),
        };
        if place < PLACES_MAX {
            self.places.truncate(place);
            self.places.push((format!("\"{key}\":"), used));
        }
        Some((key, used))
    }
}

fn paths(rule: &ReadingRule) -> impl Iterator<Item = &JsonPath> {
    let filters = rule.filters.iter().map(|filter| &filter.path);
    filters.chain(&rule.value_property)
}

/// Adds a member as a parsed object has it: sorted, of equal keys the last.
fn keep<'t>(kept: &mut Vec<(Cow<'t, str>, Json<'t>)>, key: &'t str, value: Json<'t>) {
    match kept.binary_search_by(|(held, _)| held.as_ref().cmp(key)) {
        Ok(index) => kept[index].1 = value,
        Err(index) => kept.insert(index, (key.into(), value)),
    }
}

/// A scalar as it stands in the text.
#[derive(Debug, Clone, Copy)]
enum Scalar<'t> {
    Null,
    Bool(bool),
    Number(&'t str),
    String(&'t str),
}

impl<'t> Scalar<'t> {
    fn scalar(self) -> Option<number::Scalar<'t>> {
        match self {
            Self::Null => None,
            Self::Bool(true) => Some(number::Scalar::Text("true")),
            Self::Bool(false) => Some(number::Scalar::Text("false")),
            Self::Number(text) => Some(number::Scalar::Number(text)),
            Self::String(text) => Some(number::Scalar::Text(text)),
        }
    }
}

impl<'t> From<Scalar<'t>> for Json<'t> {
    fn from(scalar: Scalar<'t>) -> Self {
        match scalar {
            Scalar::Null => Self::Null,
            Scalar::Bool(value) => Self::Bool(value),
            Scalar::Number(text) => Self::Number(text.into()),
            Scalar::String(text) => Self::String(text.into()),
        }
    }
}

/// A place in a JSON text; every step fails where the text needs the parser.
#[derive(Debug)]
struct Walk<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Walk<'t> {
    fn rest(&self) -> &'t [u8] {
        &self.text.as_bytes()[self.at..]
    }

    /// The next byte that is no space.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.rest().first()? {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                byte => return Some(*byte),
            }
        }
    }

    fn pass(&mut self, wanted: u8) -> Option<()> {
        (self.peek()? == wanted).then(|| self.at += 1)
    }

    fn ends(&mut self) -> bool {
        self.peek().is_none()
    }

    fn string(&mut self) -> Option<&'t str> {
        self.pass(b'"')?;
        let length = plain_length(self.rest())?;
        let start = self.at;
        self.at += length;
        self.pass_exactly("\"")?;
        self.text.get(start..start + length)
    }

    fn scalar(&mut self) -> Option<Scalar<'t>> {
        match self.peek()? {
            b'"' => self.string().map(Scalar::String),
            b't' => self.pass_exactly("true").map(|()| Scalar::Bool(true)),
            b'f' => self.pass_exactly("false").map(|()| Scalar::Bool(false)),
            b'n' => self.pass_exactly("null").map(|()| Scalar::Null),
            _ => self.number().map(Scalar::Number),
        }
    }

    fn pass_exactly(&mut self, wanted: &str) -> Option<()> {
        (self.rest().starts_with(wanted.as_bytes())).then(|| self.at += wanted.len())
    }

    /// A number without exponent: those are rare.
    fn number(&mut self) -> Option<&'t str> {
        let start = self.at;
        self.at += usize::from(self.rest().first() == Some(&b'-'));
        let starts_with_zero = self.rest().first() == Some(&b'0');
        let whole = self.digits()?;
        if starts_with_zero && whole > 1 {
            return None;
        }
        if self.rest().first() == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        let has_exponent = matches!(self.rest().first(), Some(b'e' | b'E'));
        (!has_exponent).then(|| &self.text[start..self.at])
    }

    fn digits(&mut self) -> Option<usize> {
        let digits = self.rest().iter().take_while(|byte| byte.is_ascii_digit());
        let count = digits.count();
        self.at += count;
        (count > 0).then_some(count)
    }
}

/// Bytes before the first that ends the plain part of a string: its quote, an escape, or one that
/// may not be there. Looks at eight bytes at a time.
fn plain_length(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGHS: u64 = ONES << 7;
    let zero_bytes = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let controls = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let quotes = zero_bytes(word ^ (ONES * u64::from(b'"')));
        // The lowest mark is right: a wrong one can only follow a right one.
        let ends = controls | quotes | zero_bytes(word ^ (ONES * u64::from(b'\\')));
        if ends != 0 {
            return Some(index * 8 + ends.trailing_zeros() as usize / 8);
        }
    }
    let end = (rest.iter()).position(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\'))?;
    Some(words.len() * 8 + end)
}

#[cfg(test)]
mod tests {
    use domain::aggregation::Aggregation;
    use domain::limits::DIMENSION_BYTES_MAX;
    use domain::meter::Filter;
    use domain::number::NumberRule;
    use proptest::prelude::*;

    use super::*;

    fn columns() -> Vec<Column> {
        let path = |text: &str| text.parse::<JsonPath>().unwrap();
        let mut columns: Vec<Column> = (Dimension::ALL.iter().copied())
            .map(Column::Dimension)
            .collect();
        columns.push(Column::Path(path("$.n.deep")));
        columns.push(Column::Path(path("$['a b']")));
        columns.push(Column::Reading(ReadingRule {
            event_type: "t".into(),
            filters: vec![Filter {
                path: path("$.project"),
                values: vec!["p".into()],
            }],
            value_property: Some(path("$.n")),
            aggregation: Aggregation::Sum,
            numbers: NumberRule::Value,
        }));
        columns
    }

    /// Compares with the parser; `None` when the text is left to it.
    fn compare(members: &mut Members, text: &str) -> Option<()> {
        let found = members.find(text)?;
        let json = Json::parse(text).expect("what is found in no JSON?");
        assert_eq!(found.dimensions, Dimension::scalars(&json), "{text}");
        for key in ["n", "a b", "project"] {
            assert_eq!(found.data.get(key), json.get(key), "{key} of {text}");
        }
        Some(())
    }

    #[test]
    fn flat_objects_are_walked_and_read_as_the_parser_reads_them() {
        let mut members = Members::of(&columns());
        let long = format!(r#"{{"asset":"{}"}}"#, "x".repeat(DIMENSION_BYTES_MAX + 1));
        for text in [
            "{}",
            " { } ",
            r#"{"project":"p","n":1.50,"a b":true,"asset":""}"#,
            r#"{"project":"p","n":-0,"a b":null,"asset":"é"}"#,
            r#"{"n":1,"project":"q","n":"2","folder":"f","folder":null}"#,
            "{ \"n\" :\t0.10 ,\n\"user\":false}",
            &long,
        ] {
            assert_eq!(compare(&mut members, text), Some(()), "{text}");
        }
    }

    #[test]
    fn what_is_not_flat_and_plain_is_left_to_the_parser() {
        let mut members = Members::of(&columns());
        for text in [
            "",
            "null",
            "[]",
            r#"{"n":1e3}"#,
            r#"{"n":01}"#,
            r#"{"n":1.}"#,
            r#"{"n":-}"#,
            r#"{"n":{"deep":1}}"#,
            r#"{"n":[1]}"#,
            r#"{"project":"\u0070"}"#,
            "{\"project\":\"a\tb\"}",
            r#"{"n":1,}"#,
            r#"{"n":1} x"#,
            r#"{"n":1"#,
            r#"{"n" 1}"#,
            r#"{"n":tru}"#,
            r#"{"$serde_json::private::Number":"1"}"#,
        ] {
            assert!(members.find(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_found_is_what_the_parser_finds(
            texts in prop::collection::vec(
                prop::collection::vec(
                    prop::sample::select(vec![
                        "{", "}", ",", ":", " ", "\"project\"", "\"n\"", "\"a b\"", "\"folder\"",
                        "\"n\":1", "\"folder\":\"f\"", "\"project\":\"p\",", "\"n\":0.5,", "-", "0",
                        "12", ".5", "e1", "true", "null", "\"\"", "\"\\n\"", "[", "]",
                    ]),
                    0..10,
                ),
                1..6,
            )
        ) {
            let mut members = Members::of(&columns());
            for parts in texts {
                compare(&mut members, &parts.concat());
                compare(&mut members, &format!("{{{}}}", parts.concat()));
            }
        }
    }
}
