//! HTTP as clients and proxies speak it, and what the server says when its own code fails.

use super::raw::{Raw, Reply, post, update};
use super::server::Server;
use axum::Router;
use axum::routing::{get, post as post_route};
use nightmark::clock::SystemClock;
use nightmark::server::{Options, RequestId, Server as HttpServer};
use nightmark::store::OrgStore;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::sync::watch;

async fn ask(server: &Server, request: impl AsRef<[u8]>) -> Reply {
    let mut client = Raw::connect(server.address).await;
    client.send(request).await;
    client.reply().await.expect("an answer")
}

#[tokio::test]
async fn the_ways_to_write_a_request() {
    let server = Server::start().await;
    let key = server.flat_key().await;
    let path = format!("/api/product-orgs/webhook/{}", key.key);
    let with = |line: String, headers: &str| {
        let body = update("a");
        format!("{line}\r\nhost: x\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
    };
    for request in [
        with(format!("POST {path}?source=segment&x=%2F HTTP/1.1"), ""),
        with(format!("POST http://receiver.example{path} HTTP/1.1"), ""),
        with(format!("POST http://receiver.example:8080{path}?a=b HTTP/1.1"), ""),
        with(format!("POST {path} HTTP/1.0"), ""),
        with(format!("POST {path} HTTP/1.1"), "CONTENT-TYPE: application/json\r\n"),
        format!("\r\n\r\n{}", with(format!("POST {path} HTTP/1.1"), "")),
        // Without a Host, as of simple devices.
        post(&key.key, &update("a")).replacen("host: x\r\n", "", 1),
        format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n10;x=y\r\n{{\"workspace_id\":\r\n4\r\n\"a\"}}\r\n0\r\nx-trailer: y\r\n\r\n"
        ),
    ] {
        ask(&server, &request).await.expect(200, "\"productOrgId\":\"a\"");
    }
    assert_eq!(server.org_count().await, 1);
}

#[tokio::test]
async fn what_is_no_request_is_refused() {
    let server = Server::start().await;
    let key = server.flat_key().await;
    let path = format!("/api/product-orgs/webhook/{}", key.key);
    for (request, statuses) in [
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), &[400, 0][..]),
        ("GET\r\n\r\n".to_owned(), &[400]),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\u{7f}\r\n\r\n".to_owned(), &[400]),
        (format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd"), &[400, 0]),
        (format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n"), &[400, 0]),
        (format!("POST {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"), &[400]),
        (format!("POST {path} HTTP/1.1\r\nhost: x\r\nbad header: y\r\n\r\n"), &[400]),
        ("OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), &[404, 405]),
        ("CONNECT other.example:443 HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), &[404, 405]),
        (format!("DELETE {path} HTTP/1.1\r\nhost: x\r\n\r\n"), &[405]),
    ] {
        let mut client = Raw::connect(server.address).await;
        client.send(&request).await;
        let status = client.reply().await.map_or(0, |reply| reply.status);
        assert!(statuses.contains(&status), "{request:?}: {status}");
    }
    assert_eq!(server.org_count().await, 0);
}

#[tokio::test]
async fn requests_in_a_row_are_answered_in_their_order() {
    let server = Server::start().await;
    let key = server.flat_key().await;
    let mut client = Raw::connect(server.address).await;
    let all: String = (0..100).map(|number| post(&key.key, &update(&format!("ws_{number}")))).collect();
    client.send(&all).await;
    for number in 0..100 {
        client.expect(200, &format!("\"productOrgId\":\"ws_{number}\"")).await;
    }
    assert_eq!(server.org_count().await, 100);
}

#[tokio::test]
async fn a_body_is_asked_for_only_if_it_is_wanted() {
    let server = Server::start().await;
    let key = server.flat_key().await;
    let expecting =
        |key: &str| post(key, &update("a")).replacen("host: x\r\n", "host: x\r\nexpect: 100-continue\r\n", 1);
    let head = |request: String| request.split_once("\r\n\r\n").map(|(head, _)| format!("{head}\r\n\r\n")).unwrap();
    let mut client = Raw::connect(server.address).await;
    client.send(head(expecting(&key.key))).await;
    assert_eq!(client.reply().await.unwrap().status, 100);
    client.send(update("a")).await;
    client.expect(200, "").await;
    let mut client = Raw::connect(server.address).await;
    client.send(head(expecting("sk_none"))).await;
    client.expect(401, "").await;
}

#[tokio::test]
async fn a_head_request_has_no_body() {
    let server = Server::start().await;
    let mut client = Raw::connect(server.address).await;
    client.send("HEAD /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    let mut text = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut client.stream, &mut text).await.unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 ") && text.ends_with("\r\n\r\n"), "{text}");
}

#[tokio::test]
async fn who_has_sent_all_may_shut_its_side() {
    let server = Server::start().await;
    let key = server.flat_key().await;
    let mut client = Raw::connect(server.address).await;
    client.send(post(&key.key, &update("a"))).await;
    client.stream.shutdown().await.unwrap();
    client.expect(200, "").await;
    client.expect_close().await;
    // Half a body and an end: nothing is stored.
    let mut client = Raw::connect(server.address).await;
    let whole = post(&key.key, &update("half"));
    client.send(&whole[..whole.len() - 3]).await;
    client.stream.shutdown().await.unwrap();
    if let Some(reply) = client.reply().await {
        reply.expect(400, "broke off");
    }
    assert!(server.store.org("half").await.unwrap().is_none());
}

#[tokio::test]
async fn a_request_has_an_id() {
    let server = Server::start().await;
    let key = server.flat_key().await;
    let with = |id: &str| {
        post(&key.key, &update("a")).replacen("host: x\r\n", &format!("host: x\r\nX-Request-Id: {id}\r\n"), 1)
    };
    let reply = ask(&server, with("abc-123")).await;
    assert_eq!(reply.header("x-request-id"), Some("abc-123"));
    let own = |reply: &Reply| {
        let id = reply.header("x-request-id").expect("an id").to_owned();
        assert!(id.len() == 26 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
        id
    };
    let first = own(&ask(&server, post(&key.key, &update("a"))).await);
    assert_ne!(first, own(&ask(&server, with(&"x".repeat(129))).await));
    own(&ask(&server, with("with space")).await);
    // Also what is refused has one.
    own(&ask(&server, "GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n").await);
    own(&ask(&server, post("sk_none", "{}")).await);
}

/// A server with routes of the test's own.
async fn serve(router: Router, options: Options) -> (SocketAddr, watch::Sender<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(HttpServer::new(router, options, Arc::new(SystemClock)).run(listener, stopped));
    (address, stop)
}

#[tokio::test]
async fn a_panic_is_a_503_and_the_connection_lives() {
    let router = Router::new()
        .route(
            "/panic",
            post_route(async || {
                if true {
                    panic!("a bug")
                }
            }),
        )
        .route("/fine", get(async |axum::Extension(RequestId(id)): axum::Extension<RequestId>| id));
    let (address, _stop) = serve(router, Options::default()).await;
    let mut client = Raw::connect(address).await;
    for _ in 0..3 {
        client.send("POST /panic HTTP/1.1\r\nhost: x\r\nx-request-id: id-1\r\ncontent-length: 0\r\n\r\n").await;
        let reply = client.reply().await.unwrap().expect_later(503);
        assert_eq!(reply.header("x-request-id"), Some("id-1"));
        client.send("GET /fine HTTP/1.1\r\nhost: x\r\nx-request-id: id-2\r\n\r\n").await;
        client.expect(200, "id-2").await;
    }
}

#[tokio::test]
async fn a_handler_without_an_end_is_a_503() {
    let router = Router::new().route("/hangs", get(async || std::future::pending::<()>().await));
    let options = Options { answer: Duration::from_millis(200), ..Options::default() };
    let (address, _stop) = serve(router, options).await;
    let mut client = Raw::connect(address).await;
    client.send("GET /hangs HTTP/1.1\r\nhost: x\r\n\r\n").await;
    client.reply().await.unwrap().expect_later(503);
}
