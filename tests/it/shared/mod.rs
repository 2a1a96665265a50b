//! Snapshots that daemons share in an object store (`[snapshots]`): a real store of the S3 protocol, a real Postgres for what both know of
//! deliveries, processes that are killed, requests that are held up and answers that are lost.

pub mod azurite;
mod baselines;
mod histories;
pub mod server;
mod stores;

use crate::support::postgres::{Cluster, Database, PASSWORD};
use crate::support::{Destination, Home, Ran, job_file, ran, says};
use serde_json::Value;
use server::{Fate, Server, Way};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Child;

/// The secret of the object store: never to be seen.
pub const PASSWORD_OF_S3: &str = "planted-s3-secret-5c7";

/// What a kill leaves.
const KILLED: i32 = 137;

/// The homes of several machines over one bucket, one state store and one destination.
pub struct Site {
    pub server: Server,
    pub database: Database,
    pub destination: Destination,
}

impl Site {
    pub fn new() -> Site {
        Site { server: Server::start(), database: Cluster::shared().database(), destination: Destination::start() }
    }

    /// A machine, which reaches the store by `address`.
    fn machine_by(&self, address: SocketAddr) -> Home {
        let home = Home::new();
        let snapshots = format!(
            "[snapshots]\nurl = \"s3://lake/nm\"\n[snapshots.options]\naws_endpoint = \"http://{address}\"\naws_region = \"eu-central-1\"\n\
             aws_access_key_id = \"NIGHTMARKTESTKEY\"\naws_secret_access_key = \"${{S3_SECRET}}\"\n"
        );
        home.write("nightmark.toml", &format!("{}\n{snapshots}", self.database.setting()));
        let to = format!("url = \"http://{}/\"", self.destination.address);
        home.write("jobs/orgs.toml", &job_file("", &to, "preset = \"flat\""));
        home
    }

    pub fn machine(&self) -> Home {
        self.machine_by(self.server.address)
    }

    /// Whoever had the job has not been heard of for too long.
    fn expire(&self) {
        Cluster::shared().sql(&self.database.name, "UPDATE nightmark.leases SET until = '-infinity'");
    }

    /// The orgs that have arrived, in order.
    pub fn arrived(&self) -> Vec<String> {
        let mut orgs = self.destination.take_orgs();
        orgs.sort();
        orgs
    }
}

/// Tonight's extract, as each machine gets it.
pub fn extract(homes: &[&Home], plans: &[(&str, &str)]) {
    let rows: String = plans.iter().map(|(org, plan)| format!("{org},{plan}\n")).collect();
    homes.iter().for_each(|home| home.write("orgs.csv", &format!("workspace_id,plan_id\n{rows}")));
}

fn command(home: &Home, args: &[&str], failpoints: &str) -> std::process::Command {
    let mut command = home.command(args);
    command.env("PG_PASSWORD", PASSWORD).env("S3_SECRET", PASSWORD_OF_S3).env("NIGHTMARK_LOG", "nightmark=debug");
    command.env("FAILPOINTS", failpoints);
    command
}

#[track_caller]
pub fn run_with(home: &Home, args: &[&str], failpoints: &str) -> Ran {
    let ran = ran(command(home, args, failpoints).output().unwrap());
    for text in [&ran.stdout, &ran.stderr] {
        assert!(!text.contains("planted-s3"), "{text}");
    }
    ran
}

/// A night, and what its JSON says.
#[track_caller]
pub fn night(home: &Home, code: i32) -> Value {
    run_with(home, &["run", "orgs", "--json"], "").expect(code).json()
}

fn killed(home: &Home, failpoint: &str) {
    killed_with(home, &["run", "orgs"], failpoint);
}

fn killed_with(home: &Home, args: &[&str], failpoint: &str) {
    let ran = run_with(home, args, &format!("{failpoint}=return"));
    assert!(ran.code == KILLED || ran.code == -1, "it came past {failpoint}: {} {}", ran.code, ran.stderr);
}

fn counts(night: &Value) -> [u64; 4] {
    ["added", "changed", "unchanged", "acknowledged"].map(|name| night[name].as_u64().unwrap())
}

#[test]
fn another_machine_goes_on_where_this_one_ended() {
    let site = Site::new();
    let (a, b) = (site.machine(), site.machine());
    extract(&[&a, &b], &[("ws_1", "free"), ("ws_2", "free")]);
    assert_eq!(counts(&night(&a, 0)), [2, 0, 0, 2]);
    assert_eq!(site.arrived(), ["ws_1", "ws_2"]);
    // It has what the first has sent.
    assert_eq!(counts(&night(&b, 0)), [0, 0, 2, 0]);
    extract(&[&a, &b], &[("ws_1", "pro"), ("ws_2", "free")]);
    assert_eq!(counts(&night(&b, 0)), [0, 1, 1, 1]);
    extract(&[&a, &b], &[("ws_1", "pro"), ("ws_2", "pro"), ("ws_3", "free")]);
    assert_eq!(counts(&night(&a, 0)), [1, 1, 1, 2]);
    assert_eq!(site.arrived(), ["ws_1", "ws_2", "ws_3"]);
    assert_eq!(counts(&night(&b, 0)), [0, 0, 3, 0]);

    // What was not acknowledged on the one is sent by the other.
    site.destination.set("ws_3", 422);
    extract(&[&a, &b], &[("ws_1", "pro"), ("ws_2", "pro"), ("ws_3", "pro")]);
    assert_eq!(night(&a, 1)["refused"], 1);
    site.destination.clear();
    site.destination.take();
    let retried = run_with(&b, &["retry", "orgs", "--json"], "").expect(0).json();
    assert_eq!(retried["acknowledged"], 1, "{retried}");
    assert_eq!(site.arrived(), ["ws_3"]);

    // A look at it is not of an earlier night.
    let newest = night(&b, 0)["run"].as_str().unwrap().to_owned();
    for args in [&["snapshot", "list", "orgs"][..], &["snapshot", "show", "orgs"], &["snapshot", "verify", "orgs"]] {
        says(&run_with(&a, args, "").expect(0), &[&newest]);
    }
    assert_eq!(run_with(&a, &["preview", "orgs", "--json"], "").expect(0).json()["unchanged"], 3);

    // Old runs go there as they do here.
    let runs = |names: Vec<String>| {
        let mut runs: Vec<String> = names.iter().filter_map(|name| Some(name.split('/').nth(2)?.to_owned())).collect();
        runs.retain(|run| run.len() == 26);
        runs.dedup();
        runs
    };
    let there = runs(site.server.names());
    assert_eq!((there.len(), there.last()), (3, Some(&newest)), "{there:?}");
}

#[test]
fn of_two_at_once_one_publishes_and_the_other_sends_nothing() {
    let site = Site::new();
    for is_first in [true, false] {
        let way = Way::new(site.server.address, "PUT /lake/nm/orgs/manifest.json ", Fate::Held);
        let (a, b) = (site.machine_by(way.address), site.machine());
        let plan = if is_first { "free" } else { "pro" };
        extract(&[&a, &b], &[("ws_1", plan), ("ws_2", "free")]);
        let mut late: Child = command(&a, &["run", "orgs"], "")
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        way.wait();
        says(&run_with(&b, &["run", "orgs"], "").expect(2), &["is being run by another process"]);
        site.expire();
        assert_eq!(night(&b, 0)["acknowledged"], if is_first { 2 } else { 1 });
        site.arrived();
        way.free();
        let status = late.wait().unwrap();
        let late = ran(std::process::Output { status, ..late.wait_with_output().unwrap() });
        says(&late.expect(2), &["another daemon has published run", "nothing of this run was published or sent"]);
        assert_eq!(site.arrived(), Vec::<String>::new());
        // Nothing of it is left, and its next night is right.
        extract(&[&a, &b], &[("ws_1", plan), ("ws_2", plan)]);
        assert_eq!(night(&a, 0)["unchanged"], if is_first { 2 } else { 1 });
        assert_eq!(night(&b, 0)["acknowledged"], 0);
        site.arrived();
    }
}

#[test]
fn a_kill_anywhere_costs_nothing() {
    for (failpoint, is_published) in
        [("shared.uploaded", false), ("shared.published", true), ("manifest.before_rename", true)]
    {
        let site = Site::new();
        let (a, b) = (site.machine(), site.machine());
        extract(&[&a, &b], &[("ws_1", "free"), ("ws_2", "free")]);
        night(&a, 0);
        site.arrived();
        extract(&[&a, &b], &[("ws_1", "pro"), ("ws_2", "free")]);
        killed(&a, failpoint);
        site.expire();
        assert_eq!(site.arrived(), Vec::<String>::new(), "{failpoint}");
        // Whoever comes next sends the difference, once.
        for (home, expected) in [(&b, [0, 1, 1, 1]), (&a, [0, 0, 2, 0])] {
            assert_eq!(counts(&night(home, 0)), expected, "{failpoint}");
        }
        assert_eq!(site.arrived(), ["ws_1"], "{failpoint}");
        // And so does the same machine.
        extract(&[&a, &b], &[("ws_1", "pro"), ("ws_2", "pro")]);
        killed(&a, failpoint);
        let listed = run_with(&a, &["snapshot", "list", "orgs", "--json"], "").expect(0).json();
        assert_eq!(counts(&night(&a, 0)), [0, 1, 1, 1], "{failpoint}: {listed}");
        assert_eq!(site.arrived(), ["ws_2"], "{failpoint}");
        // A copy that was not finished is fetched again.
        let c = site.machine();
        extract(&[&c], &[("ws_1", "pro"), ("ws_2", "pro")]);
        killed(&c, "shared.fetched");
        assert_eq!(counts(&night(&c, 0)), [0, 0, 2, 0], "{failpoint} {is_published}");
    }
}

#[test]
fn a_lost_answer_is_asked_for() {
    let site = Site::new();
    let way = Way::new(site.server.address, "PUT /lake/nm/orgs/manifest.json ", Fate::Unanswered);
    let a = site.machine_by(way.address);
    extract(&[&a], &[("ws_1", "free")]);
    assert_eq!(counts(&night(&a, 0)), [1, 0, 0, 1]);
    way.wait();
    assert_eq!(counts(&night(&a, 0)), [0, 0, 1, 0]);
    assert_eq!(site.arrived(), ["ws_1"]);
}

#[test]
fn a_machine_that_is_lost_is_replaced() {
    let site = Site::new();
    let a = site.machine();
    extract(&[&a], &[("ws_1", "free"), ("ws_2", "free")]);
    night(&a, 0);
    site.arrived();
    std::fs::remove_dir_all(a.path("snapshots")).unwrap();
    assert_eq!(counts(&night(&a, 0)), [0, 0, 2, 0]);
    assert_eq!(site.arrived(), Vec::<String>::new());
}

#[test]
fn what_one_machine_has_is_shared_from_the_next_run_on() {
    let site = Site::new();
    let (a, b) = (site.machine(), site.machine());
    let shared = std::fs::read_to_string(a.path("nightmark.toml")).unwrap();
    a.write("nightmark.toml", &site.database.setting());
    extract(&[&a, &b], &[("ws_1", "free"), ("ws_2", "free")]);
    night(&a, 0);
    a.write("nightmark.toml", &shared);
    // A look gives nothing away.
    run_with(&a, &["preview", "orgs"], "").expect(0);
    assert_eq!(site.server.names(), Vec::<String>::new());
    extract(&[&a, &b], &[("ws_1", "pro"), ("ws_2", "free")]);
    assert_eq!(counts(&night(&a, 0)), [0, 1, 1, 1]);
    assert_eq!(counts(&night(&b, 0)), [0, 0, 2, 0]);
    site.arrived();

    // A manifest that is gone there is not one that never was.
    assert_eq!(site.server.request("DELETE", "nm/orgs/manifest.json", b"").0, 204);
    let gone = run_with(&b, &["run", "orgs"], "").expect(2);
    says(&gone, &["s3://lake/nm/orgs/manifest.json is gone", "although run", "snapshots/orgs/shared"]);
    std::fs::remove_file(b.path("snapshots/orgs/shared")).unwrap();
    assert_eq!(counts(&night(&b, 0)), [0, 0, 2, 0]);
    assert_eq!(site.arrived(), Vec::<String>::new());
}

#[test]
fn what_is_damaged_there_is_refused_and_nothing_is_sent() {
    let site = Site::new();
    let (a, b) = (site.machine(), site.machine());
    extract(&[&a, &b], &[("ws_1", "free"), ("ws_2", "free")]);
    night(&a, 0);
    site.arrived();
    let sidecar = site.server.names().into_iter().find(|name| name.ends_with("sidecar.parquet")).unwrap();
    let (_, mut bytes) = site.server.request("GET", &sidecar, b"");
    bytes[10] ^= 1;
    assert_eq!(site.server.request("PUT", &sidecar, &bytes).0, 200);
    let damaged = run_with(&b, &["run", "orgs"], "").expect(2);
    says(&damaged, &["is damaged", "sidecar.parquet", "not what was written"]);
    // A manifest that leads out of its folder is not followed.
    let (_, manifest) = site.server.request("GET", "nm/orgs/manifest.json", b"");
    let manifest = String::from_utf8(manifest).unwrap();
    site.server.request("PUT", "nm/orgs/manifest.json", manifest.replace("workspace_id", "workspace_ix").as_bytes());
    says(&run_with(&b, &["run", "orgs"], "").expect(2), &["manifest.json is damaged", "checksum"]);
    assert_eq!(site.arrived(), Vec::<String>::new());
    assert!(!Path::new(&b.path("snapshots/orgs/manifest.json")).exists());
}

#[test]
fn a_store_that_cannot_be_had_or_trusted_is_said_to_be_so() {
    let site = Site::new();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let a = site.machine_by(nobody);
    extract(&[&a], &[("ws_1", "free")]);
    for args in [["run", "orgs"], ["check", "orgs"]] {
        says(&run_with(&a, &args, "").expect(2), &["the shared snapshot s3://lake/nm/orgs/manifest.json"]);
    }
    // A store that writes whatever the condition is.
    let lax = Way::new(site.server.address, "PUT ", Fate::Unconditional);
    let b = site.machine_by(lax.address);
    extract(&[&b], &[("ws_1", "free")]);
    says(&run_with(&b, &["run", "orgs"], "").expect(2), &["whatever the condition is", "MinIO"]);
    assert_eq!(site.arrived(), Vec::<String>::new());
    // Secrets are referred to.
    a.write(
        "nightmark.toml",
        "[snapshots]\nurl = \"s3://lake/nm\"\n[snapshots.options]\naws_secret_access_key = \"planted-s3\"\n",
    );
    says(
        &run_with(&a, &["run", "orgs"], "").expect(2),
        &["snapshots.options.aws_secret_access_key", "is a secret", "${NAME}"],
    );
    a.write("nightmark.toml", "[snapshots]\nurl = \"https://lake/nm\"\n");
    says(&run_with(&a, &["run", "orgs"], "").expect(2), &["snapshots.url", "is not the address of an object store"]);
}
