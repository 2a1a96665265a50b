//! `[payload.conforms_to]`: what the destination's key would refuse is found by `check` and never sent; `template test`.

use crate::support::{Destination, Home, Served, job_file};
use serde_json::{Value, json};
use std::io::Write;
use std::process::Stdio;

const HEADER: &str = "workspace_id,workspace_name,plan_id,plan_name,user_count,mrr,trial_status\n";

fn job(home: &Home, destination: &str, payload: &str) {
    home.write("jobs/orgs.toml", &job_file("", destination, payload));
}

fn to(destination: &Destination) -> String {
    format!("url = \"http://{}/api/product-orgs/webhook/${{TEST_KEY}}\"", destination.address)
}

const FLAT: &str = "preset = \"flat\"\n[payload.conforms_to]\npreset = \"hightouch\"";

#[test]
fn rows_that_the_key_would_refuse_are_never_sent() {
    let destination = Destination::start();
    let home = Home::new();
    job(&home, &to(&destination), FLAT);
    home.write(
        "orgs.csv",
        &format!("{HEADER}ws_1,Acme,pro,Pro,10,9900,active\nws_2,Beta,pro,Pro,1,99.5,Active\nws_3,Gamma,,,,,\n"),
    );
    let run = home.job("orgs", 1);
    assert_eq!((&run["acknowledged"], &run["refused"]), (&json!(2), &json!(1)), "{run}");
    assert_eq!(destination.take_orgs(), ["ws_1", "ws_3"], "NULL is fine for optional fields");
    let shown = home.run(&["runs", "show", "orgs"]).stdout;
    for part in
        ["mrr at `mrr` must be an integer", "(column `mrr`)", "trial_status at `trial_status` must be one of active"]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    // Once the source is mended, the row is sent as any other change.
    home.write(
        "orgs.csv",
        &format!("{HEADER}ws_1,Acme,pro,Pro,10,9900,active\nws_2,Beta,pro,Pro,1,9950,active\nws_3,Gamma,,,,,\n"),
    );
    home.job("orgs", 0);
    assert_eq!(destination.take_orgs(), ["ws_2"]);
}

#[test]
fn check_proves_that_the_body_answers_the_template() {
    let destination = Destination::start();
    let home = Home::new();
    home.write("orgs.csv", &format!("{HEADER}ws_1,Acme,pro,Pro,10,9900,active\nws_2,Beta,pro,Pro,-4,9900,active\n"));
    job(&home, &to(&destination), FLAT);
    let checked = home.run(&["check", "orgs"]).expect(2);
    assert!(
        checked.stdout.contains("row 2: ")
            && checked.stdout.contains("user_count at `user_count` must not be negative")
    );

    home.write("orgs.csv", &format!("{HEADER}ws_1,Acme,pro,Pro,10,9900,active\n"));
    home.run(&["check", "orgs"]).expect(0);
    // The guide's "Fields not appearing": paths are case-sensitive.
    job(
        &home,
        &to(&destination),
        &format!("{FLAT}\nplan_name = \"planName\"\n[payload.conforms_to.custom]\nseats = \"user_count\""),
    );
    let checked = home.run(&["check", "orgs"]).expect(2);
    assert!(
        checked.stdout.contains("nothing at `planName`") || checked.stdout.contains("anything at `planName`"),
        "{}",
        checked.stdout
    );
    assert!(!checked.stdout.contains("`user_count`, so"), "{}", checked.stdout);
    // The guide's "missing productOrgId".
    job(&home, &to(&destination), &FLAT.replace("hightouch", "segment"));
    let checked = home.run(&["check", "orgs"]).expect(2);
    assert!(
        checked.stdout.contains("missing productOrgId") && checked.stdout.contains("`groupId`"),
        "{}",
        checked.stdout
    );
    assert_eq!(destination.take().len(), 0);
}

#[test]
fn a_template_may_leave_members_out_and_nest_them() {
    let destination = Destination::start();
    let home = Home::new();
    home.write("orgs.csv", &format!("{HEADER}ws_1,Acme,pro,Pro,10,9900,active\nws_2,Beta,,,10,,\n"));
    let payload = r#"template = '''{"workspace_id": {{row.workspace_id}}, "flags": {"sso": true}, "metrics": {"total": {{row.user_count}}}
    {% if row.mrr %}, "mrr": {{row.mrr}}{% endif %}}'''
[payload.conforms_to]
product_org_id = "workspace_id"
mrr = "mrr"
feature_flags = "flags"
last_active_at = "seen"
custom = { projects_count = "metrics.total" }"#;
    job(&home, &to(&destination), payload);
    let checked = home.run(&["check", "orgs"]).expect(0);
    assert!(checked.stdout.contains("`seen`") && !checked.stdout.contains("`metrics.total`"), "{}", checked.stdout);
    home.job("orgs", 0);
    assert_eq!(destination.take_orgs(), ["ws_1", "ws_2"]);
    // A member twice is no JSON that a receiver takes.
    job(&home, &to(&destination), &payload.replace("\"flags\": {", "\"mrr\": 1, \"flags\": {"));
    let checked = home.run(&["check", "orgs"]).expect(2);
    assert!(checked.stdout.contains("\"mrr\" stands twice"), "{}", checked.stdout);
}

#[test]
fn mistakes_in_the_job_file_are_told_at_once() {
    let home = Home::new();
    let payload = "preset = \"flat\"\n[payload.conforms_to]\nname = \"a..b\"\nplan = \"x\"\ncustom = { \"\" = \"y\" }";
    job(&home, "url = \"http://h/\"", payload);
    let checked = home.run(&["check", "--syntax", "orgs"]).expect(2);
    for part in [
        "payload.conforms_to.name: the path `a..b` has an empty segment",
        "payload.conforms_to.plan: unknown field",
        "1–255 bytes",
    ] {
        assert!(checked.stdout.contains(part), "{part}: {}", checked.stdout);
    }
    job(&home, "url = \"http://h/\"", "preset = \"flat\"\n[payload.conforms_to]\nname = \"a\"");
    let checked = home.run(&["check", "--syntax", "orgs"]).expect(2);
    assert!(checked.stdout.contains("`product_org_id` is missing"), "{}", checked.stdout);
}

/// The property, end to end: what `conforms_to` lets through, a receiver with that template takes.
#[test]
fn what_passes_is_what_a_receiver_takes() {
    let home = Home::new();
    let served = Served::start(&home);
    let key = home.run(&["keys", "create", "--name", "k", "--template", "flat", "--json"]).expect(0).json();
    home.write("receiver.key", key["key"].as_str().unwrap());
    let url = format!("url = \"http://{}/api/product-orgs/webhook/${{file:receiver.key}}\"", served.receiver);
    let long = "x".repeat(256);
    let rows = [
        "ws_1,,,,,,",
        "ws_2,é,p,P,0,-5,expired",
        "ws_3,a,p,P,1.5,1,active",
        "ws_4,a,p,P,1,1,ACTIVE",
        "ws_5,a,p,P,x,1,active",
        &format!("{long},a,p,P,1,1,active"),
        "ws_7,a,p,P,10,1e3,active",
        "ws_8,a,p,P,9007199254740993,1,converted",
    ];
    home.write("orgs.csv", &format!("{HEADER}{}\n", rows.join("\n")));
    let refused = |payload: &str, dead: &str| {
        job(&home, &url, payload);
        let text = std::fs::read_to_string(home.path("jobs/orgs.toml")).unwrap();
        home.write("jobs/orgs.toml", &format!("name = \"{dead}\"\n{text}"));
        let run = home.job(dead, 1);
        (run["acknowledged"].clone(), run["refused"].clone())
    };
    let by_receiver = refused("preset = \"flat\"", "receiver");
    assert_eq!(refused(FLAT, "sender"), by_receiver);
    assert!(by_receiver.1.as_u64().is_some_and(|refused| refused >= 3), "{by_receiver:?}");
    assert_eq!(served.stop(), 0);
}

#[test]
fn template_test_shows_what_a_receiver_takes() {
    let home = Home::new();
    home.write("body.json", include_str!("fixtures/segment_group.json"));
    let shown = home.run(&["template", "test", "--body", "body.json", "--template", "segment"]).expect(0);
    assert!(shown.stdout.contains("accepted: an update of org ws_abc123"), "{}", shown.stdout);
    assert!(shown.stdout.contains("mrr") && shown.stdout.contains("49900"), "{}", shown.stdout);

    home.write(
        "t.toml",
        "product_org_id = \"groupId\"\nplan_id = \"traits.Plan\"\n[custom]\nseats = \"traits.employees\"\n",
    );
    let told =
        home.run(&["template", "test", "--body", "body.json", "--template", "t.toml", "--json"]).expect(0).json();
    assert_eq!((&told["accepted"], &told["product_org_id"]), (&json!(true), &json!("ws_abc123")));
    assert_eq!(
        told["fields"][1],
        json!({"field": "plan_id", "path": "traits.Plan", "state": "absent", "value": null, "near": "traits.plan"})
    );
    assert_eq!((&told["fields"][2]["field"], &told["fields"][2]["value"]), (&json!("seats"), &json!(47)));
}

#[test]
fn template_test_shows_what_is_ignored_and_what_stands_around() {
    let home = Home::new();
    home.write("body.json", include_str!("fixtures/segment_group.json"));
    let told =
        |template: &str| home.run(&["template", "test", "--body", "body.json", "--template", template, "--json"]);
    let read = told("segment").expect(0).json();
    let last: Vec<&Value> = read["fields"].as_array().unwrap().iter().rev().take(3).collect();
    let field = |name: &str, path: &str, state: &str, value: Value| json!({"field": name, "path": path, "state": state, "value": value, "near": null});
    assert_eq!(
        last,
        [
            &field("only_if", "type", "found", json!("group")),
            &field("message_id", "messageId", "set", json!("seg-msg-abc123")),
            &field("timestamp", "timestamp", "set", json!("2026-01-15T10:30:00Z")),
        ]
    );
    home.write("t.toml", "product_org_id = \"groupId\"\nonly_if = 'type == \"identify\"'\ntimestamp = \"timestmp\"\n");
    let ignored = told("t.toml").expect(0).json();
    assert_eq!((&ignored["accepted"], &ignored["ignored"]), (&json!(false), &json!(true)));
    assert_eq!(ignored["reason"], json!("the template takes only what has type == \"identify\""));
    assert_eq!(ignored["fields"][1]["near"], json!("timestamp"));
    let text = home.run(&["template", "test", "--body", "body.json", "--template", "t.toml"]).expect(0).stdout;
    assert!(text.contains("ignored (200): the template takes only what has type == \"identify\""), "{text}");
}

#[test]
fn a_body_that_would_be_ignored_does_not_conform() {
    let home = Home::new();
    home.write("orgs.csv", &format!("{HEADER}ws_1,a,p,P,1,1,active\n"));
    let body = "template = '{\"type\": \"identify\", \"groupId\": \"{{ row.workspace_id }}\"}'\n[payload.conforms_to]\npreset = \"segment\"";
    job(&home, "url = \"http://h/\"", body);
    let checked = home.run(&["check", "orgs"]).expect(2);
    let words = "the destination would ignore the body: it takes only what has type == \"group\"";
    assert!(checked.stdout.contains(words), "{}", checked.stdout);
    job(&home, "url = \"http://h/\"", &body.replace("identify", "group"));
    home.run(&["check", "orgs"]).expect(0);
    // A field beside the preset takes the place of the preset's.
    job(&home, "url = \"http://h/\"", &format!("{body}\nonly_if = 'type == \"identify\"'"));
    home.run(&["check", "orgs"]).expect(0);
}

#[test]
fn template_test_refuses_in_the_receivers_words() {
    let home = Home::new();
    home.write("body.json", include_str!("fixtures/curl_flat.json"));
    let refused =
        home.run(&["template", "test", "--body", "body.json", "--template", "segment", "--json"]).expect(2).json();
    assert_eq!((&refused["accepted"], &refused["product_org_id"]), (&json!(false), &Value::Null));
    assert!(refused["reason"].as_str().is_some_and(|reason| reason.starts_with("missing productOrgId")), "{refused}");
    let text = home.run(&["template", "test", "--body", "body.json", "--template", "segment"]).expect(2).stdout;
    assert!(text.contains("refused (400): missing productOrgId"), "{text}");

    // A body on standard input, with a key twice.
    let mut command = home.command(&["template", "test", "--body", "-", "--template", "flat"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(br#"{"workspace_id": "a", "workspace_id": "b"}"#).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stdout).unwrap().contains("stands twice"));
    let none = home.run(&["template", "test", "--body", "none.json", "--template", "flat"]).expect(2);
    assert!(none.stderr.contains("none.json"), "{}", none.stderr);
}
