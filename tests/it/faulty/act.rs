//! What can be done with a request.

use std::time::Duration;

/// What is done with one request.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Whether the destination's state takes the body in. Only what was read whole can be.
    pub applies: bool,
    /// How long it waits before it acts.
    pub delay: Duration,
    pub act: Act,
}

/// How far the request is read before the connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Unread,
    Head,
    Body,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// FIN.
    Close,
    /// RST, by `SO_LINGER` 0.
    Reset,
    /// Not at all: it stays open until the client goes.
    Stay,
}

#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

#[derive(Debug, Clone)]
pub enum Act {
    /// An answer as it should be; the connection is kept.
    Answer(Answer),
    /// No answer: the request is read so far, then the connection ends.
    Cut(Stage, End),
    /// These bytes instead of an answer.
    Bytes(Vec<u8>, End),
    /// The answer, byte by byte, with a pause before each.
    Drip(Answer, Duration),
    /// A head, and a body that never ends.
    Endless(u16),
    /// The answer leaves before the request's body is read.
    Early(Answer),
    /// The answer twice in one piece, so that a second one waits on a connection that is kept.
    Twice(Answer),
    /// The answer without a word about the connection, which is then closed.
    ThenClose(Answer),
}

impl Answer {
    pub fn new(status: u16, body: &str) -> Self {
        Answer { status, headers: Vec::new(), body: body.to_owned() }
    }

    pub fn text(&self) -> String {
        let headers: String = self.headers.iter().map(|(n, v)| format!("{n}: {v}\r\n")).collect();
        let (status, length) = (self.status, self.body.len());
        format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n{headers}\r\n{}", self.body)
    }
}

/// What a destination in good order says.
pub const APPLIED: &str = r#"{"success":true}"#;

impl Plan {
    fn act(applies: bool, act: Act) -> Self {
        Plan { applies, delay: Duration::ZERO, act }
    }

    /// Applied, and said so.
    pub fn ok() -> Self {
        Plan::act(true, Act::Answer(Answer::new(200, APPLIED)))
    }

    /// A status; applied if it says so.
    pub fn status(status: u16) -> Self {
        Plan::act((200..300).contains(&status), Act::Answer(Answer::new(status, "")))
    }

    /// A status with a body, nothing applied.
    pub fn body(status: u16, body: &str) -> Self {
        Plan::act(false, Act::Answer(Answer::new(status, body)))
    }

    /// A status with one header, nothing applied.
    pub fn header(status: u16, name: &'static str, value: &str) -> Self {
        let headers = vec![(name, value.to_owned())];
        Plan::act(false, Act::Answer(Answer { status, headers, body: String::new() }))
    }

    /// Anything else, nothing applied.
    pub fn of(act: Act) -> Self {
        Plan::act(false, act)
    }

    /// The same, and the request is applied.
    pub fn applied(self) -> Self {
        Plan { applies: true, ..self }
    }

    /// The same, later.
    pub fn after(self, delay: Duration) -> Self {
        Plan { delay, ..self }
    }
}
