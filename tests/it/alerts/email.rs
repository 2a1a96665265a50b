//! E-mail, by a real SMTP server: TLS or not, users, refusals; a certificate that nobody vouches for.

use super::smtp::Smtp;
use super::{fail, subjects};
use crate::support::{Destination, Home, Ran, Served, ran, says};
use serde_json::{Value, json};

const PASSWORD: &str = "planted p@ss/word#9";

/// A home whose alerts go by this server. `server`: the address, with `PORT` for its port.
fn home(server: &str, port: u64) -> Home {
    let home = Home::new();
    set(&home, server, port);
    home
}

fn set(home: &Home, server: &str, port: u64) {
    home.write(
        "nightmark.toml",
        &format!(
            "[alerts.email]\nserver = \"{}\"\nfrom = \"Nightmark <nightmark@example.com>\"\nto = [\"ops@example.com\", \"Zoë <zoe@example.com>\"]\n",
            server.replace("PORT", &port.to_string())
        ),
    );
}

/// `nightmark alerts test`, whose system trusts the authority of the test.
fn test(home: &Home, more: &[&str]) -> Ran {
    let mut command = home.command(&[&["alerts", "test"], more].concat());
    command.env("SMTP_PASSWORD", PASSWORD).env("SSL_CERT_FILE", home.path("ca.pem"));
    let ran = ran(command.output().unwrap());
    for text in [&ran.stdout, &ran.stderr] {
        assert!(!text.contains(PASSWORD) && !text.contains("planted"), "{text}");
    }
    ran
}

#[test]
fn trouble_and_its_end_arrive_as_mail() {
    let mut smtp = Smtp::start(&json!({}));
    let home = home("smtp://localhost:PORT", smtp.port);
    fail(&home, "orgs", &Destination::start());
    let served = Served::start(&home);
    let mail = smtp.next();
    assert_eq!(served.stop(), 0);
    assert_eq!(
        (&mail["from"], &mail["to"]),
        (&json!("nightmark@example.com"), &json!(["ops@example.com", "zoe@example.com"]))
    );
    let header = |mail: &Value, name: &str| mail["headers"][name].as_str().unwrap_or_default().to_owned();
    assert_eq!(header(&mail, "subject"), "[nightmark] orgs: the run FAILED");
    assert_eq!(header(&mail, "from"), "Nightmark <nightmark@example.com>");
    assert_eq!(header(&mail, "to"), "ops@example.com, Zoë <zoe@example.com>");
    assert_eq!(header(&mail, "auto-submitted"), "auto-generated");
    assert!(!header(&mail, "date").is_empty() && header(&mail, "message-id").starts_with('<'), "{mail}");
    let body = mail["body"].as_str().unwrap();
    for part in ["What happened: run ", "orgs.csv", "What was not sent: ", "What to do:", "nightmark run orgs"] {
        assert!(body.contains(part), "{part}\n{body}");
    }
    home.write("orgs.csv", "workspace_id,plan_id\n");
    std::fs::remove_file(home.path("jobs/orgs.toml")).unwrap();
    let served = Served::start(&home);
    assert_eq!(header(&smtp.next(), "subject"), "[nightmark] orgs: the job is gone (the run FAILED)");
    assert_eq!(served.stop(), 0);
    assert_eq!(smtp.rest(), [] as [Value; 0]);
}

#[test]
fn tls_and_passwords() {
    let place = Home::new();
    let auth = || json!({ "auth": ["nightmark", PASSWORD] });
    for (tls, address) in [
        ("starttls", "smtp://nightmark:${SMTP_PASSWORD}@localhost:PORT?tls=required"),
        ("implicit", "smtps://nightmark:${SMTP_PASSWORD}@localhost:PORT"),
    ] {
        let mut smtp = Smtp::start_with_tls(&place, tls, "localhost", auth());
        set(&place, address, smtp.port);
        says(&test(&place, &[]).expect(0), &["email: sent"]);
        let mail = smtp.next();
        assert_eq!((&mail["tls"], &mail["user"]), (&json!(true), &json!("nightmark")), "{tls}: {mail}");
        assert!(mail["body"].as_str().unwrap().contains("Nothing is wrong"), "{mail}");
        // A certificate that nobody vouches for: another authority, another name.
        let other = Home::new();
        let _other = Smtp::start_with_tls(&other, tls, "localhost", auth());
        set(&other, address, smtp.port);
        says(&test(&other, &[]).expect(1), &["NOT sent", "certificate"]);
        let named = Smtp::start_with_tls(&place, tls, "elsewhere.example", auth());
        set(&place, address, named.port);
        says(&test(&place, &[]).expect(1), &["NOT sent", "certificate"]);
        assert_eq!(named.rest(), [] as [Value; 0], "{tls}");
        assert_eq!(smtp.rest(), [] as [Value; 0], "{tls}");
    }
    // The server offers no TLS: nothing is sent in the clear.
    let plain = Smtp::start(&json!({}));
    set(&place, "smtp://localhost:PORT?tls=required", plain.port);
    says(&test(&place, &[]).expect(1), &["NOT sent"]);
    assert_eq!(plain.rest(), [] as [Value; 0]);
}

#[test]
fn what_a_server_refuses_is_said() {
    for (settings, address, words) in [
        (json!({ "refuse": "550 no such user" }), "smtp://localhost:PORT", ["refuses the message", "SMTP 550"]),
        (json!({ "refuse": "451 later" }), "smtp://localhost:PORT", ["takes nothing for now", "SMTP 451"]),
        (
            json!({ "auth": ["nightmark", "another"] }),
            "smtp://nightmark:${SMTP_PASSWORD}@localhost:PORT",
            ["user and password", "SMTP 535"],
        ),
        (json!({ "auth": ["nightmark", "another"] }), "smtp://localhost:PORT", ["refuses the message", "SMTP 530"]),
    ] {
        let smtp = Smtp::start(&settings);
        let home = home(address, smtp.port);
        says(&test(&home, &[]).expect(1), &words);
        let json = test(&home, &["--json"]).expect(1).json();
        assert!(json[0]["channel"] == json!("email") && json[0]["ok"] == json!(false), "{json}");
        assert!(json[0]["error"].as_str().unwrap().contains(words[1]), "{json}");
        assert_eq!(smtp.rest(), [] as [Value; 0]);
    }
    says(&test(&home("smtp://localhost:PORT", 9), &[]).expect(1), &["no connection"]);
    // What is known to be wrong is said before anything is tried.
    let clear = test(&home("smtp://nightmark:${SMTP_PASSWORD}@mail.example.com:PORT", 587), &[]).expect(2);
    says(&clear, &["alerts.email.server", "in the clear", "tls=required"]);
}

/// With a chat that does not answer, the mail arrives all the same; and a test says which is which.
#[test]
fn one_channel_does_not_wait_for_the_other() {
    let (mut smtp, chat) = (Smtp::start(&json!({})), Destination::start());
    let home = home("smtp://localhost:PORT", smtp.port);
    let settings = std::fs::read_to_string(home.path("nightmark.toml")).unwrap();
    home.write("nightmark.toml", &format!("[alerts]\nwebhook = \"${{HOOK_URL}}\"\n{settings}"));
    fail(&home, "orgs", &Destination::start());
    chat.set("", 503);
    let variables = [("HOOK_URL", &*super::hook(&chat))];
    let served = Served::start_with(&home, &variables);
    assert_eq!(smtp.next()["headers"]["subject"], json!("[nightmark] orgs: the run FAILED"));
    assert_eq!(served.stop(), 0);
    let mut command = home.command(&["alerts", "test"]);
    command.env("HOOK_URL", super::hook(&chat));
    says(&ran(command.output().unwrap()).expect(1), &["webhook: NOT sent: HTTP 503", "email: sent"]);
    smtp.next();
    // Who has heard of it does not hear of it again.
    chat.take();
    chat.clear();
    let served = Served::start_with(&home, &variables);
    assert_eq!(subjects(&super::told(&chat, 1)), ["orgs: the run FAILED"]);
    assert_eq!(served.stop(), 0);
    assert_eq!(smtp.rest(), [] as [Value; 0]);
}

#[test]
fn a_test_without_a_channel_says_how_to_set_one() {
    says(&Home::new().run(&["alerts", "test"]).expect(2), &["[alerts] webhook", "[alerts.email]"]);
}
