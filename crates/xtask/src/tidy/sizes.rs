//! Sizes: lines of a file, lines of a function, characters of a line.

use std::collections::BTreeSet;
use std::path::Path;

use super::tokens::{self, Kind, Token};
use super::{File, Problem};

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
const HANDLER_LINES_MAX: usize = 25;
const LINE_CHARS_MAX: usize = 100;
/// Where every `pub async fn` is a handler.
const HANDLERS: &str = "crates/server/src/api";

pub(super) fn check(file: &File) -> Vec<Problem> {
    if !file.is_rust() && !file.has_extension("py") {
        return Vec::new();
    }
    let mut problems = lines(file);
    if file.is_rust() {
        problems.extend(functions(file));
    }
    problems
}

fn lines(file: &File) -> Vec<Problem> {
    let quoted = if file.is_rust() {
        quoted_lines(&file.text)
    } else {
        BTreeSet::new()
    };
    let mut problems = Vec::new();
    for (number, line) in (1..).zip(file.text.lines()) {
        let chars = line.chars().count();
        if chars > LINE_CHARS_MAX && !is_one_text(line) && !quoted.contains(&number) {
            problems.push(file.problem(number, format!("{chars} columns in one line")));
        }
    }
    let count = file.text.lines().count();
    if count > FILE_LINES_MAX {
        problems.push(file.problem(1, format!("{count} lines in one file")));
    }
    problems
}

/// Whether the line is a literal and nothing else, which nobody can break.
fn is_one_text(line: &str) -> bool {
    let line = line.trim_start().trim_start_matches('@');
    ["\"", "r\"", "r#\"", "b\""]
        .iter()
        .any(|start| line.starts_with(start))
}

/// Lines that a raw literal of several lines holds, which nobody can break either.
fn quoted_lines(source: &str) -> BTreeSet<usize> {
    let tokens = tokens::code(source).into_iter();
    let raw = tokens.filter(|token| token.kind == Kind::Text && !token.text.starts_with('"'));
    raw.flat_map(|token| token.line + 1..=token.line + token.text.matches('\n').count())
        .collect()
}

fn functions(file: &File) -> Vec<Problem> {
    let tokens = tokens::code(&file.text);
    let of_handlers = Path::new(&file.path)
        .with_extension("")
        .starts_with(HANDLERS);
    let mut problems = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let Some(name) = name_of_function(&tokens[index..]) else {
            continue;
        };
        let Some(end) = end_of_body(&tokens[index..]) else {
            continue;
        };
        let lines = end - token.line + 1;
        let before = tokens[..index].iter().rev().map(|token| token.text);
        let is_handler = of_handlers && before.take(2).eq(["async", "pub"]);
        if lines > FUNCTION_LINES_MAX {
            problems.push(file.problem(token.line, format!("`{name}` has {lines} lines")));
        } else if is_handler && lines > HANDLER_LINES_MAX {
            problems.push(file.problem(token.line, format!("handler `{name}` has {lines} lines")));
        }
    }
    problems
}

fn name_of_function<'a>(tokens: &[Token<'a>]) -> Option<&'a str> {
    let [keyword, name, ..] = tokens else {
        return None;
    };
    let is_name = name.kind == Kind::Word;
    (keyword.kind == Kind::Word && keyword.text == "fn" && is_name).then_some(name.text)
}

/// Line of the brace that closes the body; a declaration without a body has none.
fn end_of_body(tokens: &[Token<'_>]) -> Option<usize> {
    let mut nested = 0_usize;
    let mut braces = 0_usize;
    for token in tokens.iter().filter(|token| token.kind == Kind::Symbol) {
        match token.text {
            "(" | "[" => nested += 1,
            ")" | "]" => nested = nested.saturating_sub(1),
            ";" if nested == 0 && braces == 0 => return None,
            "{" => braces += 1,
            "}" => {
                braces = braces.saturating_sub(1);
                if braces == 0 {
                    return Some(token.line);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::tests::{file, said};

    fn function(head: &str, lines: usize) -> String {
        format!("{head} {{\n{}}}\n", "    step();\n".repeat(lines - 2))
    }

    #[test]
    fn a_long_line_and_a_long_file_are_found() {
        let long = file("crates/a/src/a.rs", &format!("// {}\n", "x".repeat(98)));
        assert_eq!(
            said(&check(&long)),
            ["crates/a/src/a.rs:1: 101 columns in one line"]
        );
        let literal = file("a.rs", &format!("    \"{}\",\n", "x".repeat(98)));
        assert!(check(&literal).is_empty());
        let snapshot = file("a.rs", &format!("f(r\"\n{}\n\");\n", "x".repeat(200)));
        assert!(check(&snapshot).is_empty());
        let tall = file("crates/a/src/a.rs", &"\n".repeat(501));
        assert_eq!(
            said(&check(&tall)),
            ["crates/a/src/a.rs:1: 501 lines in one file"]
        );
        assert!(check(&file("crates/a/src/a.rs", &"\n".repeat(500))).is_empty());
    }

    #[test]
    fn a_long_function_is_found_whatever_its_body_quotes() {
        let text = function("fn short(a: [u8; 2]) -> u8", 70);
        assert!(check(&file("a.rs", &text)).is_empty());
        let text = format!("trait T {{ fn none(); }}\n{}", function("fn long()", 71));
        let text = text.replacen("step()", "say(\"}}\")", 1);
        assert_eq!(
            said(&check(&file("a.rs", &text))),
            ["a.rs:2: `long` has 71 lines"]
        );
    }

    #[test]
    fn a_long_handler_is_found_only_among_handlers() {
        let text = function("pub async fn list_keys()", 26);
        let found = check(&file("crates/server/src/api/keys.rs", &text));
        assert_eq!(
            said(&found),
            ["crates/server/src/api/keys.rs:1: handler `list_keys` has 26 lines"]
        );
        assert!(check(&file("crates/server/src/import.rs", &text)).is_empty());
        let text = function("async fn pages()", 26);
        assert!(check(&file("crates/server/src/api/keys.rs", &text)).is_empty());
    }
}
