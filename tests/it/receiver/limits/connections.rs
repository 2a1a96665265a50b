//! Connections: 1,024 in all, 64 from an address.

use super::{good, server};
use crate::receiver::raw::{Raw, post, update};
use crate::receiver::server::{Key, Server};
use nightmark::server::Options;
use std::time::Duration;

/// Kept connections, each of which has had an answer: they are surely counted.
async fn kept(server: &Server, key: &Key, number: usize, header: &str) -> Vec<Raw> {
    let mut clients = Vec::with_capacity(number);
    for _ in 0..number {
        let mut client = Raw::connect(server.address).await;
        client.send(request(key, header)).await;
        client.expect(200, "").await;
        clients.push(client);
    }
    clients
}

fn request(key: &Key, header: &str) -> String {
    post(&key.key, &update("a")).replacen("host: x\r\n", &format!("host: x\r\n{header}"), 1)
}

async fn refused(server: &Server, key: &Key) {
    let mut client = Raw::connect(server.address).await;
    client.send(request(key, "")).await;
    let reply = client.reply().await.expect("it is told").expect_later(503);
    assert_eq!(reply.header("connection"), Some("close"));
    client.expect_close().await;
}

/// As soon as the server has noticed that another is gone.
async fn room(server: &Server, key: &Key) {
    let try_it = async {
        loop {
            let mut client = Raw::connect(server.address).await;
            client.send(request(key, "")).await;
            if client.reply().await.unwrap().status == 200 {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), try_it).await.expect("room again");
}

#[tokio::test]
async fn no_more_in_all_than_may_be() {
    let server = server(Options { connections: 5, ..Options::default() }).await;
    let key = server.flat_key().await;
    let mut clients = kept(&server, &key, 5, "").await;
    for _ in 0..3 {
        refused(&server, &key).await;
    }
    // Those that are there are served on.
    for client in &mut clients {
        client.send(request(&key, "")).await;
        client.expect(200, "").await;
    }
    clients.pop();
    room(&server, &key).await;
}

#[tokio::test]
async fn no_more_from_an_address_than_may_be() {
    let server = server(Options { connections_per_address: 3, ..Options::default() }).await;
    let key = server.flat_key().await;
    let mut clients = kept(&server, &key, 3, "").await;
    refused(&server, &key).await;
    // Another address of the loopback network has its own.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = Raw::over(socket.connect(server.address).await.unwrap());
    other.send(request(&key, "")).await;
    other.expect(200, "").await;
    clients.pop();
    room(&server, &key).await;
}

#[tokio::test]
async fn a_trusted_proxy_speaks_for_many() {
    let trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let server =
        server(Options { connections_per_address: 3, connections: 10, trusted_proxies, ..Options::default() }).await;
    let key = server.flat_key().await;
    let _clients = kept(&server, &key, 10, "x-forwarded-for: 203.0.113.9\r\n").await;
    // It is exempt from the one and not from the other.
    refused(&server, &key).await;
}

#[tokio::test]
async fn the_1025th_is_refused() {
    let server = server(Options { connections_per_address: 2000, ..Options::default() }).await;
    let key = server.flat_key().await;
    let clients = kept(&server, &key, 1024, "").await;
    refused(&server, &key).await;
    drop(clients);
    room(&server, &key).await;
    good(&server, &key).await;
}

#[tokio::test]
async fn many_at_once_are_refused_without_harm() {
    let server = server(Options { connections: 4, ..Options::default() }).await;
    let key = server.flat_key().await;
    let mut clients = kept(&server, &key, 4, "").await;
    let mut crowd = futures_util::future::join_all((0..400).map(|_| Raw::connect(server.address))).await;
    for client in &mut crowd {
        client.send(request(&key, "")).await;
    }
    for client in &mut clients {
        client.send(request(&key, "")).await;
        client.expect(200, "").await;
    }
    for mut client in crowd {
        // Told or not, it is closed.
        if let Some(reply) = client.reply().await {
            reply.expect_later(503);
        }
    }
    clients.clear();
    room(&server, &key).await;
}
