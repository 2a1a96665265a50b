//! The receiver over a real socket: what the guide says, and what broken or hostile clients get.

mod access_log;
mod admin;
mod array;
mod corpus;
mod described;
mod http;
mod key_api;
mod keys;
mod kill;
mod limits;
mod logs;
pub mod nginx;
mod raw;
mod reading;
mod repeats;
mod sdk;
mod server;
mod stop;
mod templates;
mod tls;

pub use kill::RECEIVER_MARKS;

use chrono::TimeDelta;
use futures_util::future::join_all;
use nightmark::clock::Clock;
use nightmark::receiver::MAX_BODY;
use nightmark::receiver::keys::Purpose;
use nightmark::server::Server as HttpServer;
use nightmark::store::{KeyStore, OrgStore};
use nightmark::web::{self, Access, AdminState};
use serde_json::{Value, json};
use server::{Server, preset};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

const GUIDE_BODY: &str = include_str!("../fixtures/curl_flat.json");

#[tokio::test]
async fn the_guides_body_is_answered_as_the_guide_shows() {
    let server = Server::start().await;
    let key = server.flat_key().await;
    let first = server.post(&key, GUIDE_BODY).await.expect(200, "");
    assert_eq!(first.text, r#"{"success":true,"productOrgId":"test_ws_001","targetOrgId":1,"isNewOrg":true}"#);
    let second = server.post(&key, GUIDE_BODY).await.expect(200, "");
    assert_eq!(second.text, r#"{"success":true,"productOrgId":"test_ws_001","targetOrgId":1,"isNewOrg":false}"#);

    let org = server.store.org("test_ws_001").await.unwrap().unwrap();
    assert_eq!(org.key_id, key.id);
    let fields = json!(org.fields);
    for (field, value) in [
        ("name", json!("Test Workspace")),
        ("plan_id", json!("pro")),
        ("plan_name", json!("Pro")),
        ("user_count", json!(10)),
        ("mrr", json!(9900)),
        ("trial_status", json!("active")),
        ("last_active_at", Value::Null),
    ] {
        assert_eq!(fields[field], value, "{field}");
    }
    let used = server.store.keys().await.unwrap()[0].last_used_at;
    assert_eq!(used, Some(server.clock.now()));
    server.stop().await;
}

#[tokio::test]
async fn a_segment_group_call_is_taken_apart() {
    let server = Server::start().await;
    let key = server.key(preset("segment"), false, None).await;
    let event = json!({
        "type": "group", "groupId": "ws_abc123", "userId": "user_789", "messageId": "seg-msg-abc123",
        "traits": {"name": "Acme Corp Workspace", "plan": "pro_annual", "employees": 47, "mrr": 49900, "trial_status": "converted"},
    });
    server.post(&key, event.to_string()).await.expect(200, "\"productOrgId\":\"ws_abc123\"");
    let org = server.store.org("ws_abc123").await.unwrap().unwrap();
    assert_eq!((org.fields.user_count, org.fields.plan_id.as_deref()), (Some(47), Some("pro_annual")));
}

#[tokio::test]
async fn every_cause_of_401_is_answered_alike() {
    let server = Server::start().await;
    let secured = server.key(preset("flat"), true, None).await;
    let revoked = server.flat_key().await;
    server.store.revoke_key(&revoked.id, server.clock.now()).await.unwrap();
    let expiring = server.key(preset("flat"), false, Some(server.clock.now() + TimeDelta::seconds(1))).await;
    server.post(&expiring, GUIDE_BODY).await.expect(200, "");
    *server.clock.0.lock().unwrap() += TimeDelta::seconds(1);
    // Of the other type as well: whoever lacks the secret does not learn which type a key has.
    let signals = server.key(Purpose::SignalStaging, true, None).await;
    let before = server.org_count().await;

    let secret = secured.secret.as_deref();
    let answers = [
        server.post_with("sk_unknown", None, GUIDE_BODY).await,
        server.post_with("%ff%00", None, GUIDE_BODY).await,
        server.post_with("sk_unknown", secret, "not json").await,
        server.post(&revoked, GUIDE_BODY).await,
        server.post(&expiring, GUIDE_BODY).await,
        server.post_with(&secured.key, None, GUIDE_BODY).await,
        server.post_with(&secured.key, Some("wrong"), GUIDE_BODY).await,
        server.post_with(&secured.key, Some(""), GUIDE_BODY).await,
        server.post_with(&secured.key.to_uppercase(), secret, GUIDE_BODY).await,
        server.post_with(&signals.key, None, GUIDE_BODY).await,
    ];
    for answer in answers {
        assert_eq!(
            answer.expect(401, "").text,
            r#"{"success":false,"error":"The API key or its secret is not valid"}"#
        );
    }
    assert_eq!(server.org_count().await, before);
    server.post(&secured, GUIDE_BODY).await.expect(200, "");
}

#[tokio::test]
async fn a_key_of_the_other_type_is_told_so() {
    let server = Server::start().await;
    let key = server.key(Purpose::SignalStaging, false, None).await;
    let message = "The API key was not created with the Product Org Updates endpoint type";
    server.post(&key, GUIDE_BODY).await.expect(403, message);
    assert_eq!(server.org_count().await, 0);
}

#[tokio::test]
async fn bad_bodies_are_refused_with_their_reason() {
    let server = Server::start().await;
    let key = server.flat_key().await;
    let deep = format!("{{\"workspace_id\":\"a\",\"x\":{}{}}}", "[".repeat(32), "]".repeat(32));
    let long_id = json!({"workspace_id": "x".repeat(256)}).to_string();
    let cases = [
        (r#"{"workspace_name": "no id"}"#, "missing productOrgId"),
        (r#"{"Workspace_ID": "a"}"#, "missing productOrgId"),
        (r#"{"workspace_id": null}"#, "missing productOrgId"),
        (r#"{"workspace_id": ""}"#, "1–255 bytes"),
        (r#"{"workspace_id": "a\tb"}"#, "control characters"),
        (r#"{"workspace_id": {"a": 1}}"#, "must be a string or an integer, not an object"),
        (&long_id, "1–255 bytes"),
        ("", "not valid JSON"),
        ("{\"workspace_id\": \"a\"", "not valid JSON"),
        ("workspace_id=a", "not valid JSON"),
        (r#"["a"]"#, "must be a JSON object"),
        (r#"{"workspace_id": "a", "workspace_id": "b"}"#, "stands twice"),
        (r#"{"workspace_id": "a", "x": {"y": 1, "y": 1}}"#, "stands twice"),
        (r#"{"workspace_id": "a", "plan_id": "x\u0000"}"#, "NUL"),
        (r#"{"workspace_id": 18446744073709551616}"#, "64 bits"),
        (r#"{"workspace_id": "a", "mrr": 9223372036854775808}"#, "`mrr` must fit in 64 bits"),
        (&deep, "deeper than 32"),
        (r#"{"workspace_id": "a", "user_count": "10"}"#, "`user_count` must be an integer, not a string"),
        (r#"{"workspace_id": "a", "user_count": -1}"#, "`user_count` must not be negative"),
        (r#"{"workspace_id": "a", "trial_status": "Trial"}"#, "`trial_status` must be one of active"),
        (r#"{"workspace_id": "a", "plan_name": false}"#, "`plan_name` must be a string, not a boolean"),
    ];
    for (body, part) in cases {
        server.post(&key, body.to_owned()).await.expect(400, part);
    }
    assert_eq!(server.org_count().await, 0, "nothing of a refused body is stored");
}

#[tokio::test]
async fn types_encodings_methods_and_places() {
    let server = Server::start().await;
    let key = server.flat_key().await;
    let post = |name: &'static str, value: &'static str| {
        server.send(server.client.post(server.url(&key.key)).header(name, value).body(GUIDE_BODY))
    };
    post("content-type", "application/x-www-form-urlencoded").await.expect(415, "Content-Type: application/json");
    post("content-type", "text/plain").await.expect(415, "");
    post("content-type", "application/jsonp").await.expect(415, "");
    post("content-encoding", "br").await.expect(415, "compressed");
    post("content-type", "application/json; charset=utf-8").await.expect(200, "");
    post("content-type", "Application/JSON").await.expect(200, "");
    post("content-type", "application/cloudevents+json").await.expect(200, "");
    server.send(server.client.post(server.url(&key.key)).body(GUIDE_BODY)).await.expect(200, "");
    server.send(server.client.get(server.url(&key.key))).await.expect(405, "POST");
    server.send(server.client.post(format!("http://{}/", server.address))).await.expect(404, "webhook");
    let health = server.send(server.client.get(format!("http://{}/healthz", server.address))).await;
    assert_eq!((health.status, health.json()), (200, json!({"status": "ok"})));
}

#[tokio::test]
async fn the_body_limit_is_exact() {
    let server = Server::start().await;
    let key = server.flat_key().await;
    let sized = |size: usize| {
        let body = r#"{"workspace_id": "big"}"#;
        format!("{body}{}", " ".repeat(size - body.len()))
    };
    server.post(&key, sized(MAX_BODY)).await.expect(200, "");
    server.post(&key, sized(MAX_BODY + 1)).await.expect(413, "256 KB");
    server.post(&key, sized(2 * 1024 * 1024)).await.expect(413, "256 KB");
    // Without a length, in chunks.
    let chunks = sized(MAX_BODY + 1).into_bytes();
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST /api/product-orgs/webhook/{} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n",
        key.key
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    for chunk in chunks.chunks(64 * 1024) {
        socket.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).await.unwrap();
        socket.write_all(chunk).await.unwrap();
        socket.write_all(b"\r\n").await.unwrap();
    }
    socket.write_all(b"0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn ids_are_exact() {
    let server = Server::start().await;
    let key = server.flat_key().await;
    let ids =
        [json!("ws"), json!("WS"), json!(" ws"), json!("ws "), json!("007"), json!(7), json!("e\u{301}"), json!("é")];
    for id in &ids {
        let answer = server.post(&key, json!({"workspace_id": id}).to_string()).await.expect(200, "\"isNewOrg\":true");
        let expected = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
        assert_eq!(answer.json()["productOrgId"], json!(expected));
    }
    server.post(&key, r#"{"workspace_id": "7"}"#).await.expect(200, "\"isNewOrg\":false");
    assert_eq!(server.org_count().await, ids.len());
}

#[tokio::test]
async fn absent_keeps_null_clears() {
    let server = Server::start().await;
    let key = server
        .template_key("product_org_id = \"id\"\nname = \"name\"\nmrr = \"mrr\"\nlast_active_at = \"seen\"\nfeature_flags = \"flags\"\n[custom]\nprojects_count = \"metrics.total_projects\"\nregion = \"region\"")
        .await;
    let fields = async |body: Value| {
        server.post(&key, body.to_string()).await.expect(200, "");
        json!(server.store.org("a").await.unwrap().unwrap().fields)
    };
    let full = json!({"id": "a", "name": "A", "mrr": 5, "seen": "2026-01-15T12:30:00.5+02:00", "flags": {"sso": true},
                      "metrics": {"total_projects": 3}, "region": "eu"});
    let stored = fields(full).await;
    assert_eq!(stored["last_active_at"], json!("2026-01-15T10:30:00.500Z"));
    assert_eq!(stored["custom"], json!({"projects_count": 3, "region": "eu"}));
    assert_eq!(fields(json!({"id": "a"})).await, stored, "absent fields are left alone");
    let cleared = fields(json!({"id": "a", "name": null, "flags": {}, "metrics": {"total_projects": null}})).await;
    assert_eq!((&cleared["name"], &cleared["mrr"]), (&Value::Null, &json!(5)));
    assert_eq!(cleared["feature_flags"], json!({}), "flags are replaced, not merged");
    assert_eq!(cleared["custom"], json!({"region": "eu"}));
}

#[tokio::test]
async fn many_writers_at_once() {
    let server = Server::start().await;
    let key = server.flat_key().await;
    let send = |writer: usize| {
        let (server, key) = (&server, &key);
        async move {
            let mut targets = Vec::new();
            for turn in 0..5 {
                let body = json!({"workspace_id": format!("ws_{writer}"), "mrr": turn}).to_string();
                let answer = server.post(key, body).await.expect(200, "").json();
                assert_eq!(answer["isNewOrg"], json!(turn == 0));
                targets.push(answer["targetOrgId"].as_i64().unwrap());
            }
            targets.dedup();
            assert_eq!(targets.len(), 1, "the number is stable");
            targets[0]
        }
    };
    let mut targets = join_all((0..64).map(send)).await;
    targets.sort_unstable();
    targets.dedup();
    assert_eq!(targets.len(), 64, "each org has a number of its own");
    let orgs = server.store.orgs(None, 1000).await.unwrap();
    assert_eq!(orgs.len(), 64);
    assert!(orgs.iter().all(|org| org.fields.mrr == Some(4)), "each org has its last value");
}

#[tokio::test]
async fn one_org_from_many_sides_is_new_once() {
    let server = Server::start().await;
    let key = server.flat_key().await;
    let answers = join_all((0..64).map(|turn| {
        let body = json!({"workspace_id": "ws", "mrr": turn, "plan_name": format!("{turn}")}).to_string();
        server.post(&key, body)
    }))
    .await;
    let new = answers.into_iter().filter(|answer| answer.json()["isNewOrg"] == json!(true)).count();
    assert_eq!(new, 1);
    let org = server.store.org("ws").await.unwrap().unwrap();
    assert_eq!(org.fields.plan_name, org.fields.mrr.map(|mrr| mrr.to_string()), "updates are not mixed");
}

#[tokio::test]
async fn a_store_that_fails_is_503() {
    let server = Server::start().await;
    let key = server.flat_key().await;
    server.store.close().await;
    let answer = server.post(&key, GUIDE_BODY).await.expect(503, "send it again");
    assert_eq!(answer.retry_after.as_deref(), Some("1"));
}

/// Something done to the state from outside, as no version of ours would.
async fn tamper(server: &Server, sql: &'static str) {
    use sqlx::{ConnectOptions, Connection};
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(server.dir.path().join("nightmark.db"));
    let mut connection = options.connect().await.unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// It is no sender's fault and does not pass by itself: no 4xx, and no repeat every second. Others are not held up.
#[tokio::test]
async fn what_the_store_does_not_take_is_503_for_long_and_fails_alone() {
    let server = Server::start().await;
    let key = server.flat_key().await;
    tamper(
        &server,
        "CREATE TRIGGER refuse BEFORE INSERT ON orgs WHEN new.product_org_id = 'refused' BEGIN SELECT RAISE(ABORT, 'no'); END",
    )
    .await;
    let post = async |number: i32| {
        let id = if number == 7 { "refused".to_owned() } else { format!("ws_{number}") };
        (id.clone(), server.post(&key, json!({"workspace_id": id}).to_string()).await)
    };
    for (id, answer) in join_all((0..20).map(post)).await {
        match id == "refused" {
            true => assert_eq!(answer.expect(503, "somebody has looked into it").retry_after.as_deref(), Some("300")),
            false => drop(answer.expect(200, "\"success\":true")),
        }
        assert_eq!(server.store.org(&id).await.unwrap().is_some(), id != "refused");
    }
    // One request is one transaction, here too.
    let array = json!([{"workspace_id": "beside"}, {"workspace_id": "refused"}]).to_string();
    assert_eq!(server.post(&key, array).await.expect(503, "looked into").retry_after.as_deref(), Some("300"));
    assert!(server.store.org("beside").await.unwrap().is_none());
}

#[tokio::test]
async fn stopping_finishes_what_was_begun() {
    let server = Server::start().await;
    let key = server.flat_key().await;
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST /api/product-orgs/webhook/{} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        key.key,
        GUIDE_BODY.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    // The server asks for the body: the request is begun.
    let mut asked = [0; 25];
    socket.read_exact(&mut asked).await.unwrap();
    assert!(asked.starts_with(b"HTTP/1.1 100 "), "{}", String::from_utf8_lossy(&asked));
    let (store, address) = (Arc::clone(&server.store), server.address);
    let finish = async {
        socket.write_all(GUIDE_BODY.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let (_dir, answer) = tokio::join!(server.stop(), finish);
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"isNewOrg\":true"), "{answer}");
    assert!(store.org("test_ws_001").await.unwrap().is_some());
    assert!(TcpStream::connect(address).await.is_err(), "no more connections");
}

#[tokio::test]
async fn the_admin_address_tells_alive_from_ready() {
    let server = Server::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let access = Access::new(address, None).unwrap();
    let (writable, seen) = watch::channel(true);
    let state = AdminState::new(Arc::clone(&server.store), Arc::clone(&server.clock) as Arc<dyn Clock>, stopped);
    let state = state.with_writable(seen);
    let router = web::router(state, access);
    let (_end, stopped) = watch::channel(false);
    let clock = Arc::clone(&server.clock) as Arc<dyn Clock>;
    tokio::spawn(HttpServer::new(router, nightmark::server::Options::default(), clock).run(listener, stopped));
    let status = async |path: &str| server.send(server.client.get(format!("http://{address}{path}"))).await.status;
    assert_eq!((status("/healthz").await, status("/readyz").await), (200, 200));
    stop.send(true).unwrap();
    assert_eq!((status("/healthz").await, status("/readyz").await), (200, 503), "stopping");
    stop.send(false).unwrap();
    assert_eq!(status("/readyz").await, 200);
    writable.send(false).unwrap();
    assert_eq!((status("/healthz").await, status("/readyz").await), (200, 503), "the disk is full");
    writable.send(true).unwrap();
    assert_eq!(status("/readyz").await, 200);
    server.store.close().await;
    assert_eq!((status("/healthz").await, status("/readyz").await), (200, 503));
}
