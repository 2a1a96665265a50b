//! Commands as a person or a script meets them.

use crate::support::{Destination, Home};
use serde_json::json;
use std::path::Path;

#[test]
fn the_demo_sends_only_what_differs() {
    let home = Home::new();
    let dir = home.path("demo");
    let ran = home.run(&["demo", "--json", "--dir", dir.to_str().unwrap()]).expect(0).json();
    let runs = ran["runs"].as_array().unwrap();
    let counts =
        |run: usize| ["extracted", "added", "changed", "acknowledged"].map(|name| runs[run][name].as_u64().unwrap());
    assert_eq!(counts(0), [2000, 2000, 0, 2000]);
    assert_eq!(counts(1), [2007, 7, 20, 27]);
    assert_eq!(counts(2), [2007, 0, 0, 0], "CSV of the same orgs is no change");
    assert_eq!(ran["orgs"], json!(2007));
    let key = std::fs::read_to_string(dir.join("receiver.key")).unwrap();
    let text = home.run(&["demo", "--dir", home.path("text").to_str().unwrap()]).expect(0).stdout;
    assert!(text.contains("trial_status") && text.contains("\"workspace_id\":\"ws_"), "{text}");
    assert!(!text.contains(&key));
    home.run(&["demo", "--dir", dir.to_str().unwrap()]).expect(2);
}

#[test]
fn the_example_jobs_of_the_source_pass_check() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    let home = Home::new();
    let mut command = home.command(&["check", "--json"]);
    command.env("NIGHTMARK_HOME", source).env("TRAILSPARK_API_KEY", "k").env("TRAILSPARK_API_SECRET", "s");
    command.env("SEGMENT_WRITE_KEY", "k").env("RUDDERSTACK_WRITE_KEY", "k").env("WEBHOOK_TOKEN", "t");
    let ran = crate::support::ran(command.output().unwrap()).expect(0).json();
    let files = std::fs::read_dir(source.join("jobs")).unwrap();
    let jobs = files.filter(|f| f.as_ref().unwrap().path().extension().is_some_and(|e| e == "toml")).count();
    assert_eq!(ran.as_array().unwrap().len(), jobs);
    for job in ran.as_array().unwrap() {
        assert!(job["ok"] == json!(true) && job["body"].is_object(), "{job}");
    }
}

fn simple_home(destination: &Destination) -> Home {
    let home = Home::new();
    home.write("orgs.csv", "workspace_id,plan\na,pro\nb,free\n");
    home.write(
        "jobs/orgs.toml",
        &format!(
            "version = 1\n[source]\nkind = \"files\"\npath = \"orgs.csv\"\n[diff]\nkey = \"workspace_id\"\n[destination]\n\
             kind = \"http\"\nurl = \"http://{}/\"\n[payload]\npreset = \"flat\"\n",
            destination.address
        ),
    );
    home
}

#[test]
fn a_damaged_snapshot_is_refused_and_nothing_is_sent() {
    let destination = Destination::start();
    let home = simple_home(&destination);
    let run = home.job("orgs", 0)["run"].as_str().unwrap().to_owned();
    destination.take();
    home.write("orgs.csv", "workspace_id,plan\na,free\nb,free\n");
    let base = format!("snapshots/orgs/{run}/base.parquet");
    let changes = format!("snapshots/orgs/{run}/changes.parquet");
    for file in ["snapshots/orgs/manifest.json", &base, &changes] {
        let whole = std::fs::read(home.path(file)).unwrap();
        let mut twisted = whole.clone();
        // In the middle: a Parquet page or a name in the manifest, nothing that a parser must notice by itself.
        let middle = twisted.len() / 2;
        twisted[middle] ^= 0xff;
        for damaged in [&whole[..whole.len() / 2], &[], &twisted] {
            std::fs::write(home.path(file), damaged).unwrap();
            let ran = home.run(&["run", "orgs"]).expect(2);
            assert!(ran.stderr.contains(file) && ran.stderr.contains("damaged"), "{file}: {}", ran.stderr);
        }
        std::fs::write(home.path(file), whole).unwrap();
    }
    std::fs::remove_file(home.path(&base)).unwrap();
    let ran = home.run(&["run", "orgs"]).expect(2);
    assert!(ran.stderr.contains("it is missing") && ran.stderr.contains("backup"), "{}", ran.stderr);
    assert_eq!(destination.take().len(), 0);
}

#[test]
fn without_the_state_store_the_last_changes_are_sent_again_and_no_more() {
    let destination = Destination::start();
    let home = simple_home(&destination);
    home.job("orgs", 0);
    home.write("orgs.csv", "workspace_id,plan\na,pro\nb,pro\n");
    home.job("orgs", 0);
    destination.take();
    std::fs::remove_file(home.path("nightmark.db")).unwrap();
    let preview = home.run(&["preview", "orgs"]).expect(0).stdout;
    assert!(preview.contains("was nightmark.db deleted?"), "{preview}");
    // Receipts are gone: whether b was acknowledged is not known any more, so b alone is sent.
    assert_eq!(home.job("orgs", 0)["changed"], json!(1));
    assert_eq!(destination.take_orgs(), ["b"]);
}

#[test]
fn old_snapshots_are_retired() {
    let destination = Destination::start();
    let home = simple_home(&destination);
    for _ in 0..5 {
        home.job("orgs", 0);
    }
    let published = std::fs::read_dir(home.path("snapshots/orgs")).unwrap();
    let folders = published.filter(|e| e.as_ref().unwrap().path().is_dir()).count();
    assert_eq!(folders, 3);
}

#[test]
fn unknown_jobs_and_empty_homes_are_explained() {
    let destination = Destination::start();
    let home = simple_home(&destination);
    let ran = home.run(&["run", "orgz"]).expect(2);
    assert!(ran.stderr.contains("did you mean `orgs`?"), "{}", ran.stderr);
    let empty = Home::new();
    assert!(empty.run(&["runs"]).expect(0).stdout.contains("no runs yet"));
    assert!(empty.run(&["check"]).expect(2).stderr.contains("no job files"));
}

#[test]
fn a_reader_that_leaves_and_a_full_disk_change_nothing() {
    use std::process::Stdio;
    let destination = Destination::start();
    let home = simple_home(&destination);
    let rows: String = (0..5000).map(|i| format!("org_{i},pro\n")).collect();
    home.write("orgs.csv", &format!("workspace_id,plan\n{rows}"));
    let mut child = home
        .command(&["preview", "orgs", "--limit", "5000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ran = crate::support::ran(child.wait_with_output().unwrap()).expect(0);
    assert_eq!(ran.stderr, "");

    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = home.command(&["run", "orgs", "--json"]).stdout(full).output().unwrap();
    let ran = crate::support::ran(output).expect(2);
    assert!(ran.stderr.contains("stdout cannot be written") && !ran.stderr.contains("panicked"), "{}", ran.stderr);
    assert_eq!(destination.take().len(), 5000, "what was to be sent has been sent");
}

#[test]
fn failures_are_one_json_value_and_each_cause_is_told_once() {
    let destination = Destination::start();
    let home = simple_home(&destination);
    std::fs::write(home.path("orgs.csv"), b"workspace_id,plan\na,M\xfcller\n").unwrap();
    for command in ["run", "preview"] {
        let ran = home.run(&[command, "orgs", "--json"]).expect(2);
        let text = ran.json()["error"].as_str().unwrap().to_owned();
        assert_eq!(text.matches("line 2").count(), 1, "{text}");
        assert!(ran.stderr.contains("iconv") && ran.stderr.trim_end().ends_with("OUT"), "{}", ran.stderr);
    }
    home.run(&["run", "nothing", "--json"]).expect(2).json();
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    let destination = Destination::start();
    let home = simple_home(&destination);
    home.write("orgs.csv", "workspace_id,plan\n\"a\u{1b}[31mred\u{7}\",\"pro\u{1b}[2J\"\n");
    destination.set("a\u{1b}[31mred\u{7}", 400);
    for args in [&["preview", "orgs"][..], &["run", "orgs"], &["runs"], &["check"]] {
        let ran = home.run(args);
        let raw = |text: &str| text.chars().any(|c| c.is_control() && c != '\n');
        assert!(!raw(&ran.stdout) && !raw(&ran.stderr), "{args:?}: {:?} {:?}", ran.stdout, ran.stderr);
    }
}

#[test]
fn a_body_that_cannot_be_built_is_told_before_it_is_sent() {
    let destination = Destination::start();
    let home = simple_home(&destination);
    let job = std::fs::read_to_string(home.path("jobs/orgs.toml")).unwrap();
    // What is wrong in every row is told by `check`; this depends on the row.
    let template = r#"template = '{"id": [{% for i in row.workspace_id %}{{ i }},{% endfor %}]}'"#;
    home.write("jobs/orgs.toml", &job.replace("preset = \"flat\"", template));
    let preview = home.run(&["preview", "orgs", "--json"]).expect(1).json();
    let change = &preview["changes"][0];
    assert!(change["body"].is_null() && change["body_error"].is_string(), "{change}");
    let run = home.job("orgs", 1);
    assert_eq!((&run["refused"], &run["undelivered"]), (&json!(2), &json!(2)));
    assert_eq!(destination.take().len(), 0);
}

#[test]
fn the_interface_is_there() {
    let home = Home::new();
    for command in ["demo", "check", "preview", "run", "runs", "serve", "keys", "orgs"] {
        assert!(home.run(&[command, "--help"]).expect(0).stdout.contains("--home"), "{command}");
    }
    assert!(home.run(&["--help"]).expect(0).stdout.contains("3 held by a guard"));
    for list in ["keys", "orgs"] {
        assert_eq!(home.run(&[list, "--json"]).expect(0).json(), json!([]));
    }
    let args = ["keys", "create", "--name", "n", "--type", "signal-staging", "--template", "flat", "--with-secret"];
    let key = home.run(&[&args[..], &["--expires", "90d", "--json"]].concat()).expect(0).json();
    assert!(key["key"].as_str().unwrap().starts_with("sk_") && key["secret"].is_string() && key["id"].is_string());
    let nowhere = home.path("nowhere");
    let ran = home.run(&["runs", "--home", nowhere.to_str().unwrap()]).expect(2);
    assert!(ran.stderr.contains("does not exist"), "{}", ran.stderr);
}

#[test]
fn runs_tell_a_cut_off_run_from_one_that_is_on() {
    let destination = Destination::start();
    let home = simple_home(&destination);
    destination.set("a", 0);
    let mut child = home.command(&["run", "orgs"]).stdout(std::process::Stdio::null()).spawn().unwrap();
    destination.wait_for(2);
    assert!(home.run(&["runs"]).expect(0).stdout.contains("delivering"));
    crate::support::signal(child.id(), "KILL");
    child.wait().unwrap();
    assert!(home.run(&["runs"]).expect(0).stdout.contains("cut off"));
}
