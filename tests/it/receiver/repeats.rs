//! Repeats are answered as the first time, late events overwrite nothing newer, and a key that changes under way writes nothing.

use super::server::{Answer, Key, Server, preset};
use chrono::TimeDelta;
use futures_util::future::join_all;
use nightmark::clock::Clock;
use nightmark::receiver;
use nightmark::store::{KeyStore, OrgStore};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn body(name: &str) -> String {
    json!({"workspace_id": "ws", "workspace_name": name}).to_string()
}

async fn called(server: &Server, key: &Key, headers: &[(&str, &str)], body: impl Into<reqwest::Body>) -> Answer {
    let request = server.client.post(server.url(&key.key)).header("content-type", "application/json").body(body);
    server.send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

async fn name(server: &Server) -> Option<String> {
    server.store.org("ws").await.unwrap().unwrap().fields.name
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_to_the_byte() {
    let server = Server::start().await;
    let key = server.flat_key().await;
    for (header, id) in [("webhook-id", "msg_1"), ("idempotency-key", "\"msg 2\"")] {
        let first = called(&server, &key, &[(header, id)], body(id)).await.expect(200, "");
        assert!(!first.replayed);
        called(&server, &key, &[], body("in between")).await.expect(200, "\"isNewOrg\":false");
        // Whatever it says: it is the same update.
        for text in [id, "something else"] {
            let again = called(&server, &key, &[(header, id)], body(text)).await.expect(200, "");
            assert_eq!((again.text, again.replayed), (first.text.clone(), true), "{header}");
        }
        assert_eq!(name(&server).await.as_deref(), Some("in between"));
    }
    // Another org is another update, and so is another key's.
    let other = json!({"workspace_id": "other"}).to_string();
    assert!(!called(&server, &key, &[("webhook-id", "msg_1")], other).await.expect(200, "").replayed);
    let second = server.flat_key().await;
    assert!(!called(&server, &second, &[("webhook-id", "msg_1")], body("by another")).await.expect(200, "").replayed);
    // webhook-id goes first.
    let both = [("idempotency-key", "fresh"), ("webhook-id", "msg_1")];
    assert!(called(&server, &key, &both, body("x")).await.expect(200, "").replayed);
}

#[tokio::test]
async fn ids_that_cannot_be_are_refused_after_the_key() {
    let server = Server::start().await;
    let key = server.flat_key().await;
    let long = "x".repeat(256);
    for (header, id) in [("webhook-id", ""), ("webhook-id", &long), ("idempotency-key", "a\tb")] {
        called(&server, &key, &[(header, id)], body("a")).await.expect(400, header);
        let unknown = Key { id: String::new(), key: "sk_unknown".into(), secret: None };
        called(&server, &unknown, &[(header, id)], body("a")).await.expect(401, "");
    }
    assert_eq!(server.org_count().await, 0);
}

#[tokio::test]
async fn of_many_at_once_one_is_done() {
    let server = Server::start().await;
    let key = server.flat_key().await;
    let answers = join_all((0..64).map(|turn| {
        let (server, key) = (&server, &key);
        async move { called(server, key, &[("webhook-id", "once")], body(&turn.to_string())).await.expect(200, "") }
    }))
    .await;
    assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1);
    assert!(answers.iter().all(|answer| answer.text == answers[0].text), "one answer for all");
    assert_eq!(server.store.history("ws", None, 100).await.unwrap().len(), 1);
}

#[tokio::test]
async fn events_of_a_batch_are_called_by_themselves_or_by_their_place() {
    let server = Server::start().await;
    let key = server.key(preset("segment"), false, None).await;
    let event = |org: &str, id: Option<&str>, users: i64| json!({"type": "group", "groupId": org, "messageId": id, "traits": {"employees": users}});
    let array = json!([event("a", Some("m1"), 1), {"traits": {}}, event("b", None, 2)]).to_string();
    let first = called(&server, &key, &[("webhook-id", "batch")], array.clone()).await.expect(200, "");
    assert!(!first.replayed);
    let again = called(&server, &key, &[("webhook-id", "batch")], array).await.expect(200, "");
    assert_eq!((again.text, again.replayed), (first.text, true));
    // The same event in another batch, and another one in the place of the other.
    let mixed = json!([event("b", None, 3), event("a", Some("m1"), 4)]).to_string();
    let mixed = called(&server, &key, &[("webhook-id", "batch 2")], mixed).await.expect(200, "");
    assert!(!mixed.replayed, "not all of it was done before");
    let users = async |id: &str| server.store.org(id).await.unwrap().unwrap().fields.user_count;
    assert_eq!((users("a").await, users("b").await), (Some(1), Some(3)));
    // SDKs: the event's own messageId.
    for call in ["batch", "group"] {
        let one = event("c", Some(call), 5);
        let text = if call == "batch" { json!({"batch": [one]}).to_string() } else { one.to_string() };
        let send = async || {
            let url = format!("http://{}/v1/{call}", server.address);
            server.send(server.client.post(url).basic_auth(&key.key, Some("")).body(text.clone())).await
        };
        let (first, again) = (send().await.expect(200, "\"stored\":1"), send().await.expect(200, ""));
        assert_eq!((first.replayed, again.replayed, again.text == first.text), (false, true, true), "{call}");
    }
    assert_eq!(server.store.history("c", None, 100).await.unwrap().len(), 1, "the second changed nothing");
}

#[tokio::test]
async fn a_repeat_is_known_for_a_week() {
    let server = Server::start().await;
    let key = server.flat_key().await;
    let send = async |text: &str| called(&server, &key, &[("webhook-id", "old")], body(text)).await.expect(200, "");
    send("first").await;
    *server.clock.0.lock().unwrap() += receiver::REMEMBERED;
    let now = server.clock.now();
    assert!(!receiver::forget_piece(server.store.as_ref(), now).await.unwrap());
    assert!(send("second").await.replayed);
    *server.clock.0.lock().unwrap() += TimeDelta::microseconds(1);
    let now = server.clock.now();
    receiver::forget_piece(server.store.as_ref(), now).await.unwrap();
    let third = send("third").await;
    assert!(!third.replayed && third.text.contains("\"isNewOrg\":false"), "{}", third.text);
    assert_eq!(name(&server).await.as_deref(), Some("third"));
}

#[tokio::test]
async fn an_event_that_is_late_is_answered_stale() {
    let server = Server::start().await;
    let key = server.key(preset("segment"), false, None).await;
    let event = |second: u8, traits: Value| {
        let at = format!("2026-01-15T10:30:{second:02}.000Z");
        json!({"type": "group", "groupId": "ws", "timestamp": at, "traits": traits}).to_string()
    };
    let first = server.post(&key, event(30, json!({"name": "newer"}))).await.expect(200, "");
    assert_eq!(first.text, r#"{"success":true,"productOrgId":"ws","targetOrgId":1,"isNewOrg":true}"#);
    let late = server.post(&key, event(10, json!({"name": "older", "mrr": 5}))).await.expect(200, "");
    assert_eq!(late.text, r#"{"success":true,"productOrgId":"ws","targetOrgId":1,"isNewOrg":false,"stale":true}"#);
    let org = server.store.org("ws").await.unwrap().unwrap();
    assert_eq!((org.fields.name.as_deref(), org.fields.mrr), (Some("newer"), Some(5)));
    server.post(&key, event(30, json!({"name": "same time"}))).await.expect(200, "\"isNewOrg\":false}");
    assert_eq!(name(&server).await.as_deref(), Some("same time"));
}

/// The key is looked up, then it changes, then the update is to be written: the server asks for the body in between.
async fn changed_under_way(server: &Server, key: &Key, change: impl AsyncFnOnce()) -> String {
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    let body = body("late");
    let head = format!(
        "POST /api/product-orgs/webhook/{} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nexpect: 100-continue\r\n\
         content-length: {}\r\n\r\n",
        key.key,
        body.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut asked = [0; 25];
    socket.read_exact(&mut asked).await.unwrap();
    assert!(asked.starts_with(b"HTTP/1.1 100 "), "{}", String::from_utf8_lossy(&asked));
    change().await;
    socket.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_key_that_is_revoked_under_way_writes_nothing() {
    let server = Server::start().await;
    let key = server.flat_key().await;
    let revoke = async || drop(server.store.revoke_key(&key.id, server.clock.now()).await.unwrap());
    let answer = changed_under_way(&server, &key, revoke).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert_eq!(server.org_count().await, 0);
}

#[tokio::test]
async fn a_key_that_changes_under_way_and_stays_valid_writes() {
    let server = Server::start().await;
    let key = server.flat_key().await;
    let rename = async || {
        let record = server.store.keys().await.unwrap().into_iter().find(|record| record.id == key.id).unwrap();
        assert!(server.store.change_key(&record).await.unwrap());
    };
    let answer = changed_under_way(&server, &key, rename).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"isNewOrg\":true"), "{answer}");
    assert_eq!(name(&server).await.as_deref(), Some("late"));
}
