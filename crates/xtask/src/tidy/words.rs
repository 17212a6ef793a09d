//! Words that may not be in the repository: silenced code, marks of unfinished work, hosts.

use super::tokens::{self, Token};
use super::{File, Problem};

/// Starts of Rust code that may not be written, as its pieces.
const CODE: &[&[&str]] = &[
    &["dbg", "!"],
    &["todo", "!"],
    &["unimplemented", "!"],
    &["#", "[", "ignore"],
    &["#", "[", "should_panic"],
    &["#", "[", "allow"],
    &["#", "!", "[", "allow"],
];

/// Marks of unfinished work, in two halves so that this list does not hold them.
const MARKS: &[(&str, &str)] = &[("FIX", "ME"), ("XX", "X"), ("TO", "DO")];

/// Hosts of package registries, which are for each machine to choose; in two halves, too.
const HOSTS: &[(&str, &str)] = &[
    ("pypi", ".org"),
    ("deb.deb", "ian.org"),
    ("registry.npm", "js.org"),
];

pub(super) fn check(file: &File) -> Vec<Problem> {
    let mut problems = if file.is_rust() {
        code(file)
    } else {
        Vec::new()
    };
    for (index, line) in file.text.lines().enumerate() {
        let folded = line.to_lowercase();
        let marks = MARKS.iter().map(|halves| (line, halves));
        let hosts = HOSTS.iter().map(|halves| (folded.as_str(), halves));
        for (line, (left, right)) in marks.chain(hosts) {
            let word = format!("{left}{right}");
            if holds_word(line, &word) {
                problems.push(banned(file, index + 1, &word));
            }
        }
    }
    problems
}

fn code(file: &File) -> Vec<Problem> {
    let tokens = tokens::code(&file.text);
    let mut problems = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let found = CODE.iter().find(|pieces| begins(&tokens[index..], pieces));
        problems.extend(found.map(|pieces| banned(file, token.line, &pieces.concat())));
    }
    problems
}

fn banned(file: &File, line: usize, word: &str) -> Problem {
    file.problem(line, format!("`{word}` is banned"))
}

fn begins(tokens: &[Token<'_>], pieces: &[&str]) -> bool {
    tokens.len() >= pieces.len()
        && tokens
            .iter()
            .zip(pieces)
            .all(|(token, piece)| token.text == *piece)
}

/// Whether the line holds the word with no letter, digit or underscore at either side.
fn holds_word(line: &str, word: &str) -> bool {
    let inner = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(inner) && !after.is_some_and(inner)
    })
}

#[cfg(test)]
mod tests {
    use super::{CODE, HOSTS, MARKS, check};
    use crate::tidy::tests::{file, said};

    #[test]
    fn every_banned_piece_of_code_is_found_in_code_only() {
        for pieces in CODE {
            let text = format!("fn a() {{}}\n{}(x)]", pieces.concat());
            let expected = format!("a.rs:2: `{}` is banned", pieces.concat());
            assert_eq!(said(&check(&file("a.rs", &text))), [expected]);
            assert!(check(&file("a.rs", &format!("// {}", pieces.concat()))).is_empty());
            assert!(check(&file("a.rs", &format!("f(\"{}\")", pieces.concat()))).is_empty());
        }
    }

    #[test]
    fn every_banned_word_is_found_in_any_text_and_as_a_word_only() {
        for (left, right) in MARKS.iter().chain(HOSTS) {
            let text = format!("plain\nhere: {left}{right}.");
            let found = check(&file("README.md", &text));
            assert_eq!(
                said(&found),
                [format!("README.md:2: `{left}{right}` is banned")]
            );
            assert!(check(&file("README.md", &format!("{left}{right}rline"))).is_empty());
        }
    }

    #[test]
    fn case_counts_for_marks_and_not_for_hosts() {
        let (left, right) = HOSTS[0];
        let shouted = format!("{left}{right}").to_uppercase();
        assert_eq!(check(&file("README.md", &shouted)).len(), 1);
        let (left, right) = MARKS[0];
        let whispered = format!("{left}{right}").to_lowercase();
        assert!(check(&file("README.md", &whispered)).is_empty());
    }
}
