//! A client of the metering family, written from its documentation alone: login, request, poll,
//! download, and a ZIP and CSV reader of its own. It knows the host and nothing else of the server.

use std::collections::BTreeMap;
use std::io::Read;
use std::time::{Duration, Instant};

use reqwest::{Client as Http, RequestBuilder};
use serde_json::{Value, json};

/// Seconds to wait for a job, as the impatient of the known programs do.
const WAIT_SECONDS: u64 = 60;

/// Which of the two logins a program uses.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Login {
    V3,
    V2,
}

/// A program that has logged in.
pub(crate) struct Client {
    http: Http,
    base: String,
    session: String,
    login: Login,
}

/// The tables of a ZIP by file name.
pub(crate) type Files = BTreeMap<String, Table>;

impl Client {
    pub(crate) async fn log_in(host: &str, login: Login, user: &str, password: &str) -> Self {
        let http = Http::new();
        let (path, body) = match login {
            Login::V3 => (
                "/saas/public/core/v3/login",
                json!({"username": user, "password": password}),
            ),
            Login::V2 => (
                "/ma/api/v2/user/login",
                json!({"@type": "login", "username": user, "password": password}),
            ),
        };
        let answer = answer(http.post(format!("{host}{path}")).json(&body)).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (base, session) = match login {
            Login::V3 => {
                let products = answer["products"].as_array().unwrap();
                let named = products
                    .iter()
                    .find(|product| product["name"] == "Integration Cloud");
                let base = &named.unwrap()["baseApiUrl"];
                (text(base), text(&answer["userInfo"]["sessionId"]))
            }
            Login::V2 => (text(&answer["serverUrl"]), text(&answer["icSessionId"])),
        };
        assert!(base.ends_with("/saas"), "{base}");
        Self {
            http,
            base,
            session,
            login,
        }
    }

    /// Asks for a job, waits for its end and downloads it: the first answer and the tables.
    pub(crate) async fn fetch(&self, resource: &str, request: &Value) -> (Value, Files) {
        let posted = self.ask(resource, request).await;
        let id = posted["jobId"].as_str().unwrap();
        let status = self.wait(id).await;
        assert_eq!(status["status"], "SUCCESS", "{status}");
        let zip = self.get(&format!("ExportMeteringData/{id}/download"));
        let zip = zip.send().await.unwrap();
        assert_eq!(zip.status(), 200);
        let files = unzip(&zip.bytes().await.unwrap());
        let tables = files
            .iter()
            .map(|(name, text)| (name.clone(), Table::of(text)));
        (posted, tables.collect())
    }

    pub(crate) async fn ask(&self, resource: &str, request: &Value) -> Value {
        // One example of the documentation has two slashes here.
        let url = format!("{}//public/core/v3/license/metering/{resource}", self.base);
        answer(self.with(self.http.post(url)).json(request)).await
    }

    async fn wait(&self, id: &str) -> Value {
        let started = Instant::now();
        loop {
            let status = answer(self.get(&format!("ExportMeteringData/{id}"))).await;
            let word = status["status"].as_str().unwrap();
            let late = started.elapsed() > Duration::from_secs(WAIT_SECONDS);
            assert!(!late, "the job is still {word}");
            if !["CREATED", "PROCESSING"].contains(&word) {
                return status;
            }
        }
    }

    pub(crate) async fn log_out(self) {
        let path = match self.login {
            Login::V3 => "/public/core/v3/logout",
            Login::V2 => "/api/v2/user/logout",
        };
        let request = self.http.post(format!("{}{path}", self.base));
        let name = match self.login {
            Login::V3 => "INFA-SESSION-ID",
            Login::V2 => "icSessionId",
        };
        let request = request.header(name, &self.session);
        assert_eq!(request.send().await.unwrap().status(), 200);
        let after = self.get("ExportMeteringData/0000000000000000000000");
        assert_eq!(after.send().await.unwrap().status(), 401);
    }

    fn get(&self, path: &str) -> RequestBuilder {
        let url = format!("{}/public/core/v3/license/metering/{path}", self.base);
        self.with(self.http.get(url))
    }

    fn with(&self, request: RequestBuilder) -> RequestBuilder {
        request.header("INFA-SESSION-ID", &self.session)
    }
}

async fn answer(request: RequestBuilder) -> Value {
    let response = request.send().await.unwrap();
    let (status, body) = (response.status(), response.text().await.unwrap());
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

/// A table: its header and its rows, by column; an empty line is a row without columns.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) header: String,
    pub(crate) rows: Vec<BTreeMap<String, String>>,
}

impl Table {
    fn of(text: &str) -> Self {
        let mut lines = text.lines();
        let header = lines.next().unwrap();
        let columns = fields(header);
        let row = |line: &str| {
            if line.is_empty() {
                return BTreeMap::new();
            }
            let fields = fields(line);
            assert_eq!(fields.len(), columns.len(), "{line}");
            columns.iter().cloned().zip(fields).collect()
        };
        Self {
            header: header.to_owned(),
            rows: lines.map(row).collect(),
        }
    }

    /// One column of all rows, joined by blanks.
    pub(crate) fn column(&self, name: &str) -> String {
        let cells = self.rows.iter();
        let cells: Vec<_> = cells
            .map(|row| row.get(name).map_or("", String::as_str))
            .collect();
        cells.join(" ")
    }
}

/// The fields of a line; a quoted one may hold commas and doubled quotes.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut is_quoted) = (vec![String::new()], false);
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if is_quoted && characters.peek() == Some(&'"') => {
                characters.next();
                fields.last_mut().unwrap().push('"');
            }
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => fields.push(String::new()),
            other => fields.last_mut().unwrap().push(other),
        }
    }
    fields
}

/// Reads a ZIP by its directory, and checks lengths and checksums.
pub(crate) fn unzip(zip: &[u8]) -> BTreeMap<String, String> {
    let short = |at: usize| usize::from(u16::from_le_bytes([zip[at], zip[at + 1]]));
    let long = |at: usize| u32::from_le_bytes(zip[at..at + 4].try_into().unwrap());
    let size = |at: usize| usize::try_from(long(at)).unwrap();
    let end = zip.len() - 22;
    assert_eq!(&zip[end..end + 4], b"PK\x05\x06");
    let (entries, mut at) = (short(end + 10), size(end + 16));
    let mut files = BTreeMap::new();
    for _ in 0..entries {
        assert_eq!(&zip[at..at + 4], b"PK\x01\x02");
        let (packed, whole, name) = (size(at + 20), size(at + 24), short(at + 28));
        let text = String::from_utf8(zip[at + 46..at + 46 + name].to_vec()).unwrap();
        let local = size(at + 42);
        let start = local + 30 + short(local + 26) + short(local + 28);
        let mut bytes = Vec::new();
        let mut deflated = flate2::CrcReader::new(flate2::read::DeflateDecoder::new(
            &zip[start..start + packed],
        ));
        deflated.read_to_end(&mut bytes).unwrap();
        assert_eq!((deflated.crc().sum(), bytes.len()), (long(at + 16), whole));
        let before = files.insert(text, String::from_utf8(bytes).unwrap());
        assert_eq!(before, None, "a name is there twice");
        at += 46 + name + short(at + 30) + short(at + 32);
    }
    files
}
