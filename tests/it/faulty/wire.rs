//! Requests, as far as a destination needs to understand them.

use std::io;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// The head of a request and whose it is. Nothing of it is read yet: it still waits in the socket.
pub struct Head {
    text: String,
    /// The org that the body names.
    pub org: String,
    /// Bytes of the head, blank line included.
    pub length: usize,
    /// Bytes of the body.
    pub body: usize,
}

impl Head {
    /// A header's value; empty if there is none.
    pub fn header(&self, name: &str) -> String {
        let lines = self.text.split("\r\n").skip(1).filter_map(|line| line.split_once(": "));
        let mut found = lines.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned());
        found.next().unwrap_or_default()
    }

    fn parse(bytes: &[u8]) -> Option<Head> {
        let length = bytes.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
        let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
        let body = String::from_utf8_lossy(&bytes[length..]);
        const KEY: &str = r#""workspace_id":"#;
        let value = body[body.find(KEY)? + KEY.len()..].trim_start().strip_prefix('"')?;
        let org = value.split_once('"')?.0.to_owned();
        let mut head = Head { text, org, length, body: 0 };
        head.body = head.header("content-length").parse().ok()?;
        Some(head)
    }
}

/// Looks at the next request without reading it. `None`: the client has gone, or sent something else.
pub async fn next_head(stream: &TcpStream, probe: &[u8]) -> Option<Head> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let ready = stream.ready(Interest::READABLE).await.ok()?;
        let seen = match stream.try_io(Interest::READABLE, || peek(stream, &mut buffer)) {
            Ok(seen) => seen,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(_) => return None,
        };
        match Head::parse(&buffer[..seen]) {
            Some(head) => return Some(head),
            None if ready.is_read_closed() || seen == 0 || &buffer[..seen] == probe => return None,
            // A look takes nothing out, so the socket stays readable: there is no event to wait for.
            None => tokio::time::sleep(std::time::Duration::from_millis(1)).await,
        }
    }
}

fn peek(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    let mut buffer = tokio::io::ReadBuf::new(buffer);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match stream.poll_peek(&mut context, &mut buffer) {
        std::task::Poll::Ready(seen) => seen,
        std::task::Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}
