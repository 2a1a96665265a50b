//! A destination over raw TCP, because HTTP servers are too polite to misbehave.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    pub line: String,
    pub headers: HashMap<String, String>,
    pub body: String,
    /// How many requests with this id came before it.
    pub nth: usize,
    pub at: Instant,
}

impl Seen {
    pub fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    /// The `seq` that the tests put into each body.
    pub fn seq(&self) -> u64 {
        serde_json::from_str::<serde_json::Value>(&self.body).unwrap()["seq"].as_u64().unwrap()
    }
}

/// What the destination does with a request that it has read to the end.
pub enum Reply {
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: String,
    },
    /// 200 once as many requests are here as the barrier wants.
    Together(Arc<Barrier>),
    /// A polite end of the connection.
    Close,
    /// A TCP reset.
    Reset,
    /// A 200 whose body breaks off.
    Half,
    /// No answer, ever.
    Hang,
    /// A body without an end.
    Endless(u16),
    /// Something that is not HTTP.
    Gibberish,
}

pub fn status(status: u16) -> Reply {
    Reply::Answer { status, headers: Vec::new(), body: String::new() }
}

pub fn body(status: u16, body: &str) -> Reply {
    Reply::Answer { status, headers: Vec::new(), body: body.to_owned() }
}

pub fn header(status: u16, name: &'static str, value: &str) -> Reply {
    Reply::Answer { status, headers: vec![(name, value.to_owned())], body: String::new() }
}

type Handler = dyn Fn(&Seen) -> Reply + Send + Sync;

struct State {
    handler: Box<Handler>,
    seen: Mutex<Vec<Seen>>,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
    /// Who has connected, and how many of these connections have not ended.
    accepted: Mutex<Vec<SocketAddr>>,
    open: AtomicUsize,
}

pub struct Server {
    pub addr: SocketAddr,
    state: Arc<State>,
}

impl Server {
    pub async fn start(handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let state = Arc::new(State {
            handler: Box::new(handler),
            seen: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            most_in_flight: AtomicUsize::new(0),
            accepted: Mutex::default(),
            open: AtomicUsize::new(0),
        });
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                let state = Arc::clone(&shared);
                state.open.fetch_add(1, Ordering::SeqCst);
                state.accepted.lock().unwrap().push(peer);
                tokio::spawn(async move {
                    serve(stream, &state).await;
                    state.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Server { addr, state }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    /// What came so far counts no longer.
    pub fn forget(&self) {
        self.state.seen.lock().unwrap().clear();
    }

    /// Returns when nothing can arrive any more of what clients that are gone have sent. `hung`: connections that never end,
    /// because a request on them is never answered.
    pub async fn quiesce(&self, hung: usize) {
        // Connections are accepted in the order in which they were made: when this one is, all earlier ones are counted.
        let probe = TcpStream::connect(self.addr).await.unwrap();
        let address = probe.local_addr().unwrap();
        while !self.state.accepted.lock().unwrap().contains(&address) {
            tokio::task::yield_now().await;
        }
        drop(probe);
        while self.state.open.load(Ordering::SeqCst) > hung {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }

    pub fn most_in_flight(&self) -> usize {
        self.state.most_in_flight.load(Ordering::SeqCst)
    }
}

/// Errors end the connection: the client has gone.
async fn serve(stream: TcpStream, state: &State) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let (line, headers, body) = read_request(&mut stream).await?;
        let now = state.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        state.most_in_flight.fetch_max(now, Ordering::SeqCst);
        let seen = {
            let mut all = state.seen.lock().unwrap();
            let id = headers.get("webhook-id").cloned().unwrap_or_default();
            let nth = all.iter().filter(|s| s.headers.get("webhook-id") == Some(&id)).count();
            let seen = Seen { line, headers, body, nth, at: Instant::now() };
            all.push(seen.clone());
            seen
        };
        let reply = (state.handler)(&seen);
        if let Reply::Together(barrier) = &reply {
            barrier.wait().await;
        }
        // Before the answer leaves: the client may send its next request as soon as it has it.
        state.in_flight.fetch_sub(1, Ordering::SeqCst);
        answer(stream.get_mut(), reply).await?;
    }
}

async fn read_request(stream: &mut BufReader<TcpStream>) -> Option<(String, HashMap<String, String>, String)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.trim_end().split("\r\n");
    let line = lines.next().unwrap().to_owned();
    let headers: HashMap<String, String> = lines
        .map(|l| l.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut body = vec![0; headers.get("content-length").map_or(0, |n| n.parse().unwrap())];
    stream.read_exact(&mut body).await.ok()?;
    Some((line, headers, String::from_utf8(body).unwrap()))
}

/// `None`: the connection ends.
async fn answer(stream: &mut TcpStream, reply: Reply) -> Option<()> {
    match reply {
        Reply::Answer { status, headers, body } => {
            let headers: String = headers.iter().map(|(n, v)| format!("{n}: {v}\r\n")).collect();
            let text = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len());
            stream.write_all(text.as_bytes()).await.ok()
        }
        Reply::Together(_) => stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.ok(),
        Reply::Close => None,
        Reply::Reset => {
            stream.set_zero_linger().unwrap();
            None
        }
        Reply::Half => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"success\":").await.ok()?;
            None
        }
        Reply::Hang => std::future::pending().await,
        Reply::Endless(status) => {
            let head = format!("HTTP/1.1 {status} X\r\ntransfer-encoding: chunked\r\n\r\n");
            stream.write_all(head.as_bytes()).await.ok()?;
            let chunk = format!("400\r\n{}\r\n", "x".repeat(0x400));
            loop {
                stream.write_all(chunk.as_bytes()).await.ok()?;
            }
        }
        Reply::Gibberish => {
            stream.write_all(b"220 mail.example.org ESMTP\r\n").await.ok()?;
            None
        }
    }
}
