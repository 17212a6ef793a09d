//! The map of the code: every file is reached from a crate's root, and every file named exists.

use std::collections::BTreeSet;
use std::path::Path;

use super::tokens::{self, Kind};
use super::{File, Problem};

/// The document that names files.
const MAP: &str = "ARCHITECTURE.md";
/// Where the map may leave out the first folder.
const CRATES: &str = "crates/";

/// Rust files that no `mod` line reaches.
pub(super) fn orphans(files: &[File]) -> Vec<Problem> {
    let sources: Vec<&File> = files.iter().filter(|file| file.is_rust()).collect();
    let mut reached: BTreeSet<String> = BTreeSet::new();
    for file in &sources {
        for module in modules(&file.text) {
            let folder = folder_of_modules(&file.path);
            reached.insert(format!("{folder}/{module}.rs"));
            reached.insert(format!("{folder}/{module}/mod.rs"));
        }
    }
    let orphan = |file: &&&File| !is_root(&file.path) && !reached.contains(&file.path);
    let orphans = sources.iter().filter(orphan);
    orphans
        .map(|file| file.problem(1, "no `mod` line reaches this file"))
        .collect()
}

fn is_rust(path: &str) -> bool {
    Path::new(path)
        .extension()
        .is_some_and(|extension| extension == "rs")
}

/// Names in `mod name;` lines.
fn modules(source: &str) -> Vec<&str> {
    let tokens = tokens::code(source);
    let named = tokens.windows(3).filter(|three| {
        three[0].text == "mod" && three[1].kind == Kind::Word && three[2].text == ";"
    });
    named.map(|three| three[1].text).collect()
}

/// Whether cargo compiles the file by itself.
fn is_root(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    matches!(
        parts.as_slice(),
        [.., "src", "lib.rs" | "main.rs"]
            | [.., "src", "bin", _]
            | ["crates", _, "build.rs"]
            | [.., "tests" | "benches" | "examples" | "fuzz_targets", _]
            | [.., "tests" | "benches" | "examples", _, "main.rs"]
    )
}

fn folder_of_modules(path: &str) -> String {
    let path = Path::new(path);
    let beside = is_root(&path.to_string_lossy()) || path.ends_with("mod.rs");
    let folder = if beside {
        path.parent().unwrap_or(path)
    } else {
        &path.with_extension("")
    };
    folder.to_string_lossy().into_owned()
}

/// Rust files that the map names and that do not exist.
pub(super) fn missing(files: &[File]) -> Vec<Problem> {
    let Some(map) = files.iter().find(|file| file.path == MAP) else {
        let map = File {
            path: MAP.to_owned(),
            text: String::new(),
        };
        return vec![map.problem(1, "the map of the code is missing")];
    };
    let known: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let mut problems = Vec::new();
    for (index, line) in map.text.lines().enumerate() {
        let inner = |c: char| c.is_alphanumeric() || "._-/".contains(c);
        for path in line.split(|c| !inner(c)).filter(|word| is_rust(word)) {
            if !known.contains(path) && !known.contains(format!("{CRATES}{path}").as_str()) {
                problems.push(map.problem(index + 1, format!("there is no {path}")));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::{missing, orphans};
    use crate::tidy::tests::{file, said};

    #[test]
    fn a_file_that_no_module_names_is_found() {
        let files = [
            file(
                "crates/a/src/lib.rs",
                "pub mod journal; // mod lost;\nmod inline {}",
            ),
            file("crates/a/src/journal.rs", "mod frame;"),
            file("crates/a/src/journal/frame.rs", ""),
            file("crates/a/src/lost.rs", ""),
            file("crates/a/tests/it/main.rs", "mod flow;"),
            file("crates/a/tests/it/flow.rs", ""),
        ];
        assert_eq!(
            said(&orphans(&files)),
            ["crates/a/src/lost.rs:1: no `mod` line reaches this file"]
        );
    }

    #[test]
    fn a_file_that_only_the_map_knows_is_found() {
        let files = [
            file(
                "ARCHITECTURE.md",
                "first\n| `a/src/lib.rs` | `crates/a/src/gone.rs` |",
            ),
            file("crates/a/src/lib.rs", ""),
        ];
        assert_eq!(
            said(&missing(&files)),
            ["ARCHITECTURE.md:2: there is no crates/a/src/gone.rs"]
        );
        assert_eq!(missing(&files[1..]).len(), 1);
    }
}
