//! Rules of style and structure that a machine can check, run as a test and by the gate.
//!
//! Each rule is a function from files to problems, and a test beside it plants a bad example.

mod layers;
mod lossy;
mod map;
mod names;
mod purity;
mod sizes;
mod texts;
pub(crate) mod tokens;
mod words;

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::process;
use crate::workspace::{Metadata, root};

/// A text file of the repository.
#[derive(Debug, Clone)]
struct File {
    /// Path from the top folder, with forward slashes.
    path: String,
    text: String,
}

/// One place that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Problem {
    path: String,
    line: usize,
    text: String,
}

/// Checks the repository and fails with every problem found.
pub(crate) fn run() -> Result<()> {
    let files = files(&root())?;
    let mut problems = check(&files);
    problems.extend(layers::check(&Metadata::read()?));
    if problems.is_empty() {
        println!("{} files are tidy", files.len());
        return Ok(());
    }
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    bail!("{} problems\n{}", lines.len(), lines.join("\n"))
}

fn check(files: &[File]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in files {
        problems.extend(words::check(file));
        problems.extend(names::check(file));
        problems.extend(sizes::check(file));
        if file.is_rust() {
            problems.extend(texts::check(file));
            problems.extend(purity::check(file));
            problems.extend(lossy::check(file));
        }
    }
    problems.extend(map::orphans(files));
    problems.extend(map::missing(files));
    problems
}

impl File {
    fn is_rust(&self) -> bool {
        self.has_extension("rs")
    }

    fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path)
            .extension()
            .is_some_and(|found| found == extension)
    }

    fn problem(&self, line: usize, text: impl Into<String>) -> Problem {
        Problem {
            path: self.path.clone(),
            line,
            text: text.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.text)
    }
}

/// Every text file that is, or is about to be, part of the repository.
///
/// Where git is absent or refuses, it is every file outside the folders that are never part of it.
fn files(root: &Path) -> Result<Vec<File>> {
    let mut git = Command::new("git");
    git.current_dir(root).args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]);
    let paths = match process::output(&mut git) {
        Ok(listed) => listed.split_terminator('\0').map(str::to_owned).collect(),
        Err(_) => walk(root, "")?,
    };
    let mut files = Vec::new();
    for path in paths {
        let Ok(bytes) = fs::read(root.join(&path)) else {
            continue;
        };
        if let Ok(text) = String::from_utf8(bytes) {
            files.push(File { path, text });
        }
    }
    Ok(files)
}

/// Paths below a folder, from the top folder.
fn walk(root: &Path, folder: &str) -> Result<Vec<String>> {
    const NEVER: [&str; 3] = [".git", "target", "tallyport-data"];
    let mut paths = Vec::new();
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if folder.is_empty() {
            name.clone()
        } else {
            format!("{folder}/{name}")
        };
        if !entry.file_type()?.is_dir() {
            paths.push(path);
        } else if !NEVER.contains(&path.as_str()) {
            paths.extend(walk(root, &path)?);
        }
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::{File, Problem};

    /// A planted example.
    pub(super) fn file(path: &str, text: &str) -> File {
        File {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    /// Lines and texts of problems.
    pub(super) fn said(problems: &[Problem]) -> Vec<String> {
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_copy_without_git_has_the_same_sources() {
        let root = crate::workspace::root();
        let sources = |paths: Vec<String>| {
            let rust = paths
                .into_iter()
                .filter(|path| path.rsplit('.').next() == Some("rs"));
            rust.collect::<std::collections::BTreeSet<_>>()
        };
        let listed = super::files(&root)
            .unwrap()
            .into_iter()
            .map(|file| file.path)
            .collect();
        assert_eq!(sources(listed), sources(super::walk(&root, "").unwrap()));
    }

    #[test]
    fn the_repository_is_tidy() {
        if let Err(problems) = super::run() {
            panic!("{problems:#}");
        }
    }
}
