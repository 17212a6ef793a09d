//! A small HTTP/1.1 client over one connection that is kept: it shares the cores with the server
//! it measures, so it does no more than it must.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// Longest wait for one answer; a stream of millions of events is answered at its end.
const ANSWER_LIMIT: Duration = Duration::from_mins(10);
/// Bytes of one chunk of a streamed body.
const CHUNK_BYTES: usize = 256 * 1024;

/// One connection.
#[derive(Debug)]
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
    credential: String,
    request: Vec<u8>,
    line: String,
}

/// What the server said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Whether it says when to come back.
    pub(crate) has_retry_after: bool,
    pub(crate) body: Vec<u8>,
}

impl Client {
    /// Connects; `credential` is one whole header line without its end.
    pub(crate) fn connect(address: SocketAddr, credential: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        Ok(Self {
            stream: BufReader::new(stream),
            credential: credential.to_owned(),
            request: Vec::new(),
            line: String::new(),
        })
    }

    /// Asks without a body.
    pub(crate) fn get(&mut self, path: &str) -> Result<Answer> {
        self.head("GET", path, "");
        self.send()
    }

    /// Sends a body at once.
    pub(crate) fn post(&mut self, path: &str, media_type: &str, body: &[u8]) -> Result<Answer> {
        let length = body.len();
        self.head(
            "POST",
            path,
            &format!("content-type: {media_type}\r\ncontent-length: {length}"),
        );
        self.request.extend_from_slice(body);
        self.send()
    }

    /// Asks by any method, with a JSON body or none.
    pub(crate) fn request(
        &mut self,
        method: &str,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<Answer> {
        let body = body.map(serde_json::to_vec).transpose()?;
        let fields = body.as_ref().map_or_else(String::new, |body| {
            format!(
                "content-type: application/json\r\ncontent-length: {}",
                body.len()
            )
        });
        self.head(method, path, &fields);
        self.request.extend(body.into_iter().flatten());
        self.send()
    }

    /// Streams a body that `fill` appends to, until it says that was all; asks for counts back.
    pub(crate) fn stream(
        &mut self,
        path: &str,
        media_type: &str,
        mut fill: impl FnMut(&mut Vec<u8>) -> bool,
    ) -> Result<Answer> {
        let fields = format!(
            "content-type: {media_type}\r\nprefer: return=representation\r\n\
             transfer-encoding: chunked"
        );
        self.head("POST", path, &fields);
        let mut body = Vec::with_capacity(CHUNK_BYTES);
        let mut more = true;
        while more {
            body.clear();
            while more && body.len() < CHUNK_BYTES {
                more = fill(&mut body);
            }
            write!(self.request, "{:x}\r\n", body.len())?;
            self.request.extend_from_slice(&body);
            self.request.extend_from_slice(b"\r\n");
            self.stream.get_mut().write_all(&self.request)?;
            self.request.clear();
        }
        self.request.extend_from_slice(b"0\r\n\r\n");
        self.send()
    }

    fn head(&mut self, method: &str, path: &str, fields: &str) {
        self.request.clear();
        let credential = &self.credential;
        write!(
            self.request,
            "{method} {path} HTTP/1.1\r\nhost: bench\r\n{credential}\r\n{fields}"
        )
        .expect("memory takes every byte");
        let end: &[u8] = if fields.is_empty() {
            b"\r\n"
        } else {
            b"\r\n\r\n"
        };
        self.request.extend_from_slice(end);
    }

    fn send(&mut self) -> Result<Answer> {
        self.stream.get_mut().write_all(&self.request)?;
        self.answer()
    }

    fn answer(&mut self) -> Result<Answer> {
        let status_line = self.read_line()?;
        let status = status_line
            .split(' ')
            .nth(1)
            .context("the answer has no status")?
            .parse()?;
        let mut length = 0;
        let mut is_chunked = false;
        let mut has_retry_after = false;
        while let Some((name, value)) = self.read_line()?.split_once(':') {
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse()?;
            }
            has_retry_after |= name.eq_ignore_ascii_case("retry-after");
            is_chunked |= name.eq_ignore_ascii_case("transfer-encoding");
        }
        let body = if is_chunked {
            self.chunks()?
        } else {
            self.bytes(length)?
        };
        Ok(Answer {
            status,
            has_retry_after,
            body,
        })
    }

    fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let length = usize::from_str_radix(self.read_line()?, 16)?;
            body.extend(self.bytes(length)?);
            self.read_line()?;
            if length == 0 {
                return Ok(body);
            }
        }
    }

    fn bytes(&mut self, length: usize) -> Result<Vec<u8>> {
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(body)
    }

    fn read_line(&mut self) -> Result<&str> {
        self.line.clear();
        if self.stream.read_line(&mut self.line)? == 0 {
            bail!("the server closed the connection");
        }
        Ok(self.line.trim_end())
    }
}

impl Answer {
    /// The body of an answer with the expected status.
    pub(crate) fn expect(self, status: u16) -> Result<Vec<u8>> {
        if self.status != status {
            bail!(
                "answered {}: {}",
                self.status,
                String::from_utf8_lossy(&self.body)
            );
        }
        Ok(self.body)
    }

    /// The JSON body of an answer with the expected status.
    pub(crate) fn json(self, status: u16) -> Result<serde_json::Value> {
        Ok(serde_json::from_slice(&self.expect(status)?)?)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;

    use super::Client;

    /// Answers one connection with `answer` and gives what was sent once `last` was read.
    fn exchange(answer: &'static str, last: &'static str) -> (Client, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut text = String::new();
            let mut buffer = [0; 1024];
            while !text.ends_with(last) {
                let count = stream.read(&mut buffer).unwrap();
                text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
            }
            stream.write_all(answer.as_bytes()).unwrap();
            text
        });
        (
            Client::connect(address, "authorization: Bearer t").unwrap(),
            server,
        )
    }

    #[test]
    fn a_body_goes_out_with_its_length_and_an_answer_comes_back() {
        let answer = "HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno";
        let (mut client, server) = exchange(answer, "{}");
        let answer = client.post("/p", "application/json", b"{}").unwrap();
        assert_eq!(
            (answer.status, answer.body.as_slice()),
            (400, b"no".as_slice())
        );
        assert!(
            answer
                .expect(200)
                .unwrap_err()
                .to_string()
                .contains("answered 400: no")
        );
        assert_eq!(
            server.join().unwrap(),
            "POST /p HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer t\r\n\
             content-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
        );
    }

    #[test]
    fn a_stream_goes_out_in_chunks_and_chunks_come_back() {
        let answer =
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n[1\r\n1\r\n]\r\n0\r\n\r\n";
        let (mut client, server) = exchange(answer, "0\r\n\r\n");
        let mut left = 2;
        let fill = |out: &mut Vec<u8>| {
            out.extend_from_slice(b"x\n");
            left -= 1;
            left > 0
        };
        let answer = client.stream("/p", "application/x-ndjson", fill).unwrap();
        assert_eq!(answer.json(200).unwrap(), serde_json::json!([1]));
        assert!(
            server
                .join()
                .unwrap()
                .ends_with("\r\n\r\n4\r\nx\nx\n\r\n0\r\n\r\n")
        );
    }
}
