//! Over a real SQLite file, on a clock that the test moves. Nobody sleeps.

use super::*;
use crate::job;
use crate::receipt::{Failure, FailureKind, Outcome, Receipt};
use crate::store::AlertStore as _;
use crate::store::sqlite::SqliteStore;
use crate::store::{
    DestinationRecord, DestinationState, FireCause, FireRecord, FireStore as _, RefusalStore as _, RunRecord, RunState,
    RunStore as _,
};
use async_trait::async_trait;
use chrono::TimeDelta;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

#[derive(Debug)]
struct Moved(Mutex<DateTime<Utc>>);

impl Clock for Moved {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }

    fn random(&self) -> u128 {
        4
    }
}

/// A channel that keeps what it is told, and may refuse.
#[derive(Default)]
struct Heard {
    subjects: Mutex<Vec<String>>,
    is_deaf: Mutex<bool>,
}

#[async_trait]
impl Channel for Arc<Heard> {
    fn name(&self) -> &'static str {
        "test"
    }

    async fn send(&self, message: &Message) -> Result<(), String> {
        if *self.is_deaf.lock().unwrap() {
            return Err("deaf".to_owned());
        }
        self.subjects.lock().unwrap().push(message.subject.replace("[nightmark] ", ""));
        Ok(())
    }
}

impl Heard {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.subjects.lock().unwrap())
    }
}

struct Place {
    _dir: tempfile::TempDir,
    store: Arc<SqliteStore>,
    clock: Arc<Moved>,
    heard: Arc<Heard>,
}

fn orgs() -> Job {
    let text = "version = 1\nschedule = \"30 2 * * *\"\n[source]\nkind = \"files\"\npath = \"orgs.csv\"\n[diff]\nkey = \"id\"\n[destination]\n\
                kind = \"http\"\nurl = \"http://127.0.0.1:9/\"\ndead_letter_after = 1\n[payload]\npreset = \"flat\"\n";
    job::parse(text, Path::new("orgs.toml"), Path::new("/home")).unwrap_or_else(|p| panic!("{p:?}"))
}

impl Place {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(&dir.path().join("nightmark.db")).await.unwrap());
        let clock = Arc::new(Moved(Mutex::new("2026-06-15T00:00:00Z".parse().unwrap())));
        Place { _dir: dir, store, clock, heard: Arc::default() }
    }

    /// A daemon that begins to watch now.
    fn watch(&self, problems: &'static [&'static str]) -> Watch {
        let jobs = move || {
            let problem = |message: &&str| Problem {
                file: PathBuf::from("jobs/bad.toml"),
                line: 3,
                column: 1,
                path: "diff".to_owned(),
                message: (*message).to_owned(),
                hint: None,
            };
            let problems: Vec<Problem> = problems.iter().map(problem).collect();
            Jobs::new(vec![orgs()], &problems)
        };
        self.watch_over(jobs)
    }

    fn watch_over(&self, jobs: impl Fn() -> Jobs + Send + Sync + 'static) -> Watch {
        let channels: Vec<Box<dyn Channel>> = vec![Box::new(Arc::clone(&self.heard))];
        let day = Some(Duration::from_secs(26 * 3600));
        // Each night at half past two.
        let next = |_: &Job, after: DateTime<Utc>| {
            let due =
                |days| (after.date_naive() + TimeDelta::days(days)).and_hms_opt(2, 30, 0).map(|due| due.and_utc());
            [0, 1].into_iter().filter_map(due).find(|due| *due > after)
        };
        Watch::new(Arc::clone(&self.store) as _, Arc::clone(&self.clock) as _, channels, Arc::new(jobs))
            .with_limit(day, Arc::new(next))
    }

    /// A channel that has failed is asked again.
    fn rested(&self) {
        *self.clock.0.lock().unwrap() += TimeDelta::minutes(10);
    }

    async fn told(&self, watch: &Watch) -> Vec<String> {
        watch.look(&watch::channel(false).1).await.unwrap();
        self.heard.take()
    }

    fn later(&self, hours: i64) -> DateTime<Utc> {
        let mut now = self.clock.0.lock().unwrap();
        *now += TimeDelta::hours(hours);
        *now
    }

    async fn run(&self, id: &str, state: RunState, report: Option<serde_json::Value>) {
        let at = self.clock.now();
        let mut run = RunRecord { state, finished_at: Some(at), report, ..RunRecord::new(id, "orgs", at) };
        run.reason = (state != RunState::Finished).then(|| "no disk".to_owned());
        // It waits for a decision about these; one that is held for its schema has none.
        run.counts.pending = u64::from(state == RunState::Held);
        self.store.put_run(&run, at).await.unwrap();
    }
}

#[tokio::test]
async fn a_failed_run_is_told_once_and_its_end_too() {
    let place = Place::new().await;
    let watch = place.watch(&[]);
    assert!(place.told(&watch).await.is_empty());
    place.run("01A", RunState::Failed, None).await;
    assert_eq!(place.told(&watch).await, ["orgs: the run FAILED"]);
    // The next night as well: it is known. Also to the next daemon.
    place.later(1);
    place.run("01B", RunState::Failed, None).await;
    let watch = place.watch(&[]);
    assert!(place.told(&watch).await.is_empty());
    // A run that is on says nothing yet.
    place.later(1);
    let on = RunRecord::new("01C", "orgs", place.clock.now());
    place.store.put_run(&on, place.clock.now()).await.unwrap();
    assert!(place.told(&watch).await.is_empty());
    place.run("01C", RunState::Finished, None).await;
    assert_eq!(place.told(&watch).await, ["orgs: right again (the run FAILED)"]);
    assert!(place.told(&watch).await.is_empty());
    assert!(place.store.alerts().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_did_not_get_through_is_told_later() {
    let place = Place::new().await;
    let watch = place.watch(&[]);
    *place.heard.is_deaf.lock().unwrap() = true;
    place.run("01A", RunState::Failed, None).await;
    assert!(place.told(&watch).await.is_empty());
    *place.heard.is_deaf.lock().unwrap() = false;
    // It is left alone for a moment.
    assert!(place.told(&watch).await.is_empty());
    place.rested();
    assert_eq!(place.told(&watch).await, ["orgs: the run FAILED"]);
    *place.heard.is_deaf.lock().unwrap() = true;
    place.later(1);
    place.run("01B", RunState::Finished, None).await;
    assert!(place.told(&watch).await.is_empty());
    *place.heard.is_deaf.lock().unwrap() = false;
    place.rested();
    assert_eq!(place.told(&watch).await, ["orgs: right again (the run FAILED)"]);
    // What nobody has heard of need not end for anybody.
    *place.heard.is_deaf.lock().unwrap() = true;
    place.later(1);
    place.run("01C", RunState::Failed, None).await;
    assert!(place.told(&watch).await.is_empty());
    place.later(1);
    place.run("01D", RunState::Finished, None).await;
    *place.heard.is_deaf.lock().unwrap() = false;
    place.rested();
    assert!(place.told(&watch).await.is_empty());
    assert!(place.store.alerts().await.unwrap().is_empty());
}

#[tokio::test]
async fn each_held_run_waits_for_a_decision_of_its_own() {
    let place = Place::new().await;
    let watch = place.watch(&[]);
    for id in ["01A", "01B"] {
        place.later(1);
        if id == "01B" {
            place.run("01A", RunState::Superseded, None).await;
        }
        place.run(id, RunState::Held, None).await;
        assert_eq!(place.told(&watch).await, ["orgs: the run is HELD"]);
        assert!(place.told(&watch).await.is_empty());
    }
    place.run("01B", RunState::Discarded, None).await;
    assert_eq!(place.told(&watch).await, ["orgs: right again (the run is HELD)"]);
}

#[tokio::test]
async fn silence_is_told_after_its_time() {
    let place = Place::new().await;
    let watch = place.watch(&[]);
    place.later(26);
    assert!(place.told(&watch).await.is_empty());
    place.later(1);
    assert_eq!(place.told(&watch).await, ["orgs: nothing has gone through for too long"]);
    place.run("01A", RunState::Finished, None).await;
    assert_eq!(place.told(&watch).await, ["orgs: right again (nothing has gone through for too long)"]);
    place.later(25);
    assert!(place.told(&watch).await.is_empty());
    place.later(2);
    assert_eq!(place.told(&watch).await, ["orgs: nothing has gone through for too long"]);
    // A daemon that was away for a week says so at once.
    place.store.forget_alert("orgs", "stale").await.unwrap();
    place.later(24 * 7);
    assert_eq!(place.told(&place.watch(&[])).await, ["orgs: nothing has gone through for too long"]);
}

#[tokio::test]
async fn the_destination_dead_letters_volatile_columns_missed_fires_and_broken_files_are_told() {
    let place = Place::new().await;
    let watch = place.watch(&[]);
    let at = place.clock.now();
    let record = DestinationRecord {
        job: "orgs".into(),
        address: "http://127.0.0.1:9/".into(),
        state: DestinationState::Paused,
        reason: "HTTP 401".into(),
        remedy: "another key".into(),
        since: at,
        run: "01A".into(),
        paused_until: None,
    };
    place.store.put_destination(&record).await.unwrap();
    assert_eq!(place.told(&watch).await, ["orgs: the destination takes nothing"]);
    place.store.clear_destination("orgs").await.unwrap();
    assert_eq!(place.told(&watch).await, ["orgs: right again (the destination takes nothing)"]);

    let volatile = serde_json::json!({ "volatile": ["updated_at"] });
    place.run("01A", RunState::Finished, Some(volatile)).await;
    assert_eq!(place.told(&watch).await, ["orgs: a column changes in most orgs"]);
    place.later(1);
    place.run("01B", RunState::Finished, Some(serde_json::json!({ "volatile": [] }))).await;
    assert_eq!(place.told(&watch).await, ["orgs: right again (a column changes in most orgs)"]);

    let fire = FireRecord {
        cause: FireCause::Schedule,
        origin: None,
        seen: None,
        job: "orgs".into(),
        due: at,
        state: FireState::Missed,
        holder: "here".into(),
        claimed_at: at,
        ended_at: Some(at),
        collapsed: 0,
        reason: Some("no daemon".into()),
    };
    place.store.claim_fire(&fire).await.unwrap();
    assert_eq!(place.told(&watch).await, ["orgs: a run did not take place"]);
    let later = place.later(1);
    place.store.claim_fire(&FireRecord { due: later, state: FireState::Done, ..fire }).await.unwrap();
    assert_eq!(place.told(&watch).await, ["orgs: right again (a run did not take place)"]);

    let broken = place.watch(&["unknown field"]);
    assert_eq!(place.told(&broken).await, ["bad: the job file has mistakes"]);
    assert_eq!(place.told(&place.watch(&[])).await, ["bad: right again (the job file has mistakes)"]);
}

#[tokio::test]
async fn rows_that_are_set_aside_are_told() {
    let place = Place::new().await;
    let watch = place.watch(&[]);
    place.run("01A", RunState::Finished, None).await;
    let failure = Failure { kind: FailureKind::Refused, key: "ws_1".into(), webhook_id: "nm_1".into() };
    let at = place.clock.now();
    let (outcome, failure) = (Outcome::Refused, Some(failure));
    let receipt = Receipt { seq: 0, outcome, status: Some(422), attempts: 1, detail: None, at, failure };
    place.store.commit("01A", std::slice::from_ref(&(0..1)), &[receipt]).await.unwrap();
    assert_eq!(place.told(&watch).await, ["orgs: rows are set aside"]);
    let ids = place.store.refusals(Some("orgs")).await.unwrap().into_iter().map(|r| r.webhook_id).collect::<Vec<_>>();
    place.store.change_refusals("orgs", &ids, crate::store::RefusalChange::Drop).await.unwrap();
    assert_eq!(place.told(&watch).await, ["orgs: right again (rows are set aside)"]);
}

#[tokio::test]
async fn nothing_ends_because_a_file_cannot_be_read_but_where_the_job_is_gone() {
    let place = Place::new().await;
    place.run("01A", RunState::Failed, None).await;
    assert_eq!(place.told(&place.watch(&[])).await, ["orgs: the run FAILED"]);
    let broken = Problem {
        file: PathBuf::from("jobs/orgs.toml"),
        line: 3,
        column: 1,
        path: "diff".to_owned(),
        message: "unknown field".to_owned(),
        hint: None,
    };
    let faulty = place.watch_over(move || Jobs::new(Vec::new(), std::slice::from_ref(&broken)));
    assert_eq!(place.told(&faulty).await, ["orgs: the job file has mistakes"]);
    assert_eq!(place.told(&place.watch(&[])).await, ["orgs: right again (the job file has mistakes)"]);
    assert_eq!(place.told(&place.watch_over(Jobs::default)).await, ["orgs: the job is gone (the run FAILED)"]);
    assert!(place.store.alerts().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_daemon_that_stops_tells_nothing_more() {
    let place = Place::new().await;
    place.run("01A", RunState::Failed, None).await;
    place.watch(&[]).look(&watch::channel(true).1).await.unwrap();
    assert!(place.heard.take().is_empty() && place.store.alerts().await.unwrap().is_empty());
    assert_eq!(place.told(&place.watch(&[])).await, ["orgs: the run FAILED"]);
}

#[tokio::test]
async fn of_several_daemons_one_tells_and_the_next_goes_on_where_it_was() {
    let place = Place::new().await;
    place.run("01A", RunState::Failed, None).await;
    let mine = || Some(Turn::alone(Arc::clone(&place.store) as _));
    let turns = [watch::Sender::new(mine()), watch::Sender::new(None)];
    let of = |at: usize| place.watch(&[]).at("fleet nightly".into()).in_turn(turns[at].subscribe());
    let (one, other) = (of(0), of(1));
    assert!(place.told(&other).await.is_empty() && place.store.alerts().await.unwrap().is_empty());
    assert_eq!(place.told(&one).await, ["orgs: the run FAILED"]);
    // Nobody's turn, and then the other's: what was told is not told again.
    turns[0].send_replace(None);
    place.later(1);
    place.run("01B", RunState::Held, None).await;
    assert!(place.told(&one).await.is_empty() && place.told(&other).await.is_empty());
    assert_eq!(place.store.alerts().await.unwrap().len(), 1);
    turns[1].send_replace(mine());
    let told = ["orgs: right again (the run FAILED)", "orgs: the run is HELD"];
    assert_eq!(place.told(&other).await, told);
    assert!(place.told(&one).await.is_empty() && place.told(&other).await.is_empty());
}

#[tokio::test]
async fn whoever_takes_over_looks_without_being_asked() {
    let place = Place::new().await;
    place.run("01A", RunState::Failed, None).await;
    let turn = watch::Sender::new(None);
    let (stop, stopping) = watch::channel(false);
    let watching = tokio::spawn(place.watch(&[]).in_turn(turn.subscribe()).run(stopping));
    turn.send_replace(Some(Turn::alone(Arc::clone(&place.store) as _)));
    // The bound is there only so that a broken build ends.
    let mut heard = Vec::new();
    for _ in 0..9000 {
        heard = place.heard.take();
        if !heard.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(heard, ["orgs: the run FAILED"]);
    // Nor does it go on for ever once nobody has turns to give.
    drop(turn);
    stop.send_replace(true);
    watching.await.unwrap();
}

#[tokio::test]
async fn a_daemon_that_does_not_know_a_job_ends_nothing_of_it() {
    let place = Place::new().await;
    place.run("01A", RunState::Failed, None).await;
    let one = place.watch(&["unknown field"]).at("one".into());
    assert_eq!(place.told(&one).await, ["bad: the job file has mistakes", "orgs: the run FAILED"]);
    // A receiver over the same store, without jobs.
    let other = place.watch_over(Jobs::default).at("other".into());
    assert!(place.told(&other).await.is_empty());
    assert_eq!(place.store.alerts().await.unwrap().len(), 2);
    // Whoever knows the job may say that it is right again.
    place.later(1);
    place.run("01B", RunState::Finished, None).await;
    assert_eq!(place.told(&place.watch(&[]).at("other".into())).await, ["orgs: right again (the run FAILED)"]);
    assert_eq!(place.told(&place.watch(&[]).at("one".into())).await, ["bad: right again (the job file has mistakes)"]);
}
