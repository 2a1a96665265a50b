//! A thousand slow clients, and one good one.

use super::{good, server};
use crate::receiver::raw::{Raw, post, update};
use nightmark::server::Options;
use nightmark::store::OrgStore;
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
