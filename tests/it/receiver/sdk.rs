//! `/v1/group`, `/v1/batch` and the other calls of SDKs, byte by byte; tests/it/interop has the SDKs themselves.

use super::server::{Answer, Key, Server, preset};
use flate2::Compression;
use flate2::write::GzEncoder;
use nightmark::receiver::keys::Purpose;
use nightmark::receiver::{MAX_BATCH_BODY, MAX_BODY, MAX_EVENTS, MAX_UNKNOWN_SENDER};
use nightmark::store::OrgStore;
use serde_json::{Value, json};
use std::io::Write;

const GROUP: &str = include_str!("../fixtures/segment_group.json");

impl Server {
    fn call(&self, call: &str, key: &str, password: Option<&str>) -> reqwest::RequestBuilder {
        self.client.post(format!("http://{}/v1/{call}", self.address)).basic_auth(key, password)
    }

    /// As the SDKs do it: the key as user, no password.
    async fn sdk(&self, call: &str, key: &Key, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.call(call, &key.key, Some("")).header("content-type", "application/json");
        self.send(request.body(body)).await
    }
}

/// A refusal as SDKs read it.
#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str, part: &str) {
    assert_eq!(answer.status, status, "{}", answer.text);
    let body = answer.json();
    assert_eq!((&body["success"], &body["code"]), (&json!(false), &json!(code)), "{body}");
    assert!(body["message"].as_str().is_some_and(|message| message.contains(part)), "{body}");
    assert_eq!(body["message"], body["error"]);
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn group(id: &str, users: i64) -> Value {
    json!({"type": "group", "groupId": id, "userId": "u", "traits": {"employees": users}})
}

#[tokio::test]
async fn a_group_call_is_stored() {
    let server = Server::start().await;
    let key = server.key(preset("segment"), false, None).await;
    let answer = server.sdk("group", &key, GROUP).await.expect(200, "");
    assert_eq!(answer.text, r#"{"success":true,"stored":1,"ignored":0,"rejected":0}"#);
    let org = server.store.org("ws_abc123").await.unwrap().unwrap();
    assert_eq!((org.fields.user_count, org.fields.plan_id.as_deref()), (Some(47), Some("pro_annual")));
    assert_eq!(org.key_id, key.id);
    // The path says what it is.
    server.sdk("group", &key, r#"{"groupId": "b", "traits": {}}"#).await.expect(200, "\"stored\":1");
}

#[tokio::test]
async fn a_batch_is_sorted() {
    let server = Server::start().await;
    let key = server.key(preset("segment"), false, None).await;
    let bad = json!({"type": "group", "groupId": "c", "traits": {"mrr": "planted-value"}, "messageId": "m-4"});
    let batch = json!({"batch": [
        group("a", 1), {"type": "track", "event": "x"}, group("a", 2), {"type": "identify", "userId": "u"}, bad,
        group("b", 3), {"groupId": "d", "messageId": "m-6"}, 7,
    ], "sentAt": "2026-01-15T10:30:00.000Z", "context": {"x": 1}});
    let answer = server.sdk("batch", &key, batch.to_string()).await.expect(200, "");
    assert!(!answer.text.contains("planted-value"), "{}", answer.text);
    let answer = answer.json();
    assert_eq!(
        [&answer["success"], &answer["stored"], &answer["ignored"], &answer["rejected"]],
        [&json!(true), &json!(3), &json!(2), &json!(3)]
    );
    assert_eq!(answer["rejectedIndexes"], "4,6-7");
    let named = answer["rejections"].as_array().unwrap();
    assert_eq!(named.iter().map(|one| &one["index"]).collect::<Vec<_>>(), [4, 6, 7]);
    assert_eq!(
        [&named[0]["messageId"], &named[1]["messageId"], &named[2]["messageId"]],
        [&json!("m-4"), &json!("m-6"), &Value::Null]
    );
    for (one, part) in named.iter().zip(["`traits.mrr` must be an integer", "no `type`", "must be a JSON object"]) {
        assert!(one["error"].as_str().unwrap().contains(part), "{part}: {one}");
    }
    let users = async |id: &str| server.store.org(id).await.unwrap().map(|org| org.fields.user_count);
    assert_eq!([users("a").await, users("b").await, users("c").await], [Some(Some(2)), Some(Some(3)), None]);
    server.sdk("batch", &key, r#"{"batch": []}"#).await.expect(200, "\"stored\":0");
}

#[tokio::test]
async fn other_calls_are_counted_as_ignored() {
    let server = Server::start().await;
    let key = server.key(preset("segment"), false, None).await;
    for call in ["track", "identify", "page", "screen", "alias"] {
        let answer = server.sdk(call, &key, GROUP).await.expect(200, "");
        assert_eq!(answer.text, r#"{"success":true,"stored":0,"ignored":1,"rejected":0}"#, "{call}");
        refused(&server.sdk(call, &key, "{").await, 400, "bad_request", "not valid JSON");
        refused(&server.send(server.call(call, "sk_x", None).body("{}")).await, 401, "unauthorized", "");
    }
    assert_eq!(server.org_count().await, 0);
}

#[tokio::test]
async fn the_key_may_stand_in_the_header_or_in_the_body() {
    let server = Server::start().await;
    let key = server.key(preset("segment"), false, None).await;
    let bare = |call: &str, body: Value| {
        server.send(server.client.post(format!("http://{}/v1/{call}", server.address)).body(body.to_string()))
    };
    let mut event = group("a", 1);
    event["writeKey"] = json!(key.key);
    bare("group", event.clone()).await.expect(200, "\"stored\":1");
    bare("track", event.clone()).await.expect(200, "\"ignored\":1");
    bare("batch", json!({"batch": [group("b", 1)], "writeKey": key.key})).await.expect(200, "\"stored\":1");
    // The key of one event is not the batch's.
    refused(&bare("batch", json!({"batch": [event]})).await, 401, "unauthorized", "not valid");
    // The header counts.
    let request = server.call("group", "sk_unknown", Some("")).body(event.to_string());
    refused(&server.send(request).await, 401, "unauthorized", "not valid");
}

#[tokio::test]
async fn faults_of_the_key_are_answered_alike() {
    let server = Server::start().await;
    let secured = server.key(preset("segment"), true, None).await;
    let secret = secured.secret.as_deref().unwrap();
    let bearer = server.client.post(format!("http://{}/v1/batch", server.address)).bearer_auth(&secured.key);
    let no_key = server.client.post(format!("http://{}/v1/batch", server.address));
    let answers = [
        server.send(server.call("batch", "sk_unknown", Some("")).body("{}")).await,
        server.send(server.call("batch", "sk_unknown", Some(secret)).body("not json")).await,
        server.send(server.call("batch", &secured.key, None).body("{}")).await,
        server.send(server.call("batch", &secured.key, Some("wrong")).body("{}")).await,
        server.send(server.call("batch", &secured.key, Some(secret)).header("x-api-secret", "wrong").body("{}")).await,
        server.send(bearer.body("{}")).await,
        server.send(no_key.body("{\"batch\": []}")).await,
    ];
    for answer in &answers {
        refused(answer, 401, "unauthorized", "The API key or its secret is not valid");
        assert_eq!(answer.text, answers[0].text);
    }
    // A secret goes where SDKs can put one: into the password or a header.
    let event = group("a", 1).to_string();
    server.send(server.call("group", &secured.key, Some(secret)).body(event.clone())).await.expect(200, "");
    let header = server.call("group", &secured.key, None).header("x-api-secret", secret);
    server.send(header.body(event.clone())).await.expect(200, "");
    let signals = server.key(Purpose::SignalStaging, false, None).await;
    refused(&server.sdk("group", &signals, event).await, 403, "forbidden", "Product Org Updates endpoint type");
    assert_eq!(server.org_count().await, 1);
}

#[tokio::test]
async fn packed_bodies_are_unpacked_within_their_limit() {
    let server = Server::start().await;
    let key = server.key(preset("segment"), false, None).await;
    let packed = async |call: &str, body: Vec<u8>| {
        // What rudder-sdk-node calls its gzip body.
        let request = server.call(call, &key.key, Some("")).header("content-type", "application/x-www-form-urlencoded");
        server.send(request.header("content-encoding", "gzip").body(body)).await
    };
    let batch = json!({"batch": [group("a", 1), group("b", 2)]}).to_string();
    packed("batch", gzip(batch.as_bytes())).await.expect(200, "\"stored\":2");
    let padded = |size: usize| gzip(format!("{batch}{}", " ".repeat(size - batch.len())).as_bytes());
    packed("batch", padded(MAX_BATCH_BODY)).await.expect(200, "\"stored\":2");
    refused(&packed("batch", padded(MAX_BATCH_BODY + 1)).await, 413, "payload_too_large", "4096 KB");
    refused(&packed("group", padded(MAX_BODY + 1)).await, 413, "payload_too_large", "256 KB");
    // 64 MB in 64 KB.
    let bomb = gzip(&vec![b' '; 64 * 1024 * 1024]);
    assert!(bomb.len() < 70_000, "{}", bomb.len());
    refused(&packed("batch", bomb).await, 413, "payload_too_large", "4096 KB");
    refused(&packed("batch", batch.into_bytes()).await, 400, "bad_request", "gzip");
    let brotli = server.call("batch", &key.key, None).header("content-encoding", "br").body("{}");
    refused(&server.send(brotli).await, 415, "unsupported_media_type", "gzip");
    // The webhook takes gzip as well.
    let request = server.client.post(server.url(&key.key)).header("content-encoding", "gzip");
    server.send(request.body(gzip(GROUP.as_bytes()))).await.expect(200, "ws_abc123");
}

#[tokio::test]
async fn limits_of_batches() {
    let server = Server::start().await;
    let key = server.key(preset("segment"), false, None).await;
    let many = |count: usize| json!({"batch": vec![json!({"type": "track"}); count]}).to_string();
    server.sdk("batch", &key, many(MAX_EVENTS)).await.expect(200, "\"ignored\":10000");
    refused(&server.sdk("batch", &key, many(MAX_EVENTS + 1)).await, 413, "payload_too_large", "10000 events");
    for (body, part) in [
        ("", "not valid JSON"),
        ("{", "not valid JSON"),
        ("[]", "\"batch\""),
        ("{}", "\"batch\""),
        (r#"{"batch": {}}"#, "\"batch\""),
        (r#"{"batch": [], "batch": []}"#, "\"batch\""),
    ] {
        refused(&server.sdk("batch", &key, body).await, 400, "bad_request", part);
    }
    for body in ["", "[]", "7", r#"{"groupId": "a", "groupId": "b"}"#] {
        refused(&server.sdk("group", &key, body).await, 400, "bad_request", "body");
    }
    // Who is only known by the body may not send as much.
    let sized = |size: usize| {
        let body = json!({"writeKey": key.key, "batch": [group("a", 1)]}).to_string();
        format!("{body}{}", " ".repeat(size - body.len()))
    };
    let bare = |body: String| server.send(server.client.post(format!("http://{}/v1/batch", server.address)).body(body));
    bare(sized(MAX_UNKNOWN_SENDER)).await.expect(200, "\"stored\":1");
    refused(&bare(sized(MAX_UNKNOWN_SENDER + 1)).await, 413, "payload_too_large", "512 KB");
}

#[tokio::test]
async fn rejections_are_all_named_and_explained_up_to_twenty() {
    let server = Server::start().await;
    let key = server.key(preset("segment"), false, None).await;
    let batch = json!({"batch": vec![json!({"type": "group"}); 100]});
    let answer = server.sdk("batch", &key, batch.to_string()).await.expect(200, "").json();
    assert_eq!((&answer["rejected"], answer["rejections"].as_array().unwrap().len()), (&json!(100), 20));
    assert_eq!(answer["rejectedIndexes"], "0-99");
}

#[tokio::test]
async fn our_own_trouble_is_503() {
    let server = Server::start().await;
    let key = server.key(preset("segment"), false, None).await;
    server.store.close().await;
    let answer = server.sdk("batch", &key, json!({"batch": [group("a", 1)]}).to_string()).await;
    refused(&answer, 503, "service_unavailable", "send it again");
    assert_eq!(answer.retry_after.as_deref(), Some("1"));
}
