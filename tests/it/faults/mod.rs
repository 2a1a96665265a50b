//! Disks and databases that fail: what is said, and that nothing is lost once the fault is lifted.
//!
//! In: a [`Site`], that is a home whose job has been run once, and tonight's extract in which every org differs. Out: a panic
//! if a run under a fault misreads anything, says too little, or if the run after it does not bring the destination to the
//! source's state.
//! Always holds: a fault never makes the program crash; it is told with the file and what to do; whatever was sent before the
//! fault is repeated under the same id or not at all.
//! Full and read-only disks are real ones: a tmpfs in a mount namespace of its own ([`disk::Disk`]), which needs root or user
//! namespaces. Deliberately absent: disks that lie about fsync; power cuts, which a SIGKILL is not.

mod damage;
mod database;
pub mod disk;
mod full;
mod receiver;

use crate::faulty::{Asked, Faulty, Plan};
use crate::support::{Home, Ran, ran};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const ORGS: usize = 150;

/// A destination and a job that sends to it.
struct Site {
    faulty: Faulty,
    home: Home,
}

/// The first night's users; each later night adds one to every org.
fn body(org: usize, night: usize) -> (String, Value) {
    let id = format!("ws_{org:04}");
    // Of a length and a kind that no compression makes small: each file is to need several pages of a disk.
    let name: String =
        (1..9u64).map(|i| format!("{:016x}", (org as u64 * 9 + i).wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    let body = json!({"workspace_id": id, "user_count": org + night, "name": name});
    (id, body)
}

fn rows(night: usize) -> BTreeMap<String, Value> {
    (0..ORGS).map(|org| body(org, night)).collect()
}

fn csv(night: usize) -> String {
    let line = |row: &Value| format!("{},{},{}\n", text(row, "workspace_id"), row["user_count"], text(row, "name"));
    let lines: String = rows(night).values().map(line).collect();
    format!("workspace_id,user_count,name\n{lines}")
}

fn text<'a>(row: &'a Value, name: &str) -> &'a str {
    row[name].as_str().unwrap()
}

fn job(faulty: &Faulty, extract: &str) -> String {
    format!(
        "version = 1\n[source]\nkind = \"files\"\npath = \"{extract}\"\n[diff]\nkey = \"workspace_id\"\n[destination]\n\
         kind = \"http\"\nurl = \"http://{}/\"\nconcurrency = 8\n[payload]\npreset = \"flat\"\n",
        faulty.address
    )
}

impl Site {
    /// One night is over, everything is acknowledged, and tonight every org differs.
    fn new() -> Self {
        let faulty = Faulty::start(|_: &Asked| Plan::ok());
        let home = Home::new();
        home.write("jobs/orgs.toml", &job(&faulty, "orgs.csv"));
        home.write("orgs.csv", &csv(0));
        home.job("orgs", 0);
        home.write("orgs.csv", &csv(1));
        Site { faulty, home }
    }

    /// The run whose files are current.
    fn current(&self) -> String {
        let manifest = std::fs::read(self.home.path("snapshots/orgs/manifest.json")).unwrap();
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        manifest["run"].as_str().unwrap().to_owned()
    }

    fn run(&self) -> Ran {
        ran(self.home.command(&["run", "orgs", "--approve"]).output().unwrap())
    }

    /// A run that cannot be done says all of `parts`, and sends nothing.
    #[track_caller]
    fn check_refused(&self, what: &str, parts: &[&str]) {
        let before = self.faulty.len();
        let ran = self.run();
        check_told(what, &ran, parts);
        assert_eq!(self.faulty.len(), before, "{what}: nothing is sent");
    }

    /// The fault is lifted: see [`check_lifted`].
    #[track_caller]
    fn check_lifted(&self, what: &str) {
        check_lifted(what, &self.faulty, 1, || self.run());
    }
}

#[track_caller]
fn check_told(what: &str, ran: &Ran, parts: &[&str]) {
    assert_eq!(ran.code, 2, "{what}: {} {}", ran.stdout, ran.stderr);
    for part in parts {
        assert!(ran.stderr.contains(part), "{what}: it does not say `{part}`: {}", ran.stderr);
    }
    assert!(!ran.stderr.contains("panicked"), "{what}: {}", ran.stderr);
}

/// One run brings the destination to the state of that night, whatever was sent before; the next sends nothing. Over all
/// runs each version had one id.
#[track_caller]
fn check_lifted(what: &str, faulty: &Faulty, night: usize, run: impl Fn() -> Ran) {
    let first = run();
    assert_eq!(first.code, 0, "{what}: {} {}", first.stdout, first.stderr);
    assert_eq!(faulty.state(), rows(night), "{what}: the destination has what the source has");
    let sent = faulty.len();
    assert_eq!(run().code, 0, "{what}");
    assert_eq!(faulty.len(), sent, "{what}: nothing is left");
    let mut ids: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for entry in faulty.entries() {
        ids.entry((entry.org, entry.body.to_string())).or_default().insert(entry.id);
    }
    let several: Vec<_> = ids.iter().filter(|(_, ids)| ids.len() > 1).collect();
    assert!(several.is_empty(), "{what}: one version, one id: {several:?}");
}

/// Copies a folder with everything in it.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let copied: PathBuf = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &copied)
        } else {
            let _ = std::fs::copy(&path, &copied).unwrap();
        }
    }
}
