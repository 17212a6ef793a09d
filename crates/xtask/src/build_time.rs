//! Build time is a feature: a release build from nothing stays under a limit.

use anyhow::{Result, bail};

use crate::{process, workspace};

const CPU_MINUTES_MAX: f64 = 14.0;

/// Builds the binary into an empty folder and prints the CPU minutes that took.
pub(crate) fn run() -> Result<()> {
    let target = workspace::scratch("build-time")?;
    std::fs::remove_dir_all(&target)?;
    process::run(workspace::cargo().args(["fetch", "--locked"]))?;
    let before = process::children_cpu_seconds()?;
    let mut build = workspace::cargo();
    build.args([
        "build",
        "--release",
        "--locked",
        "--offline",
        "--package",
        "server",
    ]);
    process::run(build.env("CARGO_TARGET_DIR", &target))?;
    let minutes = (process::children_cpu_seconds()? - before) / 60.0;
    std::fs::remove_dir_all(&target)?;
    println!("a release build from nothing takes {minutes:.1} CPU minutes");
    if minutes > CPU_MINUTES_MAX {
        bail!("the limit is {CPU_MINUTES_MAX} CPU minutes");
    }
    Ok(())
}
