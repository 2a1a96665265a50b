//! `nightmark init`: by arguments, and on a real terminal.

use crate::remote::servers::{KEY_ID, SECRET, Server};
use crate::support::{Home, pipe, python, says};
use serde_json::{Value, json};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

const ORGS: &str = "name,id,plan,seats,updated_at\nAcme,ws_1,pro,3,2026-11-01\nBolt,ws_2,free,1,2026-11-02\nCore,ws_3,pro,3,2026-11-03\n";

fn home() -> Home {
    let home = Home::new();
    home.write("orgs.csv", ORGS);
    home
}

const HTTP: [&str; 4] = ["--destination", "http", "--url", "http://127.0.0.1:9/${TEST_KEY}"];
const FILES: [&str; 4] = ["--source", "files", "--path", "orgs.csv"];

#[test]
fn arguments_make_a_job_that_passes_check() {
    let home = home();
    let told = home.run(&[&["init", "--json"], &FILES[..], &HTTP].concat()).expect(0).json();
    assert_eq!(told["key"], json!(["id"]), "{told}");
    assert_eq!((&told["compared"], &told["problems"]), (&json!(["name", "plan", "seats"]), &json!([])));
    assert_eq!(told["ignore"][0]["column"], json!("updated_at"));
    assert_eq!(told["environment"], json!([{ "name": "TEST_KEY", "set": true }]));
    let file = home.path("jobs/orgs.toml");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
    let check = home.run(&["check", "orgs", "--json"]).expect(0).json();
    assert_eq!(check[0]["body"], json!({ "name": "Acme", "id": "ws_1", "plan": "pro", "seats": 3 }), "{check}");
    assert!(!home.path("snapshots").exists());

    // Nothing is written over unasked.
    let text = std::fs::read_to_string(&file).unwrap();
    let again = [&["init", "--key", "name", "--ignore", "seats,plan"], &FILES[..], &HTTP].concat();
    says(&home.run(&again).expect(2), &["is there already", "--force"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    let forced = home.run(&[&again[..], &["--force", "--json"]].concat()).expect(0).json();
    assert_eq!((&forced["key"], &forced["compared"]), (&json!(["name"]), &json!(["id", "updated_at"])));
    home.run(&["check", "orgs"]).expect(0);
    // Another name is another file.
    home.run(&[&["init", "others", "--ignore", ""], &FILES[..], &HTTP].concat()).expect(0);
    let preview = home.run(&["preview", "others", "--json"]).expect(0).json();
    assert_eq!(preview["sample"]["columns"][4], json!({ "name": "updated_at", "type": "text", "purpose": "compared" }));
}

#[test]
fn every_destination_passes_check_once_its_variables_are_set() {
    let home = home();
    for (name, args, variable) in [
        ("t", &["--destination", "trailspark", "--subdomain", "acme"][..], "TRAILSPARK_API_KEY"),
        ("s", &["--destination", "segment", "--region", "eu"], "SEGMENT_WRITE_KEY"),
        (
            "r",
            &["--destination", "rudderstack", "--data-plane-url", "https://acme.dataplane.rudderstack.com"],
            "RUDDERSTACK_WRITE_KEY",
        ),
        (
            "o",
            &["--destination", "trailspark", "--base-url", "http://127.0.0.1:9", "--key-from", "${OWN_KEY}"],
            "OWN_KEY",
        ),
    ] {
        let ran = home.run(&[&["init", name], &FILES[..], args].concat()).expect(0);
        says(&ran, &[&format!("{variable}: is to be set"), "Next: nightmark check"]);
        says(&home.run(&["check", name]).expect(2), &[variable]);
        let check = home.command(&["check", name]).env(variable, "k-123").output().unwrap();
        crate::support::ran(check).expect(0);
    }
}

#[test]
fn without_a_terminal_all_missing_arguments_are_listed() {
    let home = home();
    let bare = home.run(&["init"]).expect(2);
    says(&bare, &["no terminal", "--source", "files, postgres, mysql, sqlite", "--destination"]);
    let ran = home.run(&["init", "--source", "sqlite", "--destination", "rudderstack"]).expect(2);
    says(&ran, &["--path", "--table, --query or --query-file", "--data-plane-url"]);
    assert!(!ran.stderr.contains("--key-from"), "it has a default: {}", ran.stderr);
    says(&home.run(&["init", "--source", "oracle"]).expect(2), &["oracle", "expected one of files"]);
    says(
        &home.run(&[&["init", "--key", "plan"], &FILES[..], &HTTP].concat()).expect(2),
        &["2 different values in 3 rows"],
    );
    says(&home.run(&[&["init", "--key", "ids"], &FILES[..], &HTTP].concat()).expect(2), &["no column `ids`"]);
    says(&home.run(&[&["init", "../x"], &FILES[..], &HTTP].concat()).expect(2), &["not a job name"]);
    let missing = ["init", "--source", "files", "--path", "none.csv"];
    says(&home.run(&[&missing[..], &HTTP].concat()).expect(2), &["cannot be read", "none.csv"]);
    assert!(std::fs::read_dir(home.path("jobs")).unwrap().next().is_none(), "nothing was written");
}

/// What would silently do nothing is told.
#[test]
fn arguments_of_another_source_are_refused() {
    let home = home();
    let args = ["init", "--driver", "duckdb", "--table", "orgs"];
    let ran = home.run(&[&args[..], &FILES, &HTTP].concat()).expect(2);
    says(&ran, &["--source files takes no --driver, --table: it takes --path"]);
    let ran = home.run(&[&["init", "--option", "aws_region=eu"], &FILES[..], &HTTP].concat()).expect(2);
    says(&ran, &["--option is for files at a distance"]);
    assert!(std::fs::read_dir(home.path("jobs")).unwrap().next().is_none(), "nothing was written");
}

#[test]
fn files_at_a_distance_have_settings() {
    let (home, server) = (Home::new(), Server::s3());
    server.write("lake/orgs.csv", ORGS);
    let endpoint = format!("aws_endpoint=http://{}", server.address);
    let place = ["--source", "files", "--path", "s3://lake/orgs.csv", "--option", &endpoint];
    let secret = ["--option", "aws_secret_access_key=${LAKE_SECRET}", "--option", "aws_access_key_id=${LAKE_ID}"];
    let run = |args: &[&str]| {
        let mut command = home.command(args);
        crate::support::ran(command.env("LAKE_ID", KEY_ID).env("LAKE_SECRET", SECRET).output().unwrap())
    };
    let ran = run(&[&["init"], &place[..], &secret, &HTTP].concat()).expect(0);
    says(&ran, &["LAKE_ID: is set", "LAKE_SECRET: is set"]);
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains(SECRET));
    says(&run(&["check", "orgs"]).expect(0), &["3 rows read"]);
}

#[test]
fn a_secret_is_never_taken_nor_repeated() {
    let home = home();
    let secret = "sk-planted-1f2e3d";
    let args = ["--destination", "segment", "--key-from", secret];
    let ran = home.run(&[&["init"], &FILES[..], &args].concat()).expect(2);
    assert!(!ran.stderr.contains(secret) && ran.stderr.contains("${SEGMENT_WRITE_KEY}"), "{}", ran.stderr);
    let url = format!("postgres://me:{secret}@127.0.0.1:9/crm");
    let ran = home.run(&[&["init", "--source", "postgres", "--table", "orgs", "--database", &url], &HTTP[..]].concat());
    let ran = ran.expect(2);
    assert!(!ran.stderr.contains(secret) && ran.stderr.contains("source.url"), "{}", ran.stderr);
    assert!(std::fs::read_dir(home.path("jobs")).unwrap().next().is_none());
}

#[test]
fn a_database_is_a_source_as_well() {
    let home = Home::new();
    let sql = "CREATE TABLE accounts (account_id TEXT, owner TEXT, \"Last Seen\" TEXT); INSERT INTO accounts VALUES ('a', 'x', '1'), ('b', 'x', '2');";
    let made = Command::new("sqlite3").arg(home.path("crm.db")).arg(sql).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let source = ["--source", "sqlite", "--path", "crm.db"];
    let told =
        home.run(&[&["init", "t", "--table", "accounts", "--json"], &source[..], &HTTP].concat()).expect(0).json();
    assert_eq!((&told["key"], &told["ignore"][0]["column"]), (&json!(["account_id"]), &json!("Last Seen")), "{told}");
    home.run(&["check", "t"]).expect(0);
    let query = "SELECT account_id, owner FROM accounts";
    home.run(&[&["init", "q", "--query", query], &source[..], &HTTP].concat()).expect(0);
    home.run(&["check", "q"]).expect(0);
    says(&home.run(&[&["init", "n", "--table", "none"], &source[..], &HTTP].concat()).expect(2), &["none"]);
}

#[test]
fn what_changes_between_two_looks_is_ignored() {
    let home = home();
    let args = [&["init", "--json", "--twice", "--wait", "20s"], &FILES[..], &HTTP].concat();
    let mut child = home.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut told, mut byte) = (Vec::new(), [0]);
    let mut stderr = child.stderr.take().unwrap();
    while !String::from_utf8_lossy(&told).contains("looking again") {
        assert_eq!(stderr.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&told));
        told.push(byte[0]);
    }
    home.write("orgs.csv", &ORGS.replace(",3,", ",4,"));
    let ran = crate::support::ran(child.wait_with_output().unwrap()).expect(0).json();
    let ignored: Vec<&Value> = ran["ignore"].as_array().unwrap().iter().map(|column| &column["column"]).collect();
    assert_eq!(ignored, ["seats", "updated_at"], "{ran}");
    assert!(ran["ignore"][0]["why"].as_str().unwrap().contains("2 of 3 orgs"), "{ran}");
    let text = std::fs::read_to_string(home.path("jobs/orgs.toml")).unwrap();
    assert!(text.contains("\"seats\",    # has changed in 2 of 3 orgs"), "{text}");
}

/// What stands on the screen of a terminal on which these answers were given, and the exit code.
fn terminal(home: &Home, args: &[&str], answers: &[(&str, &str)]) -> (String, i64) {
    let command: Vec<&str> =
        [env!("CARGO_BIN_EXE_nightmark"), "init"].into_iter().chain(args.iter().copied()).collect();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/terminal.py");
    let mut program = python();
    program.arg(script).env("NIGHTMARK_HOME", home.path("")).env("TEST_KEY", "k").current_dir(home.path(""));
    program.env_remove("NIGHTMARK_LOG");
    let told = pipe(program, &json!({ "command": command, "answers": answers }).to_string());
    assert_eq!(told["unanswered"], json!([]), "{told}");
    (told["screen"].as_str().unwrap().to_owned(), told["code"].as_i64().unwrap())
}

#[test]
fn on_a_terminal_it_asks() {
    let home = home();
    let (screen, code) = terminal(
        &home,
        &["nightly"],
        &[
            ("where are the orgs?", "oracle"),
            ("is none of these", "files"),
            ("path of the file", "orgs.csv"),
            ("key: the column", ""),
            ("ignore: columns", "updated_at, seats"),
            ("who takes the webhooks?", "http"),
            ("address", "http://127.0.0.1:9/${TEST_KEY}"),
        ],
    );
    assert_eq!(code, 0, "{screen}");
    assert!(
        screen.contains("[id]") && screen.contains("[updated_at]"),
        "what is proposed stands in brackets: {screen}"
    );
    let check = home.run(&["check", "nightly", "--json"]).expect(0).json();
    assert_eq!(check[0]["body"], json!({ "name": "Acme", "id": "ws_1", "plan": "pro" }));
}

#[test]
fn a_terminal_that_says_nothing_more_is_an_end() {
    let home = home();
    // Ctrl-D.
    let (screen, code) = terminal(&home, &[], &[("where are the orgs?", "files"), ("path of the file", "\u{4}")]);
    assert!(code == 2 && screen.contains("no answer"), "{code} {screen}");
}
