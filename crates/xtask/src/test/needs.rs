//! What the tests need from the machine, and how it comes there.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use super::{find_program, is_root, postgres, python};
use crate::process;

/// One thing that must be on the machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Need {
    what: &'static str,
    package: &'static str,
    is_there: fn() -> bool,
}

/// Everything the tests need beside the Rust toolchain.
pub(crate) const ALL: [Need; 3] = [
    Need {
        what: "a PostgreSQL server",
        package: "postgresql",
        is_there: || postgres::programs().is_some(),
    },
    Need {
        what: "Python with venv",
        package: "python3-venv",
        is_there: || python::interpreter().is_some(),
    },
    Need {
        what: "setpriv",
        package: "util-linux",
        is_there: || find_program("setpriv", &[]).is_some(),
    },
];

/// What `cargo xtask fresh` needs beside the Rust toolchain.
pub(crate) const FRESH: [Need; 3] = [
    Need {
        what: "debootstrap",
        package: "debootstrap",
        is_there: || find_program("debootstrap", &[PathBuf::from("/usr/sbin")]).is_some(),
    },
    Need {
        what: "unshare",
        package: "util-linux",
        is_there: || find_program("unshare", &[]).is_some(),
    },
    Need {
        what: "mount",
        package: "mount",
        is_there: || find_program("mount", &[]).is_some(),
    },
];

/// Installs what is missing, as root on a machine with apt-get; elsewhere fails and names it.
pub(crate) fn ensure(needs: &[Need]) -> Result<()> {
    let absent = missing(needs);
    if absent.is_empty() {
        return Ok(());
    }
    if is_root() && find_program("apt-get", &[]).is_some() {
        install(&absent)?;
    }
    complain(&missing(needs))
}

fn missing(needs: &[Need]) -> Vec<Need> {
    needs
        .iter()
        .copied()
        .filter(|need| !(need.is_there)())
        .collect()
}

fn install(needs: &[Need]) -> Result<()> {
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    process::run(apt().args(["update", "--quiet"]))?;
    let packages = needs.iter().map(|need| need.package);
    let arguments = ["install", "--yes", "--quiet", "--no-install-recommends"];
    process::run(apt().args(arguments).args(packages))
}

fn complain(needs: &[Need]) -> Result<()> {
    if needs.is_empty() {
        return Ok(());
    }
    let lines = needs
        .iter()
        .map(|need| format!("\n  {} (Debian: {})", need.what, need.package));
    let list: String = lines.collect();
    bail!("the tests need what this machine lacks; run as root or install it first:{list}")
}

#[cfg(test)]
mod tests {
    use super::{Need, complain, missing};

    const THERE: Need = Need {
        what: "air",
        package: "air",
        is_there: || true,
    };
    const ABSENT: Need = Need {
        what: "a moon",
        package: "moon",
        is_there: || false,
    };

    #[test]
    fn only_what_is_missing_is_named() {
        let absent = missing(&[THERE, ABSENT]);
        let text = complain(&absent).unwrap_err().to_string();
        assert!(text.ends_with("\n  a moon (Debian: moon)"), "{text}");
        assert!(complain(&missing(&[THERE])).is_ok());
    }
}
