//! Lines of a text in bytes, found at the speed of the system's own search.

use std::io::BufRead;

/// Bytes before the first line feed.
pub(crate) fn line_length(text: &[u8]) -> Option<usize> {
    let mut rest = text;
    let passed = rest.skip_until(b'\n').ok()?;
    let length = passed.checked_sub(1)?;
    (text.get(length) == Some(&b'\n')).then_some(length)
}

/// The lines without their line feeds; what follows the last one is a line, empty or not.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let length = line_length(text);
        rest = length.map(|length| &text[length + 1..]);
        Some(&text[..length.unwrap_or(text.len())])
    })
}

/// How many line feeds there are.
pub(crate) fn line_feeds(text: &[u8]) -> u64 {
    // Counted in single bytes, as many as one holds: many of them are added at once.
    let count = |chunk: &[u8]| {
        let feeds = chunk.iter().map(|byte| u8::from(*byte == b'\n'));
        u64::from(feeds.sum::<u8>())
    };
    text.chunks(usize::from(u8::MAX)).map(count).sum()
}

/// Whether a line holds nothing but white space.
pub(crate) fn is_blank(line: &[u8]) -> bool {
    line.iter().all(u8::is_ascii_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_what_lies_between_line_feeds() {
        for text in ["", "a", "a\n", "\n", "\n\n", "a\r\nb\n\nc"] {
            let text = text.as_bytes();
            let expected: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
            assert_eq!(lines(text).collect::<Vec<_>>(), expected);
            assert_eq!(line_feeds(text), expected.len() as u64 - 1);
        }
        assert!(is_blank(b" \r\n"));
        assert!(!is_blank(b" x"));
    }
}
