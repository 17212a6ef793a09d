//! A real server whose disk takes no byte more, and takes them again.
//!
//! The limit of the size of files stands for the disk: with it at zero every write of the process
//! fails, as root and on every file system.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use reqwest::{Client, Method};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use server::server_file::ServerFile;

use crate::harness::Answer;

const PASSWORD: &str = "a password of the test";

struct Process {
    child: Child,
    file: ServerFile,
    _folder: tempfile::TempDir,
}

impl Process {
    /// Starts the binary and waits until it listens.
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // A write over the limit is to fail, not to end the process.
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]);
        command.arg(env!("CARGO_BIN_EXE_tallyport"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]);
        command.arg(folder.path());
        command.env("TALLYPORT_ADMIN_USER", "admin");
        command.env("TALLYPORT_ADMIN_PASSWORD", PASSWORD);
        command.env("TALLYPORT_LOG_FILTER", "info");
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let listens = lines.any(|line| line.unwrap().contains("listening on"));
        assert!(listens, "the server ended while starting");
        std::thread::spawn(move || lines.for_each(drop));
        let file = ServerFile::read(folder.path()).unwrap().unwrap();
        Self {
            child,
            file,
            _folder: folder,
        }
    }

    /// No file may grow past so many bytes; `None` lifts the limit.
    fn limit_files(&self, bytes: Option<u64>) {
        let limit = Rlimit {
            current: bytes,
            ..getrlimit(Resource::Fsize)
        };
        prlimit(Some(Pid::from_child(&self.child)), Resource::Fsize, limit).unwrap();
    }

    async fn get(&self, path: &str) -> Answer {
        let request = Client::new().get(self.file.url.clone() + path);
        Answer::of(request.bearer_auth(&self.file.token)).await
    }

    async fn log_in(&self) -> Answer {
        let url = self.file.url.clone() + "/saas/public/core/v3/login";
        let body = serde_json::json!({"username": "admin", "password": PASSWORD});
        Answer::of(
            Client::new()
                .request(Method::POST, url)
                .body(body.to_string()),
        )
        .await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[tokio::test]
async fn a_disk_that_is_full_is_unavailable_while_it_lasts_and_reads_go_on() {
    // Whichever test comes first installs it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let server = Process::start();
    assert_eq!(server.log_in().await.status, 200);
    server.limit_files(Some(0));
    for _ in 0..3 {
        let refused = server.log_in().await;
        let answer = (refused.status, refused.header("retry-after"));
        assert_eq!(answer, (503, "1"), "{}", refused.body);
        let ready = server.get("/readyz").await;
        assert_eq!(ready.status, 503, "{}", ready.body);
        let read = server.get("/api/v1/meters").await;
        assert_eq!(read.status, 200, "{}", read.body);
    }
    server.limit_files(None);
    let ready = server.get("/readyz").await;
    assert_eq!(ready.status, 200, "{}", ready.body);
    let taken = server.log_in().await;
    assert_eq!(taken.status, 200, "{}", taken.body);
}

#[tokio::test]
async fn a_log_that_takes_no_line_stops_nothing() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tallyport"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]);
    command.arg(folder.path());
    command.env("TALLYPORT_ADMIN_USER", "admin");
    command.env("TALLYPORT_ADMIN_PASSWORD", PASSWORD);
    command.env("TALLYPORT_LOG_FILTER", "debug");
    let full = std::fs::File::options().write(true).open("/dev/full");
    command.stdout(Stdio::piped()).stderr(full.unwrap());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let listens = lines.any(|line| line.unwrap().contains("listens on"));
    assert!(listens, "the server ended while starting");
    let file = ServerFile::read(folder.path()).unwrap().unwrap();
    let server = Process {
        child,
        file,
        _folder: folder,
    };
    assert_eq!(server.get("/readyz").await.status, 200);
    assert_eq!(server.get("/api/v1/nothing").await.status, 404);
    assert_eq!(server.log_in().await.status, 200);
}

#[test]
fn a_start_without_room_names_the_folder_and_the_room_it_needs() {
    let folder = tempfile::tempdir().unwrap();
    let start = |limit: &str| {
        let mut command = Command::new("sh");
        let script = format!("trap '' XFSZ; {limit} exec \"$@\"");
        command.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_tallyport")]);
        command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]);
        command.arg(folder.path());
        command.env("TALLYPORT_LOG_FILTER", "info");
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let mut killed = start("");
    let mut lines = BufReader::new(killed.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("listening on")));
    killed.kill().unwrap();
    killed.wait().unwrap();
    let ended = start("ulimit -f 0;").wait_with_output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(!ended.status.success(), "{said}");
    let named = format!(
        "{} has no room for a start: free 64 MiB",
        folder.path().display()
    );
    assert!(said.contains(&named), "{said}");
    let mut again = start("");
    let mut lines = BufReader::new(again.stderr.take().unwrap()).lines();
    let listens = lines.any(|line| line.unwrap().contains("listening on"));
    again.kill().unwrap();
    again.wait().unwrap();
    assert!(listens);
}
