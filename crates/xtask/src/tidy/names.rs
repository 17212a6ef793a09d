//! Names of files and folders that say nothing about what is in them.

use super::{File, Problem};

/// Drawers: whatever fits nowhere would be put there.
const DRAWERS: [&str; 6] = ["common", "core", "helpers", "services", "types", "util"];

pub(super) fn check(file: &File) -> Vec<Problem> {
    let mut problems = Vec::new();
    for part in file.path.split('/') {
        let stem = part.split('.').next().unwrap_or(part);
        if DRAWERS.contains(&stem) {
            problems.push(file.problem(1, format!("`{stem}` is a drawer; name what is in it")));
        }
    }
    if file.path.ends_with("/mod.rs") {
        problems.push(file.problem(1, "a module lies beside its folder, not in a mod.rs"));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::tests::{file, said};

    #[test]
    fn drawers_and_mod_files_are_found() {
        assert_eq!(
            said(&check(&file("crates/usage/src/util.rs", ""))),
            ["crates/usage/src/util.rs:1: `util` is a drawer; name what is in it"]
        );
        assert_eq!(check(&file("crates/core/src/lib.rs", "")).len(), 1);
        assert_eq!(check(&file("crates/usage/src/journal/mod.rs", "")).len(), 1);
        assert!(check(&file("crates/usage/src/journal.rs", "")).is_empty());
    }
}
