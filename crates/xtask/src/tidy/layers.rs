//! Which crate may depend on which: the fences of ARCHITECTURE.md.

use std::path::Path;

use super::Problem;
use crate::workspace::{Metadata, Package, root};

/// What one crate may use of ours, and what of others it must not.
struct Fence {
    name: &'static str,
    may_use: &'static [&'static str],
    must_not_use: &'static [&'static str],
}

const FENCES: [Fence; 7] = [
    Fence {
        name: "domain",
        may_use: &[],
        must_not_use: &[
            "arrow",
            "async-trait",
            "axum",
            "futures",
            "getrandom",
            "object_store",
            "parquet",
            "reqwest",
            "sqlx",
            "tokio",
            "tracing",
        ],
    },
    Fence {
        name: "usage",
        may_use: &["domain"],
        must_not_use: &["axum", "sqlx"],
    },
    Fence {
        name: "metadata",
        may_use: &["domain"],
        must_not_use: &["arrow", "axum", "object_store", "parquet"],
    },
    Fence {
        name: "export",
        may_use: &["domain", "metadata", "usage"],
        must_not_use: &["axum", "sqlx"],
    },
    Fence {
        name: "marketplace",
        may_use: &["domain", "metadata", "usage"],
        must_not_use: &["axum", "sqlx"],
    },
    Fence {
        name: "server",
        may_use: &["domain", "export", "marketplace", "metadata", "usage"],
        must_not_use: &["arrow", "parquet", "sqlx"],
    },
    Fence {
        name: "xtask",
        may_use: &[],
        must_not_use: &["arrow", "axum", "parquet", "sqlx"],
    },
];

pub(super) fn check(metadata: &Metadata) -> Vec<Problem> {
    let ours: Vec<&str> = metadata
        .crates()
        .map(|package| package.name.as_str())
        .collect();
    metadata
        .crates()
        .flat_map(|package| crossings(package, &ours))
        .collect()
}

fn crossings(package: &Package, ours: &[&str]) -> Vec<Problem> {
    let manifest = package
        .manifest_path
        .strip_prefix(root())
        .unwrap_or(&package.manifest_path);
    let Some(fence) = FENCES.iter().find(|fence| fence.name == package.name) else {
        return vec![problem(
            manifest,
            format!("crate {} has no fence", package.name),
        )];
    };
    let mut problems = Vec::new();
    for dependency in &package.dependencies {
        let name = dependency.name.as_str();
        let is_ours = ours.contains(&name) && name != package.name;
        let is_fenced = fence
            .must_not_use
            .iter()
            .any(|banned| belongs(name, banned));
        if is_fenced || (is_ours && !fence.may_use.contains(&name)) {
            problems.push(problem(
                manifest,
                format!("{} must not use {name}", fence.name),
            ));
        }
    }
    problems
}

/// Whether a crate is the named one or of its family, as arrow-array is of arrow.
fn belongs(name: &str, family: &str) -> bool {
    name.strip_prefix(family)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

fn problem(manifest: &Path, text: String) -> Problem {
    Problem {
        path: manifest.to_string_lossy().into_owned(),
        line: 1,
        text,
    }
}

#[cfg(test)]
mod tests {
    use super::crossings;
    use crate::tidy::tests::said;
    use crate::workspace::Package;

    fn package(name: &str, dependencies: &[&str]) -> Package {
        let dependencies: Vec<_> = dependencies
            .iter()
            .map(|name| serde_json::json!({ "name": name }))
            .collect();
        let json = serde_json::json!({
            "id": name,
            "name": name,
            "version": "0.1.0",
            "manifest_path": format!("{name}/Cargo.toml"),
            "dependencies": dependencies,
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_crate_that_crosses_its_fence_is_found() {
        let ours = ["domain", "usage", "metadata"];
        let found = crossings(
            &package("usage", &["domain", "metadata", "sqlx", "serde"]),
            &ours,
        );
        assert_eq!(
            said(&found),
            [
                "usage/Cargo.toml:1: usage must not use metadata",
                "usage/Cargo.toml:1: usage must not use sqlx",
            ]
        );
        assert_eq!(
            crossings(&package("metadata", &["arrow-array"]), &ours).len(),
            1
        );
    }

    #[test]
    fn a_crate_without_a_fence_is_found() {
        let found = crossings(&package("drawer", &[]), &["drawer"]);
        assert_eq!(
            said(&found),
            ["drawer/Cargo.toml:1: crate drawer has no fence"]
        );
    }
}
