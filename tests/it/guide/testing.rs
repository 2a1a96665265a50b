//! "Testing": the cURL call, as a reader would paste it, and the look at what arrived.

use super::shell::Shell;
use super::{GUIDE_BODY, GUIDE_FIELDS, create_key, curl, org};
use crate::receiver::nginx::server::Nginx;
use crate::support::{Home, Served};
use serde_json::{Value, json};
use std::process::Command;

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

/// The guide's block as it stands there, with the subdomain and the key put in, over HTTPS.
#[test]
fn the_guides_command_works_word_for_word() {
    const COMMAND: &str = include_str!("../fixtures/guide/testing_curl.sh");
    const RESPONSE: &str = include_str!("../fixtures/guide/testing_response.json");
    let home = Home::new();
    let served = Served::start(&home);
    let nginx = Nginx::start(&home, &served.receiver);
    let key = create_key(&home, &["--name", "flat", "--type", "product-orgs", "--template", "flat"]);
    let command = COMMAND.replace("{subdomain}", "acme").replace("{apiKey}", key["key"].as_str().unwrap());
    let mut shell = Shell::new(home, &served, &nginx);
    let answer: Value = serde_json::from_slice(&shell.run(&command).stdout).unwrap();
    let mut expected: Value = serde_json::from_str(RESPONSE).unwrap();
    // Which number an org gets is ours to say.
    expected["targetOrgId"] = json!(answer["targetOrgId"].as_i64().expect("an integer"));
    assert_eq!(answer.to_string(), expected.to_string(), "names, kinds and order");
    let org = org(&shell.home, "test_ws_001");
    let body: Value = serde_json::from_str(GUIDE_BODY).unwrap();
    for (stored, sent) in GUIDE_FIELDS {
        assert_eq!(org[stored], body[sent], "the product org appeared with the correct fields");
    }
}
