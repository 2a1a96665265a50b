//! Several machines over one state store: real processes, a real Postgres and object store, a line that is cut, SIGKILL and SIGSTOP.

mod alerts;
mod backfills;
mod shares;
mod turns;

use crate::shared::{PASSWORD_OF_S3, Site, extract, night, run_with};
use crate::support::line::Line;
use crate::support::postgres::{Cluster, PASSWORD};
use crate::support::{Home, Ran, job_file, ran, says, signal};
use serde_json::Value;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// So many orgs, and so fast that a run takes seconds: it is in its middle whenever somebody looks.
const ORGS: usize = 60;
const RATE: &str = "rate = \"20/s\"\nconcurrency = 1";

/// A machine of the site whose leases are short.
fn machine(site: &Site, line: Option<&Line>) -> Home {
    let home = site.machine();
    let settings = std::fs::read_to_string(home.path("nightmark.toml")).unwrap();
    let mut settings = settings.replacen("[store]\n", "[store]\nlease = \"2s\"\n", 1);
    if let Some(line) = line {
        settings = settings.replace(&format!(":{}/", site.database.port), &format!(":{}/", line.port));
    }
    home.write("nightmark.toml", &settings);
    let to = format!("url = \"http://{}/\"\n{RATE}", site.destination.address);
    home.write("jobs/orgs.toml", &job_file("", &to, "preset = \"flat\""));
    home
}

fn night_of(plan: &str) -> Vec<(String, String)> {
    (0..ORGS).map(|org| (format!("ws_{org:03}"), plan.to_owned())).collect()
}

fn all(homes: &[&Home], plan: &str) {
    let orgs = night_of(plan);
    extract(homes, &orgs.iter().map(|(org, plan)| (org.as_str(), plan.as_str())).collect::<Vec<_>>());
}

/// What the database says.
fn named(site: &Site, sql: &str) -> String {
    Cluster::shared().sql(&site.database.name, sql)
}

/// A run that goes on beside.
fn begin(home: &Home) -> Child {
    let mut command = home.command(&["run", "orgs"]);
    command.env("PG_PASSWORD", PASSWORD).env("S3_SECRET", PASSWORD_OF_S3).env("NIGHTMARK_LOG", "nightmark=debug");
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn end(child: Child) -> Ran {
    ran(child.wait_with_output().unwrap())
}

/// A run as soon as the job is nobody else's. The bound is there only so that a broken build ends.
#[track_caller]
fn as_soon_as_free(home: &Home) -> Value {
    let began = Instant::now();
    loop {
        let tried = run_with(home, &["run", "orgs", "--json"], "");
        if tried.code == 0 {
            return tried.json();
        }
        says(&tried, &["is being run by another process", "process ", "until"]);
        assert!(began.elapsed() < Duration::from_secs(60), "{}", tried.stderr);
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What the destination has of each org after a night, from what arrived in order.
fn last_of(site: &Site) -> std::collections::BTreeMap<String, String> {
    let seen = site.destination.take();
    seen.iter().map(|seen| (seen.org().to_owned(), seen.body["plan_id"].as_str().unwrap().to_owned())).collect()
}

#[test]
fn a_job_that_is_on_elsewhere_is_refused_and_its_place_is_told() {
    let site = Site::new();
    let (a, b) = (machine(&site, None), machine(&site, None));
    all(&[&a, &b], "free");
    let running = begin(&a);
    site.destination.wait_for(3);
    let refused = run_with(&b, &["run", "orgs"], "").expect(2);
    let place = a.path("").display().to_string();
    says(
        &refused,
        &["is being run by another process", &format!("process {}, run ", running.id()), place.trim_end_matches('/')],
    );
    says(&run_with(&b, &["runs"], "").expect(0), &[" delivering "]);
    says(&run_with(&b, &["leases"], "").expect(0), &["job/orgs", &format!("process {}, run ", running.id())]);
    for args in [&["retry", "orgs"][..], &["run", "orgs", "--approve"], &["schema", "orgs", "accept"]] {
        says(&run_with(&b, args, "").expect(2), &["is being run by another process"]);
    }
    assert_eq!(end(running).code, 0);
    // It was given back.
    assert_eq!(night(&b, 0)["unchanged"], ORGS);
    assert_eq!(last_of(&site).len(), ORGS);
}

#[test]
fn a_machine_that_is_killed_is_followed_by_another() {
    let site = Site::new();
    let (a, b) = (machine(&site, None), machine(&site, None));
    all(&[&a, &b], "free");
    let running = begin(&a);
    // The receipts of the first are written by then.
    site.destination.wait_for(12);
    signal(running.id(), "KILL");
    end(running);
    let sent = as_soon_as_free(&b)["acknowledged"].as_u64().unwrap();
    assert!(sent > 0 && sent < ORGS as u64, "{sent}: what was acknowledged is not sent again");
    let known = last_of(&site);
    assert_eq!((known.len(), known.values().all(|plan| plan == "free")), (ORGS, true));
    assert_eq!(night(&b, 0)["unchanged"], ORGS);
    // One that starts anew in its place does not have to wait.
    all(&[&a, &b], "pro");
    let running = begin(&a);
    site.destination.wait_for(12);
    signal(running.id(), "KILL");
    end(running);
    let sent = night(&a, 0)["acknowledged"].as_u64().unwrap();
    assert!(sent > 0 && sent < ORGS as u64, "{sent}");
    assert_eq!(last_of(&site).len(), ORGS);
}

#[test]
fn a_machine_that_stands_still_harms_nothing_when_it_goes_on() {
    let site = Site::new();
    let (a, b) = (machine(&site, None), machine(&site, None));
    all(&[&a, &b], "free");
    let running = begin(&a);
    site.destination.wait_for(3);
    signal(running.id(), "STOP");
    all(&[&a, &b], "pro");
    assert_eq!(as_soon_as_free(&b)["acknowledged"], ORGS);
    let known = last_of(&site);
    assert_eq!((known.len(), known.values().all(|plan| plan == "pro")), (ORGS, true));
    signal(running.id(), "CONT");
    let gone_on = end(running).expect(2);
    says(&gone_on, &["job `orgs` was left", "store.lease"]);
    assert_eq!(site.destination.take_orgs(), Vec::<String>::new(), "nothing more of it has left");
    // Nor has it written anything: its run is part of the other's.
    let runs = run_with(&b, &["runs", "--json"], "").expect(0).json();
    let states: Vec<&str> = runs.as_array().unwrap().iter().map(|run| run["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["finished", "superseded"], "{runs}");
    assert_eq!(night(&a, 0)["unchanged"], ORGS);
}

#[test]
fn a_machine_that_is_cut_off_stops_by_itself() {
    let site = Site::new();
    let line = Line::to(site.database.port);
    let (a, b) = (machine(&site, Some(&line)), machine(&site, None));
    all(&[&a, &b], "free");
    let running = begin(&a);
    site.destination.wait_for(3);
    line.cut();
    all(&[&a, &b], "pro");
    assert_eq!(as_soon_as_free(&b)["acknowledged"], ORGS);
    let known = last_of(&site);
    assert_eq!((known.len(), known.values().all(|plan| plan == "pro")), (ORGS, true));
    line.mend();
    says(&end(running).expect(2), &["was left", "store.lease"]);
    assert_eq!(site.destination.take_orgs(), Vec::<String>::new());
    assert_eq!(night(&a, 0)["unchanged"], ORGS);
}
