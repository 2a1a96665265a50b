//! State stores that are locked or damaged, and jobs that are being run already.

use super::Site;
use crate::faulty::{Act, Asked, End, Plan, Stage};
use crate::support::ran;
use serde_json::Value;
use sqlx::{ConnectOptions, Connection, Executor, SqliteConnection};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc;

/// Another process's exclusive lock on the state store. Ends with it.
struct Locked {
    runtime: tokio::runtime::Runtime,
    connection: Option<SqliteConnection>,
}

impl Locked {
    fn new(path: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let connection = runtime.block_on(async {
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
            let mut connection = options.connect().await.unwrap();
            connection.execute("BEGIN EXCLUSIVE").await.unwrap();
            connection
        });
        Locked { runtime, connection: Some(connection) }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        let connection = self.connection.take().unwrap();
        self.runtime.block_on(async { connection.close().await.unwrap() });
    }
}

#[test]
fn a_locked_state_store_is_told_and_costs_nothing() {
    let site = Site::new();
    let lock = Locked::new(&site.home.path("nightmark.db"));
    site.check_refused("locked from the beginning", &["another process", "try again"]);
    drop(lock);
    site.check_lifted("unlocked");
}

/// A run whose state store is locked while it sends: it fails, with answers that are recorded nowhere.
fn lock_during_delivery(site: &Site) {
    let (arrived, arrival) = mpsc::channel();
    let (locked, go) = mpsc::channel::<()>();
    let go = std::sync::Mutex::new(go);
    let first = site.faulty.len() + 20;
    // The twenty-first request waits until the lock is there: some receipts come before it, most after.
    site.faulty.script(move |asked: &Asked| {
        if asked.number == first {
            arrived.send(()).unwrap();
            go.lock().unwrap().recv().unwrap();
        }
        Plan::ok()
    });
    let child = site.home.command(&["run", "orgs", "--approve"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    arrival.recv().unwrap();
    let lock = Locked::new(&site.home.path("nightmark.db"));
    locked.send(()).unwrap();
    let ran = ran(child.unwrap().wait_with_output().unwrap());
    super::check_told("locked during delivery", &ran, &["another process", "try again"]);
    drop(lock);
    site.faulty.script(|_: &Asked| Plan::ok());
}

#[test]
fn a_state_store_that_is_locked_during_delivery_loses_no_answer_for_good() {
    let site = Site::new();
    lock_during_delivery(&site);
    site.check_lifted("unlocked");
}

#[test]
fn what_a_failed_run_had_in_flight_stays_in_doubt_when_a_retry_is_refused() {
    for status in [401, 400, 410] {
        let site = Site::new();
        lock_during_delivery(&site);
        site.faulty.script(move |_: &Asked| Plan::status(status));
        site.home.run(&["retry", "orgs"]).expect(1);
        site.faulty.script(|_: &Asked| Plan::ok());
        site.home.run(&["destinations", "enable", "orgs"]).expect(0);
        // The source goes back: orgs that have tonight's values at the destination, unknown to us, must go back too.
        site.home.write("orgs.csv", &super::csv(0));
        let ran = site.run().expect(0);
        assert_eq!(site.faulty.state(), super::rows(0), "{status}: {}", ran.stdout);
    }
}

#[test]
fn a_damaged_state_store_is_refused_with_what_to_do() {
    let site = Site::new();
    let path = site.home.path("nightmark.db");
    let whole = fs::read(&path).unwrap();
    let check = |what: &str, damaged: &[u8]| {
        fs::write(&path, damaged).unwrap();
        site.check_refused(what, &["state store", "put a backup of nightmark.db back"]);
        for side in ["-wal", "-shm"] {
            let _ = fs::remove_file(site.home.path(&format!("nightmark.db{side}")));
        }
    };
    check("another file", b"workspace_id,user_count\nthis is no database\n".repeat(50).as_slice());
    check("half of it", &whole[..whole.len() / 2]);
    let mut zeros = whole.clone();
    zeros[..4096].fill(0);
    check("no first page", &zeros);
    let mut header = whole.clone();
    header[3] ^= 4;
    check("a bit of its header", &header);
    fs::write(&path, &whole).unwrap();
    site.check_lifted("the backup is back");
}

#[test]
fn a_second_run_says_who_is_at_work_and_leaves_it_alone() {
    let site = Site::new();
    let (arrived, arrival) = mpsc::channel();
    let first = site.faulty.len();
    site.faulty.script(move |asked: &Asked| {
        if asked.number != first {
            return Plan::ok();
        }
        arrived.send(()).unwrap();
        Plan::of(Act::Cut(Stage::Body, End::Stay))
    });
    let mut child = site.home.command(&["run", "orgs", "--approve"]).stdout(Stdio::null()).spawn().unwrap();
    arrival.recv().unwrap();
    let runs: Value = site.home.run(&["runs", "orgs", "--json", "--limit", "1"]).json();
    let run = runs[0]["id"].as_str().unwrap();
    let ran = site.run();
    super::check_told("a second run", &ran, &[&format!("process {}", child.id()), run, "wait until it has ended"]);
    let runs: Value = site.home.run(&["runs", "orgs", "--json", "--limit", "1"]).json();
    assert_eq!(runs[0]["id"], run, "a run that never began leaves no record");
    child.kill().unwrap();
    child.wait().unwrap();
    site.faulty.script(|_: &Asked| Plan::ok());
    site.check_lifted("the first is gone");
}
