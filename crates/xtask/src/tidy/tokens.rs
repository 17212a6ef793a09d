//! Rust source cut into the pieces the rules look at: words, symbols, texts and comments.

/// What a piece of source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Keyword or name.
    Word,
    /// One character of punctuation.
    Symbol,
    /// String literal, quotes and prefix included.
    Text,
    /// Comment of any form.
    Comment,
    /// Number, character, byte or lifetime.
    Other,
}

/// One piece of source and the line it starts on, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    pub(crate) text: &'a str,
    pub(crate) line: usize,
}

/// Everything but comments.
pub(crate) fn code(source: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = source;
    let mut line = 1;
    while let Some(first) = rest.chars().next() {
        let (kind, length) = piece(rest, first);
        let (text, after) = rest.split_at(length);
        if !matches!(kind, None | Some(Kind::Comment)) {
            tokens.extend(kind.map(|kind| Token { kind, text, line }));
        }
        line += text.matches('\n').count();
        rest = after;
    }
    tokens
}

/// Kind and length of the first piece; white space has no kind.
fn piece(rest: &str, first: char) -> (Option<Kind>, usize) {
    if first.is_whitespace() {
        return (None, first.len_utf8());
    }
    if rest.starts_with("//") {
        return (Some(Kind::Comment), rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (Some(Kind::Comment), block_comment(rest));
    }
    if let Some(length) = string(rest) {
        return (Some(Kind::Text), length);
    }
    if first == '\'' {
        return (Some(Kind::Other), quoted(rest));
    }
    if first.is_ascii_digit() {
        return (
            Some(Kind::Other),
            run_of(rest, |c| c.is_alphanumeric() || c == '_'),
        );
    }
    if first.is_alphabetic() || first == '_' {
        return (
            Some(Kind::Word),
            run_of(rest, |c| c.is_alphanumeric() || c == '_'),
        );
    }
    (Some(Kind::Symbol), first.len_utf8())
}

fn run_of(rest: &str, belongs: impl Fn(char) -> bool) -> usize {
    rest.find(|c| !belongs(c)).unwrap_or(rest.len())
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        let tail = &rest.as_bytes()[at..];
        if tail.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if tail.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// Length of the string literal that starts here, if one does.
fn string(rest: &str) -> Option<usize> {
    let prefix = ["br", "cr", "r", "b", "c", ""].into_iter().find(|prefix| {
        let after = rest.strip_prefix(prefix).unwrap_or_default();
        let hashes = if prefix.ends_with('r') {
            run_of(after, |c| c == '#')
        } else {
            0
        };
        after[hashes..].starts_with('"')
    })?;
    let after = &rest[prefix.len()..];
    if prefix.ends_with('r') {
        let hashes = run_of(after, |c| c == '#');
        let end = format!("\"{}", "#".repeat(hashes));
        let body = &after[hashes + 1..];
        let length = body
            .find(&end)
            .map_or(body.len(), |found| found + end.len());
        return Some(prefix.len() + hashes + 1 + length);
    }
    Some(prefix.len() + 1 + escaped(&after[1..], '"'))
}

/// A character or a lifetime.
fn quoted(rest: &str) -> usize {
    let mut after = rest[1..].chars();
    let first = after.next();
    if first != Some('\\') && after.next() != Some('\'') {
        return 1 + run_of(&rest[1..], |c| c.is_alphanumeric() || c == '_');
    }
    1 + escaped(&rest[1..], '\'')
}

/// Length up to and with the closing quote.
fn escaped(rest: &str, quote: char) -> usize {
    let mut escape = false;
    for (at, c) in rest.char_indices() {
        if c == quote && !escape {
            return at + quote.len_utf8();
        }
        escape = c == '\\' && !escape;
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::{Kind, code};

    fn check(source: &str, expected: &[(Kind, &str, usize)]) {
        let found: Vec<_> = code(source)
            .into_iter()
            .map(|t| (t.kind, t.text, t.line))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn comments_go_and_lines_are_kept() {
        check(
            "a // b {\n/* c /* d */ \n*/ e",
            &[(Kind::Word, "a", 1), (Kind::Word, "e", 3)],
        );
    }

    #[test]
    fn braces_inside_texts_are_text() {
        check(
            "f(\"{\\\"\", r#\"}\"\"#, b\"x\")",
            &[
                (Kind::Word, "f", 1),
                (Kind::Symbol, "(", 1),
                (Kind::Text, "\"{\\\"\"", 1),
                (Kind::Symbol, ",", 1),
                (Kind::Text, "r#\"}\"\"#", 1),
                (Kind::Symbol, ",", 1),
                (Kind::Text, "b\"x\"", 1),
                (Kind::Symbol, ")", 1),
            ],
        );
    }

    #[test]
    fn a_quote_starts_a_character_or_a_lifetime() {
        check(
            "'{' '\\'' &'a 'ß' b'}'",
            &[
                (Kind::Other, "'{'", 1),
                (Kind::Other, "'\\''", 1),
                (Kind::Symbol, "&", 1),
                (Kind::Other, "'a", 1),
                (Kind::Other, "'ß'", 1),
                (Kind::Word, "b", 1),
                (Kind::Other, "'}'", 1),
            ],
        );
    }
}
