//! The end of the receiver: whatever was begun is finished, and whoever asks later is told to ask elsewhere.

use super::raw::{Raw, post, update};
use super::server::Server;
use crate::support::{Home, Served, signal};
use futures_util::future::join_all;
use nightmark::receiver;
use nightmark::server::Options;
use nightmark::store::OrgStore;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;

#[tokio::test]
async fn what_was_begun_is_finished_and_what_comes_later_is_turned_away() {
    // A notice longer than the test takes to use it.
    let options = Options { notice: Duration::from_secs(3), ..Options::default() };
    let server = Server::start_with(receiver::Options::default().without_rates(), options, None).await;
    let key = server.flat_key().await;
    let mut kept = Raw::connect(server.address).await;
    kept.send(post(&key.key, &update("kept"))).await;
    kept.expect(200, "").await;
    let mut idle = Raw::connect(server.address).await;
    idle.send(post(&key.key, &update("idle"))).await;
    idle.expect(200, "").await;
    // Begun: the one has sent a part of its head, the other a part of its body.
    let request = post(&key.key, &update("head"));
    let (mut head, at) = (Raw::connect(server.address).await, 60);
    head.send(&request[..at]).await;
    let body_request = post(&key.key, &update("body")).replacen("host: x", "host: x\r\nexpect: 100-continue", 1);
    let body_at = body_request.find("\r\n\r\n").unwrap() + 4;
    let mut body = Raw::connect(server.address).await;
    body.send(&body_request[..body_at]).await;
    assert_eq!(body.reply().await.unwrap().status, 100);
    // The server reads from all of its connections before it answers this one: what came first has been read.
    kept.send(post(&key.key, &update("kept"))).await;
    kept.expect(200, "").await;
    tokio::time::sleep(Duration::from_millis(200)).await;

    let (store, address) = (Arc::clone(&server.store), server.address);
    let later = async {
        // Until nobody listens, the server has not begun to stop.
        while TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        kept.send(post(&key.key, &update("later"))).await;
        let reply = kept.reply().await.expect("it is told").expect_later(503);
        assert_eq!(reply.header("connection"), Some("close"));
        kept.expect_close().await;
        head.send(&request[at..]).await;
        head.expect(200, "\"productOrgId\":\"head\"").await;
        head.expect_close().await;
        idle.expect_close().await;
        // After the notice: what was begun has its time still.
        body.send(&body_request[body_at..]).await;
        body.expect(200, "\"productOrgId\":\"body\"").await;
        body.expect_close().await;
    };
    let (_dir, ()) = tokio::join!(server.stop(), later);
    assert!(store.org("body").await.unwrap().is_some() && store.org("head").await.unwrap().is_some());
    assert!(store.org("later").await.unwrap().is_none());
}

#[tokio::test]
async fn a_head_under_way_on_a_kept_connection_has_its_time() {
    let options = Options {
        head: Duration::from_secs(60),
        notice: Duration::from_millis(300),
        grace: Duration::from_secs(60),
        ..Options::default()
    };
    let server = Server::start_with(receiver::Options::default().without_rates(), options, None).await;
    let key = server.flat_key().await;
    let whole = post(&key.key, &update("first"));
    let second = |org: &str| post(&key.key, &update(org));
    let at = 60;
    let mut idle = Raw::connect(server.address).await;
    idle.send(&whole).await;
    idle.expect(200, "").await;
    // A part of the second request's head: on its own, and together with the first request.
    let mut apart = Raw::connect(server.address).await;
    apart.send(&whole).await;
    apart.expect(200, "").await;
    apart.send(&second("apart")[..at]).await;
    let mut together = Raw::connect(server.address).await;
    together.send(format!("{whole}{}", &second("together")[..at])).await;
    together.expect(200, "").await;
    tokio::time::sleep(Duration::from_millis(200)).await;

    let store = Arc::clone(&server.store);
    let later = async {
        idle.expect_close().await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        for (client, org) in [(&mut apart, "apart"), (&mut together, "together")] {
            client.send(&second(org)[at..]).await;
            let reply = client.expect(200, org).await;
            assert_eq!(reply.header("connection"), Some("close"));
            client.expect_close().await;
        }
    };
    let (_dir, ()) = tokio::join!(server.stop(), later);
    assert!(store.org("apart").await.unwrap().is_some() && store.org("together").await.unwrap().is_some());
}

#[tokio::test]
async fn who_never_ends_is_cut_in_the_end() {
    let options = Options {
        request: Duration::from_secs(3600),
        answer: Duration::from_secs(3600),
        notice: Duration::from_millis(100),
        grace: Duration::from_millis(500),
        ..Options::default()
    };
    let server = Server::start_with(receiver::Options::default().without_rates(), options, None).await;
    let key = server.flat_key().await;
    let mut client = Raw::connect(server.address).await;
    let request = post(&key.key, &update("never")).replacen("host: x", "host: x\r\nexpect: 100-continue", 1);
    client.send(&request[..request.find("\r\n\r\n").unwrap() + 4]).await;
    assert_eq!(client.reply().await.unwrap().status, 100);
    tokio::time::timeout(Duration::from_secs(30), server.stop()).await.expect("an end");
    client.expect_close().await;
}

/// What a client of the load was told of an org.
enum Told {
    Stored(String),
    /// 503, or closed before anything of an answer came.
    Not,
}

/// Sends updates one after the other, on a kept connection or on a new one each time, until it is turned away.
async fn load(address: SocketAddr, key: &str, client: usize, answered: &AtomicUsize) -> Vec<Told> {
    let mut told = Vec::new();
    let mut connection = None;
    for turn in 0.. {
        let org = format!("ws_{client}_{turn}");
        let mut raw = match connection.take() {
            Some(raw) => raw,
            None => match TcpStream::connect(address).await {
                Ok(stream) => Raw::over(stream),
                Err(_) => break,
            },
        };
        raw.send(post(key, &update(&org))).await;
        // `reply` panics on half an answer.
        let Some(reply) = raw.reply().await else {
            told.push(Told::Not);
            break;
        };
        if reply.status != 200 {
            let reply = reply.expect_later(503);
            assert_eq!(reply.header("connection"), Some("close"));
            told.push(Told::Not);
            break;
        }
        assert!(reply.body.contains(&format!("\"productOrgId\":\"{org}\"")), "{reply:?}");
        told.push(Told::Stored(org));
        answered.fetch_add(1, Ordering::Relaxed);
        if client.is_multiple_of(2) && reply.header("connection") != Some("close") {
            connection = Some(raw);
        }
    }
    told
}

#[tokio::test]
async fn a_process_that_is_told_to_end_under_load_loses_nothing() {
    let home = Home::new();
    home.write("nightmark.toml", "[receiver]\nrate = 0\nconnections_per_address = 1024\n");
    let created = home.run(&["keys", "create", "--json", "--name", "load", "--template", "flat"]).expect(0).json();
    let key = created["key"].as_str().unwrap();
    let served = Served::start(&home);
    let address: SocketAddr = served.receiver.parse().unwrap();
    let answered = AtomicUsize::new(0);
    let clients = join_all((0..32).map(|client| load(address, key, client, &answered)));
    let pid = served.pid();
    let stopping = async {
        while answered.load(Ordering::Relaxed) < 500 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(ready_status(&served.admin).await, Some(200));
        signal(pid, "TERM");
        // The operator's address is there for as long as requests are finished, and says so.
        let mut seen = BTreeSet::new();
        while let Some(status) = ready_status(&served.admin).await {
            seen.insert(status);
        }
        seen
    };
    let (told, seen) = tokio::join!(clients, stopping);
    assert!(seen.contains(&503), "/readyz: {seen:?}");
    assert_eq!(served.wait(), 0);
    let told: Vec<Told> = told.into_iter().flatten().collect();
    let listed = home.run(&["orgs", "list", "--limit", "1000000", "--json"]).expect(0).json();
    let stored: BTreeSet<&str> =
        listed.as_array().unwrap().iter().map(|org| org["product_org_id"].as_str().unwrap()).collect();
    let acknowledged: Vec<&String> =
        told.iter().filter_map(|told| if let Told::Stored(org) = told { Some(org) } else { None }).collect();
    assert!(acknowledged.len() >= 500, "{}", acknowledged.len());
    for org in acknowledged {
        assert!(stored.contains(org.as_str()), "{org} was acknowledged and is not there");
    }
}

/// `None`: nobody listens.
async fn ready_status(admin: &str) -> Option<u16> {
    let mut client = Raw::over(TcpStream::connect(admin).await.ok()?);
    client.send("GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    Some(client.reply().await?.status)
}

#[tokio::test]
async fn want_of_file_descriptors_is_survived() {
    let home = Home::new();
    home.write("nightmark.toml", "[receiver]\nconnections_per_address = 1024\nidle = \"1s\"\n");
    let created = home.run(&["keys", "create", "--json", "--name", "a", "--template", "flat"]).expect(0).json();
    let key = created["key"].as_str().unwrap();
    // Far fewer files than connections that may be.
    let served = Served::start_by(&home, &[], "ulimit -n 64; exec \"$0\" \"$@\"");
    let address: SocketAddr = served.receiver.parse().unwrap();
    let mut crowd = Vec::new();
    for _ in 0..150 {
        crowd.push(TcpStream::connect(address).await.unwrap());
    }
    let log = async {
        while !home.log().contains("connections cannot be accepted for now") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), log).await.expect("it says so");
    drop(crowd);
    let good = async {
        loop {
            let Ok(stream) = TcpStream::connect(address).await else { continue };
            let mut client = Raw::over(stream);
            client.send(post(key, &update("a"))).await;
            if client.reply().await.is_some_and(|reply| reply.status == 200) {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), good).await.expect("it goes on");
    assert_eq!(served.stop(), 0);
}
