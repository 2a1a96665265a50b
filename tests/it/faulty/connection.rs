//! One connection, from its first request to its end.

use super::act::{Act, Answer, End, Plan, Stage};
use super::wire::{Head, next_head};
use super::{Asked, Manner, Shared};
use serde_json::Value;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What the destination's own look at itself says instead of a request.
pub const PROBE: &[u8] = b"PROBE\r\n\r\n";

/// Serves a connection until it ends.
pub async fn serve(mut stream: TcpStream, connection: usize, shared: &Shared) {
    match shared.manner {
        Manner::ResetAtAccept => drop(stream.set_zero_linger()),
        Manner::CloseAtHello => drop(stream.read(&mut [0; 16]).await),
        Manner::PlainAtHello => {
            let _ = stream.read(&mut [0; 2048]).await;
            send(&mut stream, Answer::new(400, "plain HTTP request expected").text().as_bytes()).await;
        }
        Manner::Http => {
            while let Some(head) = next_head(&stream, PROBE).await {
                let Some(end) = request(&mut stream, connection, &head, shared).await else { continue };
                return close(stream, end).await;
            }
        }
    }
}

async fn close(stream: TcpStream, end: End) {
    match end {
        End::Close => {}
        End::Reset => drop(stream.set_zero_linger()),
        End::Stay => gone(&stream).await,
    }
}

/// Returns when the client has closed its side.
async fn gone(stream: &TcpStream) {
    let mut buffer = [0; 1024];
    while stream.readable().await.is_ok() {
        match stream.try_read(&mut buffer) {
            Ok(0) => return,
            Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => return,
            _ => {}
        }
    }
}

/// `None`: the connection is kept.
async fn request(stream: &mut TcpStream, connection: usize, head: &Head, shared: &Shared) -> Option<End> {
    let (number, plan) = {
        let mut record = shared.record();
        let asked = Asked { org: head.org.clone(), nth: record.of(&head.org), number: record.entries.len() };
        let script = shared.script.lock().unwrap().clone();
        (record.begin(&head.org, connection, |name| head.header(name)), script(&asked))
    };
    let end = done(stream, head, &plan, number, shared).await;
    shared.record().end(number);
    end
}

async fn done(stream: &mut TcpStream, head: &Head, plan: &Plan, number: usize, shared: &Shared) -> Option<End> {
    if let Act::Early(answer) = &plan.act {
        if !send(stream, answer.text().as_bytes()).await {
            return Some(End::Close);
        }
        // What follows is read on, so that the connection can be used again.
        return read(stream, head, plan, number, shared).await.map_or(Some(End::Close), |()| None);
    }
    if let Act::Cut(stage @ (Stage::Unread | Stage::Head), end) = plan.act {
        if stage == Stage::Head {
            let mut text = vec![0; head.length];
            let _ = stream.read_exact(&mut text).await;
        }
        tokio::time::sleep(plan.delay).await;
        return Some(end);
    }
    if read(stream, head, plan, number, shared).await.is_none() {
        return Some(End::Close);
    }
    tokio::time::sleep(plan.delay).await;
    answer(stream, &plan.act, number, shared).await
}

/// Reads the request to its end and takes it in. `None`: the client has gone before that.
async fn read(stream: &mut TcpStream, head: &Head, plan: &Plan, number: usize, shared: &Shared) -> Option<()> {
    let mut request = vec![0; head.length + head.body];
    stream.read_exact(&mut request).await.ok()?;
    let body: Value = serde_json::from_slice(&request[head.length..]).ok()?;
    shared.record().take(number, body, plan.applies);
    Some(())
}

async fn answer(stream: &mut TcpStream, act: &Act, number: usize, shared: &Shared) -> Option<End> {
    match act {
        Act::Answer(answer) => whole(stream, answer, &answer.text(), number, shared).await,
        Act::Twice(answer) => whole(stream, answer, &answer.text().repeat(2), number, shared).await,
        Act::ThenClose(answer) => {
            let _ = whole(stream, answer, &answer.text(), number, shared).await;
            Some(End::Close)
        }
        Act::Cut(_, end) => Some(*end),
        Act::Bytes(bytes, end) => {
            send(stream, bytes).await;
            Some(*end)
        }
        Act::Drip(answer, pause) => drip(stream, answer, *pause, number, shared).await,
        Act::Endless(status) => endless(stream, *status).await,
        Act::Early(_) => unreachable!("it was answered before the request was read"),
    }
}

async fn send(stream: &mut TcpStream, bytes: &[u8]) -> bool {
    stream.write_all(bytes).await.is_ok()
}

async fn whole(stream: &mut TcpStream, answer: &Answer, text: &str, number: usize, shared: &Shared) -> Option<End> {
    // Before the answer leaves: the client may send its next request as soon as it has it.
    shared.record().end(number);
    if !send(stream, text.as_bytes()).await {
        return Some(End::Close);
    }
    shared.record().entries[number].answered = Some(answer.status);
    None
}

async fn drip(stream: &mut TcpStream, answer: &Answer, pause: Duration, number: usize, shared: &Shared) -> Option<End> {
    let _ = stream.set_nodelay(true);
    let text = answer.text();
    let (last, first) = text.as_bytes().split_last().unwrap();
    for byte in first {
        tokio::time::sleep(pause).await;
        if !send(stream, &[*byte]).await {
            return Some(End::Close);
        }
    }
    tokio::time::sleep(pause).await;
    whole(stream, answer, &String::from_utf8_lossy(&[*last]), number, shared).await
}

async fn endless(stream: &mut TcpStream, status: u16) -> Option<End> {
    let head = format!("HTTP/1.1 {status} X\r\ntransfer-encoding: chunked\r\n\r\n");
    let chunk = format!("400\r\n{}\r\n", "x".repeat(0x400));
    let mut going = send(stream, head.as_bytes()).await;
    while going {
        going = send(stream, chunk.as_bytes()).await;
    }
    Some(End::Close)
}
