//! Answers that are no good: never more is read of them than our limit, and never longer than the time-out.

use super::server::{Reply, Seen, Server};
use super::{Case, MS};
use nightmark::receipt::Outcome;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Answers every request with `parts`, waiting `between` them, and with the last of them for ever if `endless`.
struct Trickle {
    parts: Vec<Vec<u8>>,
    between: Duration,
    endless: bool,
}

impl Trickle {
    fn at_once(answer: String) -> Trickle {
        Trickle { parts: vec![answer.into_bytes()], between: Duration::ZERO, endless: false }
    }

    fn dripped(head: &str, drop: &str) -> Trickle {
        Trickle { parts: vec![head.into(), drop.into()], between: 5 * MS, endless: true }
    }

    /// The destination, and how many connections it has seen.
    async fn serve(self) -> (Case, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let case = Case::at(&format!("http://{}/hook", listener.local_addr().unwrap()));
        let connections = Arc::<AtomicUsize>::default();
        let (trickle, count) = (Arc::new(self), Arc::clone(&connections));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let trickle = Arc::clone(&trickle);
                tokio::spawn(async move { trickle.answer(stream).await });
            }
        });
        (case, connections)
    }

    /// `None`: the client has gone.
    async fn answer(&self, mut stream: TcpStream) -> Option<()> {
        loop {
            // All requests of these tests have the same short body.
            let mut request = Vec::new();
            while !request.ends_with(b"}") {
                request.push(stream.read_u8().await.ok()?);
            }
            for part in &self.parts {
                stream.write_all(part).await.ok()?;
                tokio::time::sleep(self.between).await;
            }
            if self.endless {
                loop {
                    stream.write_all(self.parts.last()?).await.ok()?;
                    tokio::time::sleep(self.between).await;
                }
            }
        }
    }
}

fn answer(head: &str, body: &str) -> String {
    format!("HTTP/1.1 {head}\r\n\r\n{body}")
}

#[tokio::test]
async fn an_answer_that_never_ends_ends_with_the_time_out() {
    use Outcome::{Refused, Unknown};
    for (name, trickle, expected) in [
        ("a status that drips", Trickle::dripped("H", " "), (Unknown, None)),
        ("headers without an end", Trickle::dripped("HTTP/1.1 200 OK\r\n", "a: b\r\n"), (Unknown, None)),
        ("interim answers without an end", Trickle::dripped("", "HTTP/1.1 103 Early Hints\r\n\r\n"), (Unknown, None)),
        (
            "a body that drips",
            Trickle::dripped("HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n", "x"),
            (Unknown, Some(200)),
        ),
        (
            "chunks that drip",
            Trickle::dripped("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "1\r\nx\r\n"),
            (Unknown, Some(200)),
        ),
        ("a body until the end", Trickle::dripped("HTTP/1.1 200 OK\r\n\r\n", "x"), (Unknown, Some(200))),
        (
            "a refusal that drips",
            Trickle::dripped("HTTP/1.1 400 Bad\r\ncontent-length: 9999\r\n\r\n", "x"),
            (Refused, Some(400)),
        ),
        ("less than announced", Trickle::at_once(answer("200 OK\r\ncontent-length: 100", "{}")), (Unknown, Some(200))),
    ] {
        let (case, _) = trickle.serve().await;
        let mut case = case.attempts(1);
        case.destination.timeout = Duration::from_millis(300);
        // The bound is far beyond what is tested: it is there so that a client that hangs fails instead.
        let summary = tokio::time::timeout(Duration::from_secs(60), case.send(1)).await.expect(name);
        assert_eq!(case.only_receipt(), (expected.0, expected.1, 1), "{name}: {summary:?}");
    }
}

#[tokio::test]
async fn a_connection_with_an_unread_rest_is_not_used_again() {
    let long = "x".repeat(8 << 20);
    for (name, trickle, connections) in [
        ("all of it read", Trickle::at_once(answer("200 OK\r\ncontent-length: 2", "{}")), 1),
        ("beyond the limit", Trickle::at_once(answer(&format!("200 OK\r\ncontent-length: {}", long.len()), &long)), 3),
        (
            "an announcement beyond reason",
            Trickle::at_once(answer("200 OK\r\ncontent-length: 9000000000000000000", &long[..40_000])),
            3,
        ),
        (
            "more than announced",
            Trickle::at_once(answer("200 OK\r\ncontent-length: 2", "{}HTTP/1.1 400 No\r\n\r\n")),
            3,
        ),
    ] {
        let (case, seen) = trickle.serve().await;
        let summary = case.send(3).await;
        assert_eq!(summary.acknowledged, 3, "{name}: {summary:?}");
        assert_eq!(seen.load(Ordering::SeqCst), connections, "{name}");
    }
}

#[tokio::test]
async fn of_several_retry_after_the_longest_is_kept() {
    let headers = ["0", "soon", "3600"].map(|value| ("retry-after", value.to_owned())).to_vec();
    let reply = move |_: &Seen| Reply::Answer { status: 429, headers: headers.clone(), body: String::new() };
    let server = Server::start(reply).await;
    let summary = Case::new(&server).send(1).await;
    assert_eq!(server.seen().len(), 1, "nobody waits for an hour");
    assert!(summary.stopped.unwrap().reason.starts_with("the destination asks to wait until"));
}
