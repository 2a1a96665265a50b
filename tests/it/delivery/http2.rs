//! HTTP/2: that it is spoken where it is offered, and what its ways of saying no mean.

use super::Case;
use super::pki::Ca;
use super::tls::ca_file;
use axum::body::Bytes;
use axum::http::{Response, Version};
use nightmark::receipt::Outcome;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::server::TlsStream;

type Tls = TlsStream<TcpStream>;

/// A TLS listener that offers HTTP/2, and a job that trusts it.
async fn offered() -> (TcpListener, tokio_rustls::TlsAcceptor, Case, tempfile::TempDir) {
    let ca = Ca::new();
    let (dir, path) = ca_file(&[&ca]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut case = Case::at(&format!("https://localhost:{}/hook", listener.local_addr().unwrap().port()));
    case.destination.ca_file = Some(path);
    (listener, ca.acceptor("localhost", 2099, &["h2", "http/1.1"]), case, dir)
}

#[tokio::test]
async fn requests_travel_as_http2_where_the_destination_speaks_it() {
    let (listener, acceptor, case, _dir) = offered().await;
    let seen = Arc::<Mutex<Vec<(Version, String, String)>>>::default();
    let (connections, log) = (Arc::<AtomicUsize>::default(), Arc::clone(&seen));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let mut connection = h2::server::handshake(acceptor.accept(stream).await.unwrap()).await.unwrap();
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    let log = Arc::clone(&log);
                    tokio::spawn(async move {
                        let (head, mut body) = request.into_parts();
                        let mut text = Vec::new();
                        while let Some(Ok(chunk)) = body.data().await {
                            text.extend_from_slice(&chunk);
                        }
                        let id = head.headers["webhook-id"].to_str().unwrap().to_owned();
                        log.lock().unwrap().push((head.version, id, String::from_utf8(text).unwrap()));
                        let mut answer = respond.send_response(Response::new(()), false).unwrap();
                        let _ = answer.send_data(Bytes::from_static(br#"{"success":true}"#), true);
                    });
                }
            });
        }
    });
    let summary = case.concurrency(4).send(20).await;
    assert_eq!((summary.acknowledged, summary.stopped), (20, None));
    let mut seen = seen.lock().unwrap().clone();
    seen.sort();
    assert_eq!(seen.len(), 20);
    assert!(seen.iter().all(|(version, _, _)| *version == Version::HTTP_2), "{seen:?}");
    assert_eq!(seen[0], (Version::HTTP_2, "msg_0".to_owned(), r#"{"seq":0}"#.to_owned()));
    assert!(connections.load(Ordering::SeqCst) <= 4, "connections are shared");
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// RFC 9113, 4.1.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes()[..], payload].concat()
}

/// Reads up to the end of the next request, and returns its stream. `None`: the client has gone.
async fn request(tls: &mut Tls) -> Option<u32> {
    loop {
        let mut head = [0; 9];
        tls.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        tls.read_exact(&mut payload).await.ok()?;
        if matches!(head[3], DATA | HEADERS) && head[4] & END_STREAM != 0 {
            return Some(u32::from_be_bytes([head[5], head[6], head[7], head[8]]));
        }
    }
}

/// What the server says to a request, by its stream.
type Script = fn(u32) -> Vec<u8>;

/// A server of single frames, because a real one cannot be made to misbehave: the first connection goes by `script` and
/// ends after its first answer, the others answer everything with 200.
async fn serve(listener: TcpListener, acceptor: tokio_rustls::TlsAcceptor, script: Script) {
    let mut first = true;
    while let Ok((stream, _)) = listener.accept().await {
        let mut tls = acceptor.accept(stream).await.unwrap();
        let mut preface = [0; 24];
        tls.read_exact(&mut preface).await.unwrap();
        tls.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
        let misbehaves = std::mem::take(&mut first);
        while let Some(stream) = request(&mut tls).await {
            // The static table's entry 8 is `:status 200` (RFC 7541, appendix A).
            let well = frame(HEADERS, END_HEADERS | END_STREAM, stream, &[0x88]);
            tls.write_all(&if misbehaves { script(stream) } else { well }).await.unwrap();
            tls.flush().await.unwrap();
            if misbehaves {
                break;
            }
        }
        if misbehaves {
            let _ = tls.shutdown().await;
        }
    }
}

fn go_away(last: u32, reason: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[last.to_be_bytes(), reason.to_be_bytes()].concat())
}

fn reset(stream: u32, reason: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &reason.to_be_bytes())
}

#[tokio::test]
async fn what_http2_says_of_a_request_that_fails() {
    use Outcome::{Refused, Unknown};
    const NO_ERROR: u32 = 0;
    const INTERNAL_ERROR: u32 = 2;
    const REFUSED_STREAM: u32 = 7;
    const CANCEL: u32 = 8;
    let table: &[(&str, Script, Outcome)] = &[
        ("GOAWAY before this stream", |stream| go_away(stream - 1, NO_ERROR), Refused),
        ("GOAWAY for an error before this stream", |stream| go_away(stream - 1, INTERNAL_ERROR), Refused),
        ("GOAWAY after this stream, and no answer", |stream| go_away(stream, NO_ERROR), Unknown),
        ("GOAWAY for an error after this stream", |stream| go_away(stream, INTERNAL_ERROR), Unknown),
        ("a refused stream", |stream| reset(stream, REFUSED_STREAM), Refused),
        ("a cancelled stream", |stream| reset(stream, CANCEL), Unknown),
        ("a stream that failed", |stream| reset(stream, INTERNAL_ERROR), Unknown),
        ("the end of the connection", |_| Vec::new(), Unknown),
        ("something else than HTTP/2", |_| b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), Unknown),
    ];
    for (name, script, expected) in table {
        let (listener, acceptor, case, _dir) = offered().await;
        let server = tokio::spawn(serve(listener, acceptor, *script));
        let case = case.attempts(1);
        let summary = case.send(1).await;
        assert_eq!(case.only_receipt(), (*expected, None, 1), "{name}: {summary:?}");
        assert_eq!(summary.undelivered, u64::from(*expected == Refused), "{name}: {summary:?}");

        // The next attempt finds the destination well, on a connection of its own.
        let again = Case { ledger: Arc::default(), observer: Arc::default(), ..case }.attempts(2);
        assert_eq!(again.send(1).await.acknowledged, 1, "{name}");
        server.abort();
    }
}
