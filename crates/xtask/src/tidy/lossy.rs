//! No text loses a byte: decoding that puts U+FFFD in the place of what is not UTF-8 would make two
//! ids one. It is left to logs, and to names of files in messages.

use super::tokens::{self, Kind, Token};
use super::{File, Problem};

/// Names of functions and values that decode with replacements.
const LOSSY: [&str; 15] = [
    "from_utf8_lossy",
    "from_utf8_lossy_owned",
    "from_utf16_lossy",
    "from_utf16le_lossy",
    "from_utf16be_lossy",
    "to_string_lossy",
    "into_string_lossy",
    "decode_utf8_lossy",
    "decode_with_bom_removal",
    "decode_without_bom_handling",
    "decode_to_string",
    "decode_to_utf8",
    "form_urlencoded",
    "query_pairs",
    "REPLACEMENT_CHARACTER",
];

/// Files that may, with the reason.
const ALLOWED: [(&str, &str); 5] = [
    (
        "crates/server/src/config/environment.rs",
        "the name of a variable that is refused, for the message",
    ),
    (
        "crates/usage/src/disk/real.rs",
        "names of files, compared with our own, and who holds the lock, for a message",
    ),
    (
        "crates/usage/src/disk/faulty.rs",
        "names of files on a disk for tests",
    ),
    (
        "crates/usage/src/journal/cut.rs",
        "the name of a file of our own",
    ),
    (
        "crates/xtask/src/",
        "what other programs print, for messages",
    ),
];

pub(super) fn check(file: &File) -> Vec<Problem> {
    let allowed = |(path, _): &(&str, &str)| file.path.starts_with(path);
    if is_test(&file.path) || ALLOWED.iter().any(allowed) {
        return Vec::new();
    }
    let tokens = tokens::code(&file.text);
    let product = tokens.windows(4).position(is_tests).unwrap_or(tokens.len());
    let lossy = tokens[..product].iter().filter(|token| is_lossy(token));
    let problem = |token: &Token<'_>| {
        let text = format!(
            "`{}` loses bytes that are not UTF-8: refuse them",
            token.text
        );
        file.problem(token.line, text)
    };
    lossy.map(problem).collect()
}

/// Tests may show what a program printed.
fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// The start of `#[cfg(test)]`.
fn is_tests(four: &[Token<'_>]) -> bool {
    let texts = [four[0].text, four[1].text, four[2].text, four[3].text];
    texts == ["[", "cfg", "(", "test"]
}

fn is_lossy(token: &Token<'_>) -> bool {
    let in_text = token.kind == Kind::Text && token.text.to_lowercase().contains("\\u{fffd}");
    token.kind == Kind::Word && LOSSY.contains(&token.text) || in_text
}

#[cfg(test)]
mod tests {
    use super::{ALLOWED, LOSSY, check};
    use crate::tidy::tests::{file, said};

    #[test]
    fn every_lossy_decoding_is_found_outside_tests() {
        for name in LOSSY {
            let text = format!("fn a() {{}}\nlet b = {name}(c);");
            let expected = format!("crates/a/src/a.rs:2: `{name}` loses bytes");
            let found = said(&check(&file("crates/a/src/a.rs", &text)));
            assert!(found[0].starts_with(&expected), "{found:?}");
            assert!(check(&file("crates/a/tests/it/a.rs", &text)).is_empty());
            let tests = format!("#[cfg(test)]\nmod tests {{ {text} }}");
            assert!(check(&file("crates/a/src/a.rs", &tests)).is_empty());
        }
        let text = "let a = b.unwrap_or(\"\\u{FFFD}\");";
        assert_eq!(check(&file("crates/a/src/a.rs", text)).len(), 1);
    }

    #[test]
    fn each_file_that_may_still_does() {
        let root = crate::workspace::root();
        for (path, reason) in ALLOWED {
            assert!(!reason.is_empty());
            let Ok(text) = std::fs::read_to_string(root.join(path)) else {
                assert!(root.join(path).is_dir(), "{path} is gone: remove it here");
                continue;
            };
            assert!(LOSSY.iter().any(|name| text.contains(name)), "{path}");
        }
    }
}
