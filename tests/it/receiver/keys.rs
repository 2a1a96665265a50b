//! API keys over HTTP: one 401 for all that is wrong, rotation, signatures, counts.

use super::GUIDE_BODY;
use super::server::{Key, SHARED, Server, WHSEC, preset};
use chrono::TimeDelta;
use hmac::{Hmac, Mac};
use nightmark::clock::Clock;
use nightmark::receiver::keys::{self, KeyError, MAX_OVERLAP, NewKey, Purpose, Rotation};
use nightmark::store::{KeyCounts, KeyStore, OrgStore, SignatureCheck, SignatureScheme};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sha1::Sha1;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends a request as it is and returns the whole answer, without what differs in every answer: its date and request id.
async fn raw(server: &Server, path: &str, headers: &str, body: &str) -> Vec<String> {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let own = |line: &str| ["date:", "x-request-id:"].iter().any(|name| line.to_ascii_lowercase().starts_with(name));
    String::from_utf8(answer).unwrap().split("\r\n").filter(|line| !own(line)).map(str::to_owned).collect()
}

fn signed(scheme: SignatureScheme, secret: &str) -> NewKey {
    let signature = Some(SignatureCheck { scheme, secret: secret.to_owned() });
    NewKey { signature, ..NewKey::new("signed", preset("segment")) }
}

fn hex_sha1(secret: &str, text: &str) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Byte for byte, status line and headers included.
#[tokio::test]
async fn nothing_tells_the_causes_of_401_apart() {
    let server = Server::start().await;
    let good = server.flat_key().await;
    let secured = server.key(preset("flat"), true, None).await;
    let expired = server.key(preset("flat"), false, Some(server.clock.now())).await;
    let revoked = server.flat_key().await;
    server.store.revoke_key(&revoked.id, server.clock.now()).await.unwrap();
    let segment = server.make(signed(SignatureScheme::SegmentSha1, "${SHARED}")).await;
    let standard = server.make(signed(SignatureScheme::StandardWebhooks, "${WHSEC}")).await;
    let rotated = server.flat_key().await;
    rotate(&server, &rotated.id, TimeDelta::zero(), false).await.unwrap();
    let mut mistyped = good.key.clone().into_bytes();
    mistyped.swap(20, 21);
    mistyped[30] = if mistyped[30] == b'x' { b'y' } else { b'x' };
    let mistyped = String::from_utf8(mistyped).unwrap();
    // Well made, but nobody's: the checksum fits.
    let other = Server::start().await.flat_key().await;

    let cases = [
        ("unknown", other.key.as_str(), String::new()),
        ("mistyped", &mistyped, String::new()),
        ("no key", "sk_unknown", String::new()),
        ("not UTF-8", "%ff%00", String::new()),
        ("revoked", &revoked.key, String::new()),
        ("expired", &expired.key, String::new()),
        ("rotated without an overlap", &rotated.key, String::new()),
        ("no secret", &secured.key, String::new()),
        ("a wrong secret", &secured.key, "x-api-secret: ss_wrong\r\n".to_owned()),
        (
            "another's secret",
            &good.key.to_lowercase(),
            format!("x-api-secret: {}\r\n", secured.secret.as_deref().unwrap()),
        ),
        ("no signature", &segment.key, String::new()),
        ("a wrong signature", &segment.key, format!("x-signature: {}\r\n", "0".repeat(40))),
        ("another body's signature", &segment.key, format!("x-signature: {}\r\n", hex_sha1(SHARED, "{}"))),
        ("no standard signature", &standard.key, "webhook-id: a\r\nwebhook-timestamp: 1\r\n".to_owned()),
    ];
    let expected = raw(&server, "/api/product-orgs/webhook/sk_", "", GUIDE_BODY).await;
    assert_eq!(expected[0], "HTTP/1.1 401 Unauthorized");
    for (cause, key, headers) in &cases {
        // Twice: the second time some keys are known already.
        for body in [GUIDE_BODY, "not json", GUIDE_BODY] {
            let answer = raw(&server, &format!("/api/product-orgs/webhook/{key}"), headers, body).await;
            assert_eq!(answer, expected, "{cause}");
        }
    }
    let basic = |key: &str| {
        use base64::Engine;
        format!("authorization: Basic {}\r\n", base64::engine::general_purpose::STANDARD.encode(format!("{key}:")))
    };
    let expected = raw(&server, "/v1/batch", &basic("sk_"), "{\"batch\":[]}").await;
    assert_eq!(expected[0], "HTTP/1.1 401 Unauthorized");
    for (cause, key, headers) in cases.iter().filter(|(_, key, _)| !key.contains('%')) {
        let answer = raw(&server, "/v1/batch", &format!("{}{headers}", basic(key)), "{\"batch\":[]}").await;
        assert_eq!(answer, expected, "{cause}");
    }
    assert_eq!(server.org_count().await, 0);
    server.post(&good, GUIDE_BODY).await.expect(200, "");
}

async fn rotate(server: &Server, id: &str, overlap: TimeDelta, end_previous: bool) -> Result<Key, KeyError> {
    let rotated =
        keys::rotate(server.store.as_ref(), server.clock.as_ref(), id, Rotation { overlap, end_previous }).await?;
    let secret = rotated.secret.map(|secret| secret.expose_secret().to_owned());
    Ok(Key { id: rotated.record.id, key: rotated.key.expose_secret().to_owned(), secret })
}

#[tokio::test]
async fn a_rotated_key_is_valid_beside_the_new_one_until_the_overlap_ends() {
    let server = Server::start().await;
    let old = server.key(preset("flat"), true, None).await;
    server.post(&old, GUIDE_BODY).await.expect(200, "");
    let new = rotate(&server, &old.id, TimeDelta::hours(24), false).await.unwrap();
    assert!(new.key != old.key && new.secret != old.secret && new.id == old.id);
    let pass = |seconds: i64| *server.clock.0.lock().unwrap() += TimeDelta::seconds(seconds);
    pass(24 * 3600 - 1);
    server.post(&old, GUIDE_BODY).await.expect(200, "");
    server.post(&new, GUIDE_BODY).await.expect(200, "");
    // Each text goes with its own secret.
    server.post_with(&old.key, new.secret.as_deref(), GUIDE_BODY).await.expect(401, "");
    server.post_with(&new.key, old.secret.as_deref(), GUIDE_BODY).await.expect(401, "");
    // Another rotation would cut off whoever has the first text yet.
    let refused = rotate(&server, &old.id, TimeDelta::hours(1), false).await.err().unwrap().to_string();
    assert!(refused.contains("--end-previous") && refused.contains("until 2026-03-02T12:00:00Z"), "{refused}");
    server.post(&old, GUIDE_BODY).await.expect(200, "");
    pass(1);
    server.post(&old, GUIDE_BODY).await.expect(401, "");
    server.post(&new, GUIDE_BODY).await.expect(200, "");

    // The overlap is over; now two rotations, the second with its eyes open.
    let third = rotate(&server, &old.id, TimeDelta::hours(1), false).await.unwrap();
    let fourth = rotate(&server, &old.id, TimeDelta::hours(2), true).await.unwrap();
    settle().await;
    server.post(&new, GUIDE_BODY).await.expect(401, "");
    server.post(&third, GUIDE_BODY).await.expect(200, "");
    server.post(&fourth, GUIDE_BODY).await.expect(200, "");
    server.store.revoke_key(&old.id, server.clock.now()).await.unwrap();
    settle().await;
    server.post(&third, GUIDE_BODY).await.expect(401, "");
    server.post(&fourth, GUIDE_BODY).await.expect(401, "");
    let records = server.store.keys().await.unwrap();
    assert_eq!((records.len(), records[0].revision), (1, 5));
}

/// Until the receiver looks a key up again.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1100)).await;
}

#[tokio::test]
async fn what_cannot_be_rotated_says_why() {
    let server = Server::start().await;
    let day = TimeDelta::days(1);
    let revoked = server.flat_key().await;
    server.store.revoke_key(&revoked.id, server.clock.now()).await.unwrap();
    let expired = server.key(preset("flat"), false, Some(server.clock.now())).await;
    let good = server.flat_key().await;
    for (id, overlap, part) in [
        ("key_never", day, "there is no key key_never"),
        (&revoked.id, day, "is revoked"),
        (&expired.id, day, "has expired"),
        (&good.id, MAX_OVERLAP + day, "0 to 90 days"),
        (&good.id, -day, "0 to 90 days"),
    ] {
        let error = rotate(&server, id, overlap, true).await.err().unwrap().to_string();
        assert!(error.contains(part), "{error}");
    }
    // Of two that rotate at once, one gets through.
    let (one, two) = tokio::join!(rotate(&server, &good.id, day, true), rotate(&server, &good.id, day, true));
    let valid = [one, two].into_iter().filter_map(Result::ok).next_back().expect("one of them");
    server.post(&valid, GUIDE_BODY).await.expect(200, "");
}

#[tokio::test]
async fn a_key_that_must_be_signed_takes_what_our_sender_signs() {
    let server = Server::start().await;
    let key = server.make(signed(SignatureScheme::StandardWebhooks, "${WHSEC}")).await;
    let at = server.clock.now().timestamp();
    let signer = standardwebhooks::Webhook::new(WHSEC).unwrap();
    let body = r#"{"type": "group", "groupId": "ws_1"}"#;
    let post = async |id: &str, at: i64, signature: &str, body: &str| {
        let request = server.client.post(server.url(&key.key)).header("content-type", "application/json");
        let request =
            request.header("webhook-id", id).header("webhook-timestamp", at).header("webhook-signature", signature);
        server.send(request.body(body.to_owned())).await
    };
    let signature = signer.sign("msg_1", at, body.as_bytes()).unwrap();
    post("msg_1", at, &signature, body).await.expect(200, "\"productOrgId\":\"ws_1\"");
    // While a sender changes its secret, it signs with both.
    post("msg_2", at, &format!("v1,{} {}", "A".repeat(44), signer.sign("msg_2", at, body.as_bytes()).unwrap()), body)
        .await
        .expect(200, "");
    for (id, at, body) in
        [("msg_2", at, body), ("msg_1", at + 1, body), ("msg_1", at, r#"{"type": "group", "groupId": "ws_2"}"#)]
    {
        post(id, at, &signature, body).await.expect(401, "");
    }
    let early = signer.sign("msg_3", at - 301, body.as_bytes()).unwrap();
    post("msg_3", at - 301, &early, body).await.expect(401, "");
    // A signature says nothing about whether the body fits.
    let bad = "{\"type\": \"group\"}";
    post("msg_4", at, &signer.sign("msg_4", at, bad.as_bytes()).unwrap(), bad)
        .await
        .expect(400, "missing productOrgId");
    assert_eq!(server.org_count().await, 1);
}

#[tokio::test]
async fn a_key_that_must_be_signed_takes_what_segment_signs() {
    let server = Server::start().await;
    let key = server.make(signed(SignatureScheme::SegmentSha1, "${SHARED}")).await;
    let post = async |body: &str, signature: &str| {
        let request = server.client.post(server.url(&key.key)).header("content-type", "application/json");
        server.send(request.header("x-signature", signature).body(body.to_owned())).await
    };
    let event = r#"{"type":"group","groupId":"ws_1"}"#;
    post(event, &hex_sha1(SHARED, event)).await.expect(200, "");
    post(event, &hex_sha1("another secret", event)).await.expect(401, "");
    // Of a batch the first element alone is signed.
    let batch = format!("[{event},{}]", event.replace('1', "2"));
    post(&batch, &hex_sha1(SHARED, event)).await.expect(200, "\"ws_2\"");
    post(&batch, &hex_sha1(SHARED, &batch)).await.expect(401, "");
    post("[]", &hex_sha1(SHARED, "[]")).await.expect(401, "");
    // What packs a body on the way is not signed.
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, event.as_bytes()).unwrap();
    let request = server.client.post(server.url(&key.key)).header("content-encoding", "gzip");
    let request = request.header("x-signature", hex_sha1(SHARED, event)).body(packed.finish().unwrap());
    server.send(request).await.expect(200, "");
    // An SDK's call is held to it as well.
    let call =
        server.client.post(format!("http://{}/v1/group", server.address)).basic_auth(&key.key, Some("")).body(event);
    assert_eq!(server.send(call.try_clone().unwrap()).await.status, 401);
    server.send(call.header("x-signature", hex_sha1(SHARED, event))).await.expect(200, "\"stored\":1");
}

#[tokio::test]
async fn a_signing_secret_that_is_not_there_is_503_and_never_let_in() {
    let server = Server::start().await;
    let key = server.make(signed(SignatureScheme::SegmentSha1, "${file:signing}")).await;
    let event = r#"{"type":"group","groupId":"ws_1"}"#;
    let post = async |secret: &str| {
        let request = server.client.post(server.url(&key.key)).header("content-type", "application/json");
        server.send(request.header("x-signature", hex_sha1(secret, event)).body(event)).await
    };
    for secret in ["", SHARED] {
        let answer = post(secret).await.expect(503, "send it again");
        assert_eq!(answer.retry_after.as_deref(), Some("1"));
    }
    assert_eq!(server.org_count().await, 0);
    // Once it is there it is found, and after a change the new one.
    for secret in ["first", "second"] {
        std::fs::write(server.dir.path().join("signing"), format!("{secret}\n")).unwrap();
        settle().await;
        post(secret).await.expect(200, "");
        post("zero").await.expect(401, "");
    }
    post("first").await.expect(401, "");
    let kept = server.store.keys().await.unwrap();
    assert_eq!(kept[0].signature.as_ref().unwrap().secret, "${file:signing}");
    let error =
        keys::create(server.store.as_ref(), server.clock.as_ref(), signed(SignatureScheme::SegmentSha1, SHARED)).await;
    let error = error.err().unwrap().to_string();
    assert!(error.contains("'${SIGNING_SECRET}'") && !error.contains(SHARED), "{error}");
}

#[tokio::test]
async fn what_is_ignored_and_rejected_is_counted() {
    let server = Server::start().await;
    let key = server.key(preset("segment"), false, None).await;
    let signals = server.key(Purpose::SignalStaging, false, None).await;
    let at = server.clock.now();
    server.post(&key, r#"{"type": "track"}"#).await.expect(200, "ignored");
    server.post(&key, r#"{"type": "group"}"#).await.expect(400, "");
    server.post(&key, "no json").await.expect(400, "");
    server.post(&key, format!("{{\"x\":\"{}\"}}", "x".repeat(nightmark::receiver::MAX_BODY))).await.expect(413, "");
    let form = server.client.post(server.url(&key.key)).header("content-type", "text/plain").body("a=b");
    server.send(form).await.expect(415, "");
    let array = json!([{"type": "page"}, {"type": "group", "groupId": "a"}, {"type": "group"}, {"type": "group", "groupId": 0.5}]);
    server.post(&key, array.to_string()).await.expect(200, "");
    let call = async |path: &str, body: Value| {
        let request = server.client.post(format!("http://{}{path}", server.address)).basic_auth(&key.key, Some(""));
        server.send(request.body(body.to_string())).await
    };
    call("/v1/track", json!({})).await.expect(200, "\"ignored\":1");
    call("/v1/batch", json!({"batch": [{"type": "page"}, {"type": "alias"}, {"type": "group"}]})).await.expect(200, "");
    assert_eq!(call("/v1/batch", json!([])).await.status, 400);
    // Not this key's doing, or nobody's.
    server.post(&signals, GUIDE_BODY).await.expect(403, "");
    server.post_with("sk_unknown", None, GUIDE_BODY).await.expect(401, "");

    let store = std::sync::Arc::clone(&server.store);
    let counts = async || {
        let keys = store.keys().await.unwrap();
        keys.into_iter().map(|found| (found.id == key.id, found.counts, found.last_used_at)).collect::<Vec<_>>()
    };
    // They are written within a second or so.
    let expected = KeyCounts { ignored: 5, rejected: 8, ..KeyCounts::default() };
    for _ in 0..200 {
        let found = counts().await.into_iter().find(|(own, ..)| *own).unwrap();
        if (found.1.ignored, found.1.rejected) == (expected.ignored, expected.rejected) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for (own, counts, last_used_at) in counts().await {
        let found = (counts.ignored, counts.rejected, last_used_at);
        assert_eq!(found, if own { (5, 8, Some(at)) } else { (0, 0, None) });
    }
    // What is not written yet when the receiver stops is written then.
    *server.clock.0.lock().unwrap() += TimeDelta::seconds(7);
    server.post(&key, r#"{"type": "track"}"#).await.expect(200, "ignored");
    server.stop().await;
    let found = counts().await.into_iter().find(|(own, ..)| *own).unwrap();
    assert_eq!((found.1.ignored, found.2), (6, Some(at + TimeDelta::seconds(7))));
}

/// The form of keys before they had a checksum.
#[tokio::test]
async fn a_key_of_the_earlier_form_stays_valid() {
    use sha2::{Digest, Sha256};
    let server = Server::start().await;
    let made = server.flat_key().await;
    let earlier = "sk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    let mut record = server.store.keys().await.unwrap().remove(0);
    record.key_hash = Sha256::digest(earlier).into();
    server.store.put_key(&record).await.unwrap();
    server.post_with(earlier, None, GUIDE_BODY).await.expect(200, "");
    server.post(&made, GUIDE_BODY).await.expect(401, "");
}

/// Of a key that is known for a moment, neither more nor less is let in.
#[tokio::test]
async fn a_known_key_is_judged_anew_by_each_request() {
    let server = Server::start().await;
    let key = server.key(preset("flat"), true, Some(server.clock.now() + TimeDelta::seconds(10))).await;
    server.post(&key, GUIDE_BODY).await.expect(200, "");
    server.post_with(&key.key, Some("ss_wrong"), GUIDE_BODY).await.expect(401, "");
    server.post_with(&key.key, None, GUIDE_BODY).await.expect(401, "");
    server.post(&key, GUIDE_BODY).await.expect(200, "");
    *server.clock.0.lock().unwrap() += TimeDelta::seconds(10);
    server.post(&key, GUIDE_BODY).await.expect(401, "");
    assert_eq!(server.store.orgs(None, 10).await.unwrap().len(), 1);
}
