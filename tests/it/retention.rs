//! What is forgotten, and what is not: by `nightmark tidy`, and by the daemon.

use crate::support::{Destination, Home, Served, job_file, says};
use chrono::{DateTime, TimeDelta, Utc};
use nightmark::store::sqlite::SqliteStore;
use nightmark::store::{
    AdminStore, AuditRecord, FireCause, FireRecord, FireState, FireStore, RunRecord, RunState, RunStore,
};
use serde_json::Value;

/// The ids of the runs that are remembered.
fn remembered(home: &Home) -> Vec<String> {
    let runs = home.run(&["runs", "--json"]).expect(0).json();
    let mut ids: Vec<String> = runs
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["run"].as_str().or(run["id"].as_str()).unwrap().to_owned())
        .collect();
    ids.sort();
    ids
}

/// A job that has run once, and old runs: of that job, of one that is not run any more, and of one whose home folder is elsewhere.
fn lived_in(destination: &Destination) -> (Home, String) {
    let home = Home::new();
    home.write("orgs.csv", "workspace_id,plan\nws_1,pro\n");
    home.write(
        "jobs/orgs.toml",
        &job_file("", &format!("url = \"http://{}/\"", destination.address), "preset = \"flat\""),
    );
    let run = home.job("orgs", 0)["run"].as_str().unwrap().to_owned();
    std::fs::create_dir_all(home.path("snapshots/gone")).unwrap();
    home.write("snapshots/gone/lock", "");
    // A folder without a lock is none of ours.
    std::fs::create_dir_all(home.path("snapshots/notes")).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = SqliteStore::open(&home.path("nightmark.db")).await.unwrap();
        for (id, job, state, days) in [
            ("old_gone", "gone", RunState::Finished, 91),
            ("open_gone", "gone", RunState::Held, 91),
            ("new_gone", "gone", RunState::Failed, 89),
            ("old_orgs", "orgs", RunState::Superseded, 91),
            ("old_elsewhere", "elsewhere", RunState::Finished, 91),
        ] {
            let at = Utc::now() - TimeDelta::days(days);
            store.put_run(&RunRecord { state, ..RunRecord::new(id, job, at) }, at).await.unwrap();
        }
        for days in [500, 401, 399] {
            let at = Utc::now() - TimeDelta::days(days);
            store.put_audit(&entry(days, at)).await.unwrap();
            assert!(store.claim_fire(&fire(at)).await.unwrap());
        }
        store.close().await;
    });
    (home, run)
}

fn entry(days: i64, at: DateTime<Utc>) -> AuditRecord {
    let (who, via, action) = ("Zoë".to_owned(), "admin API".to_owned(), "approve".to_owned());
    AuditRecord { id: format!("{days:03}"), at, who, via, action, subject: None, outcome: None, detail: None }
}

fn fire(due: DateTime<Utc>) -> FireRecord {
    FireRecord {
        job: "gone".to_owned(),
        due,
        state: FireState::Done,
        holder: "here".to_owned(),
        claimed_at: due,
        ended_at: Some(due),
        collapsed: 0,
        reason: None,
        cause: FireCause::Schedule,
        origin: None,
        seen: None,
    }
}

/// Fires that are remembered of a job that is gone, and entries of the audit log that are as old.
fn long_past(home: &Home) -> (usize, usize) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = SqliteStore::open(&home.path("nightmark.db")).await.unwrap();
        let fires = store.fires(Some("gone"), 9).await.unwrap().len();
        let audit = store.audit(None, 99).await.unwrap().into_iter().filter(|entry| entry.who == "Zoë").count();
        store.close().await;
        (fires, audit)
    })
}

const LEFT: [&str; 3] = ["new_gone", "old_elsewhere", "open_gone"];

#[test]
fn tidy_forgets_old_runs_of_jobs_that_are_run_no_more() {
    let destination = Destination::start();
    let (home, run) = lived_in(&destination);
    assert_eq!(remembered(&home).len(), 6);
    let ran = home.run(&["tidy"]).expect(0);
    says(&ran, &["older than 90 days", "gone, orgs", "history of received orgs is kept"]);
    assert!(!ran.stdout.contains("notes"), "{}", ran.stdout);
    let mut left: Vec<String> = LEFT.iter().map(|id| (*id).to_owned()).chain([run]).collect();
    left.sort();
    assert_eq!(remembered(&home), left);
    home.run(&["tidy", "--json"]).expect(0);
    assert_eq!(remembered(&home), left);
    assert!(!home.path("snapshots/elsewhere").exists());
    assert_eq!(long_past(&home), (1, 1));
}

/// The daemon begins with it, whether or not a job is scheduled.
#[test]
fn the_daemon_tidies_up() {
    let destination = Destination::start();
    let (home, _) = lived_in(&destination);
    let served = Served::start(&home);
    for _ in 0..3000 {
        if remembered(&home).len() == LEFT.len() + 1 && long_past(&home) == (1, 1) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert_eq!(remembered(&home).len(), LEFT.len() + 1, "{}", home.log());
    assert_eq!(long_past(&home), (1, 1), "{}", home.log());
    assert_eq!(served.stop(), 0);
}

#[test]
fn changes_of_orgs_are_forgotten_if_the_settings_say_so() {
    let home = Home::new();
    let key = home.run(&["keys", "create", "--name", "k", "--template", "flat", "--json"]).expect(0).json();
    let served = Served::start(&home);
    let url = format!("http://{}/api/product-orgs/webhook/{}", served.receiver, key["key"].as_str().unwrap());
    for name in ["a", "b"] {
        let body = format!("{{\"workspace_id\": \"ws\", \"workspace_name\": \"{name}\"}}");
        let sent = std::process::Command::new("curl")
            .args(["-sSf", "-H", "content-type: application/json", "-d", &body, &url])
            .output()
            .unwrap();
        assert!(sent.status.success(), "{sent:?}");
    }
    assert_eq!(served.stop(), 0);
    // The first is a year older than it was.
    let year = TimeDelta::days(365).num_microseconds().unwrap();
    let sql = format!("UPDATE org_history SET at = at - {year} WHERE number = 1");
    let aged = std::process::Command::new("sqlite3").arg(home.path("nightmark.db")).arg(&sql).output().unwrap();
    assert!(aged.status.success(), "{aged:?}");
    let history = || -> usize {
        let shown: Value = home.run(&["orgs", "history", "ws", "--json"]).expect(0).json();
        shown.as_array().or(shown["changes"].as_array()).unwrap().len()
    };
    home.run(&["tidy"]).expect(0);
    assert_eq!(history(), 2, "kept, as nobody has said otherwise");
    home.write("nightmark.toml", "[retention]\nhistory_days = 30\n");
    says(&home.run(&["tidy"]).expect(0), &["older than 30 days"]);
    assert_eq!(history(), 1);
    let org = home.run(&["orgs", "show", "ws", "--json"]).expect(0).json();
    assert_eq!(org["name"], "b");
}
