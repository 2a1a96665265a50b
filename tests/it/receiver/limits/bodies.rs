//! The whole request: 10 s; bodies: 256 KB and 4 MB, JSON, gzip; depth, duplicate keys and ids; templates. More of what bodies may hold stands in the
//! tests beside this folder.

use super::{SHORT, good, server};
use crate::receiver::raw::{Raw, post, update};
use crate::receiver::server::Server;
use crate::support::Home;
use nightmark::receiver::{self, MAX_BATCH_BODY, MAX_BODY};
use nightmark::server::Options;
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_request_has_its_time() {
    let server = server(Options { request: SHORT, ..Options::default() }).await;
    let key = server.flat_key().await;
    let whole = post(&key.key, &update("slow"));
    let (begun, rest) = whole.split_at(whole.len() - 5);
    // It stops in the middle of its body.
    let mut stopped = Raw::connect(server.address).await;
    stopped.send(begun).await;
    stopped.expect(408, "did not arrive in time").await;
    stopped.send(rest).await;
    stopped.expect_close().await;
    // One byte after the other: what counts is when it began.
    let mut trickle = Raw::connect(server.address).await;
    trickle.send(format!("POST /api/product-orgs/webhook/{} HTTP/1.1\r\ncontent-length: 9000\r\n\r\n", key.key)).await;
    let since = Instant::now();
    while since.elapsed() < 3 * SHORT {
        trickle.send(" ").await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    trickle.expect(408, "did not arrive in time").await;
    // The head counts: half of the time for it leaves half of the time for the body.
    let mut both = Raw::connect(server.address).await;
    let (line, head) = begun.split_once("\r\n").unwrap();
    let since = Instant::now();
    both.send(format!("{line}\r\n")).await;
    tokio::time::sleep(SHORT * 3 / 4).await;
    both.send(head).await;
    both.expect(408, "").await;
    // The whole of it for the body alone would have ended no sooner than this.
    assert!(since.elapsed() < SHORT * 7 / 4, "{:?}", since.elapsed());
    assert_eq!(server.org_count().await, 0);
    good(&server, &key).await;
}

#[tokio::test]
async fn a_body_has_its_size() {
    let server = Server::start().await;
    let key = server.flat_key().await;
    let segment = server.key(crate::receiver::server::preset("segment"), false, None).await;
    let padded = |body: &str, size: usize| format!("{body}{}", " ".repeat(size - body.len()));
    let status = async |path: &str, body: String| {
        let request = server.client.post(format!("http://{}{path}", server.address)).basic_auth(&segment.key, Some(""));
        server.send(request.body(body)).await.status
    };
    let webhook = format!("/api/product-orgs/webhook/{}", key.key);
    for (path, body, limit) in
        [(webhook.as_str(), "{\"workspace_id\":\"a\"}", MAX_BODY), ("/v1/batch", "{\"batch\":[]}", MAX_BATCH_BODY)]
    {
        assert_eq!(status(path, padded(body, limit)).await, 200, "{path}");
        assert_eq!(status(path, padded(body, limit + 1)).await, 413, "{path}");
    }
}

#[tokio::test]
async fn a_refused_client_sees_why_while_it_still_sends() {
    let server = Server::start().await;
    let key = server.flat_key().await;
    // Refused before anything of the body was read; more of it than any buffer holds.
    let body = " ".repeat(900 * 1024);
    for (path, status) in [("/api/product-orgs/webhook/sk_none", 401), ("/nowhere", 404)] {
        let mut client = Raw::connect(server.address).await;
        client.send(format!("POST {path} HTTP/1.1\r\ncontent-length: {}\r\n\r\n{body}", body.len())).await;
        client.expect(status, "\"success\":false").await;
    }
    let mut client = Raw::connect(server.address).await;
    client
        .send(format!(
            "POST /api/product-orgs/webhook/{} HTTP/1.1\r\ncontent-type: text/csv\r\ncontent-length: {}\r\n\r\n{body}",
            key.key,
            body.len()
        ))
        .await;
    client.expect(415, "Content-Type: application/json").await;
}

#[tokio::test]
async fn types_depth_duplicates_and_ids() {
    let server = Server::start().await;
    let key = server.flat_key().await;
    let nested =
        |depth: usize| format!("{{\"workspace_id\":\"a\",\"x\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    let named = |id: &str| format!("{{\"workspace_id\":{id}}}");
    for (body, status) in [
        (nested(32), 200),
        (nested(33), 400),
        (named(&format!("\"{}\"", "x".repeat(255))), 200),
        (named(&format!("\"{}\"", "x".repeat(256))), 400),
        (named(&format!("\"{}é\"", "x".repeat(254))), 400),
        (named("\"\""), 400),
        (named("\"a\\u0007\""), 400),
        (named("\"a\\u0000\""), 400),
        (named("9223372036854775807"), 200),
        (named("18446744073709551616"), 400),
        (named("1.5"), 400),
        ("{\"workspace_id\":\"a\",\"mrr\":9223372036854775808}".to_owned(), 400),
        ("{\"workspace_id\":\"a\",\"workspace_id\":\"a\"}".to_owned(), 400),
    ] {
        let answer = server.post(&key, body.clone()).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text);
    }
    let typed = async |name: &'static str, value: &'static str| {
        let request = server.client.post(server.url(&key.key)).header(name, value).body(update("a"));
        server.send(request).await.status
    };
    assert_eq!(typed("content-type", "application/json; charset=utf-8").await, 200);
    assert_eq!(typed("content-type", "text/plain").await, 415);
    assert_eq!(typed("content-encoding", "deflate").await, 415);
}

#[test]
fn templates_are_refused_at_creation() {
    let home = Home::new();
    let create = |name: &str, template: String| {
        home.write(name, &template);
        home.run(&["keys", "create", "--name", "x", "--template", name])
    };
    let with_fields = |custom: usize| {
        let fields: String = (0..custom).map(|field| format!("field_{field} = \"a.f{field}\"\n")).collect();
        format!("product_org_id = \"id\"\n[custom]\n{fields}")
    };
    let with_segments = |segments: usize| format!("product_org_id = \"{}\"\n", vec!["a"; segments].join("."));
    create("fields.toml", with_fields(63)).expect(0);
    create("more.toml", with_fields(64)).expect(2);
    create("path.toml", with_segments(16)).expect(0);
    create("longer.toml", with_segments(17)).expect(2);
}

#[tokio::test]
async fn bodies_have_their_share_of_memory() {
    let options = receiver::Options { body_memory: 1024 * 1024, ..receiver::Options::default().without_rates() };
    let server = Server::start_with(options, Options::default(), None).await;
    let key = server.flat_key().await;
    // Five bodies that are almost there do not fit into a megabyte. Those that are let wait for the first that is not.
    let size = 255 * 1024;
    let refused = tokio::sync::watch::Sender::new(false);
    let client = async || {
        let mut client = Raw::connect(server.address).await;
        let begin = update("held");
        let head =
            format!("POST /api/product-orgs/webhook/{} HTTP/1.1\r\ncontent-length: {size}\r\n\r\n{begin}", key.key);
        client.send(head).await;
        client.send(" ".repeat(size - begin.len() - 1)).await;
        let mut told = refused.subscribe();
        let reply = tokio::select! {
            reply = client.reply() => reply,
            _ = told.wait_for(|told| *told) => {
                client.send(" ").await;
                client.reply().await
            }
        };
        let reply = reply.expect("an answer");
        match reply.status {
            200 => true,
            _ => {
                reply.expect_later(503).expect(503, "too many requests under way");
                refused.send_replace(true);
                false
            }
        }
    };
    let stored = futures_util::future::join_all((0..5).map(|_| client())).await;
    assert!(stored.contains(&true) && stored.contains(&false), "{stored:?}");
    good(&server, &key).await;
}

#[tokio::test]
async fn strangers_cannot_take_the_others_memory() {
    // Room for eight bodies whose sender is not known, of which an eighth is for such.
    let body_memory = 8 * receiver::MAX_UNKNOWN_SENDER;
    let options = receiver::Options { body_memory, ..receiver::Options::default().without_rates() };
    let server = Server::start_with(options, Options::default(), None).await;
    let key = server.flat_key().await;
    let stranger = async || {
        let size = receiver::MAX_UNKNOWN_SENDER;
        let mut client = Raw::connect(server.address).await;
        client.send(format!("POST /v1/batch HTTP/1.1\r\ncontent-length: {size}\r\n\r\n")).await;
        // The last byte never comes.
        client.send(" ".repeat(size - 1)).await;
        client.reply().await.expect("an answer")
    };
    let mut strangers: futures_util::stream::FuturesUnordered<_> = (0..9).map(|_| stranger()).collect();
    for _ in 0..8 {
        let reply = futures_util::StreamExt::next(&mut strangers).await.expect("nine");
        reply.expect_later(503).expect(503, "too many requests under way");
    }
    // One is still held, and whoever has a key is served.
    good(&server, &key).await;
}
