//! Each row of WIRE.md's table "Receiver limits", over a real socket. Time-outs are shortened, so that the tests need not wait for them; that they are
//! as the table says is a test of its own.

mod bodies;
mod connections;
mod heads;
mod rates;
mod slow;

use super::raw::{Raw, post, update};
use super::server::{Key, Server};
use nightmark::receiver;
use nightmark::server::Options;
use std::num::NonZeroU32;
use std::time::Duration;

/// Longer than what is being waited for in most tests, shorter than anyone waits.
const SHORT: Duration = Duration::from_secs(1);

/// A server without rates.
async fn server(options: Options) -> Server {
    Server::start_with(receiver::Options::default().without_rates(), options, None).await
}

/// A good client gets its answer.
async fn good(server: &Server, key: &Key) {
    let mut client = Raw::connect(server.address).await;
    client.send(post(&key.key, &update("good"))).await;
    client.expect(200, "\"productOrgId\":\"good\"").await;
}

#[test]
fn the_defaults_are_the_table() {
    let options = Options::default();
    assert_eq!((options.connections, options.connections_per_address), (1024, 64));
    assert_eq!((options.head, options.request), (Duration::from_secs(5), Duration::from_secs(10)));
    let options = receiver::Options::default();
    assert_eq!((options.rate, options.bad_keys_per_minute), (NonZeroU32::new(100), NonZeroU32::new(10)));
    assert_eq!((receiver::MAX_BODY, receiver::MAX_BATCH_BODY), (256 * 1024, 4 * 1024 * 1024));
}
