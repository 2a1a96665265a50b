//! `nightmark keys`: made, listed, rotated and revoked, with a receiver that runs beside it.

use crate::guide::{create_key, curl, keep, org};
use crate::support::{Home, Served, job_file, says};
use nightmark::receiver::keys::{PATTERN, Shape, shape};
use serde_json::{Value, json};

const BODY: &str = r#"{"workspace_id": "ws_1", "workspace_name": "One"}"#;

fn text<'a>(key: &'a Value, name: &str) -> &'a str {
    key[name].as_str().unwrap_or_else(|| panic!("{name} of {key}"))
}

#[test]
fn a_key_has_the_form_that_scanners_look_for() {
    let home = Home::new();
    let key = create_key(&home, &["--name", "k", "--with-secret"]);
    assert!(include_str!("../../docs/KEYS.md").contains(PATTERN), "the documented pattern is the program's");
    for (name, mark) in [("key", "sk_"), ("secret", "ss_")] {
        let written = text(&key, name);
        let rest = written.strip_prefix(mark).unwrap();
        assert!(rest.len() == 49 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{name}");
    }
    assert_eq!(shape(text(&key, "key")), Shape::Key);
    assert_eq!(text(&key, "prefix"), &text(&key, "key")[..9]);
}

#[test]
fn a_key_is_made_as_it_is_told_and_shown_once() {
    let home = Home::new();
    home.write("t.toml", "product_org_id = \"id\"\n[custom]\nregion = \"r\"\n");
    let made = create_key(
        &home,
        &[
            "--name",
            "all",
            "--template",
            "t.toml",
            "--with-secret",
            "--expires",
            "2099-01-01",
            "--signature",
            "standard-webhooks",
            "--signing-secret",
            "${file:hook.secret}",
            "--rate",
            "50",
        ],
    );
    assert_eq!(made["signature"], json!({"scheme": "standard-webhooks", "secret": "${file:hook.secret}"}));
    assert_eq!(
        (&made["rate"], &made["expires_at"], &made["state"]),
        (&json!(50), &json!("2099-01-01T00:00:00Z"), &json!("valid"))
    );
    assert_eq!(made["payload_template"], json!({"product_org_id": "id", "custom": {"region": "r"}}));
    assert_eq!(made["counts"], json!({"stored": 0, "ignored": 0, "rejected": 0}));
    let plain = create_key(&home, &["--name", "plain", "--template", "rudderstack"]);
    assert_eq!(
        (&plain["template"], &plain["rate"], &plain["signature"]),
        (&json!("rudderstack"), &Value::Null, &Value::Null)
    );

    let listed = home.run(&["keys", "list", "--json"]).expect(0).json();
    let (mut first, shown) = (made.clone(), &listed[0]);
    let object = first.as_object_mut().unwrap();
    assert!(object.remove("key").is_some() && object.remove("secret").is_some());
    assert_eq!(shown, &first, "the same, without the texts");
    let table = home.run(&["keys"]).expect(0);
    says(&table, &["standard-webhooks", "50/s", "rudderstack", "custom", "REJECTED", "valid"]);
    for file in home.files() {
        let bytes = std::fs::read(&file).unwrap();
        for planted in [text(&made, "key"), text(&made, "secret"), text(&plain, "key")] {
            assert!(!bytes.windows(planted.len()).any(|found| found == planted.as_bytes()), "{}", file.display());
        }
    }
}

#[test]
fn a_signing_secret_is_given_by_reference_only() {
    let home = Home::new();
    let create = |args: &[&str]| home.run(&[&["keys", "create", "--name", "k"], args].concat()).expect(2);
    for secret in ["planted-secret", "whsec_cGxhbnRlZC1wbGFudGVkLXBsYW50ZWQ=", "x${PLANTED}"] {
        let refused = create(&["--signature", "segment", "--signing-secret", secret]);
        says(&refused, &["'${SIGNING_SECRET}'", "never as its text"]);
        assert!(!refused.stderr.contains(secret) && !refused.stdout.contains(secret), "{}", refused.stderr);
    }
    says(&create(&["--signature", "segment"]), &["--signing-secret"]);
    says(&create(&["--signing-secret", "${S}"]), &["--signature"]);
    says(&create(&["--signature", "md5", "--signing-secret", "${S}"]), &["segment", "standard-webhooks"]);
    says(&create(&["--rate", "0"]), &["--rate"]);
    says(&home.run(&["keys", "list"]).expect(0), &["no keys yet"]);
}

#[test]
fn a_rotated_key_is_taken_at_once_and_the_old_one_for_a_while() {
    let home = Home::new();
    let served = Served::start(&home);
    let old = create_key(&home, &["--name", "k", "--with-secret"]);
    let post = |key: &Value| curl(&served, text(key, "key"), key["secret"].as_str(), BODY).0;
    assert_eq!(post(&old), 200);
    let id = text(&old, "id");
    let new = home.run(&["keys", "rotate", id, "--overlap", "7d", "--json"]).expect(0).json();
    assert_eq!((text(&new, "id"), text(&new["rotation"], "prefix")), (id, text(&old, "prefix")));
    assert_eq!((post(&new), post(&old)), (200, 200));
    let listed = home.run(&["keys", "list"]).expect(0);
    says(&listed, &[&format!("valid; {}… until ", text(&old, "prefix")), text(&new, "prefix")]);
    assert!(!listed.stdout.contains(text(&new, "key")), "{}", listed.stdout);
    says(&home.run(&["keys", "rotate", id]).expect(2), &["--end-previous", text(&old, "prefix")]);
    assert_eq!(post(&old), 200, "nothing was done");
    let last = home.run(&["keys", "rotate", id, "--end-previous", "--overlap", "0"]).expect(0);
    says(&last, &["is no longer valid", "shown once"]);
    says(&home.run(&["keys", "rotate", id, "--overlap", "1y"]).expect(2), &["such as 24h"]);
    says(&home.run(&["keys", "rotate", id, "--overlap", "91d"]).expect(2), &["90 days"]);
    says(&home.run(&["keys", "rotate", "key_none"]).expect(2), &["there is no key key_none"]);
    home.run(&["keys", "revoke", id]).expect(0);
    says(&home.run(&["keys", "rotate", id]).expect(2), &["is revoked"]);
    says(&home.run(&["keys", "revoke", "key_none"]).expect(2), &["there is no key key_none"]);
    // What is not there is not made by looking for it.
    let empty = Home::new();
    says(&empty.run(&["keys", "rotate", "key_none"]).expect(2), &["there is no key key_none"]);
    assert!(!empty.path("nightmark.db").exists());
}

/// Our own sender's signature, and what a sender gets that has another secret or none.
#[test]
fn what_our_sender_signs_is_taken() {
    let home = Home::new();
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let served = Served::start_with(&home, &[("HOOK_SECRET", secret)]);
    keep(
        &home,
        &create_key(&home, &["--name", "k", "--signature", "standard-webhooks", "--signing-secret", "${HOOK_SECRET}"]),
    );
    home.write("orgs.csv", "workspace_id,workspace_name\nws_1,One\nws_2,Two\n");
    let run = |signing: &str, code: i32| {
        let destination =
            format!("url = \"http://{}/api/product-orgs/webhook/${{file:receiver.key}}\"\n{signing}", served.receiver);
        home.write("jobs/orgs.toml", &job_file("", &destination, "preset = \"flat\""));
        home.run(&["run", "orgs"]).expect(code)
    };
    says(&run("", 1), &["answered 401", "2 not sent"]);
    home.write("sign.secret", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    says(&run("signing = \"${file:sign.secret}\"", 1), &["answered 401"]);
    says(&home.run(&["orgs", "list"]), &["no orgs"]);
    // Both of the secrets that a sender has while it changes them.
    home.write("new.secret", secret);
    run("signing = [\"${file:sign.secret}\", \"${file:new.secret}\"]", 0);
    assert_eq!(org(&home, "ws_2")["name"], json!("Two"));
    assert!(home.log().contains("signature is missing or wrong") && !home.log().contains(secret), "{}", home.log());
    assert_eq!(served.stop(), 0);
}

/// To the operator only; the answer is that of any unknown key.
#[test]
fn a_mistyped_key_is_named_so_in_the_log() {
    let home = Home::new();
    let served = Served::start_with(&home, &[("NIGHTMARK_LOG", "info")]);
    let key = create_key(&home, &["--name", "k"]);
    let mut typed = text(&key, "key").to_owned();
    let last = typed.pop().unwrap();
    typed.push(if last == 'a' { 'b' } else { 'a' });
    assert_eq!(shape(&typed), Shape::Mistyped);
    let mistyped = curl(&served, &typed, None, BODY);
    let unknown = curl(&served, "sk_unknown", None, BODY);
    assert_eq!((mistyped.0, &mistyped), (401, &unknown));
    assert_eq!(served.stop(), 0);
    let log = home.log();
    assert_eq!(log.matches("event=\"key_mistyped\"").count(), 1, "{log}");
    assert!(!log.contains(&typed) && !log.contains(text(&key, "key")) && !log.contains(&typed[..20]), "{log}");
}

#[test]
fn counts_are_listed() {
    let home = Home::new();
    let served = Served::start(&home);
    let key = create_key(&home, &["--name", "k", "--template", "segment"]);
    let post = |body: &str| curl(&served, text(&key, "key"), None, body).0;
    let told =
        [r#"{"type": "track"}"#, r#"{"type": "page"}"#, r#"{"type": "group"}"#, r#"{"type": "group", "groupId": "a"}"#];
    assert_eq!(told.map(post), [200, 200, 400, 200]);
    assert_eq!(served.stop(), 0);
    let listed = home.run(&["keys", "list", "--json"]).expect(0).json();
    assert_eq!((&listed[0]["counts"]["ignored"], &listed[0]["counts"]["rejected"]), (&json!(2), &json!(1)));
    assert!(listed[0]["last_used_at"].is_string());
}
