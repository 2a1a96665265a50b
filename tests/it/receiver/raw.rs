//! A client that sends what it is told, byte for byte.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longer than anything takes; there only so that a broken build ends.
const PATIENCE: Duration = Duration::from_secs(60);

/// One connection.
pub struct Raw<S = TcpStream> {
    pub stream: S,
    /// Read, and not yet part of an answer.
    rest: Vec<u8>,
}

/// One answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// With lower-case names.
    pub head: String,
    pub body: String,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    }

    #[track_caller]
    pub fn expect(self, status: u16, part: &str) -> Reply {
        assert!(self.status == status && self.body.contains(part), "expected {status} {part}: {self:?}");
        self
    }

    /// Our own trouble: to be sent again.
    #[track_caller]
    pub fn expect_later(self, status: u16) -> Reply {
        let reply = self.expect(status, "\"success\":false");
        let seconds: u64 = reply.header("retry-after").expect("Retry-After").parse().expect("seconds");
        assert!((1..=60).contains(&seconds), "{reply:?}");
        reply
    }
}

impl Raw {
    pub async fn connect(address: SocketAddr) -> Raw {
        Raw::over(TcpStream::connect(address).await.unwrap())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    pub fn over(stream: S) -> Raw<S> {
        Raw { stream, rest: Vec::new() }
    }

    /// The other side may have had enough of it.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// `None`: closed before anything of an answer came.
    pub async fn reply(&mut self) -> Option<Reply> {
        let at = loop {
            if let Some(at) = memchr::memmem::find(&self.rest, b"\r\n\r\n") {
                break at;
            }
            if !self.more().await {
                assert!(self.rest.is_empty(), "half an answer: {}", String::from_utf8_lossy(&self.rest));
                return None;
            }
        };
        let head = String::from_utf8(self.rest.drain(..at + 4).collect()).unwrap();
        let (first, lines) = head.split_once("\r\n").unwrap();
        let status = first.split(' ').nth(1).unwrap().parse().unwrap();
        let lines: Vec<String> = lines
            .lines()
            .map(|line| line.split_once(':').map_or(String::new(), |(n, v)| format!("{}:{v}", n.to_ascii_lowercase())))
            .collect();
        let mut reply = Reply { status, head: lines.join("\n"), body: String::new() };
        let length = reply.header("content-length").map_or(0, |length| length.parse().unwrap());
        while self.rest.len() < length && status != 100 {
            assert!(self.more().await, "half an answer: {reply:?}");
        }
        reply.body = String::from_utf8(self.rest.drain(..length).collect()).unwrap();
        Some(reply)
    }

    pub async fn expect(&mut self, status: u16, part: &str) -> Reply {
        self.reply().await.expect("an answer").expect(status, part)
    }

    /// The other side closes, and says no more.
    pub async fn expect_close(&mut self) {
        while self.more().await {}
        assert!(self.rest.is_empty(), "{}", String::from_utf8_lossy(&self.rest));
    }

    async fn more(&mut self) -> bool {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.rest)).await.expect("an answer or an end in time");
        // A reset is an end as well.
        read.is_ok_and(|read| read > 0)
    }
}

/// A webhook's request.
pub fn post(key: &str, body: &str) -> String {
    format!("POST /api/product-orgs/webhook/{key} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// An update of an org.
pub fn update(org: &str) -> String {
    format!("{{\"workspace_id\":\"{org}\"}}")
}
