//! What a daemon and the test say to each other: a line of JSON each, and each is answered before the next.

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::time::Duration;

/// Whoever says nothing for so long has got stuck: far longer than any run takes.
const PATIENCE: Duration = Duration::from_secs(300);

/// What the daemon says.
#[derive(Debug, Serialize, Deserialize)]
pub enum Said {
    /// It is there.
    Here,
    /// It has nothing to do before then; `None`: at all.
    Next(Option<DateTime<Utc>>),
    /// A run is about to begin.
    Begins { job: String },
    /// A run has ended.
    Ended { job: String, how: How },
    /// What was held is sent, or given up.
    Decided { job: String },
    /// Somebody is told of a job.
    Told { subject: String },
}

/// How a run has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum How {
    Done,
    Held,
    Failed(String),
    Busy,
    Stopped,
}

/// What the test answers.
#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    /// Go on, and stop in order after so many milliseconds.
    Go(Option<u64>),
    /// It is this late now.
    Now(DateTime<Utc>),
    /// Stop in order.
    Stop,
    /// Send what this job's run has found, which is held.
    Approve(String),
    /// Give it up.
    Discard(String),
}

/// One end of a connection.
pub struct Talk(Mutex<BufReader<TcpStream>>);

impl Talk {
    pub fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Talk(Mutex::new(BufReader::new(stream)))
    }

    /// Says something and waits for the answer.
    pub fn ask(&self, said: &Said) -> Answer {
        let mut stream = self.0.lock().unwrap();
        write(&mut stream, said).expect("the test outlives the daemon");
        read(&mut stream).expect("the test answers")
    }

    /// What the other end says next; `None`: it is gone.
    pub fn hear(&self) -> Option<Said> {
        read(&mut self.0.lock().unwrap())
    }

    /// Answers. The other end may be gone.
    pub fn answer(&self, answer: &Answer) {
        let _ = write(&mut self.0.lock().unwrap(), answer);
    }
}

fn write(stream: &mut BufReader<TcpStream>, what: &impl Serialize) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(what).unwrap();
    line.push(b'\n');
    stream.get_mut().write_all(&line)
}

/// `None`: the line did not come whole, because who wrote it is gone, or nothing came for [`PATIENCE`].
fn read<T: DeserializeOwned>(stream: &mut BufReader<TcpStream>) -> Option<T> {
    let mut line = String::new();
    match stream.read_line(&mut line) {
        Ok(_) if line.ends_with('\n') => Some(serde_json::from_str(&line).unwrap()),
        _ => None,
    }
}
