//! Which snapshot goes on from which: clocks that disagree, machines that went their own way, stores that have lost a part.

use super::{Site, command, counts, extract, night, run_with};
use crate::support::{Home, says};
use chrono::{DateTime, TimeDelta, Utc};
use nightmark::clock::Clock;
use nightmark::config::{Home as Folder, Settings};
use nightmark::deliver::Http;
use nightmark::job::load::load_job;
use nightmark::pipeline::{How, Resources, Runner};
use nightmark::store::sqlite::SqliteStore;
use std::sync::Arc;

/// The clock of a machine that is an hour ahead.
#[derive(Debug)]
struct Ahead;

impl Clock for Ahead {
    fn now(&self) -> DateTime<Utc> {
        Utc::now() + TimeDelta::hours(1)
    }

    fn random(&self) -> u128 {
        nightmark::clock::SystemClock.random()
    }
}

/// A run on a machine whose clock is ahead, which publishes and does not send. Its id.
fn published_ahead(home: &Home) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let folder = Folder::new(&home.path("")).unwrap();
    runtime.block_on(async {
        let (_go_on, stop) = tokio::sync::watch::channel(false);
        let runner = Runner {
            home: folder.clone(),
            settings: Settings::load(&folder).unwrap(),
            store: Arc::new(SqliteStore::open(&home.path("nightmark.db")).await.unwrap()),
            clock: Arc::new(Ahead),
            connect: Arc::new(Http),
            progress: Arc::new(()),
            metrics: Arc::new(()),
            resources: Resources { memory: 1 << 30, threads: 1 },
            stop,
            leases: None,
            tenures: Vec::new(),
            fences: Vec::new(),
            lock: std::sync::Weak::new(),
        };
        let job = Arc::new(load_job(&folder, "orgs").unwrap());
        runner.run(job, How { sends: false, ..How::default() }).await.unwrap().run
    })
}

#[test]
fn clocks_do_not_matter() {
    let site = Site::new();
    let (ahead, a) = (site.machine(), site.machine());
    let settings = std::fs::read_to_string(ahead.path("nightmark.toml")).unwrap();
    ahead.write("nightmark.toml", &settings.replace("${S3_SECRET}", "${file:secret}"));
    ahead.write("secret", "planted-s3-secret-5c7");
    extract(&[&ahead, &a], &[("ws_1", "free")]);
    let first = published_ahead(&ahead);
    // A run is later than the one that it began from, whatever time it is here: what is told from the order of runs hangs on it,
    // such as which of them nobody may need any more.
    let second = night(&a, 0);
    assert_eq!(counts(&second), [1, 0, 0, 1]);
    let second = second["run"].as_str().unwrap().to_owned();
    assert!(first < second, "{first} {second}");
    let listed = run_with(&a, &["snapshot", "list", "orgs"], "").expect(0);
    says(&listed, &[&second]);
    let third = night(&a, 0)["run"].as_str().unwrap().to_owned();
    assert!(second < third, "{second} {third}");
    for run in [&first, &second, &third] {
        assert!(site.server.names().iter().any(|name| name.contains(run.as_str())), "{run} is kept");
    }
}

#[test]
fn what_was_sent_from_here_alone_is_not_forgotten() {
    let site = Site::new();
    let (a, b) = (site.machine(), site.machine());
    extract(&[&a, &b], &[("ws_1", "free")]);
    night(&a, 0);
    let shared = std::fs::read_to_string(a.path("nightmark.toml")).unwrap();
    // A night without the setting: the store still says that ws_1 is on the free plan, the destination says pro.
    a.write("nightmark.toml", &site.database.setting());
    extract(&[&a], &[("ws_1", "pro")]);
    assert_eq!(counts(&night(&a, 0)), [0, 1, 0, 1]);
    a.write("nightmark.toml", &shared);
    site.arrived();
    extract(&[&a], &[("ws_1", "free")]);
    let before = std::fs::read(a.path("snapshots/orgs/manifest.json")).unwrap();
    for args in [["run", "orgs"], ["preview", "orgs"]] {
        says(
            &run_with(&a, &args, "").expect(2),
            &["does not go on from run", "of this machine", "snapshots/orgs away"],
        );
    }
    // The same once the others have gone on.
    night(&b, 0);
    says(&run_with(&a, &["run", "orgs"], "").expect(2), &["does not go on from run"]);
    assert_eq!(std::fs::read(a.path("snapshots/orgs/manifest.json")).unwrap(), before);
    assert_eq!(site.arrived(), Vec::<String>::new());
    // As the message says.
    std::fs::rename(a.path("snapshots/orgs"), a.path("own")).unwrap();
    assert_eq!(counts(&night(&a, 0)), [0, 0, 1, 0]);
}

#[test]
fn a_store_that_went_back_in_time_is_not_followed() {
    let site = Site::new();
    let a = site.machine();
    extract(&[&a], &[("ws_1", "free")]);
    night(&a, 0);
    let (_, old) = site.server.request("GET", "nm/orgs/manifest.json", b"");
    extract(&[&a], &[("ws_1", "pro")]);
    night(&a, 0);
    site.arrived();
    assert_eq!(site.server.request("PUT", "nm/orgs/manifest.json", &old).0, 200);
    extract(&[&a], &[("ws_1", "free")]);
    says(
        &run_with(&a, &["run", "orgs"], "").expect(2),
        &["s3://lake/nm/orgs/manifest.json", "does not go on from run"],
    );
    assert_eq!(site.arrived(), Vec::<String>::new());
}

#[test]
fn a_new_machine_does_not_begin_anew_where_a_manifest_is_lost() {
    let site = Site::new();
    let (a, b) = (site.machine(), site.machine());
    extract(&[&a, &b], &[("ws_1", "free")]);
    // Nobody has published what was killed before: the next run is a first one.
    let killed = command(&a, &["run", "orgs"], "shared.uploaded=return").output().unwrap();
    assert!(!killed.status.success());
    site.expire();
    run_with(&b, &["preview", "orgs"], "").expect(0);
    let run = night(&b, 0);
    assert_eq!(counts(&run), [1, 0, 0, 1]);
    site.arrived();
    assert_eq!(site.server.request("DELETE", "nm/orgs/manifest.json", b"").0, 204);
    let run = run["run"].as_str().unwrap();
    let copy = format!("copy s3://lake/nm/orgs/{run}/manifest.json there");
    let new = site.machine();
    extract(&[&new], &[("ws_1", "free")]);
    // Whoever looks first is told as well.
    for args in [["preview", "orgs"], ["run", "orgs"], ["preview", "orgs"]] {
        let lost = run_with(&new, &args, "").expect(2);
        says(&lost, &["s3://lake/nm/orgs/manifest.json is missing", &copy]);
        assert!(!lost.stdout.contains("first run"), "{}", lost.stdout);
    }
    assert_eq!(site.arrived(), Vec::<String>::new());
    // As the message says.
    let (_, manifest) = site.server.request("GET", &format!("nm/orgs/{run}/manifest.json"), b"");
    assert_eq!(site.server.request("PUT", "nm/orgs/manifest.json", &manifest).0, 200);
    assert_eq!(counts(&night(&new, 0)), [0, 0, 1, 0]);
}

#[test]
fn who_only_looks_keeps_three_runs_too() {
    let site = Site::new();
    let (a, b) = (site.machine(), site.machine());
    for plan in ["a", "b", "c", "d", "e"] {
        extract(&[&a], &[("ws_1", plan)]);
        night(&a, 0);
        run_with(&b, &["snapshot", "show", "orgs"], "").expect(0);
    }
    let runs = |home: &Home| {
        let entries = std::fs::read_dir(home.path("snapshots/orgs")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut runs: Vec<String> = names.filter(|name| name.len() == 26).collect();
        runs.sort();
        runs
    };
    assert_eq!(runs(&b).len(), 3);
    assert_eq!(runs(&b), runs(&a));
}

#[test]
fn a_run_that_finds_no_store_is_on_record() {
    let site = Site::new();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let a = site.machine_by(nobody);
    extract(&[&a], &[("ws_1", "free")]);
    run_with(&a, &["run", "orgs"], "").expect(2);
    let runs = run_with(&a, &["runs", "--json"], "").expect(0).json();
    assert_eq!(runs.as_array().map(Vec::len), Some(1), "{runs}");
    assert_eq!(runs[0]["state"], "failed", "{runs}");
    assert!(runs[0]["reason"].as_str().unwrap().contains("the shared snapshot s3://lake/nm"), "{runs}");
}

#[test]
fn a_history_of_its_own_is_not_given_up_for_another() {
    // Both machines have sent by themselves; the first one's gift is cut off after its files, and the other is quicker.
    let site = Site::new();
    let (a, b) = (site.machine(), site.machine());
    let shared = std::fs::read_to_string(a.path("nightmark.toml")).unwrap();
    for home in [&b, &a] {
        home.write("nightmark.toml", &site.database.setting());
        extract(&[home], &[("ws_1", "free")]);
        night(home, 0);
        home.write("nightmark.toml", &shared);
    }
    let killed = command(&b, &["run", "orgs"], "shared.uploaded=return").output().unwrap();
    site.expire();
    assert!(!killed.status.success());
    assert_eq!(counts(&night(&a, 0)), [0, 0, 1, 0]);
    site.arrived();
    says(&run_with(&b, &["run", "orgs"], "").expect(2), &["does not go on from run"]);
    assert_eq!(site.arrived(), Vec::<String>::new());
}

#[test]
fn an_old_snapshot_is_not_given_to_a_store_that_has_lost_a_later_manifest() {
    let site = Site::new();
    let (a, old) = (site.machine(), site.machine());
    let shared = std::fs::read_to_string(old.path("nightmark.toml")).unwrap();
    old.write("nightmark.toml", &site.database.setting());
    extract(&[&old, &a], &[("ws_1", "free")]);
    night(&old, 0);
    old.write("nightmark.toml", &shared);
    night(&a, 0);
    site.arrived();
    assert_eq!(site.server.request("DELETE", "nm/orgs/manifest.json", b"").0, 204);
    for args in [["run", "orgs"], ["retry", "orgs"], ["preview", "orgs"]] {
        says(&run_with(&old, &args, "").expect(2), &["s3://lake/nm/orgs/manifest.json is missing"]);
    }
    assert!(!site.server.names().contains(&"nm/orgs/manifest.json".to_owned()));
    assert_eq!(site.arrived(), Vec::<String>::new());
}

#[test]
fn a_store_that_went_back_and_then_on_is_not_followed() {
    let site = Site::new();
    let (a, b) = (site.machine(), site.machine());
    extract(&[&a], &[("ws_1", "free")]);
    let first = night(&a, 0)["run"].as_str().unwrap().to_owned();
    let (_, old) = site.server.request("GET", "nm/orgs/manifest.json", b"");
    extract(&[&a], &[("ws_1", "pro")]);
    night(&a, 0);
    site.arrived();
    // As a backup of the first night has it; then another machine goes on from there.
    for name in site.server.names().iter().filter(|name| !name.contains(&first)) {
        site.server.request("DELETE", name, b"");
    }
    assert_eq!(site.server.request("PUT", "nm/orgs/manifest.json", &old).0, 200);
    extract(&[&a, &b], &[("ws_1", "free")]);
    night(&b, 0);
    site.arrived();
    says(&run_with(&a, &["run", "orgs"], "").expect(2), &["does not go on from run"]);
    assert_eq!(site.arrived(), Vec::<String>::new());
}
