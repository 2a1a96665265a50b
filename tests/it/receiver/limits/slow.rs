//! A thousand slow clients, and one good one.

use super::{SHORT, good, server};
use crate::receiver::raw::{Raw, post, update};
use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::routing::post as to;
use futures_util::StreamExt;
use nightmark::clock::SystemClock;
use nightmark::server::{Late, Options, Server};
use nightmark::store::OrgStore;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the slow ones are held: longer than a busy machine takes to let a thousand in.
const HELD: Duration = Duration::from_secs(15);

#[tokio::test]
async fn a_thousand_slow_clients_keep_no_good_one_waiting() {
    let options = Options { connections_per_address: 1024, head: HELD, request: HELD, ..Options::default() };
    let server = server(options).await;
    let key = server.flat_key().await;
    let begun = Instant::now();
    let mut slow = Vec::with_capacity(1000);
    for number in 0..1000 {
        let mut client = Raw::connect(server.address).await;
        match number % 3 {
            0 => {}
            1 => client.send("POST /api/product-orgs/webhook/x HTTP/1.1\r\nhost: ").await,
            _ => {
                let head =
                    format!("POST /api/product-orgs/webhook/{} HTTP/1.1\r\ncontent-length: 9000\r\n\r\n[", key.key);
                client.send(head).await;
            }
        }
        slow.push(client);
    }
    for _ in 0..20 {
        good(&server, &key).await;
    }
    // They were still held all the while; after their time they are not.
    assert!(begun.elapsed() < HELD, "too slow a machine to tell: {:?}", begun.elapsed());
    for (number, mut client) in slow.into_iter().enumerate() {
        match client.reply().await {
            None => assert_ne!(number % 3, 2, "a body that is late is answered"),
            Some(reply) => assert_eq!((reply.status, number % 3), (408, 2)),
        }
    }
    assert!(begun.elapsed() >= HELD && begun.elapsed() < 5 * HELD, "{:?}", begun.elapsed());
    good(&server, &key).await;
}

#[tokio::test]
async fn an_answer_that_nobody_reads_is_not_kept() {
    // Answers larger than all buffers together: of arrays of which each element is answered.
    let request = Duration::from_secs(2);
    let server = server(Options { connections: 1, request, ..Options::default() }).await;
    let key = server.flat_key().await;
    let array = format!("[{{\"workspace_id\":\"a\"}},{}0]", "0,".repeat(9_990));
    let all = post(&key.key, &array).repeat(40);
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut unread = Raw::over(socket.connect(server.address).await.unwrap());
    let _sending = tokio::spawn(async move {
        unread.send(all).await;
        // Kept open, and never read from.
        std::future::pending::<()>().await;
        drop(unread);
    });
    // Its place is free again once the server has had enough of waiting.
    let room = async {
        loop {
            let mut client = Raw::connect(server.address).await;
            client.send(post(&key.key, &update("b"))).await;
            match client.reply().await {
                Some(reply) if reply.status == 200 => return,
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), room).await.expect("room");
    assert!(server.store.org("a").await.unwrap().is_some(), "it was stored all the same");
}

/// A look-up of ours that takes longer than a request may is not the client's fault: its body has waited for us.
#[tokio::test]
async fn time_that_we_take_ourselves_is_none_of_the_clients() {
    let read = async |body: Body| {
        // What the handler does before it reads: the key.
        tokio::time::sleep(SHORT + SHORT / 2).await;
        let mut bytes = 0;
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            match chunk {
                Ok(chunk) => bytes += chunk.len(),
                Err(error) if Late::is_cause_of(&error) => return (StatusCode::REQUEST_TIMEOUT, "late".to_owned()),
                Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()),
            }
        }
        (StatusCode::OK, bytes.to_string())
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    let options = Options { request: SHORT, ..Options::default() };
    let router = Router::new().route("/", to(read));
    let _serving = tokio::spawn(Server::new(router, options, Arc::new(SystemClock)).run(listener, stopped));
    // More than is read ahead.
    const BYTES: usize = 200_000;
    let request = |bytes: usize| {
        format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {BYTES}\r\n\r\n{}", "x".repeat(bytes)).into_bytes()
    };
    let (mut whole, mut half) = (Raw::connect(address).await, Raw::connect(address).await);
    tokio::join!(whole.send(request(BYTES)), half.send(request(BYTES / 2)));
    whole.expect(200, &BYTES.to_string()).await;
    half.expect(408, "late").await;
}
