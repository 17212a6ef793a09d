//! Python packages at pinned versions, in an environment of their own under the build folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::find_program;
use crate::process;
use crate::workspace::scratch;

/// A Python that can make virtual environments.
pub(crate) fn interpreter() -> Option<PathBuf> {
    let candidates = [
        find_program("python3", &[]),
        Some(PathBuf::from("/usr/bin/python3")),
    ];
    let can = |python: &PathBuf| {
        process::succeeds(Command::new(python).args(["-c", "import venv, ensurepip"]))
    };
    candidates.into_iter().flatten().find(can)
}

/// Gives the Python of the named environment, with exactly the packages of `requirements`.
///
/// The environment is kept; it is made anew when the requirements change.
pub(crate) fn environment(name: &str, requirements: &Path) -> Result<PathBuf> {
    let folder = scratch("python")?.join(name);
    let python = folder.join("bin/python");
    let stamp = folder.join("requirements.txt");
    let wanted = fs::read(requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    if fs::read(&stamp).is_ok_and(|found| found == wanted) && python.exists() {
        return Ok(python);
    }
    let interpreter = interpreter().context("there is no Python with venv")?;
    process::run(
        Command::new(interpreter)
            .args(["-m", "venv", "--clear"])
            .arg(&folder),
    )?;
    let mut install = Command::new(&python);
    install
        .args(["-m", "pip", "install", "--quiet", "--requirement"])
        .arg(requirements);
    process::run(&mut install)?;
    fs::write(stamp, wanted)?;
    Ok(python)
}
