//! What may stand before a server: it passes requests on, or is busy.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use reqwest::Client;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::{Answer, TestServer};

/// A URL that leads to a server.
pub(crate) struct Proxy {
    /// The URL.
    pub(crate) url: String,
    state: Arc<State>,
}

struct State {
    server: Mutex<String>,
    /// Whether every other request with a body is refused with 503.
    busy: bool,
    sent: AtomicU64,
    refused: AtomicU64,
}

impl Proxy {
    pub(crate) async fn before(server: &TestServer, busy: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State {
            server: Mutex::new(server.url("")),
            busy,
            sent: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        });
        let accepting = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&accepting);
                tokio::spawn(async move { state.serve(stream).await });
            }
        });
        Self { url, state }
    }

    /// Leads to another server from now on.
    pub(crate) fn lead_to(&self, server: &TestServer) {
        *self.state.server.lock().unwrap() = server.url("");
    }

    /// Requests that were refused.
    pub(crate) fn refused(&self) -> u64 {
        self.state.refused.load(Ordering::SeqCst)
    }
}

impl State {
    /// Answers one request and closes the connection.
    async fn serve(&self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        let (mut head, mut line) = (Vec::new(), String::new());
        while stream.read_line(&mut line).await.unwrap() > 2 {
            head.push(std::mem::take(&mut line));
        }
        let length = header(&head, "content-length").unwrap_or("0").parse();
        let mut body = vec![0; length.unwrap()];
        stream.read_exact(&mut body).await.unwrap();
        let refuses = self.busy
            && !body.is_empty()
            && self.sent.fetch_add(1, Ordering::SeqCst).is_multiple_of(2);
        let (status, body) = if refuses {
            self.refused.fetch_add(1, Ordering::SeqCst);
            ("503 Busy\r\nretry-after: 1".to_owned(), String::new())
        } else {
            let answer = self.pass(&head, body).await;
            (format!("{} Passed", answer.status), answer.body)
        };
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
    }

    async fn pass(&self, head: &[String], body: Vec<u8>) -> Answer {
        let mut words = head[0].split(' ');
        let method = words.next().unwrap().parse().unwrap();
        let server = self.server.lock().unwrap().clone();
        let url = format!("{server}{}", words.next().unwrap());
        let mut request = Client::new().request(method, url).body(body);
        for name in ["authorization", "content-type", "prefer"] {
            if let Some(value) = header(head, name) {
                request = request.header(name, value);
            }
        }
        Answer::of(request).await
    }
}

fn header<'a>(head: &'a [String], name: &str) -> Option<&'a str> {
    let mut lines = head[1..].iter().filter_map(|line| line.split_once(':'));
    let found = lines.find(|(found, _)| found.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.trim())
}
