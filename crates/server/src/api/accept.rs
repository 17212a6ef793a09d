//! Which media type a client wants: the header `Accept` with its weights (RFC 9110, 12.5.1).

use axum::http::{HeaderMap, header};

use crate::error::{ApiError, ApiResult, Code};

/// The weight 1, in thousandths: weights have at most three decimals.
const FULL: u16 = 1_000;

/// The one of `offered` that the client weighs most; of equal ones the first.
///
/// Without the header it is the first. A header that cannot be read is refused, and so is one that
/// allows none of them.
pub fn preferred(headers: &HeaderMap, offered: &[&'static str]) -> ApiResult<&'static str> {
    let mut ranges = Vec::new();
    for value in headers.get_all(header::ACCEPT) {
        let text = value.to_str().map_err(|_| malformed("not ASCII"))?;
        let pieces = pieces(text, ',');
        let pieces = pieces.into_iter().filter(|piece| !piece.is_empty());
        for piece in pieces {
            ranges.push(Range::parse(piece).ok_or_else(|| malformed(piece))?);
        }
    }
    if ranges.is_empty() {
        return Ok(offered[0]);
    }
    let weighed = offered.iter().map(|media| (weight(&ranges, media), *media));
    // The first of equals stands last when they are gone through backwards.
    let best = weighed.rev().max_by_key(|(weight, _)| *weight);
    match best {
        Some((1.., media)) => Ok(media),
        _ => Err(ApiError::new(
            Code::NotAcceptable,
            format!(
                "Accept allows none of {}: expected one of them",
                offered.join(", ")
            ),
        )),
    }
}

fn malformed(piece: &str) -> ApiError {
    ApiError::invalid(format!(
        "Accept is {piece:?}: expected media types such as text/csv;q=0.5"
    ))
}

/// The weight of a media type: that of the narrowest range it falls under.
fn weight(ranges: &[Range<'_>], media: &str) -> u16 {
    let matching = ranges.iter().filter_map(|range| {
        let narrowness = range.narrowness(media)?;
        Some((narrowness, range.weight))
    });
    matching.max().map_or(0, |(_, weight)| weight)
}

/// A media range such as `text/*;q=0.5`.
#[derive(Debug)]
struct Range<'t> {
    kind: &'t str,
    subtype: &'t str,
    has_parameters: bool,
    /// In thousandths.
    weight: u16,
}

impl<'t> Range<'t> {
    fn parse(text: &'t str) -> Option<Self> {
        let mut parts = pieces(text, ';').into_iter();
        let (kind, subtype) = parts.next()?.split_once('/')?;
        let (kind, subtype) = (kind.trim(), subtype.trim());
        let holds = is_token(kind) && is_token(subtype) && (kind != "*" || subtype == "*");
        let mut range = Self {
            kind,
            subtype,
            has_parameters: false,
            weight: FULL,
        };
        let mut is_weighed = false;
        for part in parts.filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=')?;
            let (name, value) = (name.trim(), value.trim());
            if name.eq_ignore_ascii_case("q") && !is_weighed {
                range.weight = thousandths(value)?;
                is_weighed = true;
            } else if !is_token(name) || value.is_empty() {
                return None;
            } else {
                // What follows the weight extends the header, not the type.
                range.has_parameters |= !is_weighed && !name.eq_ignore_ascii_case("charset");
            }
        }
        holds.then_some(range)
    }

    /// How closely it names a media type; none where it does not.
    fn narrowness(&self, media: &str) -> Option<u8> {
        let (kind, subtype) = media.split_once('/')?;
        // No media type of ours has parameters but a charset.
        if self.has_parameters {
            return None;
        }
        match (self.kind, self.subtype) {
            ("*", _) => Some(0),
            (range, "*") => range.eq_ignore_ascii_case(kind).then_some(1),
            (range, sub) => {
                (range.eq_ignore_ascii_case(kind) && sub.eq_ignore_ascii_case(subtype)).then_some(2)
            }
        }
    }
}

/// A weight from `0` to `1` with up to three decimals.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let are_digits = decimals.bytes().all(|byte| byte.is_ascii_digit());
    if !matches!(whole, "0" | "1") || decimals.len() > 3 || !are_digits {
        return None;
    }
    let weight = format!("{whole}{decimals:0<3}").parse().ok()?;
    (weight <= FULL).then_some(weight)
}

fn is_token(text: &str) -> bool {
    let special = |byte: u8| b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || special(byte))
}

/// The parts of a header between separators that do not stand in quotes, without spaces around.
fn pieces(text: &str, separator: char) -> Vec<&str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let parts = text.split(move |character| {
        let divides = character == separator && !is_quoted;
        is_quoted ^= character == '"' && !is_escaped;
        is_escaped = is_quoted && character == '\\' && !is_escaped;
        divides
    });
    parts.map(|part| part.trim_matches([' ', '\t'])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(accept: &'static str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        match preferred(&headers, &["application/json", "text/csv"]) {
            Ok(media) => media.to_owned(),
            Err(error) => format!("{} {}", error.code.status().as_u16(), error.message),
        }
    }

    #[test]
    fn the_narrowest_range_gives_the_weight_and_the_greatest_weight_wins() {
        let json = [
            "*/*",
            "text/csv, application/json",
            "text/csv;q=0, */*",
            "text/csv;q=0.5, application/json;q=0.501",
            "text/*;q=0.9, */*",
            "TEXT/CSV;Q=0.1, application/*;q=0.2",
            "text/csv;header=absent, application/json;q=0.1",
            "",
        ];
        assert!(
            json.iter()
                .all(|accept| choice(accept) == "application/json")
        );
        let csv = [
            "text/csv",
            "text/*",
            "text/csv;charset=utf-8",
            "application/json;q=0.9, text/csv",
            "application/json;q=0, */*;q=0.001",
            "application/json;x=\"a,b;\\\"c\", text/csv;q=0.3",
        ];
        assert!(csv.iter().all(|accept| choice(accept) == "text/csv"));
    }

    #[test]
    fn what_allows_nothing_or_cannot_be_read_is_refused() {
        let none = "406 Accept allows none of application/json, text/csv: expected one of them";
        assert_eq!(choice("text/html, text/csv;q=0.000"), none);
        for accept in [
            "text",
            "*/csv",
            "text/csv;q=2",
            "text/csv;q=0.1234",
            "text/csv;q",
        ] {
            assert!(choice(accept).starts_with("400 Accept is"), "{accept}");
        }
    }
}
