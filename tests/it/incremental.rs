//! Queries that ask for `{{last_success}}`: whatever becomes of a run, no change is missing from the next extract.

use crate::support::{Destination, Home, Ran, says};
use chrono::{DateTime, TimeDelta, Utc};
use nightmark::clock::{Clock, SystemClock};
use nightmark::config::{Home as Folder, Settings};
use nightmark::daemon::scheduler::{Ended, Work};
use nightmark::daemon::work::Runs;
use nightmark::deliver::Http;
use nightmark::job::load::load_job;
use nightmark::job::spec::Job;
use nightmark::pipeline::{How, Resources, RunReport, Runner, Standstill};
use nightmark::store::sqlite::SqliteStore;
use serde_json::{Value, json};
use std::io::Write;
use std::process::Command;
use std::sync::Arc;

/// A SQLite file with three orgs, and a job that asks for those that have changed.
struct Crm {
    home: Home,
    destination: Destination,
}

const SINCE: &str = "SELECT workspace_id, plan FROM orgs WHERE updated_at > {{last_success}}";

impl Crm {
    fn new() -> Self {
        let crm = Crm { home: Home::new(), destination: Destination::start() };
        crm.sql("CREATE TABLE orgs (workspace_id TEXT PRIMARY KEY, plan TEXT, updated_at TEXT)");
        ["a", "b", "c"].iter().for_each(|org| crm.sql(&format!("INSERT INTO orgs VALUES ('{org}', 'free', {NOW})")));
        crm.job(SINCE, "", "");
        crm
    }

    fn job(&self, query: &str, diff: &str, more: &str) {
        self.section(&format!("query = \"{query}\""), diff, more);
    }

    fn section(&self, rows: &str, diff: &str, more: &str) {
        let removed = if diff.contains("removed") { "[destination.removed]\nmethod = \"DELETE\"\n" } else { "" };
        // No org may go missing: what the query leaves out is not gone.
        let text = format!(
            "version = 1\n{more}\n[source]\nkind = \"sqlite\"\npath = \"crm.db\"\n{rows}\n[diff]\nkey = \"workspace_id\"\n{diff}\n[guard]\nmax_removed = \
             {{ share = 0.0, floor = 0 }}\nmax_changed = {{ share = 0.5, floor = 1 }}\n[destination]\nkind = \"http\"\nurl = \"http://{}/\"\n\
             dead_letter_after = 2\n[payload]\npreset = \"flat\"\n{removed}",
            self.destination.address
        );
        self.home.write("jobs/orgs.toml", &text);
    }

    fn sql(&self, sql: &str) {
        let output = Command::new("sqlite3").arg("-bail").arg(self.home.path("crm.db")).arg(sql).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn change(&self, org: &str, plan: &str) {
        self.sql(&format!("UPDATE orgs SET plan = '{plan}', updated_at = {NOW} WHERE workspace_id = '{org}'"));
    }

    /// A run: how many orgs it had, and which were sent.
    #[track_caller]
    fn run(&self, code: i32) -> (u64, Vec<String>) {
        self.run_as(&[], code)
    }

    /// A run that finds `first` in orgs.sql; whoever opens the file after that finds `then`.
    fn run_while_written(&self, first: &str, then: &str) -> Ran {
        next_second();
        let (path, next) = (self.home.path("orgs.sql"), self.home.path("next.sql"));
        std::fs::write(&next, then).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let (pipe, text) = (path.clone(), first.to_owned());
        let writer = std::thread::spawn(move || {
            // Waits for the reader.
            let mut file = std::fs::OpenOptions::new().write(true).open(&pipe).unwrap();
            std::fs::rename(&next, &pipe).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        });
        let ran = self.home.run(&["run", "orgs", "--json"]);
        // One that has not read the file would be waited for forever.
        assert!(writer.is_finished() || !self.home.path("next.sql").exists(), "the file was not read");
        writer.join().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), then);
        ran
    }

    #[track_caller]
    fn run_as(&self, more: &[&str], code: i32) -> (u64, Vec<String>) {
        next_second();
        let ran = self.home.run(&[&["run", "orgs", "--json"], more].concat()).expect(code).json();
        (ran["extracted"].as_u64().unwrap(), self.destination.take_orgs())
    }
}

/// A run starts in a later second than what was changed before it: SQLite is asked by whole seconds.
fn next_second() {
    let second = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let now = second();
    while second() == now {
        std::thread::yield_now();
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// The source's clock, which is this machine's.
const NOW: &str = "strftime('%Y-%m-%d %H:%M:%f', 'now')";

fn orgs(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn the_first_run_has_all_and_the_next_what_has_changed() {
    let crm = Crm::new();
    says(&crm.home.run(&["preview", "orgs"]).expect(0), &["3 added", "the extract has all orgs"]);
    assert_eq!(crm.run(0), (3, orgs(&["a", "b", "c"])));
    // On a quiet night the extract is empty, and that holds nothing.
    assert_eq!(crm.run(0), (0, vec![]));
    crm.change("b", "pro");
    let preview = crm.home.run(&["preview", "orgs", "--json"]).expect(0).json();
    assert_eq!((&preview["extracted"], &preview["changed"]), (&json!(1), &json!(1)), "{preview}");
    says(&crm.home.run(&["check", "orgs"]).expect(0), &["1 row read"]);
    says(&crm.home.run(&["explain", "orgs", "b"]).expect(0), &["sent as changed"]);
    says(&crm.home.run(&["explain", "orgs", "a"]).expect(0), &["only orgs that have changed since {{last_success}}"]);
    says(&crm.home.run(&["schema", "orgs"]).expect(0), &["fits the pinned schema"]);
    assert_eq!(crm.run(0), (1, orgs(&["b"])));
    assert_eq!(crm.run(0), (0, vec![]));
    assert_eq!(crm.run_as(&["--full"], 0), (3, vec![]));
    let full = crm.home.run(&["preview", "orgs", "--full", "--json"]).expect(0).json();
    assert_eq!((&full["extracted"], &full["unchanged"]), (&json!(3), &json!(3)));
    assert_eq!(crm.run(0), (0, vec![]), "a full run is a success as well");
}

/// What is adopted of orgs that are not seen would be whatever they have when they are: a change.
#[test]
fn columns_are_adopted_by_a_whole_extract_only() {
    let crm = Crm::new();
    crm.run(0);
    crm.sql("ALTER TABLE orgs ADD seats INTEGER DEFAULT 1");
    crm.job(&SINCE.replace("plan", "plan, seats"), "on_new_column = \"adopt\"", "");
    crm.change("a", "pro");
    next_second();
    let held = crm.home.run(&["run", "orgs"]).expect(3);
    says(&held, &["`seats` would be adopted", "run once with --full"]);
    assert_eq!(crm.destination.take_orgs(), Vec::<String>::new());
    assert_eq!(crm.run_as(&["--full"], 0), (3, orgs(&["a"])));
    crm.sql(&format!("UPDATE orgs SET seats = 2, updated_at = {NOW} WHERE workspace_id = 'b'"));
    assert_eq!(crm.run(0), (1, orgs(&["b"])));
}

#[test]
fn what_is_not_acknowledged_is_in_the_next_extract_again() {
    let crm = Crm::new();
    crm.run(0);
    crm.change("b", "pro");
    crm.destination.set("b", 422);
    assert_eq!(crm.run(1), (1, orgs(&["b"])), "refused");
    assert_eq!(crm.run(1), (1, orgs(&["b"])), "and again");
    assert_eq!(crm.run(1), (1, vec![]), "set aside as a dead letter");
    assert_eq!(crm.run(1), (1, vec![]), "which is no success either");
    crm.destination.clear();
    crm.change("b", "team");
    assert_eq!(crm.run(0), (1, orgs(&["b"])));
    assert_eq!(crm.run(0), (0, vec![]));
    // May have been applied.
    crm.change("c", "pro");
    crm.destination.set("c", 501);
    crm.run(1);
    crm.destination.clear();
    assert_eq!(crm.run(0), (1, orgs(&["c"])));
    // Published and not sent.
    crm.change("a", "pro");
    assert_eq!(crm.run_as(&["--no-send"], 1), (1, vec![]));
    assert_eq!(crm.run_as(&["--no-send"], 1), (1, vec![]));
    assert_eq!(crm.run(0), (1, orgs(&["a"])));
    // What `retry` gets through makes a success of its run.
    crm.change("a", "team");
    crm.destination.set("a", 422);
    crm.run(1);
    crm.destination.clear();
    crm.home.run(&["retry", "orgs"]).expect(0);
    assert_eq!(crm.destination.take_orgs(), ["a"]);
    assert_eq!(crm.run(0), (0, vec![]));
}

#[test]
fn a_held_or_failed_run_changes_nothing() {
    let crm = Crm::new();
    crm.run(0);
    crm.change("a", "pro");
    crm.change("b", "pro");
    assert_eq!(crm.run(3), (2, vec![]), "more than half have changed");
    assert_eq!(crm.run(3), (2, vec![]));
    crm.sql("ALTER TABLE orgs RENAME TO gone");
    crm.home.run(&["run", "orgs"]).expect(2);
    crm.sql("ALTER TABLE gone RENAME TO orgs");
    assert_eq!(crm.run_as(&["--approve"], 0), (2, orgs(&["a", "b"])));
    assert_eq!(crm.run(0), (0, vec![]));
}

#[test]
fn the_time_goes_with_the_snapshot() {
    let crm = Crm::new();
    crm.run(0);
    crm.change("a", "pro");
    crm.run(0);
    // Without its state store, the last change set may not have been sent: its org is in the extract.
    for file in crm.home.files() {
        if file.file_name().unwrap().to_string_lossy().starts_with("nightmark.db") {
            std::fs::remove_file(file).unwrap();
        }
    }
    assert_eq!(crm.run(0), (1, orgs(&["a"])));
    // A job that begins anew has them all.
    std::fs::rename(crm.home.path("snapshots/orgs"), crm.home.path("moved")).unwrap();
    assert_eq!(crm.run(0), (3, orgs(&["a", "b", "c"])));
    // With the old snapshot's files comes the old time.
    crm.change("b", "team");
    assert_eq!(crm.run(0), (1, orgs(&["b"])));
    std::fs::remove_dir_all(crm.home.path("snapshots/orgs")).unwrap();
    std::fs::rename(crm.home.path("moved"), crm.home.path("snapshots/orgs")).unwrap();
    let (extracted, sent) = crm.run(0);
    assert!(extracted >= 1 && sent.contains(&"b".to_owned()), "{extracted} {sent:?}");
}

#[test]
fn removals_cannot_be_told_of_orgs_that_have_changed() {
    let crm = Crm::new();
    let on = "on = [\"added\", \"removed\"]";
    crm.job(SINCE, on, "");
    let removed = |job: &Home| {
        let check = job.run(&["check", "orgs", "--json"]).expect(2).json();
        assert!(check[0]["problems"].to_string().contains("take \\\"removed\\\" out"), "{check}");
    };
    removed(&crm.home);
    says(&crm.home.run(&["check", "--syntax"]).expect(2), &["orgs.toml:9", "diff.on"]);
    // The same of a query in a file, which is read with the extract.
    crm.home.write("orgs.sql", SINCE);
    crm.section("query_file = \"orgs.sql\"", on, "");
    removed(&crm.home);
    says(&crm.home.run(&["run", "orgs"]).expect(2), &["take \"removed\" out"]);
    assert!(crm.destination.take().is_empty());
    // Without it: an org that is deleted is no removal, and holds nothing.
    crm.section("query_file = \"orgs.sql\"", "", "");
    assert_eq!(crm.run(0).0, 3);
    crm.sql("DELETE FROM orgs WHERE workspace_id = 'a'");
    assert_eq!(crm.run(0), (0, vec![]));
    assert_eq!(crm.run_as(&["--full"], 0), (2, vec![]), "which a full run shows, and no guard trips on it");
}

/// What was asked says which orgs are not gone, and not what the file says a moment later.
#[test]
fn a_query_file_that_changes_during_a_run_counts_as_it_was_asked() {
    let crm = Crm::new();
    let all = "SELECT workspace_id, plan FROM orgs";
    crm.home.write("orgs.sql", all);
    crm.section("query_file = \"orgs.sql\"", "on = [\"added\", \"changed\", \"removed\"]", "");
    assert_eq!(crm.run(0).0, 3);
    crm.change("b", "pro");
    // Two orgs are not in this extract, and the next reader of the file is told that it has all.
    let refused = crm.run_while_written(SINCE, all);
    says(&refused.expect(2), &["take \"removed\" out"]);
    assert!(crm.destination.take().is_empty());
    // The reverse: all orgs are asked for, and the next reader is told otherwise.
    crm.run_while_written(all, SINCE).expect(0);
    assert_eq!(crm.destination.take_orgs(), ["b"]);
}

/// A clock that stands at the time that a test says.
#[derive(Debug)]
struct Standing(DateTime<Utc>);

impl Clock for Standing {
    fn now(&self) -> DateTime<Utc> {
        self.0
    }

    fn random(&self) -> u128 {
        SystemClock.random()
    }
}

/// The time of a night, counted from the first.
fn night(number: i64) -> DateTime<Utc> {
    "2026-01-02T02:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::days(number)
}

/// Nights of a job whose `{{last_success}}` stays at the first.
impl Crm {
    /// The first night is over. `plan`: the expression that becomes the plan.
    fn after_the_first_night(plan: &str) -> Self {
        let crm = Crm::new();
        crm.job(&SINCE.replace("plan", &format!("{plan} AS plan")), "on_bad_key = \"quarantine\"", "");
        crm.sql("UPDATE orgs SET plan = 1, updated_at = '2026-01-01'");
        let first = crm.night(0);
        assert_eq!((first.counts.acknowledged, standstill(&first)), (3, None));
        crm
    }

    fn night(&self, number: i64) -> RunReport {
        self.with_runner(number, async |runner, job| {
            runner.run(job, How { approved: true, ..How::default() }).await.unwrap()
        })
    }

    /// The same by a schedule: what is recorded of the fire.
    fn scheduled_night(&self, number: i64) -> Option<String> {
        self.with_runner(number, async |runner, job| match Runs::new(runner, 1).run(job).await {
            Ended::Done(said) => said,
            other => panic!("{other:?}"),
        })
    }

    fn with_runner<T>(&self, number: i64, does: impl AsyncFnOnce(Runner, Arc<Job>) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let folder = Folder::new(&self.home.path("")).unwrap();
        runtime.block_on(async {
            let (_go_on, stop) = tokio::sync::watch::channel(false);
            let runner = Runner {
                home: folder.clone(),
                settings: Settings::load(&folder).unwrap(),
                store: Arc::new(SqliteStore::open(&self.home.path("nightmark.db")).await.unwrap()),
                clock: Arc::new(Standing(night(number))),
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
            does(runner, Arc::new(load_job(&folder, "orgs").unwrap())).await
        })
    }

    /// A change on the day before a night.
    fn on_the_day_before(&self, number: i64, org: &str, plan: &str) {
        let at = (night(number) - TimeDelta::hours(6)).format("%F %T");
        self.sql(&format!("UPDATE orgs SET plan = {plan}, updated_at = '{at}' WHERE workspace_id = '{org}'"));
    }

    /// Nights 1 to 4, in all of which `a` changes. What is told in the last of them.
    fn nights_that_change_nothing(&self) -> Standstill {
        for number in 1..=2 {
            self.on_the_day_before(number, "a", &number.to_string());
            assert_eq!(standstill(&self.night(number)), None, "night {number}: it is not long yet");
        }
        self.on_the_day_before(3, "a", "3");
        assert_eq!(standstill(&self.night(3)).unwrap().days, Some(3));
        let last = self.night(4);
        let told = standstill(&last).unwrap();
        assert_eq!(last.planned.unwrap().since().unwrap().last_success, Some(night(0)));
        assert_eq!(told.days, Some(4));
        let show = self.home.run(&["runs", "show", "orgs"]).expect(0);
        says(
            &show,
            &[
                "since {{last_success}} = 2026-01-02T02:00:00Z",
                "has stayed at 2026-01-02T02:00:00Z for 4 days",
                "; what to do: ",
            ],
        );
        told.why.iter().chain(&told.what_to_do).for_each(|part| says(&show, &[part.as_str()]));
        let shown = self.home.run(&["runs", "show", "orgs", "--json"]).expect(0).json();
        assert_eq!(shown["report"]["since"]["standstill"], json!(told), "{shown}");
        told
    }
}

fn standstill(report: &RunReport) -> Option<Standstill> {
    report.planned.as_ref().unwrap().since().unwrap().standstill.clone()
}

#[test]
fn a_time_that_stands_still_for_a_dead_letter_is_told() {
    let crm = Crm::after_the_first_night("plan");
    crm.on_the_day_before(1, "b", "2");
    crm.destination.set("b", 422);
    let told = crm.nights_that_change_nothing();
    assert_eq!(told.why, ["1 change is set aside as dead letters or dropped"]);
    says(&crm.home.run(&["dead-letters", "list", "orgs", "--all"]).expect(0), &["b"]);
    assert!(told.what_to_do[0].starts_with("`nightmark dead-letters list orgs --all`"), "{told:?}");
    // What `run` prints is the same.
    let printed = crm.home.run(&["run", "orgs"]).expect(1);
    says(
        &printed,
        &[
            "note: the extract has orgs that have changed since",
            "note: {{last_success}} has stayed at 2026-01-02T02:00:00Z for",
        ],
    );
    let json = crm.home.run(&["preview", "orgs", "--json"]).expect(0).json();
    assert_eq!(json["since"]["standstill"]["why"], json!(told.why), "{json}");
    // Once the destination has everything, nobody is told.
    crm.destination.clear();
    crm.home.run(&["dead-letters", "retry", "orgs", "b"]).expect(0);
    crm.home.run(&["run", "orgs"]).expect(0);
    let json = crm.home.run(&["run", "orgs", "--json"]).expect(0).json();
    assert_eq!(json["since"]["standstill"], Value::Null, "{json}");
    assert!(json["since"]["last_success"].as_str().unwrap() > "2026-02", "{json}");
    let full = crm.home.run(&["run", "orgs", "--full", "--json"]).expect(0).json();
    assert_eq!(full["since"], json!({ "last_success": null, "standstill": null }), "{full}");
}

#[test]
fn a_time_that_stands_still_for_a_rejected_row_is_told() {
    let crm = Crm::after_the_first_night("plan + 0");
    crm.on_the_day_before(1, "c", "1.5");
    let told = crm.nights_that_change_nothing();
    assert_eq!(told.why.len(), 1, "{told:?}");
    assert!(told.why[0].starts_with("1 row was rejected in the last run, "), "{told:?}");
    assert!(told.what_to_do[0].starts_with("`nightmark preview orgs` names the rows"), "{told:?}");
    says(&crm.home.run(&["preview", "orgs"]).expect(0), &["is rejected", "1.5"]);
    // Nobody reads what a schedule's run prints.
    let fire = crm.scheduled_night(5).unwrap();
    assert!(fire.starts_with("1 rejected; {{last_success}} has stayed at 2026-01-02T02:00:00Z for 5 days"), "{fire}");
}

#[test]
fn a_time_that_stands_still_for_an_org_that_does_not_come_back_is_told() {
    let crm = Crm::after_the_first_night("plan");
    crm.on_the_day_before(1, "b", "2");
    crm.destination.set("b", 422);
    crm.on_the_day_before(1, "a", "9");
    crm.night(1);
    crm.sql("DELETE FROM orgs WHERE workspace_id = 'b'");
    let told = crm.nights_that_change_nothing();
    let waits = "1 change that is not acknowledged waits for its org to be in an extract again (`b`)";
    assert_eq!(told.why, [waits]);
    assert!(told.what_to_do[0].starts_with("`nightmark explain orgs KEY`"), "{told:?}");
    says(&crm.home.run(&["explain", "orgs", "b"]).expect(0), &["only orgs that have changed"]);
}

#[test]
fn the_date_is_that_of_the_jobs_zone() {
    let crm = Crm::new();
    let day = |zone: &str| {
        crm.job("SELECT workspace_id, {{run_date}} AS day FROM orgs LIMIT 1", "", &format!("timezone = \"{zone}\""));
        let preview = crm.home.run(&["preview", "orgs", "--json"]).expect(0).json();
        preview["changes"][0]["body"]["day"].as_str().unwrap_or_else(|| panic!("{preview}")).to_owned()
    };
    // They are 25 hours apart.
    let (east, west) = (day("Pacific/Kiritimati"), day("Pacific/Niue"));
    assert!(east > west, "{east} {west}");
}

#[test]
fn files_have_no_parameters() {
    let home = Home::new();
    home.write("orgs.csv", "workspace_id\na\n");
    home.write(
        "jobs/orgs.toml",
        "version = 1\n[source]\nkind = \"files\"\npath = \"orgs.csv\"\nquery = \"SELECT * FROM extract WHERE a > {{ last_success }}\"\n[diff]\nkey = \
         \"workspace_id\"\n[destination]\nkind = \"http\"\nurl = \"http://127.0.0.1:9/\"\n[payload]\npreset = \"flat\"\n",
    );
    let check: Value = home.run(&["check", "--json"]).expect(2).json();
    assert!(check[0]["problems"].to_string().contains("has no parameters"), "{check}");
}
