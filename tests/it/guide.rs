//! The reference guide's "Testing" section against our receiver, with curl as a reader would paste it.

use crate::support::{Home, Served};
use serde_json::{Value, json};
use std::process::Command;

const GUIDE_BODY: &str = include_str!("fixtures/curl_flat.json");

fn create_key(home: &Home, args: &[&str]) -> Value {
    let mut all = vec!["keys", "create", "--json"];
    all.extend(args);
    home.run(&all).expect(0).json()
}

/// `curl -X POST URL -H "Content-Type: application/json" -d BODY`: status and answer.
fn curl(served: &Served, key: &str, secret: Option<&str>, body: &str) -> (u16, String) {
    let url = format!("http://{}/api/product-orgs/webhook/{key}", served.receiver);
    let mut command = Command::new("curl");
    command.args([
        "-sS",
        "-X",
        "POST",
        &url,
        "-H",
        "Content-Type: application/json",
        "-d",
        body,
        "-w",
        "\n%{http_code}",
    ]);
    if let Some(secret) = secret {
        command.args(["-H", &format!("X-Api-Secret: {secret}")]);
    }
    let output = command.output().expect("curl is installed (./test.sh installs it)");
    let text = String::from_utf8(output.stdout).unwrap();
    let (answer, status) = text.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), answer.to_owned())
}

#[test]
fn the_curl_call_of_the_guide_is_answered_as_the_guide_shows() {
    let home = Home::new();
    let served = Served::start(&home);
    let key = create_key(&home, &["--name", "flat", "--type", "product-orgs", "--template", "flat"]);
    assert_eq!(key["secret"], Value::Null);
    let key = key["key"].as_str().unwrap();
    assert!(key.starts_with("sk_"));

    let (status, answer) = curl(&served, key, None, GUIDE_BODY);
    assert_eq!(status, 200, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let id = answer["targetOrgId"].as_i64().expect("an integer");
    assert_eq!(
        answer.to_string(),
        format!(r#"{{"success":true,"productOrgId":"test_ws_001","targetOrgId":{id},"isNewOrg":true}}"#)
    );
    let (_, again) = curl(&served, key, None, GUIDE_BODY);
    let again: Value = serde_json::from_str(&again).unwrap();
    assert_eq!((&again["isNewOrg"], &again["targetOrgId"]), (&json!(false), &json!(id)));

    let org = home.run(&["orgs", "show", "test_ws_001", "--json"]).expect(0).json();
    assert_eq!((&org["name"], &org["user_count"], &org["mrr"]), (&json!("Test Workspace"), &json!(10), &json!(9900)));

    let ready = Command::new("curl").args(["-sSf", &format!("http://{}/readyz", served.admin)]).status().unwrap();
    assert!(ready.success());
    let (status, answer) = curl(&served, key, None, r#"{"workspace_name": "no id"}"#);
    assert_eq!(status, 400);
    assert!(answer.contains("missing productOrgId"), "{answer}");
    assert_eq!(served.stop(), 0);
}

#[test]
fn the_troubleshooting_answers_hold() {
    let home = Home::new();
    let served = Served::start(&home);
    let wrong = create_key(&home, &["--name", "signals", "--type", "signal-staging"]);
    let (status, answer) = curl(&served, wrong["key"].as_str().unwrap(), None, GUIDE_BODY);
    assert_eq!(status, 403);
    assert!(answer.contains("Product Org Updates"), "{answer}");

    let secured = create_key(&home, &["--name", "s", "--type", "product-orgs", "--template", "flat", "--with-secret"]);
    let (key, secret) = (secured["key"].as_str().unwrap(), secured["secret"].as_str().unwrap());
    let expired = create_key(
        &home,
        &["--name", "e", "--type", "product-orgs", "--template", "flat", "--expires", "2020-01-01T00:00:00Z"],
    );
    let revoked = create_key(&home, &["--name", "r", "--type", "product-orgs", "--template", "flat"]);
    home.run(&["keys", "revoke", revoked["id"].as_str().unwrap()]).expect(0);
    let refused = [
        curl(&served, "sk_unknown", None, GUIDE_BODY),
        curl(&served, key, None, GUIDE_BODY),
        curl(&served, key, Some("wrong"), GUIDE_BODY),
        curl(&served, expired["key"].as_str().unwrap(), None, GUIDE_BODY),
        curl(&served, revoked["key"].as_str().unwrap(), None, GUIDE_BODY),
    ];
    for answer in &refused {
        assert_eq!((answer.0, &answer.1), (401, &refused[0].1), "nothing tells the causes apart");
    }
    assert_eq!(curl(&served, key, Some(secret), GUIDE_BODY).0, 200);

    let listed = home.run(&["keys", "list", "--json"]).expect(0).stdout;
    for planted in [key, secret] {
        assert!(!listed.contains(planted), "a key is shown once");
        for file in home.files() {
            let bytes = std::fs::read(&file).unwrap();
            assert!(
                !bytes.windows(planted.len()).any(|w| w == planted.as_bytes()),
                "stored hashed: {}",
                file.display()
            );
        }
    }
}

#[test]
fn a_job_sends_to_the_receiver() {
    let home = Home::new();
    let served = Served::start(&home);
    let key =
        create_key(&home, &["--name", "segment", "--type", "product-orgs", "--template", "segment", "--with-secret"]);
    home.write("receiver.key", key["key"].as_str().unwrap());
    home.write("receiver.secret", key["secret"].as_str().unwrap());
    home.write("orgs.ndjson", "{\"id\":\"ws_1\",\"title\":\"A \\\"quoted\\\"\\nname\",\"plan\":\"pro\",\"seats\":4}\n");
    home.write(
        "jobs/segment.toml",
        &format!(
            "version = 1\n[source]\nkind = \"files\"\npath = \"orgs.ndjson\"\n[diff]\nkey = \"id\"\n[destination]\nkind = \"http\"\n\
             url = \"http://{}/api/product-orgs/webhook/${{file:receiver.key}}\"\nsecret = \"${{file:receiver.secret}}\"\n\
             [payload]\npreset = \"group\"\n[payload.fields]\n\"traits.name\" = \"title\"\n\"traits.plan\" = \"plan\"\n\"traits.employees\" = \"seats\"\n",
            served.receiver
        ),
    );
    assert_eq!(home.job("segment", 0)["acknowledged"], json!(1));
    let org = home.run(&["orgs", "show", "ws_1", "--json"]).expect(0).json();
    assert_eq!((&org["name"], &org["user_count"]), (&json!("A \"quoted\"\nname"), &json!(4)));
}
