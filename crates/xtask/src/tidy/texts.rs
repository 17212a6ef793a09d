//! Log and error texts: lower-case, without a full stop.

use super::tokens::{self, Kind, Token};
use super::{File, Problem};

/// Macros of the log.
const LEVELS: [&str; 5] = ["debug", "error", "info", "trace", "warn"];

pub(super) fn check(file: &File) -> Vec<Problem> {
    let tokens = tokens::code(&file.text);
    let mut problems = Vec::new();
    for index in 0..tokens.len() {
        let Some(text) = message(&tokens[index..]) else {
            continue;
        };
        if let Some(fault) = fault(text.text) {
            problems.push(file.problem(text.line, fault));
        }
    }
    problems
}

/// The message of the log line or error attribute that starts here.
fn message<'a>(tokens: &[Token<'a>]) -> Option<Token<'a>> {
    let [first, second, third, fourth, ..] = tokens else {
        return None;
    };
    if first.text == "#" && second.text == "[" && third.text == "error" && fourth.text == "(" {
        return tokens
            .get(4)
            .copied()
            .filter(|token| token.kind == Kind::Text);
    }
    let is_log = LEVELS.contains(&first.text) && second.text == "!" && third.text == "(";
    if is_log { argument(&tokens[3..]) } else { None }
}

/// The first argument that is a plain text; fields come before it.
fn argument<'a>(tokens: &[Token<'a>]) -> Option<Token<'a>> {
    let mut depth = 0_usize;
    let mut starts = true;
    for token in tokens {
        if starts && depth == 0 && token.kind == Kind::Text {
            return Some(*token);
        }
        starts = depth == 0 && token.text == ",";
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.checked_sub(1)?,
            _ => {}
        }
    }
    None
}

fn fault(literal: &str) -> Option<&'static str> {
    let text = literal
        .trim_start_matches(|c| c != '"')
        .trim_matches(['"', '#']);
    let mut chars = text.chars();
    let first = chars.next()?;
    let is_acronym = chars
        .next()
        .is_some_and(|second| !second.is_lowercase() && second != ' ');
    if first.is_uppercase() && !is_acronym {
        return Some("a log or error text starts lower-case");
    }
    let ends = text.ends_with('.') && !text.ends_with("..");
    ends.then_some("a log or error text ends without a full stop")
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::tests::{file, said};

    fn found(text: &str) -> Vec<String> {
        said(&check(&file("a.rs", text)))
    }

    #[test]
    fn a_capital_or_a_full_stop_in_a_log_line_is_found() {
        let capital = "tracing::info!(path = %p(\"A.\"), count, \"Opened {count}\", x);";
        assert_eq!(
            found(capital),
            ["a.rs:1: a log or error text starts lower-case"]
        );
        let stop = "warn!(\n    \"the disk is full.\"\n);";
        assert_eq!(
            found(stop),
            ["a.rs:2: a log or error text ends without a full stop"]
        );
    }

    #[test]
    fn a_capital_in_an_error_text_is_found() {
        let text = "#[error(\"Cannot read {path}\")]\nRead { path: String },";
        assert_eq!(
            found(text),
            ["a.rs:1: a log or error text starts lower-case"]
        );
    }

    #[test]
    fn lower_case_acronyms_and_lines_without_text_pass() {
        let text =
            "info!(\"ZIP written\"); error!(error = ?e); #[error(transparent)] debug!(\"a {}\", b)";
        assert_eq!(found(text), [""; 0]);
    }
}
