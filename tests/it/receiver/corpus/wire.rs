//! Requests as bytes, and what comes back.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// A request in the making. Nothing of it is checked.
pub struct Request {
    line: String,
    headers: Vec<u8>,
    body: Vec<u8>,
    has_length: bool,
}

impl Request {
    pub fn post(path: &str) -> Request {
        Request::new("POST", path)
    }

    pub fn new(method: &str, path: &str) -> Request {
        Request::line(&format!("{method} {path} HTTP/1.1"))
    }

    pub fn line(line: &str) -> Request {
        let headers = b"Host: receiver.test\r\nConnection: close\r\n".to_vec();
        Request { line: line.to_owned(), headers, body: Vec::new(), has_length: true }
    }

    pub fn header(self, name: &str, value: &str) -> Request {
        self.raw(format!("{name}: {value}\r\n").as_bytes())
    }

    /// Header lines as they are.
    pub fn raw(mut self, lines: &[u8]) -> Request {
        self.headers.extend_from_slice(lines);
        self
    }

    /// The body's length is not said, but by a header that the test gives.
    pub fn without_length(mut self) -> Request {
        self.has_length = false;
        self
    }

    pub fn body(mut self, body: &[u8]) -> Request {
        self.body = body.to_vec();
        self
    }

    pub fn bytes(self) -> Vec<u8> {
        let length = if self.has_length { format!("Content-Length: {}\r\n", self.body.len()) } else { String::new() };
        [self.line.as_bytes(), b"\r\n", &self.headers, length.as_bytes(), b"\r\n", &self.body].concat()
    }
}

/// What came back; no status: nothing, or nothing that is HTTP.
#[derive(Debug)]
pub struct Answer {
    pub status: Option<u16>,
    pub text: String,
}

impl Answer {
    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        let body = self.text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        serde_json::from_str(body).unwrap_or(Value::Null)
    }
}

/// Sends bytes, and reads until the other side closes. `leave`: then says that no more will come, as a client does that is gone.
pub fn send(address: &str, request: &[u8], leave: bool) -> Answer {
    let mut socket = TcpStream::connect(address).unwrap();
    // Only so that a server that never answers ends the test.
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    // A server that has heard enough may close before all is sent.
    let _ = socket.write_all(request);
    if leave {
        let _ = socket.shutdown(Shutdown::Write);
    }
    let mut answer = Vec::new();
    // After a reset, what had come before it counts.
    let _ = socket.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text
        .strip_prefix("HTTP/1.1 ")
        .or_else(|| text.strip_prefix("HTTP/1.0 "))
        .and_then(|rest| rest.get(..3)?.parse().ok());
    Answer { status, text }
}

/// The value of `Authorization` for `user:password`.
pub fn basic(credentials: &str) -> String {
    format!("Basic {}", STANDARD.encode(credentials))
}
