//! The rules of the product stay pure: no files, no network, no clock, no threads in `domain`.

use super::tokens::{self, Token};
use super::{File, Problem};

const PURE: &str = "crates/domain/src/";

/// Ends of paths that reach outside.
const IMPURE: [[&str; 2]; 10] = [
    ["std", "env"],
    ["std", "fs"],
    ["std", "io"],
    ["std", "net"],
    ["std", "process"],
    ["std", "thread"],
    ["Instant", "now"],
    ["SystemTime", "now"],
    ["Timestamp", "now"],
    ["Zoned", "now"],
];

pub(super) fn check(file: &File) -> Vec<Problem> {
    if !file.path.starts_with(PURE) {
        return Vec::new();
    }
    let tokens = tokens::code(&file.text);
    let reach = |four: &[Token<'_>]| {
        let path = [four[0].text, four[3].text];
        let is_path = four[1].text == ":" && four[2].text == ":" && IMPURE.contains(&path);
        is_path.then(|| file.problem(four[0].line, format!("domain reaches {}", path.join("::"))))
    };
    tokens.windows(4).filter_map(reach).collect()
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::tests::{file, said};

    #[test]
    fn a_clock_in_the_domain_is_found_and_elsewhere_is_not() {
        let text = "use std::fmt;\nlet now = Timestamp::now();";
        assert_eq!(
            said(&check(&file("crates/domain/src/a.rs", text))),
            ["crates/domain/src/a.rs:2: domain reaches Timestamp::now"]
        );
        assert!(check(&file("crates/server/src/clock.rs", text)).is_empty());
    }
}
