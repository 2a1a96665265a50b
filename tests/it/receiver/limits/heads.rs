//! Headers: 5 s, 64 lines, 16 KB.

use super::{SHORT, good, server};
use crate::receiver::raw::{Raw, post, update};
use crate::receiver::server::Server;
use nightmark::server::Options;

/// A request of `lines` header lines, its head as long as `bytes`.
fn request(key: &str, lines: usize, bytes: usize) -> String {
    let body = update("a");
    let fixed =
        format!("POST /api/product-orgs/webhook/{key} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n", body.len());
    let mut head = fixed;
    for line in 3..lines {
        head.push_str(&format!("x-{line}: y\r\n"));
    }
    let last = "x-last: ";
    let padding = bytes.saturating_sub(head.len() + last.len() + "\r\n\r\n".len());
    format!("{head}{last}{}\r\n\r\n{body}", "z".repeat(padding))
}

#[tokio::test]
async fn sixty_four_lines_and_no_more() {
    let server = Server::start().await;
    let key = server.flat_key().await;
    for (lines, status) in [(64, 200), (65, 431), (66, 431), (1000, 431)] {
        let mut client = Raw::connect(server.address).await;
        client.send(request(&key.key, lines, 0)).await;
        assert_eq!(client.reply().await.unwrap().status, status, "{lines} lines");
        if status != 200 {
            client.expect_close().await;
        }
    }
    assert_eq!(server.org_count().await, 1);
}

#[tokio::test]
async fn sixteen_kilobytes_and_no_more() {
    let server = Server::start().await;
    let key = server.flat_key().await;
    for (bytes, status) in [(16 * 1024, 200), (16 * 1024 + 1, 431), (300 * 1024, 431)] {
        let mut client = Raw::connect(server.address).await;
        client.send(request(&key.key, 4, bytes)).await;
        assert_eq!(client.reply().await.unwrap().status, status, "{bytes} bytes");
    }
    // One that never comes to its end is given up as well.
    let mut client = Raw::connect(server.address).await;
    client.send(format!("POST /{} HTTP/1.1\r\nx: ", "a".repeat(100))).await;
    client.send("z".repeat(17 * 1024)).await;
    assert_eq!(client.reply().await.unwrap().status, 431);
    client.expect_close().await;
    // The first line counts.
    let mut client = Raw::connect(server.address).await;
    client.send(format!("POST /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(17 * 1024))).await;
    assert_eq!(client.reply().await.unwrap().status, 431);
}

#[tokio::test]
async fn a_head_has_its_time() {
    let server = server(Options { head: SHORT, ..Options::default() }).await;
    let key = server.flat_key().await;
    // Nothing at all, the beginning of a head, one byte after the other, and in the second request of a connection.
    let mut silent = Raw::connect(server.address).await;
    silent.expect_close().await;
    let mut half = Raw::connect(server.address).await;
    half.send("POST /api/product-orgs/webhook/x HTTP/1.1\r\nhost: ").await;
    half.expect_close().await;
    let mut trickle = Raw::connect(server.address).await;
    let begun = std::time::Instant::now();
    for byte in request(&key.key, 60, 4000).bytes() {
        trickle.send([byte]).await;
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        if begun.elapsed() > 10 * SHORT {
            break;
        }
    }
    trickle.expect_close().await;
    let mut second = Raw::connect(server.address).await;
    second.send(post(&key.key, &update("a"))).await;
    second.expect(200, "").await;
    second.send("POST /").await;
    second.expect_close().await;
    // Also after a request that was refused with its body unread.
    let mut refused = Raw::connect(server.address).await;
    refused.send(post("sk_none", &update("a"))).await;
    refused.expect(401, "").await;
    let begun = std::time::Instant::now();
    refused.send("POST /").await;
    refused.expect_close().await;
    assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{:?}", begun.elapsed());
    good(&server, &key).await;
}

#[tokio::test]
async fn a_head_that_came_with_the_request_before_it_has_the_same() {
    let server = server(Options { head: SHORT, ..Options::default() }).await;
    let key = server.flat_key().await;
    let whole = post(&key.key, &update("a"));
    let get = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n".to_owned();
    let chunked = format!(
        "{}transfer-encoding: chunked\r\n\r\n{:x}\r\n{}\r\n0\r\n\r\n",
        post(&key.key, "").replacen("content-length: 0\r\n\r\n", "", 1),
        update("a").len(),
        update("a")
    );
    let begun = std::time::Instant::now();
    for first in [&whole, &get, &chunked, &whole.repeat(3)] {
        let mut client = Raw::connect(server.address).await;
        client.send(format!("{first}POST /")).await;
        for _ in 0..first.matches("HTTP/1.1").count() {
            client.expect(200, "").await;
        }
        client.expect_close().await;
    }
    // Well below the time of an idle connection.
    assert!(begun.elapsed() < std::time::Duration::from_secs(40), "{:?}", begun.elapsed());
    // One that is whole in time is served, and line ends are no part of a head.
    let mut client = Raw::connect(server.address).await;
    client.send(format!("{whole}{}", &whole[..20])).await;
    client.expect(200, "").await;
    client.send(format!("{}\r\n", &whole[20..])).await;
    client.expect(200, "").await;
    tokio::time::sleep(2 * SHORT).await;
    client.send(&whole).await;
    client.expect(200, "").await;
}

#[tokio::test]
async fn an_idle_connection_has_another() {
    let idle = 3 * SHORT;
    let server = server(Options { head: SHORT, idle, ..Options::default() }).await;
    let key = server.flat_key().await;
    let mut client = Raw::connect(server.address).await;
    client.send(post(&key.key, &update("a"))).await;
    client.expect(200, "").await;
    // Longer than a head may take, shorter than the connection is kept.
    tokio::time::sleep(2 * SHORT).await;
    client.send(post(&key.key, &update("b"))).await;
    client.expect(200, "").await;
    client.expect_close().await;
}
