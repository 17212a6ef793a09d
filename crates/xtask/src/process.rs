//! Other programs: how they are started, watched and ended.

use std::ffi::OsStr;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, kill_process};

const POLL: Duration = Duration::from_millis(2);

/// Runs a command in view of the user; anything but success is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let name = spelled(command);
    println!("+ {name}");
    let status = command
        .status()
        .with_context(|| format!("cannot start {name}"))?;
    accept(status, &name)
}

/// Runs a command and gives its standard output; the error carries what it said.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let name = spelled(command);
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {name}"))?;
    if !status.success() {
        bail!(
            "{name} ended with {status}: {}",
            String::from_utf8_lossy(&stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&stdout).into_owned())
}

/// Whether a command can be started and ends well.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn accept(status: ExitStatus, name: &str) -> Result<()> {
    if !status.success() {
        bail!("{name} ended with {status}");
    }
    Ok(())
}

fn spelled(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

/// A program of ours that ends when this value does, or when this process dies.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    stop: Signal,
}

/// How a program is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// End in order.
    Terminate,
    /// What PostgreSQL calls a fast shutdown.
    Interrupt,
    /// Die at once, as in a crash.
    Kill,
}

impl Signal {
    fn number(self) -> rustix::process::Signal {
        match self {
            Self::Terminate => rustix::process::Signal::TERM,
            Self::Interrupt => rustix::process::Signal::INT,
            Self::Kill => rustix::process::Signal::KILL,
        }
    }
}

impl Running {
    /// Starts a program that is sent `stop` at the end.
    pub(crate) fn start(command: &mut Command, stop: Signal) -> Result<Self> {
        let name = spelled(command);
        let child = command
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self { child, stop })
    }

    /// Process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its standard output, if it was piped and not taken before.
    pub(crate) fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Whether it ended by itself.
    pub(crate) fn ended(&mut self) -> Result<bool> {
        Ok(self.status()?.is_some())
    }

    /// How it ended by itself, if it did.
    pub(crate) fn status(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Sends a signal and waits until the program is gone.
    pub(crate) fn end(&mut self, signal: Signal) -> Result<()> {
        if self.ended()? {
            return Ok(());
        }
        kill_process(Pid::from_child(&self.child), signal.number())?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.end(self.stop).is_err() {
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}

/// Asks again and again until there is an answer, at most for `limit`.
pub(crate) fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut ask: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if start.elapsed() > limit {
            bail!("{what} did not happen within {} s", limit.as_secs());
        }
        thread::sleep(POLL);
    }
}

/// Most memory that was resident so far.
pub(crate) fn peak_mib(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: f64 = line
        .context("no peak is kept")?
        .trim()
        .trim_end_matches(" kB")
        .parse()?;
    Ok(kib / 1024.0)
}

/// CPU seconds that a running process has used.
pub(crate) fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    Ok(ticks(&stat, 11)? + ticks(&stat, 12)?)
}

/// CPU seconds that ended children of this process, and theirs, have used.
pub(crate) fn children_cpu_seconds() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    Ok(ticks(&stat, 13)? + ticks(&stat, 14)?)
}

/// One field of a process's `stat`, counted after its name, as seconds.
fn ticks(stat: &str, index: usize) -> Result<f64> {
    /// Linux counts in hundredths of a second towards user space on every platform we build on.
    const TICKS_PER_SECOND: f64 = 100.0;
    let after_name = stat.rsplit_once(')').context("the process has no name")?.1;
    let field = after_name
        .split_whitespace()
        .nth(index)
        .context("the process has no times")?;
    Ok(field.parse::<f64>()? / TICKS_PER_SECOND)
}
