//! Signatures, as a receiver checks them: with the library of Standard Webhooks.

use super::server::{Seen, Server, status};
use super::{Case, from_env, message};
use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use nightmark::clock::{Clock, SystemClock};
use nightmark::deliver::{Delivery, Item, Ledger, Observer, Options};
use standardwebhooks::Webhook;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

fn secret(byte: u8) -> String {
    format!("whsec_{}", STANDARD.encode([byte; 32]))
}

fn signed_by(server: &Server, secrets: &[&str]) -> Case {
    let mut case = Case::new(server);
    case.destination.signing = secrets.iter().map(|_| from_env()).collect();
    case.resolved.signing = secrets.iter().map(|secret| (*secret).into()).collect();
    case
}

fn headers(seen: &Seen) -> HeaderMap {
    let ours = seen.headers.iter().filter(|(name, _)| name.starts_with("webhook-"));
    ours.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect::<HeaderMap>()
}

fn verifies(secret: &str, body: &str, headers: &HeaderMap) -> bool {
    Webhook::new(secret).unwrap().verify(body.as_bytes(), headers).is_ok()
}

#[tokio::test]
async fn requests_verify_with_each_secret_and_no_other_body() {
    let [new, old, other] = [secret(1), secret(2), secret(3)];
    let server = Server::start(|_| status(200)).await;
    assert_eq!(signed_by(&server, &[&new, &old]).send(3).await.acknowledged, 3);
    for seen in server.seen() {
        let headers = headers(&seen);
        assert_eq!(headers["webhook-signature"].to_str().unwrap().split(' ').count(), 2, "{headers:?}");
        assert!(verifies(&new, &seen.body, &headers) && verifies(&old, &seen.body, &headers), "{headers:?}");
        assert!(!verifies(&other, &seen.body, &headers));
        assert!(!verifies(&new, &format!("{} ", seen.body), &headers), "a body that was tampered with");
        for name in ["webhook-id", "webhook-timestamp"] {
            let mut tampered = headers.clone();
            // No time at which it can have been signed.
            tampered.insert(name, (Utc::now().timestamp() + 60).into());
            assert!(!verifies(&new, &seen.body, &tampered), "{name} that was tampered with");
        }
    }
}

#[tokio::test]
async fn without_a_secret_there_is_no_signature() {
    let server = Server::start(|_| status(200)).await;
    Case::new(&server).send(1).await;
    assert!(!server.seen()[0].headers.contains_key("webhook-signature"));
}

/// Ten seconds later with every look at it.
#[derive(Debug)]
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.0.fetch_add(10, Ordering::SeqCst), 0).unwrap()
    }

    fn random(&self) -> u128 {
        SystemClock.random()
    }
}

#[tokio::test]
async fn every_attempt_is_signed_anew_with_its_own_time_and_the_same_id() {
    let secret = secret(9);
    let server = Server::start(|seen| status(if seen.nth == 0 { 503 } else { 200 })).await;
    let case = signed_by(&server, &[&secret]);
    let clock = Arc::new(Ticking(AtomicI64::new(1_700_000_000)));
    let delivery = Delivery::new(&case.destination, case.resolved.clone(), clock, Options::default()).unwrap();
    let ledger = Arc::clone(&case.ledger) as Arc<dyn Ledger>;
    let observer = Arc::clone(&case.observer) as Arc<dyn Observer>;
    delivery.run(std::iter::once(Item::Send(message(0))), ledger, observer, case.stop.subscribe()).await.unwrap();
    let seen = server.seen();
    let of = |name: &str| seen.iter().map(|s| s.headers[name].clone()).collect::<Vec<_>>();
    assert_eq!(of("webhook-id"), ["msg_0", "msg_0"]);
    let times: Vec<i64> = of("webhook-timestamp").iter().map(|t| t.parse().unwrap()).collect();
    assert!(times[0] >= 1_700_000_000 && times[0] < times[1] && times[1] < 1_700_000_200, "{times:?}");
    assert_ne!(seen[0].headers["webhook-signature"], seen[1].headers["webhook-signature"]);
    for seen in &seen {
        // The library's own check of the time is against today's.
        let time = seen.headers["webhook-timestamp"].parse().unwrap();
        let signature = Webhook::new(&secret).unwrap().sign("msg_0", time, seen.body.as_bytes()).unwrap();
        assert_eq!(seen.headers["webhook-signature"], signature);
    }
}
