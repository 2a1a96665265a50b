//! The access log of the real program: one line for each request, with what is known of it and without what is secret.

use super::raw::{Raw, post, update};
use crate::support::{Home, Served};
use serde_json::Value;

const SECRET_QUERY: &str = "planted-query-77aa";

struct Log(Vec<Value>);

impl Log {
    /// The line of the request of this id.
    fn line(&self, id: &str) -> &Value {
        let mut lines = self.0.iter().filter(|line| line["fields"]["request_id"] == id);
        let (Some(line), None) = (lines.next(), lines.next()) else { panic!("{id}: not one line: {:?}", self.0) };
        line
    }

    #[track_caller]
    fn check(&self, id: &str, expected: &[(&str, Value)]) {
        let line = self.line(id);
        assert_eq!((&line["level"], &line["target"]), (&"INFO".into(), &"nightmark::access".into()));
        for (name, value) in expected {
            assert_eq!(&line["fields"][name], value, "{id}: {name} of {line}");
        }
        assert!(line["fields"]["millis"].as_f64().is_some_and(|millis| millis >= 0.0), "{line}");
    }
}

#[tokio::test]
async fn each_request_has_one_line_without_its_key() {
    let home = Home::new();
    let settings = "[receiver]\ntrusted_proxies = [\"127.0.0.0/8\"]\nbad_keys_per_minute = 2\n[log]\nlevel = \"trace\"\nformat = \"json\"\n";
    home.write("nightmark.toml", settings);
    let create = ["keys", "create", "--json", "--name", "a", "--template", "flat", "--with-secret"];
    let created = home.run(&create).expect(0).json();
    let text = |name: &str| created[name].as_str().unwrap().to_owned();
    let (id, key, secret) = (text("id"), text("key"), text("secret"));
    let served = Served::start(&home);
    let ask = async |name: &str, request: String| {
        let headers =
            format!("host: x\r\nx-request-id: {name}\r\nx-forwarded-for: 203.0.113.9\r\nx-api-secret: {secret}\r\n");
        let mut client = Raw::connect(served.receiver.parse().unwrap()).await;
        client.send(request.replacen("host: x\r\n", &headers, 1)).await;
        client.reply().await.unwrap().status
    };
    let body = update("a");
    let bytes = Value::from(body.len());
    assert_eq!(ask("fine", post(&key, &body)).await, 200);
    assert_eq!(ask("query", post(&format!("{key}?token={SECRET_QUERY}"), &body)).await, 200);
    assert_eq!(ask("bad", post(&key, "{}")).await, 400);
    assert_eq!(ask("unknown", post("sk_planted_unknown", &body)).await, 401);
    assert_eq!(ask("again", post("sk_planted_unknown", &body)).await, 401);
    assert_eq!(ask("limited", post("sk_planted_unknown", &body)).await, 429);
    let nowhere = format!("GET /nowhere/{SECRET_QUERY} HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(ask("nowhere", nowhere).await, 404);
    let own = format!("{SECRET_QUERY} /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(ask("method", own).await, 405);
    // The client goes away in the middle.
    let mut gone = Raw::connect(served.receiver.parse().unwrap()).await;
    gone.send(format!("POST /api/product-orgs/webhook/{key} HTTP/1.1\r\nhost: x\r\nx-request-id: gone\r\nx-api-secret: {secret}\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n")).await;
    assert_eq!(gone.reply().await.unwrap().status, 100);
    drop(gone);
    let mut admin = Raw::connect(served.admin.parse().unwrap()).await;
    admin.send("GET /readyz HTTP/1.1\r\nhost: x\r\nx-request-id: ready\r\n\r\n").await;
    admin.expect(200, "ok").await;
    drop(admin);
    assert_eq!(served.stop(), 0);

    let text = std::fs::read_to_string(home.path("serve.log")).unwrap();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let log = Log(lines.filter(|line| line["target"] == "nightmark::access").collect());
    let webhook = ("route", Value::from("/api/product-orgs/webhook/{api_key}"));
    let with_key = ("key", Value::from(id.as_str()));
    let status = |status: u16| ("status", Value::from(status));
    let error = |class: &str| ("error", Value::from(class));
    let client = ("client", Value::from("203.0.113.9"));
    let method = ("method", Value::from("POST"));
    let received = ("bytes_in", bytes);
    log.check(
        "fine",
        &[webhook.clone(), with_key.clone(), status(200), client, method, received, ("error", Value::Null)],
    );
    log.check("query", &[webhook.clone(), with_key.clone(), status(200)]);
    log.check("bad", &[webhook.clone(), with_key, status(400), error("bad_body")]);
    log.check("unknown", &[webhook.clone(), ("key", Value::Null), status(401), error("unauthorized")]);
    log.check("limited", &[webhook.clone(), status(429), error("too_many_requests")]);
    log.check("nowhere", &[("route", Value::Null), status(404), error("no_such_place")]);
    log.check("method", &[("method", Value::from("other")), status(405)]);
    log.check("gone", &[webhook, error("bad_body")]);
    log.check("ready", &[("route", Value::from("/readyz")), status(200)]);
    for planted in [&key, &secret, SECRET_QUERY, "sk_planted_unknown"] {
        assert!(!text.contains(planted), "{planted}\n---\n{text}");
    }
}
