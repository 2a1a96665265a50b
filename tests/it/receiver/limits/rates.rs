//! Rates: 100/s a key, 10 bad keys a minute an address; what is busy says so.

use crate::receiver::raw::{Raw, post, update};
use crate::receiver::server::{Key, Server};
use futures_util::future::join_all;
use nightmark::receiver;
use nightmark::server::Options;
use nightmark::store::KeyStore;
use std::num::NonZeroU32;

async fn server(rate: u32, bad_keys: u32, proxies: &[&str]) -> Server {
    let options = receiver::Options {
        rate: NonZeroU32::new(rate),
        bad_keys_per_minute: NonZeroU32::new(bad_keys),
        ..receiver::Options::default()
    };
    let trusted_proxies = proxies.iter().map(|network| network.parse().unwrap()).collect();
    let server = Options { trusted_proxies, connections_per_address: 1024, ..Options::default() };
    Server::start_with(options, server, None).await
}

async fn statuses(server: &Server, key: &str, number: usize, secret: Option<&str>) -> Vec<u16> {
    let answers = join_all((0..number).map(|_| server.post_with(key, secret, update("a")))).await;
    answers
        .into_iter()
        .map(|answer| {
            if answer.status == 429 {
                let seconds: u64 = answer.retry_after.as_deref().unwrap().parse().unwrap();
                assert!((1..=6).contains(&seconds), "{seconds}");
                assert!(answer.text.contains("too many requests"), "{}", answer.text);
            }
            answer.status
        })
        .collect()
}

fn count(statuses: &[u16], status: u16) -> usize {
    statuses.iter().filter(|found| **found == status).count()
}

#[tokio::test]
async fn a_key_has_its_rate() {
    // One a second, so that the test is not decided by how long it takes: thirty requests in less than twenty seconds.
    let server = server(1, 0, &[]).await;
    let (one, other) = (server.flat_key().await, server.flat_key().await);
    let found = statuses(&server, &one.key, 30, None).await;
    assert!(
        count(&found, 200) >= 1 && count(&found, 429) >= 9 && count(&found, 200) + count(&found, 429) == 30,
        "{found:?}"
    );
    assert_eq!(count(&statuses(&server, &other.key, 1, None).await, 200), 1, "each key for itself");
    // SDKs are told in the form that they read.
    let request = server.client.post(format!("http://{}/v1/track", server.address)).basic_auth(&one.key, Some(""));
    let answers = join_all((0..30).map(|_| server.send(request.try_clone().unwrap().body("{}")))).await;
    let refused = answers.iter().find(|answer| answer.status == 429).expect("beyond the rate");
    assert!(
        refused.text.contains("\"code\":\"too_many_requests\"") && refused.retry_after.is_some(),
        "{}",
        refused.text
    );
}

#[tokio::test]
async fn a_keys_own_rate_counts() {
    let server = server(1, 0, &[]).await;
    let key = server.flat_key().await;
    let mut record = server.store.keys().await.unwrap().remove(0);
    record.rate = Some(1000);
    assert!(server.store.change_key(&record).await.unwrap());
    let found = statuses(&server, &key.key, 100, None).await;
    assert_eq!(count(&found, 200), 100, "{found:?}");
}

#[tokio::test]
async fn bad_keys_are_slowed_down_and_good_ones_are_not() {
    let server = server(0, 10, &[]).await;
    let good = server.flat_key().await;
    let secured: Key = server.key(crate::receiver::server::preset("flat"), true, None).await;
    let found = statuses(&server, "sk_none", 40, None).await;
    // Six seconds for each further one.
    assert!((10..=20).contains(&count(&found, 401)) && count(&found, 401) + count(&found, 429) == 40, "{found:?}");
    // The same for everything that may be wrong with a key, in every place where one may stand.
    let wrong = statuses(&server, &secured.key, 5, Some("ss_wrong")).await;
    let none = statuses(&server, &secured.key, 5, None).await;
    assert!(count(&wrong, 429) >= 3 && count(&none, 429) >= 3, "{wrong:?} {none:?}");
    let sdk = server.client.post(format!("http://{}/v1/batch", server.address)).basic_auth("sk_none", Some(""));
    let sdk = join_all((0..5).map(|_| server.send(sdk.try_clone().unwrap().body("{\"batch\":[]}")))).await;
    assert!(sdk.iter().filter(|answer| answer.status == 429).count() >= 3);
    // From the same address, all the while.
    assert_eq!(count(&statuses(&server, &good.key, 40, None).await, 200), 40);
    let right = statuses(&server, &secured.key, 10, secured.secret.as_deref()).await;
    assert_eq!(count(&right, 200), 10, "{right:?}");
}

#[tokio::test]
async fn behind_a_proxy_it_is_the_clients_address_that_counts() {
    let server = server(0, 10, &["127.0.0.0/8"]).await;
    let status = async |forwarded: &str| {
        let mut client = Raw::connect(server.address).await;
        let header = format!("host: x\r\nx-forwarded-for: {forwarded}\r\n");
        client.send(post("sk_none", "{}").replacen("host: x\r\n", &header, 1)).await;
        client.reply().await.unwrap().status
    };
    let mut found = Vec::new();
    for _ in 0..30 {
        // What the client itself has put there changes nothing.
        found.push(status("198.51.100.1, 203.0.113.9").await);
    }
    assert!(count(&found, 429) >= 10, "{found:?}");
    assert_eq!(status("198.51.100.1").await, 401, "another client");
    let mut found = Vec::new();
    for host in 0..30 {
        found.push(status(&format!("2001:db8::{host:x}")).await);
    }
    assert!(count(&found, 429) >= 10, "one network of IPv6: {found:?}");
    assert_eq!(status("2001:db8:0:1::1").await, 401, "another network");
}

#[tokio::test]
async fn a_forged_address_is_not_believed() {
    let server = server(0, 10, &[]).await;
    let mut found = Vec::new();
    for host in 0..30 {
        let mut client = Raw::connect(server.address).await;
        let header = format!("host: x\r\nx-forwarded-for: 203.0.113.{host}\r\n");
        client.send(post("sk_none", "{}").replacen("host: x\r\n", &header, 1)).await;
        found.push(client.reply().await.unwrap().status);
    }
    assert!(count(&found, 429) >= 10, "{found:?}");
}

#[tokio::test]
async fn a_store_that_is_busy_or_gone_says_so() {
    let options = receiver::Options { queue: 1, ..receiver::Options::default().without_rates() };
    let server =
        Server::start_with(options, Options { connections_per_address: 300, ..Options::default() }, None).await;
    let key = server.flat_key().await;
    let request = post(&key.key, &update("a"));
    // Many at once: one is written, one waits, and of the others some find no room, at the latest in the tenth round.
    let mut busy = 0;
    for _ in 0..10 {
        let replies = join_all((0..200).map(async |_| {
            let mut client = Raw::connect(server.address).await;
            client.send(&request).await;
            client.reply().await.unwrap()
        }))
        .await;
        for reply in replies {
            if reply.status != 200 {
                reply.expect_later(503);
                busy += 1;
            }
        }
        if busy > 0 {
            break;
        }
    }
    assert!(busy > 0, "the queue of one was never full");
    server.store.close().await;
    let mut client = Raw::connect(server.address).await;
    client.send(&request).await;
    client.reply().await.unwrap().expect_later(503);
}
