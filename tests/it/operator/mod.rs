//! The operator's address: who may do what there, over which connection, what is put on record, and its pages.

mod connections;
mod pages;

use crate::support::{Destination, Home, Served, job_file, says};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A home with a job whose newest run is held, with that run's id.
pub fn held_home(destination: &Destination, plan: &str) -> (Home, String) {
    let home = Home::new();
    let to = format!("url = \"http://{}/\"\nretry = {{ attempts = 1, base = \"1ms\" }}", destination.address);
    let job = job_file("", &to, "preset = \"flat\"\n[guard]\nmax_changed = { share = 0.4, floor = 0 }");
    home.write(
        "jobs/orgs.toml",
        &job.replacen("version = 1\n", "version = 1\nschedule = \"30 2 1 1 *\"\ntimezone = \"America/New_York\"\n", 1),
    );
    home.write("orgs.csv", "workspace_id,plan_id\nws_1,free\nws_2,free\n");
    home.job("orgs", 0);
    destination.take();
    home.write("orgs.csv", &format!("workspace_id,plan_id\nws_1,{plan}\nws_2,free\n"));
    let run = home.job("orgs", 3)["run"].as_str().unwrap().to_owned();
    (home, run)
}

/// A token for this role, and its id.
pub fn token(home: &Home, role: &str) -> (String, String) {
    let made =
        home.run(&["tokens", "create", "--name", &format!("the {role}"), "--role", role, "--json"]).expect(0).json();
    let of = |name: &str| made[name].as_str().unwrap().to_owned();
    (of("token"), of("id"))
}

pub fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}")
}

fn audit(home: &Home) -> Vec<Value> {
    let entries = home.run(&["audit", "--limit", "1000", "--json"]).expect(0).json();
    entries.as_array().unwrap().clone()
}

#[test]
fn a_token_allows_what_its_role_says() {
    let destination = Destination::start();
    let (home, run) = held_home(&destination, "pro");
    let served = Served::start(&home);
    assert_eq!(served.call("GET", "/api/v1/jobs", &[], None).0, 200, "there is no token yet");
    let (viewer, viewer_id) = token(&home, "viewer");
    let ((operator, _), (admin, _)) = (token(&home, "operator"), token(&home, "admin"));
    // From then on one is needed, also here.
    for path in ["/api/v1/jobs", "/metrics", "/api/v1/nothing", "/", "/jobs/orgs"] {
        assert_eq!(served.request("GET", path, &[], b"").0, 401, "{path}");
        assert_eq!(served.request("GET", path, &[&bearer("nt_unknown-unknown-unknown")], b"").0, 401, "{path}");
    }
    assert_eq!(served.request("GET", "/healthz", &[], b"").0, 200);
    let asked = |token: &str, method: &str, path: &str, body: Option<&Value>| {
        served.call(method, path, &[&bearer(token)], body).0
    };
    let key = json!({ "name": "k" });
    let decision = json!({ "run": run });
    let other = json!({ "run": "01KB2M4Z6R8T0V2X4Y6A8C0E2G" });
    for (method, path, body, [by_viewer, by_operator, by_admin]) in [
        ("GET", "/api/v1/jobs", None, [200, 200, 200]),
        ("GET", "/api/v1/jobs/orgs/held", None, [200, 200, 200]),
        ("GET", "/api/v1/keys", None, [200, 200, 200]),
        ("GET", "/api/v1/audit", None, [403, 403, 200]),
        ("POST", "/api/v1/keys", Some(&key), [403, 403, 201]),
        ("POST", "/api/v1/jobs/orgs/approve", Some(&other), [403, 409, 409]),
        ("POST", "/api/v1/jobs/orgs/discard", Some(&other), [403, 409, 409]),
        ("POST", "/api/v1/jobs/gone/run", None, [403, 404, 404]),
        ("POST", "/api/jobs/gone/run", None, [403, 404, 404]),
        ("POST", "/api/v1/jobs/orgs/discard", Some(&decision), [403, 200, 409]),
    ] {
        let found = [&viewer, &operator, &admin].map(|token| asked(token, method, path, body));
        assert_eq!(found, [by_viewer, by_operator, by_admin], "{method} {path}");
    }
    let (status, refused) = served.call("POST", "/api/v1/keys", &[&bearer(&operator)], Some(&key));
    let why = refused["error"].as_str().unwrap();
    assert!(status == 403 && why.contains("the role admin") && why.contains("`the operator` has operator"), "{why}");
    assert_eq!(served.request("GET", "/metrics", &[&bearer(&viewer)], b"").0, 200);
    // Revoked at once, and no way back to none at all.
    says(&home.run(&["tokens", "revoke", &viewer_id]).expect(0), &["the viewer", "is revoked"]);
    assert_eq!(asked(&viewer, "GET", "/api/v1/jobs", None), 401);
    says(
        &home.run(&["tokens", "revoke", "token_unknown"]).expect(2),
        &["no token token_unknown", "nightmark tokens list"],
    );
    says(&home.run(&["tokens"]).expect(0), &["the viewer", "revoked 20", "the operator", "operator", "valid"]);
    let passed = ["tokens", "create", "--name", "x", "--role", "admin", "--expires", "2020-01-01T00:00:00Z", "--json"];
    let expired = home.run(&passed).expect(0).json();
    assert_eq!(asked(expired["token"].as_str().unwrap(), "GET", "/api/v1/jobs", None), 401);
    assert_eq!(served.stop(), 0);
    let served = Served::start(&home);
    assert_eq!(served.call("GET", "/api/v1/jobs", &[], None).0, 401);
    assert_eq!(served.call("GET", "/api/v1/jobs", &[&bearer(&operator)], None).0, 200);
    assert_eq!(served.stop(), 0);
    // Nowhere is a token, but where it was made.
    for token in [&viewer, &operator, &admin] {
        assert!(!home.log().contains(token.as_str()));
        for file in ["nightmark.db", "nightmark.db-wal"] {
            let bytes = std::fs::read(home.path(file)).unwrap_or_default();
            assert!(!bytes.windows(token.len()).any(|part| part == token.as_bytes()), "{file}");
        }
    }
}

#[test]
fn who_did_what_is_on_record() {
    let destination = Destination::start();
    let (home, run) = held_home(&destination, "pro");
    let (operator, _) = token(&home, "operator");
    let (admin, _) = token(&home, "admin");
    let served = Served::start(&home);
    let decide = |way: &str, run: &str| {
        served.call("POST", &format!("/api/v1/jobs/orgs/{way}"), &[&bearer(&operator)], Some(&json!({ "run": run }))).0
    };
    assert_eq!(decide("approve", "01KB2M4Z6R8T0V2X4Y6A8C0E2G"), 409);
    assert_eq!(decide("discard", &run), 200);
    assert_eq!(served.call("POST", "/api/v1/keys", &[&bearer(&operator)], Some(&json!({ "name": "k" }))).0, 403);
    let made = served.call("POST", "/api/v1/keys", &[&bearer(&admin)], Some(&json!({ "name": "k" }))).1;
    assert_eq!(served.stop(), 0);
    let second = home.job("orgs", 3)["run"].as_str().unwrap().to_owned();
    home.run(&["approve", "orgs", "--by", "Zoë"]).expect(0);
    home.run(&["discard", "orgs", "--by", "Zoë"]).expect(2);
    home.run(&["keys", "revoke", made["id"].as_str().unwrap()]).expect(0);

    let entries = audit(&home);
    let told: Vec<[&str; 5]> = entries
        .iter()
        .map(|entry| ["via", "action", "subject", "outcome", "detail"].map(|name| entry[name].as_str().unwrap_or("")))
        .collect();
    let (key, discarded) = (made["id"].as_str().unwrap(), format!("run {run}"));
    let (held, created) = ("a guard holds it", format!("key {key}"));
    let unknown = "run 01KB2M4Z6R8T0V2X4Y6A8C0E2G of job `orgs` is not known; `nightmark runs` lists what there is";
    let nothing = "no run of job `orgs` is held\n  hint: `nightmark runs orgs` lists what there is";
    let expected: Vec<[&str; 5]> = vec![
        ["command line", "keys revoke", key, "done", ""],
        ["command line", "discard", "orgs", "refused", nothing],
        ["command line", "approve", "orgs", "done", ""],
        ["command line", "run", "orgs", "done", held],
        ["admin API", "keys create", "", "done", &created],
        ["admin API", "discard", "orgs", "done", &discarded],
        ["admin API", "approve", "orgs", "refused", unknown],
        ["command line", "tokens create", "the admin", "done", ""],
        ["command line", "tokens create", "the operator", "done", ""],
        ["command line", "run", "orgs", "done", held],
        ["command line", "run", "orgs", "done", ""],
    ];
    assert_eq!(told, expected, "{entries:#?}");
    let who = |at: usize| entries[at]["who"].as_str().unwrap();
    assert_eq!((who(1), who(2), who(4), who(5)), ("Zoë", "Zoë", "the admin", "the operator"));
    says(&home.run(&["audit"]).expect(0), &["Zoë", "the operator", "discard", &discarded, "refused", "admin API"]);
    assert_ne!(second, run);
    // By the API, page by page.
    let served = Served::start(&home);
    let (_, page) = served.call("GET", "/api/v1/audit?limit=3", &[&bearer(&admin)], None);
    assert_eq!(page["items"].as_array().unwrap()[..], entries[..3]);
    let path = format!("/api/v1/audit?limit=100&after={}", page["next"].as_str().unwrap());
    let (_, rest) = served.call("GET", &path, &[&bearer(&admin)], None);
    assert_eq!((&rest["items"].as_array().unwrap()[..], &rest["next"]), (&entries[3..], &Value::Null));
    assert_eq!(served.stop(), 0);
}

/// Commands that decide or give access, whatever came of them; which those are is in `cli::audit`'s own tests.
#[test]
fn what_is_typed_is_on_record_and_so_is_a_state_that_was_taken_in() {
    let destination = Destination::start();
    let (home, run) = held_home(&destination, "pro");
    let (viewer, viewer_id) = token(&home, "viewer");
    let before = audit(&home).len();
    let typed: &[(&[&str], i32)] = &[
        (&["schema", "orgs", "accept"], 0),
        (&["retry", "orgs"], 0),
        (&["dead-letters", "drop", "orgs", "--all"], 0),
        (&["destinations", "enable", "orgs"], 0),
        (&["rollback", "orgs", "--to", &run, "--yes"], 2),
        (&["backfill", "orgs", "--dry-run"], 0),
        (&["backfill", "orgs", "--yes"], 0),
        (&["adopt", "orgs", "--replace", "--yes", "--by", "Zoë"], 0),
        (&["tokens", "revoke", &viewer_id], 0),
    ];
    for (args, code) in typed {
        let ran = home.run(args);
        assert_eq!(ran.code, *code, "{args:?}: {}{}", ran.stdout, ran.stderr);
    }
    let told = |home: &Home, most: usize| -> Vec<String> {
        let of = |entry: &Value| {
            ["action", "subject", "outcome"].map(|name| entry[name].as_str().unwrap_or("").to_owned()).join(" ")
        };
        audit(home).iter().take(most).map(of).collect()
    };
    let entries = audit(&home);
    let expected = [
        format!("tokens revoke {viewer_id} done"),
        "adopt orgs done".to_owned(),
        "backfill orgs done".to_owned(),
        "rollback orgs refused".to_owned(),
        "destinations enable orgs done".to_owned(),
        "dead-letters drop orgs done".to_owned(),
        "retry orgs done".to_owned(),
        "schema accept orgs done".to_owned(),
    ];
    assert_eq!(told(&home, entries.len() - before), expected);
    assert_eq!((&entries[1]["who"], &entries[1]["detail"]), (&json!("Zoë"), &json!("--replace")));
    assert!(!format!("{entries:?}").contains(&viewer));
    // A state with tokens in it is taken in. What was refused before has left nothing, so that the store is empty still.
    let file = home.path("state.ndjson").display().to_string();
    home.run(&["state", "export", "--output", &file]).expect(0);
    assert_eq!(audit(&home).len(), entries.len(), "to look is no deed");
    let new = Home::new();
    new.write("half.ndjson", "{}\n");
    new.run(&["state", "import", "half.ndjson"]).expect(2);
    assert_eq!(audit(&new), [] as [Value; 0]);
    new.run(&["state", "import", &file]).expect(0);
    assert_eq!(told(&new, 2), [format!("state import {file} done"), expected[0].clone()]);
    assert_eq!(audit(&new).len(), entries.len() + 1);
    new.run(&["state", "import", &file]).expect(2);
    assert_eq!(audit(&new).len(), entries.len() + 1);
}

/// Whatever the description has that changes something.
#[test]
fn everything_that_changes_something_is_on_record() {
    let destination = Destination::start();
    let (home, _) = held_home(&destination, "pro");
    let (admin, _) = token(&home, "admin");
    let served = Served::start(&home);
    let (_, document) = served.call("GET", "/openapi.json", &[], None);
    let mut expected = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys().filter(|method| *method != "get") {
            // With something in the place of each parameter; that nothing comes of it is on record as well.
            let subject = format!("subject{}", expected.len());
            let filled = path.replace("{job}", &subject).replace("{id}", &subject);
            served.call(&method.to_uppercase(), &filled, &[&bearer(&admin)], Some(&json!({})));
            expected.insert(if filled == *path { String::new() } else { subject });
        }
    }
    assert!(expected.len() >= 7, "{expected:?}");
    let entries = audit(&home);
    let found: BTreeSet<String> = entries
        .iter()
        .filter(|entry| entry["via"] == "admin API")
        .map(|entry| {
            assert_eq!((&entry["outcome"], &entry["who"]), (&json!("refused"), &json!("the admin")), "{entry}");
            entry["subject"].as_str().unwrap_or("").to_owned()
        })
        .collect();
    assert_eq!(found, expected);
    assert_eq!(served.stop(), 0);
}
