//! A PostgreSQL server of our own: fresh folder, free loopback port, gone at the end.

use std::fs::File;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context, Result, bail};

use super::{find_program, is_root};
use crate::process::{self, Running, Signal};
use crate::workspace::scratch;

/// Account that Debian makes for the server, which refuses to run as root.
const SERVER_USER: &str = "postgres";
/// Every story has a database and a pool of its own, and many run at once.
const CONNECTIONS_MAX: u32 = 300;
const START_LIMIT: Duration = Duration::from_mins(1);
/// Lets others pass through a folder.
const PASS_MODE: u32 = 0o001;

/// Whether commits reach the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// As installed: every commit is synced.
    Durable,
    /// For tests: nothing is synced.
    Forgetful,
}

/// A running server; dropping it stops it and removes its folder.
#[derive(Debug)]
pub(crate) struct Postgres {
    server: Option<Running>,
    folder: PathBuf,
    programs: PathBuf,
    port: u16,
}

/// Folder of the newest server's programs.
pub(crate) fn programs() -> Option<PathBuf> {
    let mut installed: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((
                entry.file_name().to_str()?.parse().ok()?,
                entry.path().join("bin"),
            ))
        })
        .collect();
    installed.sort_unstable_by_key(|(version, _)| std::cmp::Reverse(*version));
    let folders: Vec<PathBuf> = installed.into_iter().map(|(_, folder)| folder).collect();
    let program = find_program("initdb", &folders)?;
    Some(program.parent()?.to_owned())
}

impl Postgres {
    /// Makes an empty server and waits until it answers.
    pub(crate) fn start(name: &str, durability: Durability) -> Result<Self> {
        let programs = programs().context("there is no PostgreSQL server")?;
        let folder = place(name)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut postgres = Self {
            server: None,
            folder,
            programs,
            port,
        };
        postgres.initialize()?;
        let mut serve = postgres.serve(durability);
        serve.stderr(File::create(postgres.log())?);
        postgres.server = Some(Running::start(&mut serve, Signal::Interrupt)?);
        postgres.wait()?;
        Ok(postgres)
    }

    /// URL of its empty database, for the user that owns it.
    pub(crate) fn url(&self) -> String {
        format!("postgres://{SERVER_USER}@127.0.0.1:{}/postgres", self.port)
    }

    /// A psql that stops at the first error.
    pub(crate) fn psql(&self) -> Command {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1"])
            .arg(self.url());
        psql
    }

    fn initialize(&self) -> Result<()> {
        let mut initdb = self.unprivileged("initdb");
        initdb.args(["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]);
        initdb
            .args(["--username", SERVER_USER, "--pgdata"])
            .arg(self.data());
        process::output(&mut initdb).map(drop)
    }

    fn serve(&self, durability: Durability) -> Command {
        let mut command = self.unprivileged("postgres");
        command.args(["--listen_addresses=127.0.0.1", "--unix_socket_directories="]);
        command.arg(format!("--port={}", self.port));
        command.arg(format!("--max_connections={CONNECTIONS_MAX}"));
        if durability == Durability::Forgetful {
            command.arg("--fsync=off");
        }
        command.arg("-D").arg(self.data());
        command
    }

    /// Runs a program of the server as its own user, and ends it should this process die.
    fn unprivileged(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        if is_root() {
            command.args(["--reuid", SERVER_USER, "--regid", SERVER_USER]);
            command.arg("--clear-groups");
        }
        command
            .args(["--pdeathsig", "INT", "--"])
            .arg(self.programs.join(program));
        command.current_dir(&self.folder);
        command
    }

    fn wait(&mut self) -> Result<()> {
        let ready = self.programs.join("pg_isready");
        let (port, log) = (self.port.to_string(), self.log());
        let server = self.server.as_mut().context("the server was not started")?;
        process::wait_for("the start of PostgreSQL", START_LIMIT, || {
            if server.ended()? {
                bail!(
                    "PostgreSQL ended while starting: {}",
                    fs::read_to_string(&log)?
                );
            }
            let mut ask = Command::new(&ready);
            ask.args(["-q", "-h", "127.0.0.1", "-U", SERVER_USER, "-p", &port]);
            Ok(process::succeeds(&mut ask).then_some(()))
        })
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.server.take());
        fs::remove_dir_all(&self.folder).ok();
    }
}

/// An empty folder that belongs to the server's user and that it can reach.
fn place(name: &str) -> Result<PathBuf> {
    let wanted = scratch(name)?;
    let folder = if !is_root() || others_may_pass(&wanted) {
        wanted
    } else {
        env::temp_dir().join(format!("tallyport-{name}"))
    };
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fs::create_dir_all(&folder)?;
    if is_root() {
        let (user, group) = server_user()?;
        chown(&folder, Some(user), Some(group))?;
    }
    Ok(folder)
}

fn others_may_pass(folder: &Path) -> bool {
    let open = |folder: &Path| {
        fs::metadata(folder).is_ok_and(|found| found.permissions().mode() & PASS_MODE != 0)
    };
    folder.ancestors().skip(1).all(open)
}

fn server_user() -> Result<(u32, u32)> {
    let accounts = fs::read_to_string("/etc/passwd")?;
    let fields = accounts
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields[0] == SERVER_USER)
        .with_context(|| format!("there is no user {SERVER_USER}"))?;
    Ok((fields[2].parse()?, fields[3].parse()?))
}
