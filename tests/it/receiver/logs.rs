//! What the receiver logs: that events were rejected and why, but no key, no secret and no value.

use crate::support::{Home, signal};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::fs::File;
use std::process::{Command, Stdio};

const VALUE: &str = "planted-value-3e1d";

/// `curl` with a body; it is told nothing of proxies.
fn post(url: &str, options: &[&str], body: &str) -> String {
    let mut command = Command::new("curl");
    command.args(["-sS", "--noproxy", "*", "-H", "Content-Type: application/json", "-d", body, url]).args(options);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn rejections_are_logged_without_keys_and_values() {
    let home = Home::new();
    let create = ["keys", "create", "--json", "--name", "sdk", "--template", "segment", "--with-secret"];
    let key = home.run(&create).expect(0).json();
    let text = |name: &str| key[name].as_str().unwrap().to_owned();
    let (id, key, secret) = (text("id"), text("key"), text("secret"));

    let log = File::create(home.path("serve.log")).unwrap();
    let mut serve = home.command(&["serve", "--receiver", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log", "trace"]);
    let ready = home.path("ready.json");
    let mut child = serve.arg("--ready-file").arg(&ready).stdout(Stdio::null()).stderr(log).spawn().unwrap();
    let address = loop {
        assert_eq!(child.try_wait().unwrap(), None, "serve ended");
        match std::fs::read_to_string(&ready) {
            Ok(text) => break serde_json::from_str::<Value>(&text).unwrap()["receiver"].as_str().unwrap().to_owned(),
            Err(_) => std::thread::sleep(std::time::Duration::from_millis(10)),
        }
    };

    let bad = json!({"type": "group", "groupId": "a", "traits": {"mrr": VALUE}, "writeKey": key});
    let basic = format!("{key}:{secret}");
    let batch = json!({"batch": [bad, {"type": "group", "groupId": "b", "traits": {"name": VALUE}}], "writeKey": key})
        .to_string();
    for (call, body) in [("group", &bad.to_string()), ("batch", &batch), ("track", &bad.to_string())] {
        let answer = post(&format!("http://{address}/v1/{call}"), &["-u", &basic], body);
        assert!(answer.contains("\"success\":true") && !answer.contains(VALUE), "{answer}");
        post(&format!("http://{address}/v1/{call}"), &["-u", &format!("{key}:{VALUE}")], body);
        post(&format!("http://{address}/v1/{call}"), &[], body);
        post(&format!("http://{address}/v1/{call}"), &["-u", &basic], &format!("{body}{VALUE}"));
    }
    let webhook = format!("http://{address}/api/product-orgs/webhook/{key}");
    let array = json!([bad, {"groupId": "c"}]).to_string();
    let answer = post(&webhook, &["-H", &format!("X-Api-Secret: {secret}")], &array);
    assert!(answer.contains("\"productOrgId\":\"c\"") && !answer.contains(VALUE), "{answer}");
    post(&webhook, &[], &array);

    signal(child.id(), "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let log = std::fs::read_to_string(home.path("serve.log")).unwrap();
    for part in [
        "events of an SDK were rejected",
        "elements of an array were rejected",
        &id,
        "mrr at `traits.mrr` must be an integer, not a string",
    ] {
        assert!(log.contains(part), "{part}\n---\n{log}");
    }
    for planted in [key.as_str(), &secret, VALUE, &STANDARD.encode(&basic)] {
        assert!(!log.contains(planted), "{log}");
    }
}
