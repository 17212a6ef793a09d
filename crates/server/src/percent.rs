//! Percent-encoding, read without losing a byte.

/// Undoes one round of escapes: `%` and two hexadecimal digits. Any other `%` stays as it is.
pub(crate) fn decoded(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let (byte, behind) = match (first, after) {
            (b'%', [high, low, behind @ ..]) => match escaped(*high, *low) {
                Some(byte) => (byte, behind),
                None => (*first, after),
            },
            _ => (*first, after),
        };
        decoded.push(byte);
        rest = behind;
    }
    decoded
}

fn escaped(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

/// The first parameter of a query string that is not UTF-8, as it was sent.
pub(crate) fn not_utf8(query: &str) -> Option<&str> {
    let is_text = |part: &str| std::str::from_utf8(&decoded(part.as_bytes())).is_ok();
    if !query.contains('%') {
        return None;
    }
    query.split('&').find(|part| !is_text(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escape_is_a_percent_sign_and_two_hexadecimal_digits() {
        for (sent, meant) in [
            ("caf%C3%a9 100%", "caf\u{e9} 100%"),
            ("20%+5 off", "20%+5 off"),
            ("%zz%4", "%zz%4"),
            ("%-1%+f%%41", "%-1%+f%A"),
            ("%2541", "%41"),
        ] {
            assert_eq!(decoded(sent.as_bytes()), meant.as_bytes(), "{sent}");
        }
    }

    #[test]
    fn a_parameter_that_is_not_utf8_is_found() {
        assert_eq!(not_utf8("subject=a%FE&limit=1"), Some("subject=a%FE"));
        assert_eq!(not_utf8("limit=1&%C0%A0=1"), Some("%C0%A0=1"));
        assert_eq!(not_utf8("subject=b%C3%A4r&x=20%+5"), None);
    }
}
