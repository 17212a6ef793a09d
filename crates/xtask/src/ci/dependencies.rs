//! What we depend on: licences, bans, duplicates, and nothing declared in vain.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::licences;
use crate::tidy::tokens::{self, Kind};
use crate::workspace::{Dependency, Metadata, Package, root};

/// Crates that may not come in, with the reason.
const BANNED: &[(&str, &str)] = &[
    (
        "aws-lc-sys",
        "needs cmake and minutes of C; ring does the same",
    ),
    (
        "datafusion",
        "20 CPU minutes of build and 100 MB of binary for few, known questions",
    ),
    (
        "native-tls",
        "depends on what the system has; rustls is built in",
    ),
    (
        "openssl-sys",
        "depends on what the system has; rustls is built in",
    ),
    ("rocksdb", "a C++ build; the store is ours"),
];

/// Crates that others of our dependencies still hold in two versions.
const TWICE: &[&str] = &[
    "base64",
    "block-buffer",
    "cpufeatures",
    "crypto-common",
    "digest",
    "getrandom",
    "hashbrown",
    "sha2",
    "spin",
    "syn",
];

/// Fails with every problem found.
pub(crate) fn run() -> Result<()> {
    let metadata = Metadata::read()?;
    let mut problems = refused(&metadata.packages);
    problems.extend(duplicates(&metadata.packages, TWICE));
    for package in metadata.crates() {
        problems.extend(unused(package)?);
    }
    problems.extend(unused_in_table(&metadata)?);
    if problems.is_empty() {
        println!(
            "{} packages, all as they should be",
            metadata.packages.len()
        );
        return Ok(());
    }
    bail!("{}", problems.join("\n"))
}

fn refused(packages: &[Package]) -> Vec<String> {
    let mut problems = Vec::new();
    for Package {
        name,
        version,
        license,
        ..
    } in packages
    {
        let licence = license.as_deref().unwrap_or_default();
        if !licences::allows(licence) {
            problems.push(format!(
                "{name} {version}: licence `{licence}` is not on the list"
            ));
        }
        if let Some((_, reason)) = BANNED.iter().find(|(banned, _)| banned == name) {
            problems.push(format!("{name} {version} is banned: {reason}"));
        }
    }
    problems
}

fn duplicates(packages: &[Package], accepted: &[&str]) -> Vec<String> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in packages {
        versions
            .entry(&package.name)
            .or_default()
            .insert(&package.version);
    }
    versions.retain(|_, versions| versions.len() > 1);
    let mut problems = Vec::new();
    for (name, versions) in &versions {
        if !accepted.contains(name) {
            let list: Vec<&str> = versions.iter().copied().collect();
            problems.push(format!(
                "{name} is there more than once: {}",
                list.join(" ")
            ));
        }
    }
    let stale = accepted.iter().filter(|name| !versions.contains_key(*name));
    problems.extend(stale.map(|name| format!("{name} is listed as double but no longer is")));
    problems
}

fn unused(package: &Package) -> Result<Vec<String>> {
    let shipped = words(&[
        package.folder().join("src"),
        package.folder().join("build.rs"),
    ])?;
    let mut tested = words(&[
        package.folder().join("tests"),
        package.folder().join("benches"),
    ])?;
    tested.extend(shipped.iter().cloned());
    let used = |dependency: &&Dependency| {
        let seen = if dependency.is_dev() {
            &tested
        } else {
            &shipped
        };
        !seen.contains(&dependency.word())
    };
    let unused = package.dependencies.iter().filter(used);
    let text = |dependency: &Dependency| {
        format!(
            "{}: declares {} and never names it",
            package.name, dependency.name
        )
    };
    Ok(unused.map(text).collect())
}

/// Every word of the Rust files in or under the given places; absent ones hold none.
fn words(places: &[impl AsRef<Path>]) -> Result<BTreeSet<String>> {
    let mut words = BTreeSet::new();
    for place in places.iter().map(AsRef::as_ref) {
        if place.is_dir() {
            let inner: Vec<_> = fs::read_dir(place)?
                .map(|entry| Ok(entry?.path()))
                .collect::<Result<_>>()?;
            words.extend(self::words(&inner)?);
        } else if place.extension().is_some_and(|extension| extension == "rs") && place.exists() {
            let text = fs::read_to_string(place)?;
            let found = tokens::code(&text)
                .into_iter()
                .filter(|token| token.kind == Kind::Word);
            words.extend(found.map(|token| token.text.to_owned()));
        }
    }
    Ok(words)
}

/// Entries of the workspace's own table that no crate takes.
fn unused_in_table(metadata: &Metadata) -> Result<Vec<String>> {
    let manifest = fs::read_to_string(root().join("Cargo.toml"))?;
    let table = manifest
        .split_once("[workspace.dependencies]")
        .context("the workspace has no table of dependencies")?
        .1;
    let lines = table.lines().take_while(|line| !line.starts_with('['));
    let names = lines.filter_map(|line| Some(line.split_once(" = ")?.0.trim()));
    let taken: BTreeSet<&str> = metadata
        .crates()
        .flat_map(|package| &package.dependencies)
        .map(|dependency| dependency.name.as_str())
        .collect();
    let left = names.filter(|name| !name.starts_with('#') && !taken.contains(name));
    Ok(left
        .map(|name| format!("the workspace's table lists {name}, no crate does"))
        .collect())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{Package, duplicates, refused};

    fn package(name: &str, version: &str, licence: &str) -> Package {
        let json = serde_json::json!({
            "id": format!("{name} {version}"),
            "name": name,
            "version": version,
            "license": licence,
            "manifest_path": PathBuf::from("/nowhere/Cargo.toml"),
            "dependencies": [],
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_foreign_licence_and_a_banned_crate_are_named() {
        let found = refused(&[
            package("good", "1.0.0", "MIT"),
            package("bad", "1.0.0", "GPL-3.0-only"),
            package("openssl-sys", "0.9.0", "MIT"),
        ]);
        assert_eq!(found.len(), 2);
        assert!(
            found[0].contains("`GPL-3.0-only` is not on the list"),
            "{}",
            found[0]
        );
        assert!(
            found[1].contains("openssl-sys 0.9.0 is banned"),
            "{}",
            found[1]
        );
    }

    #[test]
    fn two_versions_need_to_be_listed_and_a_listed_crate_needs_two() {
        let packages = [
            package("twin", "1.0.0", "MIT"),
            package("twin", "2.0.0", "MIT"),
        ];
        assert_eq!(
            duplicates(&packages, &[]),
            ["twin is there more than once: 1.0.0 2.0.0"]
        );
        assert_eq!(duplicates(&packages, &["twin"]), [""; 0]);
        assert_eq!(
            duplicates(&packages[..1], &["twin"]),
            ["twin is listed as double but no longer is"]
        );
    }
}
