//! Paths, keys, methods, types and encodings that are not what they should be, around a body that would be an update.

use super::wire::{Request, basic};
use super::{Case, Expected, Keys, Place};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

const UPDATE: &str =
    r#"{"workspace_id":"kept","groupId":"kept","type":"group","workspace_name":"changed","traits":{"name":"changed"}}"#;

pub fn all(keys: &Keys, cases: &mut Vec<Case>) {
    places(keys, cases);
    keys_in_paths(keys, cases);
    secrets(keys, cases);
    authorizations(keys, cases);
    methods(keys, cases);
    types(keys, cases);
    encodings(keys, cases);
    names_of_requests(keys, cases);
}

/// What no request may be called by its sender.
fn names_of_requests(keys: &Keys, cases: &mut Vec<Case>) {
    for header in ["Webhook-Id", "Idempotency-Key"] {
        let long = "x".repeat(256);
        for value in [&b""[..], b"\xff", b"a\tb", long.as_bytes()] {
            let line = [header.as_bytes(), b": ", value, b"\r\n"].concat();
            let name = format!("{header} of {} bytes", value.len());
            cases.push(Case::of(&name, update(&keys.webhook().path).raw(&line), Expected::Refused(400)));
        }
    }
}

fn update(path: &str) -> Request {
    Request::post(path).header("Content-Type", "application/json").body(UPDATE.as_bytes())
}

/// Where nothing is.
fn places(keys: &Keys, cases: &mut Vec<Case>) {
    let key = &keys.flat;
    let webhook = format!("/api/product-orgs/webhook/{key}");
    let paths = [
        "/".to_owned(),
        "//".to_owned(),
        "/api".to_owned(),
        "/api/product-orgs".to_owned(),
        "/api/product-orgs/webhook".to_owned(),
        "/api/product-orgs/webhook/".to_owned(),
        format!("{webhook}/"),
        format!("{webhook}/x"),
        format!("/{webhook}"),
        format!("/v2{webhook}"),
        format!("/api//product-orgs/webhook/{key}"),
        format!("/api/product-orgs//webhook/{key}"),
        format!("/api/product-orgs/webhook//{key}"),
        format!("/API/product-orgs/webhook/{key}"),
        format!("/api/Product-Orgs/webhook/{key}"),
        format!("/api/product_orgs/webhook/{key}"),
        format!("/api/product-orgs/webhooks/{key}"),
        format!("/api/product-orgs/webhook/./{key}"),
        format!("/api/product-orgs/webhook/../webhook/{key}"),
        format!("/./api/product-orgs/webhook/{key}"),
        format!("/api/product-orgs/webhook;a=b/{key}"),
        format!("/%61pi/product-orgs/webhook/{key}"),
        format!("/api%2Fproduct-orgs/webhook/{key}"),
        format!("/api/product-orgs/webhook%2F{key}"),
        format!("/api/product-orgs/{key}"),
        format!("/{key}"),
        format!("/?apiKey={key}"),
        format!("/api/product-orgs/webhook?apiKey={key}"),
        format!("/api/signals/webhook/{key}"),
        format!("/..%2fapi/product-orgs/webhook/{key}"),
        format!("/%2e%2e/api/product-orgs/webhook/{key}"),
        "/v1".to_owned(),
        "/v1/".to_owned(),
        "/v1/groups".to_owned(),
        "/v1/Group".to_owned(),
        "/v1/group/".to_owned(),
        "/v1/group/x".to_owned(),
        "/v1/batch/".to_owned(),
        "/v1/import".to_owned(),
        "/v1//batch".to_owned(),
        "/v2/batch".to_owned(),
        "/v1/group%20".to_owned(),
        "/v1/%67roup".to_owned(),
        "/batch".to_owned(),
        "/v1/g".to_owned(),
        "/readyz".to_owned(),
        "/metrics".to_owned(),
        "/.env".to_owned(),
        "/admin".to_owned(),
        "/api/v1/keys".to_owned(),
        "/api/v1/orgs".to_owned(),
        "/../../etc/passwd".to_owned(),
        "/%00".to_owned(),
        "/%".to_owned(),
        "/%zz".to_owned(),
        format!("/{}", "a".repeat(4_000)),
        format!("/{}", "a/".repeat(1_000)),
    ];
    for path in paths {
        let request = update(&path).header("Authorization", &basic(&format!("{}:", keys.segment)));
        cases.push(Case::of(&path, request, Expected::Refused(404)));
    }
}

/// Keys that are none, and every other way of writing one that is.
fn keys_in_paths(keys: &Keys, cases: &mut Vec<Case>) {
    let key = &keys.flat;
    let unknown = [
        "sk_".to_owned(),
        "x".to_owned(),
        "{apiKey}".to_owned(),
        "%7BapiKey%7D".to_owned(),
        "null".to_owned(),
        "undefined".to_owned(),
        "0".to_owned(),
        "%ff".to_owned(),
        "%00".to_owned(),
        "%C0%AF".to_owned(),
        "%".to_owned(),
        "%s".to_owned(),
        "%2e%2e%2f".to_owned(),
        "..".to_owned(),
        "*".to_owned(),
        "'%20OR%201=1--".to_owned(),
        "%F0%9F%94%91".to_owned(),
        key[3..].to_owned(),
        key[..key.len() - 1].to_owned(),
        format!("{key}A"),
        format!("{key}%00"),
        format!("{key}%20"),
        format!("%20{key}"),
        format!("{key}%0a"),
        format!("{key}%2F"),
        format!("{key};a=b"),
        format!("{key},{key}"),
        format!("{key}%3Fx"),
        key.to_uppercase(),
        key.to_lowercase(),
        key.replace("sk_", "SK_"),
        key.replace("sk_", "ss_"),
        key.replace("sk_", "sk-"),
        key.replacen("sk_", "%2573k_", 1),
        format!("sk_{}", "A".repeat(43)),
        format!("sk_{}", "A".repeat(5_000)),
        keys.revoked.clone(),
        keys.expired.clone(),
        keys.secret.clone(),
        keys.secured.clone(),
        "\u{e9}".to_owned(),
        key.replace("sk_", "\u{455}k_"),
    ];
    for text in unknown {
        let name = format!("key {text:.40}");
        // The key is looked at before the body: both answers must be one.
        cases.push(Case::of(&name, update(&Place::webhook(&text).path), Expected::Refused(401)));
        let broken = update(&Place::webhook(&text).path).body(b"{");
        cases.push(Case::of(&name, broken, Expected::Refused(401)));
    }
    // The same key, written in another way: known, and the broken body is what is refused.
    let encoded: String = key.bytes().map(|byte| format!("%{byte:02x}")).collect();
    for path in [
        encoded,
        key.replace("sk_", "%73k%5F"),
        format!("{key}?"),
        format!("{key}?a=b&a=c"),
        format!("{key}?{key}"),
        format!("{key}#x"),
    ] {
        cases.push(Case::of(
            &format!("key {path:.40}"),
            update(&Place::webhook(&path).path).body(b"{"),
            Expected::Refused(400),
        ));
    }
    cases.push(Case::of("the other type", update(&Place::webhook(&keys.signals).path), Expected::Refused(403)));
    cases.push(Case::of(
        "the other type",
        Place::sdk("batch", &keys.signals).request().body(b"{}"),
        Expected::Refused(403),
    ));
}

fn secrets(keys: &Keys, cases: &mut Vec<Case>) {
    let place = Place::webhook(&keys.secured);
    let half = &keys.secret[..keys.secret.len() / 2];
    let values = [
        "",
        "x",
        "undefined",
        half,
        &format!("{}x", keys.secret),
        &keys.secret.to_uppercase(),
        &keys.secured,
        &format!("\"{}\"", keys.secret),
    ];
    for value in values {
        cases.push(Case::of(
            &format!("secret {value:.20}"),
            update(&place.path).header("X-Api-Secret", value),
            Expected::Refused(401),
        ));
        let call = Place::sdk("batch", "").path;
        let request = update(&call).header("Authorization", &basic(&format!("{}:{value}", keys.secured)));
        cases.push(Case::of(&format!("password {value:.20}"), request, Expected::Refused(401)));
    }
    let raw = update(&place.path).raw(b"X-Api-Secret: \xff\xfe\r\n");
    cases.push(Case::of("a secret of bytes", raw, Expected::Refused(401)));
    for (name, value) in [
        ("X-Secret", &keys.secret),
        ("Authorization", &format!("Bearer {}", keys.secret)),
        ("Cookie", &format!("X-Api-Secret={}", keys.secret)),
    ] {
        cases.push(Case::of(
            &format!("the secret as {name}"),
            update(&place.path).header(name, value),
            Expected::Refused(401),
        ));
    }
    let query = format!("{}?secret={}", place.path, keys.secret);
    cases.push(Case::of("the secret in the query", update(&query), Expected::Refused(401)));
}

fn authorizations(keys: &Keys, cases: &mut Vec<Case>) {
    let key = &keys.segment;
    let values = [
        String::new(),
        "Basic".to_owned(),
        "Basic ".to_owned(),
        "Basic !".to_owned(),
        "Basic /w==".to_owned(),
        "Basic Og==".to_owned(),
        format!("Bearer {key}"),
        key.clone(),
        format!("Basic {key}:"),
        format!("Basic {key}"),
        format!("Token {key}"),
        format!("Digest username=\"{key}\""),
        format!("Basic{}", STANDARD.encode(format!("{key}:"))),
        basic(&format!(":{key}")),
        basic(key).replace("Basic", "Basic Basic"),
        basic(&format!("{key} :")),
        basic(&format!(" {key}:")),
        basic(&format!("{key}\0:")),
        basic(&format!("{key}x:")),
        basic("sk_:"),
        basic(&"x".repeat(3_000)),
        format!("Basic {}", URL_SAFE_NO_PAD.encode(format!("{key}:?>"))),
        format!("Basic {}", STANDARD.encode(format!("{key}:")).replace('=', "%3D") + "%3D"),
        format!("Basic {}", STANDARD.encode(STANDARD.encode(format!("{key}:")))),
        basic(&format!("{}:", keys.revoked)),
        basic(&format!("{}:", keys.expired)),
        basic(&format!("{}:", keys.secured)),
        basic(&format!("{}:", key.to_uppercase())),
    ];
    for value in values {
        for call in ["batch", "group", "track"] {
            let request = update(&Place::sdk(call, key).path).header("Authorization", &value);
            cases.push(Case::of(&format!("{call}: Authorization: {value:.30}"), request, Expected::Refused(401)));
        }
    }
    for call in super::EVENTS.into_iter().chain(["batch"]) {
        let path = Place::sdk(call, key).path;
        for body in [
            "",
            "{}",
            "[]",
            "null",
            "{",
            "{\"writeKey\":null}",
            "{\"writeKey\":7}",
            "{\"writeKey\":\"x\"}",
            "{\"write_key\":\"x\"}",
            UPDATE,
        ] {
            cases.push(Case::of(
                &format!("{call}: no key"),
                Request::post(&path).body(body.as_bytes()),
                Expected::Refused(401),
            ));
        }
        let nested = format!("{{\"batch\":[{{\"writeKey\":\"{key}\",\"type\":\"group\",\"groupId\":\"kept\"}}]}}");
        cases.push(Case::of(
            &format!("{call}: the key of an event"),
            Request::post(&path).body(nested.as_bytes()),
            Expected::Refused(401),
        ));
        let twice =
            format!("{{\"writeKey\":\"{key}\",\"writeKey\":\"{key}\",\"type\":\"group\",\"groupId\":\"kept\"}}");
        cases.push(Case::of(
            &format!("{call}: the key twice"),
            Request::post(&path).body(twice.as_bytes()),
            Expected::Refused(401),
        ));
    }
}

fn methods(keys: &Keys, cases: &mut Vec<Case>) {
    let paths = [keys.webhook().path, "/v1/batch".to_owned(), "/v1/group".to_owned(), "/v1/track".to_owned()];
    for path in &paths {
        for method in [
            "GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "post", "PoST", "POSTS", "PROPFIND", "QUERY",
            "M-SEARCH",
        ] {
            let request = Request::new(method, path).header("Content-Type", "application/json");
            let request =
                request.header("Authorization", &basic(&format!("{}:", keys.segment))).body(UPDATE.as_bytes());
            cases.push(Case::of(&format!("{method} {path:.30}"), request, Expected::Refused(405)));
        }
        let request = Request::new("GET", path).header("X-HTTP-Method-Override", "POST").body(UPDATE.as_bytes());
        cases.push(Case::of("an overridden method", request, Expected::Refused(405)));
    }
    cases.push(Case::of("POST /healthz", update("/healthz"), Expected::Refused(405)));
}

fn types(keys: &Keys, cases: &mut Vec<Case>) {
    let types = [
        "text/plain",
        "text/html",
        "text/json",
        "text/x-json",
        "text/javascript",
        "application/javascript",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=b",
        "application/xml",
        "text/xml",
        "application/octet-stream",
        "application/jsonp",
        "application/json5",
        "application/jsonl",
        "application/x-ndjson",
        "application/json-seq",
        "application/x-json",
        "application/msgpack",
        "application/cbor",
        "application/yaml",
        "application/gzip",
        "application/",
        "application",
        "json",
        "*/*",
        "application/*",
        "application /json",
        "application/ json",
        "application\\json",
        "application/json, text/plain",
        "application/json,application/json",
        "\"application/json\"",
        "image/svg+json",
        "model/gltf+json",
        "+json",
        "application/vnd.api+jsonx",
        "",
        "x",
        "/",
        ";",
        "; charset=utf-8",
        "charset=utf-8",
        "{}",
        "null",
    ];
    for name in types {
        let request = Request::post(&keys.webhook().path).header("Content-Type", name).body(UPDATE.as_bytes());
        cases.push(Case::of(&format!("type {name:?}"), request, Expected::Refused(415)));
    }
    let raw = Request::post(&keys.webhook().path).raw(b"Content-Type: \xff\r\n").body(UPDATE.as_bytes());
    cases.push(Case::of("a type of bytes", raw, Expected::Refused(415)));
}

fn encodings(keys: &Keys, cases: &mut Vec<Case>) {
    let codings = [
        "br",
        "deflate",
        "zstd",
        "compress",
        "x-compress",
        "zlib",
        "lz4",
        "snappy",
        "gzip, gzip",
        "gzip,identity",
        "identity, gzip",
        "br, gzip",
        "gzip;q=1",
        "gzip ;",
        "\"gzip\"",
        "gz",
        "*",
        "utf-8",
        "base64",
        "chunked",
        "",
        "none",
        "null",
        "aws-chunked",
        "gzip2",
    ];
    for coding in codings {
        for place in keys.few().into_iter().chain([keys.batch()]) {
            let request = place.request().header("Content-Encoding", coding).body(UPDATE.as_bytes());
            cases.push(Case::of(&format!("encoding {coding:?}"), request, Expected::Refused(415)));
        }
    }
}
