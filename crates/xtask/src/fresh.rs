//! The README's two commands on the smallest Debian: a root made by debootstrap, with a C compiler,
//! git, certificates and the Rust toolchain of this machine, and a clean clone of the last commit.
//!
//! Both run as root of that root, in namespaces of their own for mounts and processes: what they
//! mount or leave running ends with them. They share this machine's network, and the variables and
//! certificates by which it is reached.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::process::{self, Running, Signal};
use crate::test::{TEST_COMMAND, is_root, needs, readme_command};
use crate::workspace::{root, scratch};

/// How the README runs the main job on real input.
const DEMO_COMMAND: &str = "cargo run --release --locked -- demo";
/// What the demo prints once it has shown everything and serves on.
const DEMO_SERVES: &str = "Tallyport serves at ";
/// All that the README asks of a machine beside the Rust toolchain.
const PACKAGES: &str = "ca-certificates,gcc,git,libc6-dev";
/// Where the toolchain and the clone lie in the bare root.
const TOOLCHAIN: &str = "opt/rust";
const CLONE: &str = "root/tallyport";
/// How this machine reaches its network.
const NETWORK_FILES: [&str; 3] = [
    "etc/hosts",
    "etc/resolv.conf",
    "etc/ssl/certs/ca-certificates.crt",
];
const NETWORK_VARIABLES: [&str; 10] = [
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "CARGO_HTTP_CAINFO",
    "PIP_CERT",
    "NODE_EXTRA_CA_CERTS",
];
/// Mounts what a running machine has, then becomes its root. `$1` is the folder, `$2` the command.
const ENTER: &str = r#"
set -e
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
exec chroot "$1" /bin/sh -c "cd /root/tallyport && exec $2"
"#;

/// Which Debian to try.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Release of Debian.
    #[arg(long, default_value = "bookworm", value_name = "NAME")]
    release: String,
    /// Where its packages come from, if not from where debootstrap takes them.
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
}

/// Makes the root anew, runs both commands in it and prints the minutes of each.
pub(crate) fn run(options: &Options) -> Result<()> {
    ensure!(is_root(), "a bare Debian root is made by root: run as root");
    let commands = [readme_command(DEMO_COMMAND)?, readme_command(TEST_COMMAND)?];
    needs::ensure(&needs::FRESH)?;
    let commit = clean_commit()?;
    let folder = make_root(options)?;
    let mut minutes = Vec::new();
    for (command, runs) in commands.into_iter().zip([demo, test]) {
        println!("== fresh: {command}");
        let start = Instant::now();
        runs(&mut enter(&folder, command)).with_context(|| format!("`{command}` failed"))?;
        minutes.push((command, start.elapsed().as_secs_f64() / 60.0));
    }
    fs::remove_dir_all(&folder)?;
    println!("== fresh: Debian {}, commit {commit}", options.release);
    for (command, minutes) in minutes {
        println!("{minutes:>6.1} min  {command}");
    }
    Ok(())
}

/// The last commit; changes that are not in it would not be tried.
fn clean_commit() -> Result<String> {
    let git = || {
        let mut git = Command::new("git");
        git.current_dir(root());
        git
    };
    let changes = process::output(git().args(["status", "--porcelain"]))?;
    if !changes.is_empty() {
        bail!("these changes would not be tried, commit them first:\n{changes}");
    }
    let commit = process::output(git().args(["rev-parse", "--short", "HEAD"]))?;
    Ok(commit.trim().to_owned())
}

/// A bare Debian with the toolchain, the network of this machine and a clone.
fn make_root(options: &Options) -> Result<PathBuf> {
    let folder = scratch("fresh")?.join("root");
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    let mut debootstrap = Command::new("debootstrap");
    debootstrap.args(["--variant=minbase", &format!("--include={PACKAGES}")]);
    debootstrap.arg(&options.release).arg(&folder);
    debootstrap.args(&options.mirror);
    process::run(debootstrap.stdout(Stdio::null()))?;
    copy_toolchain(&folder.join(TOOLCHAIN))?;
    for file in NETWORK_FILES {
        let (from, to) = (Path::new("/").join(file), folder.join(file));
        // Following links: what one points to is not in the bare root.
        fs::copy(&from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
    }
    let mut clone = Command::new("git");
    clone.args(["clone", "--quiet", "--no-hardlinks"]);
    process::run(clone.arg(root()).arg(folder.join(CLONE)))?;
    Ok(folder)
}

/// Copies the toolchain that runs us, without its documentation.
fn copy_toolchain(to: &Path) -> Result<()> {
    let sysroot = process::output(Command::new("rustc").args(["--print", "sysroot"]))?;
    let from = Path::new(sysroot.trim());
    fs::create_dir_all(to)?;
    for part in ["bin", "lib", "libexec"] {
        if from.join(part).exists() {
            let mut copy = Command::new("cp");
            process::run(copy.arg("--archive").arg(from.join(part)).arg(to))?;
        }
    }
    Ok(())
}

/// The command, inside; nothing of the outer environment but the network is passed on.
fn enter(folder: &Path, command: &str) -> Command {
    let mut inside = Command::new("unshare");
    inside.args(["--mount", "--pid", "--fork", "--kill-child=KILL", "--"]);
    inside.args(["/bin/sh", "-c", ENTER, "sh"]);
    inside.arg(folder).arg(command);
    inside.env_clear();
    let system = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    inside.env("PATH", format!("/{TOOLCHAIN}/bin:{system}"));
    inside.env("HOME", "/root").env("LANG", "C.UTF-8");
    for name in NETWORK_VARIABLES {
        if let Some(value) = std::env::var_os(name) {
            inside.env(name, value);
        }
    }
    inside
}

/// Passes on what the demo prints until it serves, then ends it.
fn demo(command: &mut Command) -> Result<()> {
    let mut running = Running::start(command.stdout(Stdio::piped()), Signal::Kill)?;
    let stdout = running.stdout().context("the demo has no output")?;
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        println!("{line}");
        if line.starts_with(DEMO_SERVES) {
            return running.end(Signal::Kill);
        }
    }
    bail!("the demo ended without a line `{DEMO_SERVES}URL`")
}

fn test(command: &mut Command) -> Result<()> {
    process::run(command)
}
