//! A receiver of messages on a port of its own, which answers as it is told.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub(crate) const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Keeps what it was sent; serves until the test ends.
pub(crate) struct Receiver {
    pub(crate) url: String,
    answer: Arc<Mutex<String>>,
    taken: Arc<Mutex<Vec<Post>>>,
    came: Arc<watch::Sender<usize>>,
}

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Post {
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Post {
    pub(crate) fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut found = lines.filter(|(header, _)| *header == name);
        found
            .next()
            .unwrap_or_else(|| panic!("{name} in {}", self.head))
            .1
    }
}

impl Receiver {
    /// Answers every request with a status line and, after it, further headers.
    pub(crate) async fn start(answer: &str) -> Self {
        let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
        let receiver = Self {
            url: format!("http://{}/hook", listener.local_addr().unwrap()),
            answer: Arc::new(Mutex::new(answer.to_owned())),
            taken: Arc::default(),
            came: Arc::default(),
        };
        let (answer, taken) = (Arc::clone(&receiver.answer), Arc::clone(&receiver.taken));
        let came = Arc::clone(&receiver.came);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let post = read(&mut stream).await;
                taken.lock().unwrap().push(post);
                came.send_modify(|came| *came += 1);
                let answer = format!("HTTP/1.1 {}\r\n\r\n", answer.lock().unwrap());
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        receiver
    }

    pub(crate) fn answers(&self, answer: &str) {
        answer.clone_into(&mut self.answer.lock().unwrap());
    }

    /// Waits until so many posts came in all.
    pub(crate) async fn wait_for(&self, posts: usize) {
        let mut came = self.came.subscribe();
        came.wait_for(|came| *came >= posts).await.unwrap();
    }

    /// What came since the last look.
    pub(crate) fn taken(&self) -> Vec<Post> {
        std::mem::take(&mut self.taken.lock().unwrap())
    }
}

/// Reads one request to the end of its body.
pub(crate) async fn read(stream: &mut TcpStream) -> Post {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let post = Post {
                head: head.to_owned(),
                body: body.to_owned(),
            };
            if post.body.len() >= post.header("content-length").parse().unwrap() {
                return post;
            }
        }
        assert_ne!(
            stream.read_buf(&mut bytes).await.unwrap(),
            0,
            "a whole request"
        );
    }
}
