//! Attributes of an event in `ce-` headers, as the HTTP binding of CloudEvents (3.1.3.2) has them.

use axum::http::{HeaderMap, HeaderName, header};
use domain::event::{Refusal, RefusalCode};

use crate::percent;

/// Prefix of the headers that hold attributes.
const PREFIX: &str = "ce-";

/// The attributes of one event in binary mode; all of them can be read.
#[derive(Debug)]
pub(super) struct Attributes(Vec<(String, String)>);

impl Attributes {
    /// Reads every `ce-` header, known or not: none is passed over because it is damaged.
    pub(super) fn read(headers: &HeaderMap) -> Result<Self, Refusal> {
        let mut attributes = Vec::new();
        for name in headers.keys() {
            if let Some(attribute) = name.as_str().strip_prefix(PREFIX) {
                let value = only(headers, name)?;
                let value = attribute_text(value).map_err(|reason| refuse(name, value, reason))?;
                attributes.push((attribute.to_owned(), value));
            }
        }
        Ok(Self(attributes))
    }

    /// Takes an attribute out.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let place = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.swap_remove(place).1)
    }
}

/// The media type of the data, which is the body's and is not encoded.
pub(super) fn media_type(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let name = header::CONTENT_TYPE;
    if !headers.contains_key(&name) {
        return Ok(None);
    }
    let value = only(headers, &name)?;
    let text = String::from_utf8(value.to_owned());
    text.map(Some)
        .map_err(|_| refuse(&name, value, "it is not UTF-8"))
}

/// The value of a header that must not stand twice.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<&'h [u8], Refusal> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().map_or(&[][..], |value| value.as_bytes());
    match values.next() {
        None => Ok(value),
        Some(second) => Err(refuse(name, second.as_bytes(), "it stands twice")),
    }
}

/// What a header says: without quotes around it, and without escapes.
fn attribute_text(value: &[u8]) -> Result<String, &'static str> {
    let decoded = match value {
        [b'"', inside @ ..] => percent::decoded(&unquoted(inside)?),
        plain => percent::decoded(plain),
    };
    String::from_utf8(decoded).map_err(|_| "it is not UTF-8 once its escapes are undone")
}

/// A quoted string (RFC 9110, 5.6.4) behind its first quote.
fn unquoted(value: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut text = Vec::with_capacity(value.len());
    let mut rest = value;
    loop {
        match rest {
            [b'"'] => return Ok(text),
            [b'"', ..] => return Err("something stands behind its closing quote"),
            [b'\\', byte, after @ ..] | [byte, after @ ..] => {
                text.push(*byte);
                rest = after;
            }
            [] => return Err("its quote is not closed"),
        }
    }
}

fn refuse(name: &HeaderName, value: &[u8], reason: &str) -> Refusal {
    const EXPECTED: &str = "expected UTF-8 once, with % and two hexadecimal digits for what is \
                            not printable ASCII";
    Refusal {
        code: RefusalCode::MalformedEvent,
        message: format!(
            "the header {name} is {}, and {reason}: {EXPECTED}",
            value.escape_ascii()
        ),
        organization: None,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn read(value: &[u8]) -> Result<String, String> {
        let mut headers = HeaderMap::new();
        headers.insert("ce-id", HeaderValue::from_bytes(value).unwrap());
        let read = Attributes::read(&headers).map_err(|refusal| refusal.message);
        Ok(read?.take("id").unwrap())
    }

    #[test]
    fn quotes_and_escapes_are_read_as_the_binding_says() {
        for (sent, meant) in [
            ("x", "x"),
            ("\"x y\"", "x y"),
            (r#""say \"hi\" \\ %22""#, r#"say "hi" \ ""#),
            ("\"\"", ""),
            ("5\" pipe", "5\" pipe"),
            ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro \u{20ac} \u{1f600}"),
            ("b\u{e4}r", "b\u{e4}r"),
            ("20%+5 off", "20%+5 off"),
        ] {
            assert_eq!(read(sent.as_bytes()), Ok(meant.to_owned()), "{sent}");
        }
    }

    #[test]
    fn what_is_not_utf8_or_not_closed_is_refused_by_name() {
        for sent in [&b"x%FE"[..], b"x\xFE", b"%C0%A0", b"\"%ff\"", b"%ED%A0%80"] {
            let refused = read(sent).unwrap_err();
            assert!(refused.starts_with("the header ce-id is "), "{refused}");
            assert!(refused.contains("not UTF-8"), "{refused}");
        }
        assert!(read(b"\"x").unwrap_err().contains("not closed"));
        assert!(read(b"\"x\\\"").unwrap_err().contains("not closed"));
        assert!(read(b"\"x\" y").unwrap_err().contains("behind its closing"));
    }

    #[test]
    fn an_attribute_that_stands_twice_is_refused() {
        let mut headers = HeaderMap::new();
        headers.append("ce-id", HeaderValue::from_static("a"));
        headers.append("ce-id", HeaderValue::from_static("b"));
        let refused = Attributes::read(&headers).unwrap_err();
        assert!(refused.message.contains("stands twice"));
    }
}
