//! Names and values of a query string, decoded without a guess.

use crate::error::{ApiError, ApiResult};

/// The pairs of `application/x-www-form-urlencoded`, in order.
pub(super) fn pairs(query: &str) -> ApiResult<Vec<(String, String)>> {
    let pieces = query.split('&').filter(|piece| !piece.is_empty());
    let pairs = pieces.map(|piece| {
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        let name = decoded(name).map_err(|wrong| refused("a parameter's name", name, wrong))?;
        let value = decoded(value).map_err(|wrong| refused(&name, value, wrong))?;
        Ok((name, value))
    });
    pairs.collect()
}

fn refused(name: &str, text: &str, expected: &str) -> ApiError {
    ApiError::invalid(format!(
        "{name} is {text:?} in the URL: expected {expected}"
    ))
}

/// A text whose plus signs are spaces and whose escapes are bytes of UTF-8.
fn decoded(text: &str) -> Result<String, &'static str> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let (digits, behind) = after.split_at_checked(2).ok_or(ESCAPE)?;
                bytes.push(16 * hexadecimal(digits[0])? + hexadecimal(digits[1])?);
                rest = behind;
            }
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).map_err(|_| "escapes that make UTF-8")
}

const ESCAPE: &str = "two hexadecimal digits after each %, or %25";

fn hexadecimal(digit: u8) -> Result<u8, &'static str> {
    let digit = char::from(digit).to_digit(16).ok_or(ESCAPE)?;
    Ok(u8::try_from(digit).expect("a digit is less than 16"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_what_their_escapes_mean() {
        let read = pairs("filterGroupBy%5Bm%5D=a+b%2Bc&&x&y==").unwrap();
        let expected = [("filterGroupBy[m]", "a b+c"), ("x", ""), ("y", "=")];
        let read: Vec<_> = read.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(read, expected);
    }

    #[test]
    fn escapes_that_are_none_or_make_no_text_are_refused_by_name() {
        let message = |query: &str| pairs(query).unwrap_err().message;
        let shown = ["s=20%", "s=%+1", "s=%zz", "s=x%FE", "%FE=1"].map(message);
        insta::assert_snapshot!(shown.join("\n"), @r#"
        s is "20%" in the URL: expected two hexadecimal digits after each %, or %25
        s is "%+1" in the URL: expected two hexadecimal digits after each %, or %25
        s is "%zz" in the URL: expected two hexadecimal digits after each %, or %25
        s is "x%FE" in the URL: expected escapes that make UTF-8
        a parameter's name is "%FE" in the URL: expected escapes that make UTF-8
        "#);
    }
}
