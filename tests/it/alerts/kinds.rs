//! Each kind of trouble, told once, over restarts, and its end.

use super::{fail, gives_nothing_away, home, job, rows, serve, subjects, told};
use crate::support::{Destination, Home, says};
use chrono::{TimeDelta, Utc};
use nightmark::store::sqlite::SqliteStore;
use nightmark::store::{FireCause, FireRecord, FireState, FireStore, RunRecord, RunState, RunStore};
use serde_json::Value;

/// What a night may leave behind.
struct Night {
    home: Home,
    good: Destination,
    /// Takes nobody's key.
    closed: Destination,
    /// Refuses one org.
    strict: Destination,
}

impl Night {
    fn new() -> Self {
        let (good, closed, strict) = (Destination::start(), Destination::start(), Destination::start());
        closed.set("ws_1", 401);
        strict.set("ws_1", 422);
        Night { home: home(), good, closed, strict }
    }

    fn store(&self, what: impl AsyncFnOnce(&SqliteStore)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = SqliteStore::open(&self.home.path("nightmark.db")).await.unwrap();
            what(&store).await;
            store.close().await;
        });
    }

    /// One job for each kind.
    fn goes_wrong(&self) {
        let home = &self.home;
        fail(home, "failed", &self.good);
        job(home, "held", &self.good, "", "[guard]\nmin_rows = 5");
        rows(home, "held", 2, "free");
        home.run(&["run", "held"]).expect(3);
        job(home, "paused", &self.closed, "", "");
        rows(home, "paused", 1, "free");
        home.run(&["run", "paused"]).expect(1);
        job(home, "refused", &self.strict, "", "dead_letter_after = 1");
        rows(home, "refused", 2, "free");
        home.run(&["run", "refused"]).expect(1);
        job(home, "moving", &self.good, "", "[guard]\nmax_changed = { share = 1.0, floor = 1000 }");
        for plan in ["free", "pro"] {
            rows(home, "moving", 30, plan);
            home.run(&["run", "moving"]).expect(0);
        }
        home.write("jobs/faulty.toml", "version = 1\nnonsense = \"<!channel>\"\n");
        job(home, "late", &self.good, "", "[alerts]\nno_success_for = \"48h\"");
        rows(home, "late", 1, "free");
        job(home, "missed", &self.good, "", "");
        rows(home, "missed", 1, "free");
        self.store(async |store| {
            let before = Utc::now() - TimeDelta::days(3);
            let mut run = RunRecord::new("01LATE", "late", before);
            (run.state, run.finished_at) = (RunState::Finished, Some(before));
            store.put_run(&run, before).await.unwrap();
            store.claim_fire(&fire(FireState::Missed, 2)).await.unwrap();
        });
    }

    fn is_mended(&self) {
        let home = &self.home;
        for name in ["failed", "late"] {
            rows(home, name, 1, "free");
            home.run(&["run", name]).expect(0);
        }
        home.run(&["discard", "held"]).expect(0);
        self.closed.clear();
        home.run(&["retry", "paused"]).expect(0);
        home.run(&["dead-letters", "drop", "refused", "--all"]).expect(0);
        home.run(&["run", "moving"]).expect(0);
        std::fs::remove_file(home.path("jobs/faulty.toml")).unwrap();
        self.store(async |store| assert!(store.claim_fire(&fire(FireState::Done, 1)).await.unwrap()));
    }
}

fn fire(state: FireState, hours_ago: i64) -> FireRecord {
    let at = Utc::now() - TimeDelta::hours(hours_ago);
    FireRecord {
        job: "missed".into(),
        due: at,
        state,
        holder: "here".into(),
        claimed_at: at,
        ended_at: Some(at),
        collapsed: 0,
        cause: FireCause::Schedule,
        origin: None,
        seen: None,
        reason: Some("no daemon was there until it was too late (catch_up)".into()),
    }
}

const KINDS: [(&str, &str); 8] = [
    ("failed", "the run FAILED"),
    ("faulty", "the job file has mistakes"),
    ("held", "the run is HELD"),
    ("late", "nothing has gone through for too long"),
    ("missed", "a run did not take place"),
    ("moving", "a column changes in most orgs"),
    ("paused", "the destination takes nothing"),
    ("refused", "rows are set aside"),
];

/// What each says of what happened, of what was not sent, and of what to type.
const WORDS: [(&str, [&str; 3]); 8] = [
    ("failed", ["failed.csv", "nothing of it was published or sent", "nightmark run failed"]),
    ("faulty", ["nonsense", "the job does not run", "nightmark check faulty"]),
    ("held", ["min_rows", "2 changes wait for a decision", "nightmark approve 0"]),
    ("late", ["more than 48 hours ago", "whatever has changed since then", "nightmark run late"]),
    ("missed", ["no daemon was there", "is sent by the next one", "nightmark run missed"]),
    ("moving", ["most orgs change in `plan_id`", "nothing was left out", "jobs/moving.toml"]),
    ("paused", ["401", "1 changes are pending", "nightmark destinations enable paused"]),
    ("refused", ["1 rows are set aside", "those rows are not sent", "nightmark dead-letters list refused"]),
];

#[test]
fn each_kind_is_told_once_and_so_is_its_end() {
    let (night, chat) = (Night::new(), Destination::start());
    night.goes_wrong();
    let tell = |expected: usize| {
        let served = serve(&night.home, &chat);
        let texts = told(&chat, expected);
        assert_eq!(served.stop(), 0);
        gives_nothing_away(&night.home.log());
        texts
    };
    let texts = tell(KINDS.len());
    let expected: Vec<String> = KINDS.iter().map(|(job, title)| format!("{job}: {title}")).collect();
    assert_eq!(subjects(&texts), expected);
    for (text, (job, words)) in texts.iter().zip(WORDS) {
        let part = |name: &str, end: &str| {
            text.split_once(name).and_then(|(_, rest)| rest.split_once(end)).map(|(part, _)| part.to_owned())
        };
        let happened = part("What happened: ", "\nWhat was not sent: ").unwrap_or_else(|| panic!("{text}"));
        let unsent = part("What was not sent: ", "\nWhat to do:\n").unwrap_or_else(|| panic!("{text}"));
        let todo = text.split_once("What to do:\n").unwrap().1;
        for (said, word) in [happened, unsent, todo.to_owned()].iter().zip(words) {
            assert!(said.contains(word), "{job}: `{word}`\n{text}");
        }
        // Nobody is called by what a file says.
        assert!(!text.contains('<'), "{text}");
    }
    listed(&night.home);
    // A restart repeats nothing: the sign that it has looked is all that is told.
    fail(&night.home, "sign", &night.good);
    assert_eq!(subjects(&tell(1)), ["sign: the run FAILED"]);
    night.is_mended();
    let expected: Vec<String> = KINDS.iter().map(|(job, title)| format!("{job}: right again ({title})")).collect();
    assert_eq!(subjects(&tell(KINDS.len())), expected);
    fail(&night.home, "signal", &night.good);
    assert_eq!(subjects(&tell(1)), ["signal: the run FAILED"]);
}

/// `alerts list` says the same, and who was told.
fn listed(home: &Home) {
    let all = home.run(&["alerts", "list", "--json"]).expect(0).json();
    let all: Vec<&Value> = all.as_array().unwrap().iter().collect();
    assert_eq!(all.len(), KINDS.len(), "{all:?}");
    for alert in all {
        assert!(alert["told"] == serde_json::json!(["webhook"]) && alert["since"].is_string(), "{alert}");
        assert!(
            !alert["todo"].as_array().unwrap().is_empty() && !alert["unsent"].as_str().unwrap().is_empty(),
            "{alert}"
        );
    }
    let text = home.run(&["alerts", "list"]).expect(0);
    says(&text, &["held: the run is HELD", "nightmark approve", "told by webhook"]);
    gives_nothing_away(&text.stdout);
}

#[test]
fn a_home_where_all_is_well_says_so() {
    let (home, destination) = (home(), Destination::start());
    job(&home, "orgs", &destination, "", "");
    rows(&home, "orgs", 1, "free");
    home.run(&["run", "orgs"]).expect(0);
    says(&home.run(&["alerts", "list"]).expect(0), &["nothing is wrong"]);
}
