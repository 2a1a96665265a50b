//! The ready-made jobs of `jobs/`, unchanged but for their address, against our receiver.

use super::{create_key, keep, org};
use crate::support::{Home, Served, ran};
use serde_json::{Value, json};
use std::path::Path;

/// Runs a job twice. `from` is the address in its file, `to` ours, with RECEIVER.
#[track_caller]
fn check(job: &str, template: &str, from: &str, to: &str, org_id: &str, expected: Value) {
    let home = Home::new();
    let served = Served::start(&home);
    // SDKs and write keys come without a secret.
    let secret: &[&str] = if to.contains("base_url") && template == "flat" { &["--with-secret"] } else { &[] };
    let key = create_key(&home, &[&["--name", job, "--type", "product-orgs", "--template", template], secret].concat());
    keep(&home, &key);
    let (key, secret) = (key["key"].as_str().unwrap(), key["secret"].as_str().unwrap_or("none"));

    let jobs = Path::new(env!("CARGO_MANIFEST_DIR")).join("jobs");
    std::fs::create_dir(home.path("jobs/data")).unwrap();
    for file in ["accounts.csv", "workspaces.csv"] {
        std::fs::copy(jobs.join("data").join(file), home.path("jobs/data").join(file)).unwrap();
    }
    let text = std::fs::read_to_string(jobs.join(job).with_extension("toml")).unwrap();
    assert!(text.contains(from), "{from}");
    let to = to.replace("RECEIVER", &format!("http://{}", served.receiver));
    home.write(&format!("jobs/{job}.toml"), &text.replace(from, &to));

    let run = || {
        let mut command = home.command(&["run", job, "--json"]);
        for name in ["TRAILSPARK_API_KEY", "SEGMENT_WRITE_KEY", "RUDDERSTACK_WRITE_KEY", "WEBHOOK_TOKEN"] {
            command.env(name, key);
        }
        ran(command.env("TRAILSPARK_API_SECRET", secret).output().unwrap()).expect(0).json()
    };
    let first = run();
    let orgs = home.run(&["orgs", "list", "--json"]).expect(0).json();
    assert_eq!(first["acknowledged"], first["added"], "{first}");
    assert_eq!(json!(orgs.as_array().unwrap().len()), first["added"], "{first}");
    let stored = org(&home, org_id);
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&stored[field], value, "{field} of {stored}");
    }
    assert_eq!(run()["acknowledged"], json!(0), "the same extract again sends nothing");
}

fn flat() -> Value {
    json!({"name": "Test Workspace", "plan_id": "pro", "plan_name": "Pro", "user_count": 10, "mrr": 9900, "trial_status": "active"})
}

fn group() -> Value {
    json!({"name": "Acme Corp Workspace", "plan_id": "pro_annual", "plan_name": "Pro Annual", "user_count": 47, "mrr": 49900,
           "trial_status": "converted"})
}

const SUBDOMAIN: &str = "subdomain = \"acme\"";
const BASE_URL: &str = "base_url = \"RECEIVER\"";

#[test]
fn trailspark_flat() {
    check("trailspark-flat", "flat", SUBDOMAIN, BASE_URL, "test_ws_001", flat());
}

#[test]
fn trailspark_group() {
    check("trailspark-group", "segment", SUBDOMAIN, BASE_URL, "ws_abc123", group());
}

#[test]
fn segment_group() {
    check("segment-group", "segment", "region = \"us\"", BASE_URL, "ws_abc123", group());
}

#[test]
fn rudderstack_group() {
    let (from, to) = ("\"https://acme.dataplane.rudderstack.com\"", "\"RECEIVER\"");
    check("rudderstack-group", "segment", from, to, "ws_abc123", group());
}

#[test]
fn webhook() {
    let (from, to) = ("\"https://hooks.example.com/orgs\"", "\"RECEIVER/api/product-orgs/webhook/${WEBHOOK_TOKEN}\"");
    check("webhook", "flat", from, to, "test_ws_001", flat());
}

#[test]
fn backfill() {
    check("backfill", "flat", SUBDOMAIN, BASE_URL, "test_ws_001", flat());
}
