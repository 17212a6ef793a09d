//! A scanner for JSON as programs write it.
//!
//! It answers `None` for everything else, damaged or only rare: the caller then asks the full
//! parser, which decides and says what is wrong.

use std::borrow::Cow;

use super::{Json, NUMBER_KEY, Text, before};
use crate::limits::DATA_DEPTH_MAX;

/// Room for the members of one object, to begin with.
const MEMBERS: usize = 16;

/// A place in a JSON text.
#[derive(Debug, Clone)]
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

/// The parts of a number, all digits but for its signs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Number<'a> {
    pub(crate) text: &'a str,
    pub(crate) negative: bool,
    pub(crate) whole: &'a str,
    pub(crate) fraction: &'a str,
    /// With its sign; empty for none.
    pub(crate) exponent: &'a str,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Where the next byte is.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The text from `start` to here.
    pub(crate) fn since(&self, start: usize) -> Option<&'a str> {
        self.text.get(start..self.at)
    }

    /// The next byte that is no white space; it is not passed.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        loop {
            match *self.text.as_bytes().get(self.at)? {
                b' ' | b'\n' | b'\t' | b'\r' => self.at += 1,
                byte => return Some(byte),
            }
        }
    }

    /// Passes `byte` after white space.
    pub(crate) fn pass(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// Passes a comma, or the end of a list: tells whether it goes on.
    pub(crate) fn goes_on(&mut self, end: u8) -> Option<bool> {
        let byte = self.peek()?;
        self.at += 1;
        match byte {
            b',' => Some(true),
            byte if byte == end => Some(false),
            _ => None,
        }
    }

    /// Passes the start of a list; tells whether anything is inside.
    pub(crate) fn starts(&mut self, start: u8, end: u8) -> Option<bool> {
        self.pass(start)?;
        let empty = self.peek()? == end;
        self.at += usize::from(empty);
        Some(!empty)
    }

    /// Whether only white space is left.
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    /// Passes a word such as `null`.
    pub(crate) fn word(&mut self, word: &str) -> Option<()> {
        self.peek()?;
        let rest = self.text.as_bytes().get(self.at..)?;
        rest.starts_with(word.as_bytes())
            .then(|| self.at += word.len())
    }

    /// A key and its colon; not the one that stands for numbers inside `serde_json`.
    pub(crate) fn key(&mut self) -> Option<Cow<'a, str>> {
        let key = self.string()?;
        self.pass(b':')?;
        (key != NUMBER_KEY).then_some(key)
    }

    /// A string, unescaped.
    pub(crate) fn string(&mut self) -> Option<Cow<'a, str>> {
        self.pass(b'"')?;
        let (bytes, start) = (self.text.as_bytes(), self.at);
        let mut end = start + plain_length(bytes.get(start..)?);
        if *bytes.get(end)? == b'"' {
            self.at = end + 1;
            return self.text.get(start..end).map(Cow::Borrowed);
        }
        while *bytes.get(end)? == b'\\' {
            end += 2;
            end += plain_length(bytes.get(end..)?);
        }
        self.at = end + 1;
        let quoted = self.text.get(start - 1..self.at)?;
        serde_json::from_str(quoted).ok().map(|Text(text)| text)
    }

    /// A number.
    pub(crate) fn number(&mut self) -> Option<Number<'a>> {
        let start = self.at;
        let negative = self.optional(b"-");
        let whole = self.digits()?;
        if whole.len() > 1 && whole.starts_with('0') {
            return None;
        }
        let fraction = if self.optional(b".") {
            self.digits()?
        } else {
            ""
        };
        let mut exponent = "";
        if self.optional(b"eE") {
            let start = self.at;
            self.optional(b"+-");
            self.digits()?;
            exponent = self.since(start)?;
        }
        Some(Number {
            text: self.since(start)?,
            negative,
            whole,
            fraction,
            exponent,
        })
    }

    fn optional(&mut self, bytes: &[u8]) -> bool {
        let next = self.text.as_bytes().get(self.at);
        let is = next.is_some_and(|next| bytes.contains(next));
        self.at += usize::from(is);
        is
    }

    fn digits(&mut self) -> Option<&'a str> {
        let start = self.at;
        let rest = self.text.as_bytes().get(start..)?;
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += digits;
        (digits > 0).then(|| self.since(start))?
    }

    /// Passes any value of at most `left` levels.
    pub(crate) fn skip(&mut self, left: usize) -> Option<()> {
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'n' => self.word("null"),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'[' => {
                let left = left.checked_sub(1)?;
                let mut more = self.starts(b'[', b']')?;
                while more {
                    self.skip(left)?;
                    more = self.goes_on(b']')?;
                }
                Some(())
            }
            b'{' => {
                let left = left.checked_sub(1)?;
                let mut more = self.starts(b'{', b'}')?;
                while more {
                    self.key()?;
                    self.skip(left)?;
                    more = self.goes_on(b'}')?;
                }
                Some(())
            }
            _ => self.number().map(drop),
        }
    }
}

/// Parses a whole text.
pub(super) fn parse(text: &str) -> Option<Json<'_>> {
    let mut scanner = Scanner::new(text);
    let mut json = Json::Null;
    value(&mut json, &mut scanner, DATA_DEPTH_MAX)?;
    scanner.is_at_end().then_some(json)
}

/// Puts a value into its place: handing one back would copy it piece by piece.
fn value<'a>(json: &mut Json<'a>, scanner: &mut Scanner<'a>, left: usize) -> Option<()> {
    match scanner.peek()? {
        b'"' => *json = Json::String(scanner.string()?),
        b'n' => scanner.word("null")?,
        b't' => {
            scanner.word("true")?;
            *json = Json::Bool(true);
        }
        b'f' => {
            scanner.word("false")?;
            *json = Json::Bool(false);
        }
        b'[' => *json = Json::Array(array(scanner, left.checked_sub(1)?)?),
        b'{' => *json = Json::Object(object(scanner, left.checked_sub(1)?)?),
        _ => *json = Json::Number(Cow::Borrowed(scanner.number()?.text)),
    }
    Some(())
}

fn array<'a>(scanner: &mut Scanner<'a>, left: usize) -> Option<Vec<Json<'a>>> {
    let mut items = Vec::new();
    let mut more = scanner.starts(b'[', b']')?;
    while more {
        items.push(Json::Null);
        value(items.last_mut()?, scanner, left)?;
        more = scanner.goes_on(b']')?;
    }
    Some(items)
}

fn object<'a>(scanner: &mut Scanner<'a>, left: usize) -> Option<Vec<(Cow<'a, str>, Json<'a>)>> {
    let mut members: Vec<(Cow<'a, str>, Json<'a>)> = Vec::new();
    let mut sorted = true;
    let mut more = scanner.starts(b'{', b'}')?;
    if more {
        members.reserve_exact(MEMBERS);
    }
    while more {
        let key = scanner.key()?;
        sorted &= members.last().is_none_or(|(last, _)| before(last, &key));
        members.push((key, Json::Null));
        value(&mut members.last_mut()?.1, scanner, left)?;
        more = scanner.goes_on(b'}')?;
    }
    if !sorted {
        super::sort(&mut members);
    }
    Some(members)
}

/// Bytes before the first quote, backslash or control character; all when there is none.
fn plain_length(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGH: u64 = ONES << 7;
    let mut length = 0;
    while let Some(chunk) = bytes.get(length..).and_then(<[u8]>::first_chunk) {
        let word = u64::from_le_bytes(*chunk);
        // The lowest bit found is exact: a borrow only spoils bytes above a found one.
        let below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word;
        let quote = below(word ^ (ONES * u64::from(b'"')), 1);
        let backslash = below(word ^ (ONES * u64::from(b'\\')), 1);
        let found = (quote | backslash | below(word, 0x20)) & HIGH;
        if found != 0 {
            return length + found.trailing_zeros() as usize / 8;
        }
        length += 8;
    }
    let rest = bytes.get(length..).unwrap_or_default();
    let plain = |byte: &&u8| !matches!(**byte, b'"' | b'\\' | 0..0x20);
    length + rest.iter().take_while(plain).count()
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json::Gathered;
    use crate::json::canonical::Canonical;
    use crate::number::spelled;

    /// JSON texts with white space, escapes, equal keys and numbers of every spelling.
    pub(crate) fn json() -> impl Strategy<Value = String> {
        let escapes = r#"(\\\\|\\"|\\n|\\u00e9|\\ud83d\\ude00|é|€|😀)"#;
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just("true".to_owned()),
            Just("false".to_owned()),
            "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,14})?([eE][+-]?[0-9]{1,12})?",
            "-?(0|[1-9]0{0,3}[0-9])(\\.0{0,3}[0-9]0{0,3})?",
            "\"[ -!#-\\[\\]-~]{0,20}\"",
            (escapes, "[a-z]{0,9}", escapes).prop_map(|(a, b, c)| format!("\"{a}{b}{c}\"")),
        ];
        let key = r#""(a|b|ab|abcdefgh|abcdefghi|abcdefghj|\\u0061|é|[a-d]{0,10})""#;
        leaf.prop_recursive(5, 40, 8, move |inner| {
            let members = prop::collection::vec((key, " ?", inner.clone()), 0..8);
            let members = members.prop_map(|members| {
                let text = |(key, space, value)| format!("{key}{space}:{space}{value}{space}");
                let members: Vec<String> = members.into_iter().map(text).collect();
                format!("{{{}}}", members.join(","))
            });
            let items = prop::collection::vec(inner, 0..4);
            let items = items.prop_map(|items| format!("[ {}\t]", items.join(",\n")));
            prop_oneof![3 => members, 1 => items]
        })
    }

    /// Texts of which some characters are missing, doubled or others.
    pub(crate) fn damaged(texts: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
        let spot = (
            any::<prop::sample::Index>(),
            "[\"{}\\[\\]:,\\\\0-9eE.+ntu \u{1}]?",
        );
        (texts, prop::collection::vec(spot, 1..3)).prop_map(|(text, spots)| {
            let mut characters: Vec<String> = text.chars().map(String::from).collect();
            for (spot, instead) in spots {
                let length = characters.len();
                characters[spot.index(length)] = instead;
            }
            characters.concat()
        })
    }

    fn canonical(text: &str) -> Option<Vec<u8>> {
        let mut canonical = Canonical::default();
        let mut scanner = Scanner::new(text);
        canonical.value(&mut scanner, DATA_DEPTH_MAX)?;
        scanner.is_at_end().then(|| canonical.bytes().to_vec())
    }

    /// Spells numbers as the full parser does.
    fn respell(json: &mut Json<'_>) {
        match json {
            Json::Number(text) => *text = Cow::Owned(spelled(text).into_owned()),
            Json::Array(items) => items.iter_mut().for_each(respell),
            Json::Object(members) => members.iter_mut().for_each(|(_, value)| respell(value)),
            Json::Null | Json::Bool(_) | Json::String(_) => {}
        }
    }

    fn agree(text: &str) -> Result<(), TestCaseError> {
        let full = Json::parse_any(text).ok();
        if let Some(mut json) = parse(text) {
            respell(&mut json);
            prop_assert_eq!(Some(&json), full.as_ref(), "{}", text);
        }
        if let Some(form) = canonical(text) {
            let mut expected = Gathered::new();
            let full = full.expect("the full parser takes it, too");
            full.hash_canonical(&mut expected);
            prop_assert!(!full.is_too_deep());
            prop_assert_eq!(&form[..], expected.bytes(), "{}", text);
        }
        let mut scanner = Scanner::new(text);
        if scanner.skip(DATA_DEPTH_MAX).is_some() && scanner.is_at_end() {
            prop_assert!(
                serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok(),
                "{}",
                text
            );
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        #[test]
        fn scanner_and_full_parser_agree(text in json()) {
            agree(&text)?;
        }

        #[test]
        fn they_agree_on_damaged_texts(text in damaged(json())) {
            agree(&text)?;
        }

        #[test]
        fn a_plain_text_ends_at_the_first_special_byte(bytes in "[ -~\u{0}-\u{1f}é€]{0,40}") {
            let special = |byte: &u8| matches!(*byte, b'"' | b'\\' | 0..0x20);
            let expected = bytes.bytes().position(|byte| special(&byte));
            prop_assert_eq!(plain_length(bytes.as_bytes()), expected.unwrap_or(bytes.len()));
        }
    }

    #[test]
    fn usual_texts_need_no_full_parser() {
        let text = r#" {"b":[1,-2.50,"x",true,false,null,{}],"a":{"c":"\u00e9"},"b":[]} "#;
        assert!(parse(text).is_some());
        assert!(canonical(text).is_some());
        assert!(canonical("[1e5,2E-3,0.0e+9]").is_some());
        for damaged in [
            "",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "01",
            "1.",
            "nul",
            "[1 2]",
            "1 2",
        ] {
            assert!(parse(damaged).is_none(), "{damaged}");
            assert!(canonical(damaged).is_none(), "{damaged}");
        }
        let nest = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(canonical(&nest(DATA_DEPTH_MAX)).is_some());
        assert!(canonical(&nest(DATA_DEPTH_MAX + 1)).is_none());
    }
}
