//! Queries that ask for `{{last_success}}`: whatever becomes of a run, no change is missing from the next extract.

use crate::support::{Destination, Home, says};
use serde_json::{Value, json};
use std::process::Command;

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
