//! Each section of the reference guide ("Syncing Product Orgs from a CDP"), done with our binary as the section describes it.

mod hightouch;
mod jobs;
mod pages;
mod receiver;
mod rudderstack;
mod segment;
mod shell;
mod testing;
mod troubleshooting;
mod when_to_send;

use crate::support::{Home, Served};
use serde_json::Value;
use std::process::Command;

/// The body of the guide's cURL call.
const GUIDE_BODY: &str = include_str!("../fixtures/curl_flat.json");

/// What an org has of it, by a key's flat template: the org's field, the body's.
const GUIDE_FIELDS: [(&str, &str); 7] = [
    ("product_org_id", "workspace_id"),
    ("name", "workspace_name"),
    ("plan_id", "plan_id"),
    ("plan_name", "plan_name"),
    ("user_count", "user_count"),
    ("mrr", "mrr"),
    ("trial_status", "trial_status"),
];

/// Keeps a key, and its secret if it has one, where jobs find it: `${file:receiver.key}`, `${file:receiver.secret}`.
pub fn keep(home: &Home, key: &Value) {
    home.write("receiver.key", key["key"].as_str().unwrap());
    if let Some(secret) = key["secret"].as_str() {
        home.write("receiver.secret", secret);
    }
}

/// `nightmark orgs show ID`
pub fn org(home: &Home, id: &str) -> Value {
    home.run(&["orgs", "show", id, "--json"]).expect(0).json()
}

pub fn create_key(home: &Home, args: &[&str]) -> Value {
    let mut all = vec!["keys", "create", "--json"];
    all.extend(args);
    home.run(&all).expect(0).json()
}

/// `curl -X POST URL -H "Content-Type: application/json" -d BODY`: status and answer.
pub fn curl(served: &Served, key: &str, secret: Option<&str>, body: &str) -> (u16, String) {
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
