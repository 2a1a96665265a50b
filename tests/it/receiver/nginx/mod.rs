//! The receiver behind the real nginx with the configuration of docker/nginx.

pub mod server;

use crate::support::{Home, Served};
use serde_json::{Value, json};
use server::{Nginx, Response};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

const GUIDE_BODY: &str = include_str!("../../fixtures/curl_flat.json");

fn key(home: &Home, template: &str) -> String {
    let key = home.run(&["keys", "create", "--json", "--name", "nginx", "--template", template]).expect(0).json();
    key["key"].as_str().unwrap().to_owned()
}

/// Refused in JSON, whoever did it.
#[track_caller]
fn refused(answer: &Response, status: u16, part: &str) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert!(answer.head.contains("content-type: application/json"), "{}", answer.head);
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_else(|e| panic!("{e}: {}", answer.body));
    assert_eq!(body["success"], json!(false));
    assert!(body["error"].as_str().is_some_and(|error| error.contains(part)), "{body}");
}

#[test]
fn updates_go_through_and_refusals_come_back() {
    let home = Home::new();
    let served = Served::start(&home);
    let nginx = Nginx::start(&home, &served.receiver);
    let (flat, segment) = (key(&home, "flat"), key(&home, "segment"));
    let webhook = format!("/api/product-orgs/webhook/{flat}");

    let answer = nginx.post(&webhook, GUIDE_BODY.as_bytes(), &["-H", "X-Request-Id: from-the-sender"]);
    assert_eq!(answer.body, r#"{"success":true,"productOrgId":"test_ws_001","targetOrgId":1,"isNewOrg":true}"#);
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("x-request-id: from-the-sender"), "{}", answer.head);

    let event = json!({"type": "group", "groupId": "ws_2", "traits": {"employees": 3}});
    let batch = super::corpus::gzip(json!({"batch": [event, {"type": "track"}]}).to_string().as_bytes());
    let answer = nginx.post("/v1/batch", &batch, &["-u", &format!("{segment}:"), "-H", "Content-Encoding: gzip"]);
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"success":true,"stored":1,"ignored":1,"rejected":0}"#));

    refused(&nginx.post("/api/product-orgs/webhook/sk_unknown", b"{}", &[]), 401, "not valid");
    refused(&nginx.post(&webhook, b"{", &[]), 400, "not valid JSON");
    refused(&nginx.post(&webhook, b"{}", &["-H", "Content-Encoding: br"]), 415, "gzip");
    // The receiver's own limits, and nginx's for what is beyond them.
    let (kb, mb) = (1024, 1024 * 1024);
    let spaces = |size: usize| vec![b' '; size];
    let one = |size: usize| [b"{}".to_vec(), spaces(size)].concat();
    refused(&nginx.post(&webhook, &one(300 * kb), &[]), 413, "256 KB");
    refused(&nginx.post("/v1/batch", &spaces(5 * mb), &["-u", &format!("{segment}:")]), 413, "4096 KB");
    refused(&nginx.post("/v1/batch", &spaces(9 * mb), &["-u", &format!("{segment}:")]), 413, "4096 KB");
    assert_eq!(home.run(&["orgs", "list", "--json"]).expect(0).json().as_array().map(Vec::len), Some(2));

    // Nothing of the key is in a log, nor is what may be one at an unknown path; and one line for each request is.
    nginx.post(&format!("/api/product-orgs/webhooks/{flat}?key={flat}"), b"{}", &["-e", &flat]);
    assert_eq!(served.stop(), 0);
    let answer = nginx.post(&webhook, GUIDE_BODY.as_bytes(), &[]);
    refused(&answer, 503, "send it again");
    assert!(answer.head.contains("retry-after: 5"), "{}", answer.head);
    let accesses = nginx.accesses();
    assert_eq!(accesses.len(), 10, "{accesses:#?}");
    let of = |at: usize| [accesses[at]["path"].as_str().unwrap(), accesses[at]["request_id"].as_str().unwrap()];
    assert_eq!(of(0), ["/api/product-orgs/webhook/{apiKey}", "from-the-sender"]);
    assert_eq!((of(1)[0], of(8)[0], &accesses[8]["status"]), ("/v1/batch", "(other)", &json!(404)));
    assert_eq!((&accesses[9]["status"], &accesses[9]["upstream_status"]), (&json!(503), &json!("502")));
    for (file, log) in nginx.logs() {
        for planted in [&flat, &segment, &flat[3..]] {
            assert!(!log.contains(planted), "{}: {log}", file.display());
        }
    }
}

/// Reads one request; false if there is none.
fn read_request(socket: &mut TcpStream) -> bool {
    let (mut text, mut byte) = (Vec::new(), [0]);
    while !text.ends_with(b"\r\n\r\n") {
        match socket.read(&mut byte) {
            Ok(1) => text.push(byte[0]),
            _ => return false,
        }
    }
    let head = String::from_utf8_lossy(&text).to_ascii_lowercase();
    let length =
        head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()?.parse().ok()).unwrap_or(0);
    socket.read_exact(&mut vec![0; length]).is_ok()
}

/// Whether a request that got no answer was done is not known, so nginx may not send it again; nor over a connection that it
/// had kept.
#[test]
fn nginx_sends_nothing_twice() {
    let home = Home::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let nginx = Nginx::start(&home, &listener.local_addr().unwrap().to_string());
    // Answers the first request of a connection, and closes it once it has read the second.
    let upstream = std::thread::spawn(move || {
        let mut requests = 0;
        let (mut socket, _) = listener.accept().unwrap();
        assert!(read_request(&mut socket));
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
        requests += 1;
        if read_request(&mut socket) {
            requests += 1;
        }
        drop(socket);
        listener.set_nonblocking(true).unwrap();
        (requests, listener)
    });
    assert_eq!(nginx.post("/v1/group", b"{}", &[]).status, 200);
    refused(&nginx.post("/v1/group", b"{}", &[]), 503, "send it again");
    let (requests, listener) = upstream.join().unwrap();
    assert_eq!(requests, 2, "the second came over the connection that was kept");
    assert!(listener.accept().is_err(), "it was sent again");
}

/// The receiver sees each client of nginx as one of its own: in its log, and where bad keys are counted.
#[test]
fn clients_are_told_apart_behind_nginx() {
    let home = Home::new();
    home.write(
        "nightmark.toml",
        "[receiver]\ntrusted_proxies = [\"127.0.0.1\"]\nbad_keys_per_minute = 2\n[log]\nlevel = \"info\"\nformat = \"json\"\n",
    );
    let served = Served::start(&home);
    let nginx = Nginx::start(&home, &served.receiver);
    let webhook = format!("/api/product-orgs/webhook/{}", key(&home, "flat"));
    let from = |address: &str, path: &str, id: &str| {
        let id = format!("X-Request-Id: {id}");
        // What a client says of itself counts for nothing.
        let options = ["--interface", address, "-H", "X-Forwarded-For: 203.0.113.7", "-H", &id];
        nginx.post(path, GUIDE_BODY.as_bytes(), &options).status
    };
    let bad = "/api/product-orgs/webhook/sk_unknown";
    let statuses = ["bad-1", "bad-2", "bad-3"].map(|id| from("127.0.0.2", bad, id));
    assert_eq!(statuses, [401, 401, 429]);
    assert_eq!(from("127.0.0.3", bad, "other"), 401, "another client has its own count");
    assert_eq!(from("127.0.0.2", &webhook, "good"), 200, "a good key is never refused for bad ones");
    assert_eq!(served.stop(), 0);
    let log = home.log();
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    for (id, client) in [("bad-1", "127.0.0.2"), ("bad-3", "127.0.0.2"), ("other", "127.0.0.3"), ("good", "127.0.0.2")]
    {
        let line = lines.iter().find(|line| line["fields"]["request_id"] == *id);
        assert_eq!(line.map(|line| &line["fields"]["client"]), Some(&json!(client)), "{id}: {log}");
    }
}

#[test]
fn a_port_that_another_process_has_is_left_to_it() {
    let home = Home::new();
    let served = Served::start(&home);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nginx = Nginx::start_on(&home, &served.receiver, [taken.local_addr().unwrap().port(), free]);
    let answer = nginx.post(&format!("/api/product-orgs/webhook/{}", key(&home, "flat")), GUIDE_BODY.as_bytes(), &[]);
    assert_eq!(answer.status, 200, "{}", answer.body);
    drop(nginx);
    assert_eq!(served.stop(), 0);
}
