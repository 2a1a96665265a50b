//! `nightmark state export | import`: from SQLite to Postgres and back, as an operator does it.

use crate::support::postgres::{Cluster, Database, PASSWORD};
use crate::support::{Destination, Home, Ran, Served, job_file, says};
use std::os::unix::fs::PermissionsExt;

fn run(home: &Home, args: &[&str]) -> Ran {
    crate::support::ran(home.command(args).env("PG_PASSWORD", PASSWORD).output().unwrap())
}

/// What an operator sees of the state.
fn seen(home: &Home) -> Vec<String> {
    let lists: [&[&str]; 6] = [
        &["runs", "--json"],
        &["keys", "list", "--json"],
        &["orgs", "--json"],
        &["dead-letters", "list", "--all", "--json"],
        &["runs", "show", "orgs", "--json"],
        &["schedule", "--json"],
    ];
    lists.iter().map(|args| run(home, args).expect(0).stdout).collect()
}

/// A home with a run of which one row was refused, a key, and an org that came with it; and the key.
fn lived_in(destination: &Destination) -> (Home, String) {
    let home = Home::new();
    destination.set("ws_2", 422);
    home.write("orgs.csv", "workspace_id,plan\nws_1,pro\nws_2,free\n");
    home.write(
        "jobs/orgs.toml",
        &job_file("", &format!("url = \"http://{}/\"", destination.address), "preset = \"flat\""),
    );
    home.run(&["run", "orgs"]).expect(1);
    let key = home.run(&["keys", "create", "--name", "k", "--template", "flat", "--json"]).expect(0).json();
    let key = key["key"].as_str().unwrap().to_owned();
    let served = Served::start(&home);
    let url = format!("http://{}/api/product-orgs/webhook/{key}", served.receiver);
    let body = r#"{"workspace_id": "a", "name": "Ä"}"#;
    let answer = std::process::Command::new("curl")
        .args(["-sSf", "-H", "content-type: application/json", "-d", body, &url])
        .output()
        .unwrap();
    assert!(answer.status.success(), "{answer:?}");
    assert_eq!(served.stop(), 0);
    (home, key)
}

fn on(home: &Home, database: &Database) {
    home.write("nightmark.toml", &database.setting());
}

#[test]
fn state_moves_to_postgres_and_back() {
    let destination = Destination::start();
    let (home, key) = lived_in(&destination);
    let before = seen(&home);
    let out = home.path("state.ndjson");
    let out = out.to_str().unwrap();
    says(&home.run(&["state", "export", "--output", out]).expect(0), &["runs: 1", "orgs: 1", "written to"]);
    let mode = std::fs::metadata(out).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = std::fs::read_to_string(out).unwrap();
    assert!(!text.contains(&key) && text.contains(&key[..5]), "keys are hashes in it");
    says(&home.run(&["state", "export", "--output", out]).expect(2), &["there already"]);
    // Into Postgres: everything looks the same, and the next run goes on as if nothing had been.
    let database = Cluster::shared().database();
    on(&home, &database);
    says(&run(&home, &["state", "import", out]).expect(0), &["runs: 1", "taken from"]);
    assert_eq!(seen(&home), before);
    says(&run(&home, &["state", "import", out]).expect(2), &["has something already", "runs: 1", "orgs: 1"]);
    destination.clear();
    destination.take();
    run(&home, &["run", "orgs"]).expect(0);
    assert_eq!(destination.take_orgs(), ["ws_2"], "only what was refused is sent again");
    // And back.
    let before = seen(&home);
    let back = home.path("back.ndjson");
    let counts = run(&home, &["state", "export", "--json", "--output", back.to_str().unwrap()]).expect(0).json();
    assert_eq!(counts["tables"]["runs"], 2);
    std::fs::remove_file(home.path("nightmark.toml")).unwrap();
    std::fs::rename(home.path("nightmark.db"), home.path("old.db")).unwrap();
    home.run(&["state", "import", back.to_str().unwrap()]).expect(0);
    assert_eq!(seen(&home), before);
}

#[test]
fn a_damaged_file_changes_nothing_and_a_daemon_is_not_disturbed() {
    let destination = Destination::start();
    let (home, _) = lived_in(&destination);
    let out = home.path("state.ndjson");
    let out = out.to_str().unwrap();
    home.run(&["state", "export", "--output", out]).expect(0);
    let text = std::fs::read_to_string(out).unwrap();
    let empty = Home::new();
    let damaged = empty.path("damaged.ndjson");
    let damaged = damaged.to_str().unwrap();
    let half = text.lines().take(4).map(|line| format!("{line}\n")).collect::<String>();
    for (part, twisted) in
        [("not whole", half), ("checksum", text.replacen("ws_2", "ws_3", 1)), ("state file", "{}\n".to_owned())]
    {
        std::fs::write(damaged, twisted).unwrap();
        says(&empty.run(&["state", "import", damaged]).expect(2), &[part, damaged]);
        assert_eq!(empty.run(&["runs", "--json"]).expect(0).json(), serde_json::json!([]));
    }
    empty.run(&["state", "import", out]).expect(0);
    says(&Home::new().run(&["state", "export", "--output", "x"]).expect(2), &["nothing has been stored yet"]);
    // While a daemon is on, neither.
    let job = std::fs::read_to_string(home.path("jobs/orgs.toml")).unwrap();
    home.write("jobs/orgs.toml", &job.replacen("version = 1\n", "version = 1\nschedule = \"@yearly\"\n", 1));
    let served = Served::start(&home);
    for args in [&["state", "export", "--output", "other.ndjson"][..], &["state", "import", out]] {
        says(&home.run(args).expect(2), &["another daemon serves this home folder", &served.pid().to_string()]);
    }
    assert!(!home.path("other.ndjson").exists());
    assert_eq!(served.stop(), 0);
}
