//! Years of nights on a clock that the test moves, over a real SQLite file: daemons that end in the middle of a run, that are away for days, whose
//! runs fail. Nobody sleeps.

use super::*;
use crate::daemon::{due, fires};
use crate::job;
use crate::store::sqlite::SqliteStore;
use crate::store::{FireCause, FireState};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;

mod metrics;

/// A clock that stands until it is moved.
#[derive(Debug)]
struct Moved(Mutex<DateTime<Utc>>);

impl Moved {
    fn to(&self, at: DateTime<Utc>) {
        let mut now = self.0.lock().unwrap();
        *now = at.max(*now);
    }
}

impl Clock for Moved {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }

    fn random(&self) -> u128 {
        4
    }
}

/// Notes which runs begin, and ends them as it is told.
#[derive(Default)]
struct Told {
    begun: Mutex<Vec<String>>,
    /// How the next runs end, the last first; then in order.
    ends: Mutex<Vec<Ended>>,
    /// What a look finds: a name that stands for the extract.
    extract: Mutex<Option<&'static str>>,
}

#[async_trait]
impl Work for Told {
    async fn run(&self, job: Arc<Job>) -> Ended {
        self.begun.lock().unwrap().push(job.name.clone());
        let end = self.ends.lock().unwrap().pop();
        match end {
            // It goes on until the test lets go of it.
            Some(Ended::Busy(what)) if what == "for ever" => std::future::pending().await,
            Some(Ended::Failed(what)) if what == "panic" => panic!("{what}"),
            Some(end) => end,
            None => Ended::Done(None),
        }
    }

    async fn look(&self, _: Arc<Job>) -> Result<Extract, String> {
        let extract = *self.extract.lock().unwrap();
        let name = extract.ok_or_else(|| "there is no file".to_owned())?.to_owned();
        Ok(Extract { identity: name.clone(), files: vec![name] })
    }
}

impl Told {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.begun.lock().unwrap())
    }

    fn then(&self, ends: &[Ended]) {
        *self.ends.lock().unwrap() = ends.iter().rev().cloned().collect();
    }
}

struct Place {
    _dir: tempfile::TempDir,
    store: Arc<SqliteStore>,
    clock: Arc<Moved>,
    work: Arc<Told>,
    jobs: Vec<Job>,
}

fn seat(holder: &str) -> Seat {
    Seat { holder: holder.to_owned(), is_shared: false }
}

fn at(text: &str) -> DateTime<Utc> {
    format!("2026-{text}Z").parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// `more`: what the job's file says before its sections.
fn job(name: &str, more: &str) -> Job {
    let text = format!(
        "version = 1\n{more}\n[source]\nkind = \"files\"\npath = \"orgs.csv\"\n[diff]\nkey = \"id\"\n[destination]\nkind = \"http\"\n\
         url = \"http://127.0.0.1:9/\"\n[payload]\npreset = \"flat\"\n"
    );
    job::parse(&text, Path::new(&format!("{name}.toml")), Path::new("/home")).unwrap_or_else(|p| panic!("{p:?}"))
}

impl Place {
    async fn new(start: &str, jobs: &[(&str, &str)]) -> Place {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(&dir.path().join("nightmark.db")).await.unwrap());
        let clock = Arc::new(Moved(Mutex::new(at(start))));
        let jobs = jobs.iter().map(|(name, more)| job(name, more)).collect();
        Place { _dir: dir, store, clock, work: Arc::new(Told::default()), jobs }
    }

    async fn daemon(&self) -> Scheduler {
        let (store, clock, work) =
            (Arc::clone(&self.store) as _, Arc::clone(&self.clock) as _, Arc::clone(&self.work) as _);
        Scheduler::new(self.jobs.iter().cloned().map(Arc::new).collect(), store, clock, work, seat("here"))
            .await
            .unwrap()
    }

    /// Goes to this time as the daemon would, from one thing to do to the next. Returns which runs began.
    async fn until(&self, daemon: &mut Scheduler, text: &str) -> Vec<String> {
        let end = at(text);
        loop {
            let next = daemon.tick().await.unwrap();
            tokio::task::yield_now().await;
            while !daemon.running.is_empty() && self.work.ends.lock().unwrap().is_empty() && daemon.wait().await {}
            let next = if daemon.unwritten.is_empty() { next } else { Some(self.clock.now()) };
            match next.filter(|next| *next <= end) {
                Some(next) => self.clock.to(next),
                None => break,
            }
        }
        self.clock.to(end);
        daemon.tick().await.unwrap();
        self.work.take()
    }

    /// Every fire of a job: when it was due, what became of it, and how many it stands for; the first first.
    async fn fires(&self, job: &str) -> Vec<(String, FireState, u64)> {
        let fires = self.store.fires(Some(job), 1000).await.unwrap();
        let shown = |fire: FireRecord| (fire.due.format("%m-%dT%H:%M:%S").to_string(), fire.state, fire.collapsed);
        fires.into_iter().rev().map(shown).collect()
    }
}

fn fire(due: &str, state: FireState, collapsed: u64) -> (String, FireState, u64) {
    (due.to_owned(), state, collapsed)
}

const NIGHTLY: &str = "schedule = \"30 2 * * *\"";

#[tokio::test]
async fn each_fire_runs_once_and_what_was_missed_is_caught_up_with_once() {
    let place = Place::new("06-15T00:00:00", &[("orgs", NIGHTLY)]).await;
    let mut daemon = place.daemon().await;
    assert_eq!(place.until(&mut daemon, "06-15T02:29:59").await, Vec::<String>::new());
    assert_eq!(place.until(&mut daemon, "06-17T03:00:00").await, ["orgs"; 3]);
    // Another daemon does nothing again.
    let mut daemon = place.daemon().await;
    assert_eq!(place.until(&mut daemon, "06-17T23:00:00").await, Vec::<String>::new());
    // Away for two nights, and back in time; then away until it is too late.
    drop(daemon);
    place.clock.to(at("06-19T08:00:00"));
    let mut daemon = place.daemon().await;
    assert_eq!(place.until(&mut daemon, "06-19T09:00:00").await, ["orgs"]);
    drop(daemon);
    place.clock.to(at("06-21T12:00:00"));
    let mut daemon = place.daemon().await;
    assert_eq!(place.until(&mut daemon, "06-22T02:30:00").await, ["orgs"]);
    use FireState::{Done, Missed};
    let expected = [
        fire("06-15T02:30:00", Done, 0),
        fire("06-16T02:30:00", Done, 0),
        fire("06-17T02:30:00", Done, 0),
        fire("06-19T02:30:00", Done, 1),
        fire("06-21T02:30:00", Missed, 1),
        fire("06-22T02:30:00", Done, 0),
    ];
    assert_eq!(place.until(&mut daemon, "06-22T03:00:00").await, Vec::<String>::new());
    assert_eq!(place.fires("orgs").await, expected);
}

#[tokio::test]
async fn a_schedule_that_was_changed_owes_nothing_for_the_time_before() {
    let mut place = Place::new("06-15T00:00:00", &[("orgs", NIGHTLY)]).await;
    let mut daemon = place.daemon().await;
    assert_eq!(place.until(&mut daemon, "06-15T03:00:00").await, ["orgs"]);
    place.jobs = vec![job("orgs", "schedule = \"0 1 * * *\"")];
    let mut daemon = place.daemon().await;
    assert_eq!(place.until(&mut daemon, "06-15T04:00:00").await, Vec::<String>::new());
    assert_eq!(place.until(&mut daemon, "06-16T01:00:00").await, ["orgs"]);
}

#[tokio::test]
async fn how_a_run_has_ended_is_kept() {
    let place = Place::new("06-15T00:00:00", &[("orgs", NIGHTLY)]).await;
    let mut daemon = place.daemon().await;
    use FireState::{Done, Failed, Held, Skipped};
    for (end, state, reason) in [
        (Ended::Done(Some("3 refused".into())), Done, Some("3 refused")),
        (Ended::Held("too many".into()), Held, Some("too many")),
        (Ended::Failed("no disk".into()), Failed, Some("no disk")),
        (Ended::Failed("panic".into()), Failed, Some("the run panicked: this is a bug of nightmark")),
        (Ended::Busy("process 7".into()), Skipped, Some("another process ran the job: process 7")),
    ] {
        place.work.then(&[end]);
        place.clock.to(fires::next(&daemon.jobs["orgs"].schedule, place.clock.now()).unwrap());
        daemon.tick().await.unwrap();
        assert!(daemon.wait().await);
        daemon.tick().await.unwrap();
        let fire = place.store.fires(Some("orgs"), 1).await.unwrap().remove(0);
        assert_eq!((fire.state, fire.reason.as_deref()), (state, reason));
        assert_eq!(fire.ended_at, Some(place.clock.now()));
    }
}

/// A plan that nobody waits for any more has the job until it has ended: the turn was lost while it was made, and is back.
#[tokio::test]
async fn what_this_very_process_holds_up_is_begun_once_it_lets_go() {
    let place = Place::new("06-15T00:00:00", &[("orgs", NIGHTLY)]).await;
    let mut daemon = place.daemon().await;
    let ours = format!("process {}, run 01ARZ3NDEKTSV4RRFFQ69G5FAV", std::process::id());
    place.work.then(&[Ended::Busy(ours.clone()), Ended::Busy(ours), Ended::Done(None)]);
    for (now, state) in [("00", FireState::Running), ("20", FireState::Running), ("40", FireState::Done)] {
        place.clock.to(at(&format!("06-15T02:30:{now}")));
        daemon.tick().await.unwrap();
        assert!(daemon.wait().await, "{now}: it is tried again");
        daemon.tick().await.unwrap();
        assert_eq!(place.fires("orgs").await, [fire("06-15T02:30:00", state, 0)]);
    }
}

#[tokio::test]
async fn a_run_that_is_still_on_is_waited_for_or_left_alone() {
    for (overlap, expected) in [
        ("skip", vec![fire("06-15T02:30:00", FireState::Running, 0), fire("06-15T02:35:00", FireState::Skipped, 0)]),
        ("queue", vec![fire("06-15T02:30:00", FireState::Running, 0)]),
    ] {
        let more = format!("schedule = \"30,35 2 * * *\"\noverlap = \"{overlap}\"");
        let place = Place::new("06-15T00:00:00", &[("orgs", &more)]).await;
        let mut daemon = place.daemon().await;
        place.work.then(&[Ended::Busy("for ever".into()), Ended::Done(None)]);
        place.clock.to(at("06-15T02:30:00"));
        daemon.tick().await.unwrap();
        place.clock.to(at("06-15T02:36:00"));
        daemon.tick().await.unwrap();
        assert_eq!(place.fires("orgs").await, expected, "{overlap}");
    }
    // What waits runs when the one before has ended, whatever the time; of several, one.
    let place = Place::new("06-15T00:00:00", &[("orgs", "schedule = \"* 2 * * *\"\noverlap = \"queue\"")]).await;
    let mut daemon = place.daemon().await;
    place.clock.to(at("06-15T02:00:00"));
    daemon.tick().await.unwrap();
    place.clock.to(at("06-15T02:10:00"));
    daemon.tick().await.unwrap();
    assert!(daemon.wait().await);
    daemon.tick().await.unwrap();
    assert!(daemon.wait().await);
    daemon.tick().await.unwrap();
    let expected = [fire("06-15T02:00:00", FireState::Done, 0), fire("06-15T02:10:00", FireState::Done, 9)];
    assert_eq!(place.fires("orgs").await, expected);
}

#[tokio::test]
async fn a_run_that_was_cut_off_is_begun_anew_by_the_next_daemon() {
    let place = Place::new("06-15T00:00:00", &[("orgs", NIGHTLY)]).await;
    for (end, back) in [(Ended::Stopped, "06-15T02:31:00"), (Ended::Busy("for ever".into()), "06-16T20:00:00")] {
        let mut daemon = place.daemon().await;
        place.work.then(&[end]);
        place.clock.to(fires::next(&daemon.jobs["orgs"].schedule, place.clock.now()).unwrap());
        daemon.tick().await.unwrap();
        tokio::task::yield_now().await;
        drop(daemon);
        assert_eq!(place.work.take(), ["orgs"]);
        assert_eq!(place.fires("orgs").await.last().unwrap().1, FireState::Running);
        place.clock.to(at(back));
        let mut daemon = place.daemon().await;
        // Begun anew, whenever that is; and once.
        assert_eq!(place.until(&mut daemon, back).await, ["orgs"]);
        assert_eq!(place.fires("orgs").await.last().unwrap().1, FireState::Done);
        let mut daemon = place.daemon().await;
        assert_eq!(place.until(&mut daemon, back).await, Vec::<String>::new());
    }
    // Somebody else's is theirs.
    let mut daemon = place.daemon().await;
    place.work.then(&[Ended::Stopped]);
    place.clock.to(at("06-17T02:30:00"));
    daemon.tick().await.unwrap();
    daemon.wait().await;
    drop(daemon);
    let (store, clock, work) =
        (Arc::clone(&place.store) as _, Arc::clone(&place.clock) as _, Arc::clone(&place.work) as _);
    place.work.take();
    let mut other =
        Scheduler::new(place.jobs.iter().cloned().map(Arc::new).collect(), store, clock, work, seat("elsewhere"))
            .await
            .unwrap();
    assert_eq!(place.until(&mut other, "06-17T03:00:00").await, Vec::<String>::new());
    // A later fire takes over what was cut off.
    place.clock.to(at("06-18T02:31:00"));
    let mut daemon = place.daemon().await;
    assert_eq!(place.until(&mut daemon, "06-18T02:32:00").await, ["orgs"]);
    let fires = place.fires("orgs").await;
    assert_eq!(
        fires[fires.len() - 2..],
        [fire("06-17T02:30:00", FireState::Failed, 0), fire("06-18T02:30:00", FireState::Done, 0)]
    );
}

#[tokio::test]
async fn a_job_waits_for_those_it_depends_on() {
    let after = "schedule = \"0 3 * * *\"\ndepends_on = [\"orgs\"]\ncatch_up = \"2h\"";
    let place = Place::new("06-15T00:00:00", &[("orgs", NIGHTLY), ("teams", after)]).await;
    let mut daemon = place.daemon().await;
    assert_eq!(place.until(&mut daemon, "06-15T04:00:00").await, ["orgs", "teams"]);
    // It fails, so that the other does not run, and says why.
    place.work.then(&[Ended::Failed("no disk".into())]);
    place.clock.to(at("06-16T02:30:00"));
    daemon.tick().await.unwrap();
    daemon.wait().await;
    assert_eq!(place.work.take(), ["orgs"]);
    assert_eq!(place.until(&mut daemon, "06-16T06:00:00").await, Vec::<String>::new());
    let skipped = place.store.fires(Some("teams"), 1).await.unwrap().remove(0);
    assert_eq!(skipped.state, FireState::Skipped);
    assert!(
        skipped
            .reason
            .unwrap()
            .contains("it depends on job `orgs`, whose fire of 2026-06-16 02:30:00 UTC was not done")
    );
    // Late, it is waited for.
    drop(daemon);
    place.clock.to(at("06-17T04:00:00"));
    let mut daemon = place.daemon().await;
    assert_eq!(place.until(&mut daemon, "06-17T04:30:00").await, ["orgs", "teams"]);
    // One that is not there is never done.
    let lonely = Place::new("06-15T00:00:00", &[("teams", "schedule = \"0 3 * * *\"\ndepends_on = [\"gone\"]")]).await;
    let mut daemon = lonely.daemon().await;
    assert_eq!(lonely.until(&mut daemon, "06-15T12:00:00").await, Vec::<String>::new());
    let reason = lonely.store.fires(Some("teams"), 1).await.unwrap().remove(0).reason.unwrap();
    assert!(reason.contains("`gone`, which is not there"), "{reason}");
}

/// Three jobs over a year, and another and another, with restarts at any time, runs that are cut off, and days without a daemon.
#[tokio::test]
async fn years_without_a_fire_too_much_or_too_few() {
    for _ in 0..3 {
        let seed = rand::rng().random();
        println!("seed {seed}");
        a_year(StdRng::seed_from_u64(seed)).await;
    }
}

async fn a_year(mut rng: StdRng) {
    let jobs = [
        ("nightly", "schedule = \"30 2 * * *\"\ntimezone = \"America/New_York\""),
        ("often", "schedule = \"0 */6 * * *\"\ntimezone = \"Europe/Berlin\"\ncatch_up = \"1h\"\njitter = \"10m\""),
        (
            "weekly",
            "schedule = \"15 1 * * SUN\"\ntimezone = \"Australia/Lord_Howe\"\ncatch_up = \"24h\"\nblackout = [\"Sun 00:00-02:00\"]",
        ),
    ];
    let place = Place::new("01-01T00:00:00", &jobs).await;
    // What is older than 400 days is forgotten.
    let end = place.clock.now() + TimeDelta::days(390);
    let (mut restarts, mut away) = (0, Vec::new());
    while place.clock.now() < end {
        let mut daemon = place.daemon().await;
        let stops = (place.clock.now() + TimeDelta::minutes(rng.random_range(1..60 * 24 * 12))).min(end);
        loop {
            // Now and then a run is cut off by the end of its daemon.
            let is_cut_off = rng.random_range(0..40) == 0;
            if is_cut_off {
                place.work.then(&[Ended::Stopped]);
            }
            let next = daemon.tick().await.unwrap();
            while daemon.wait().await {}
            if is_cut_off && place.work.ends.lock().unwrap().is_empty() {
                break;
            }
            place.work.then(&[]);
            let next = if daemon.unwritten.is_empty() { next } else { Some(place.clock.now()) };
            match next.filter(|next| *next <= stops) {
                Some(next) => place.clock.to(next),
                None => {
                    place.clock.to(stops);
                    break;
                }
            }
        }
        drop(daemon);
        restarts += 1;
        if rng.random_range(0..4) == 0 {
            let from = place.clock.now();
            place.clock.to(from + TimeDelta::minutes(rng.random_range(1..60 * 72)));
            away.push((from, place.clock.now()));
        }
    }
    place.work.then(&[]);
    let mut daemon = place.daemon().await;
    while daemon.tick().await.is_ok() && daemon.wait().await {}
    daemon.tick().await.unwrap();
    let (since, until) = (at("01-01T00:00:00"), place.clock.now());
    for job in &place.jobs {
        check_all(&place, job, since, until, &away).await;
    }
    assert!(restarts > 20, "{restarts}");
}

/// Every fire of the schedule is recorded, or stands in the count of the next one that is; only those that were due while nobody was there for longer
/// than `catch_up` are missed.
async fn check_all(
    place: &Place,
    job: &Job,
    since: DateTime<Utc>,
    until: DateTime<Utc>,
    away: &[(DateTime<Utc>, DateTime<Utc>)],
) {
    let schedule = job.schedule.as_ref().unwrap();
    let due: Vec<DateTime<Utc>> = fires::upcoming(schedule, since).take_while(|at| *at <= until).collect();
    let mut recorded = place.store.fires(Some(&job.name), 100_000).await.unwrap();
    recorded.reverse();
    let mut at = 0;
    for fire in &recorded {
        at += usize::try_from(fire.collapsed).unwrap();
        assert_eq!(due[at], fire.due, "{}: {fire:?}", job.name);
        at += 1;
        let latest = due::deadline(&job.name, schedule, fire.due);
        match fire.state {
            FireState::Done => assert!(fire.claimed_at >= fire.due, "{fire:?}"),
            FireState::Missed => {
                assert!(fire.claimed_at > latest, "{fire:?}");
                assert!(away.iter().any(|(from, to)| *from <= latest && *to > latest), "somebody was there: {fire:?}");
            }
            FireState::Failed => assert!(fire.reason.as_ref().unwrap().contains("took over"), "{fire:?}"),
            other => panic!("{other:?}: {fire:?}"),
        }
        if fire.collapsed > 0 {
            // Nobody was there when they were due, and could have begun.
            let first = due[at - 1 - usize::try_from(fire.collapsed).unwrap()];
            assert!(away.iter().any(|(from, to)| *from <= fire.due && *to > first), "somebody was there: {fire:?}");
        }
    }
    // What is not recorded at the end has not begun yet: by jitter, or a blackout.
    let open = due[at..].iter().filter(|at| due::deadline(&job.name, schedule, **at) < until).count();
    assert_eq!(open, 0, "{}", job.name);
    let done = recorded.iter().filter(|fire| fire.state == FireState::Done).count();
    assert!(done > due.len() / 2, "{}: {done} of {}", job.name, due.len());
    let unique: BTreeSet<DateTime<Utc>> = recorded.iter().map(|fire| fire.due).collect();
    assert_eq!(unique.len(), recorded.len());
}

/// What was answered to an order: the state of its fire, or why there is none.
async fn order(daemon: &mut Scheduler, job: &str) -> Result<FireState, String> {
    daemon.run_now(job).await.map(|fire| fire.state).map_err(|refused| refused.to_string())
}

#[tokio::test]
async fn a_run_that_is_asked_for_begins_at_once_and_once() {
    use FireState::{Done, Running, Waiting};
    let quiet = "schedule = \"30 2 * * *\"\nblackout = [\"00:00-02:00\"]";
    let queues = "schedule = \"30 2 * * *\"\noverlap = \"queue\"";
    let place = Place::new("06-15T00:10:00", &[("hand", ""), ("orgs", quiet), ("teams", queues)]).await;
    let mut daemon = place.daemon().await;
    daemon.tick().await.unwrap();
    assert!(order(&mut daemon, "gone").await.unwrap_err().contains("no such job"));
    // Without a schedule, and in a blackout; while one is on, no other.
    place.work.then(&[Ended::Busy("for ever".into())]);
    assert_eq!(order(&mut daemon, "hand").await, Ok(Running));
    tokio::task::yield_now().await;
    place.clock.to(at("06-15T00:20:00"));
    let refused = order(&mut daemon, "hand").await.unwrap_err();
    assert!(refused.contains("is on since 2026-06-15 00:10:00 UTC"), "{refused}");
    assert_eq!(order(&mut daemon, "orgs").await, Ok(Running));
    assert!(daemon.wait().await);
    // With `queue` it waits, and a second one is the same.
    assert_eq!(order(&mut daemon, "teams").await, Ok(Running));
    let waiting = daemon.run_now("teams").await.unwrap();
    place.clock.to(at("06-15T00:21:00"));
    assert_eq!(daemon.run_now("teams").await.unwrap(), waiting);
    assert_eq!(place.store.fires(Some("teams"), 1).await.unwrap(), [FireRecord { state: Waiting, ..waiting.clone() }]);
    assert!(daemon.wait().await);
    daemon.tick().await.unwrap();
    assert!(daemon.wait().await);
    daemon.tick().await.unwrap();
    assert_eq!(place.work.take(), ["hand", "orgs", "teams", "teams"]);
    let begun = place.store.fires(Some("teams"), 1).await.unwrap().remove(0);
    assert_eq!((begun.due, begun.state, begun.claimed_at), (waiting.due, Done, at("06-15T00:21:00")));
    for job in ["hand", "orgs", "teams"] {
        assert!(place.store.fires(Some(job), 9).await.unwrap().iter().all(|fire| fire.cause == FireCause::Request));
    }
    // The schedules go their way; what was cut off is begun anew.
    drop(daemon);
    let mut daemon = place.daemon().await;
    assert_eq!(place.until(&mut daemon, "06-15T03:00:00").await, ["hand", "orgs", "teams"]);
    let causes: Vec<FireCause> =
        place.store.fires(Some("orgs"), 9).await.unwrap().iter().map(|fire| fire.cause).collect();
    assert_eq!(causes, [FireCause::Schedule, FireCause::Request]);
}

#[tokio::test]
async fn what_was_asked_for_outlives_its_daemon() {
    let queues = "schedule = \"30 2 * * *\"\noverlap = \"queue\"";
    let place = Place::new("06-15T00:00:00", &[("hand", ""), ("teams", queues)]).await;
    let mut daemon = place.daemon().await;
    // One is cut off, one of another job is cut off while a second waits.
    place.work.then(&vec![Ended::Busy("for ever".into()); 2]);
    for (job, state) in [("hand", FireState::Running), ("teams", FireState::Running), ("teams", FireState::Waiting)] {
        assert_eq!(order(&mut daemon, job).await, Ok(state), "{job}");
    }
    tokio::task::yield_now().await;
    assert_eq!(place.work.take(), ["hand", "teams"]);
    drop(daemon);
    place.clock.to(at("06-15T01:00:00"));
    let mut daemon = place.daemon().await;
    assert_eq!(place.until(&mut daemon, "06-15T01:30:00").await, ["hand", "teams", "teams"]);
    for job in ["hand", "teams"] {
        assert!(
            place.fires(job).await.iter().all(|(_, state, _)| *state == FireState::Done),
            "{:?}",
            place.fires(job).await
        );
    }
    let mut daemon = place.daemon().await;
    assert_eq!(place.until(&mut daemon, "06-15T02:00:00").await, Vec::<String>::new());
    // Another process runs the job: what was asked for waits for its end, also without `queue`.
    place.work.then(&[Ended::Busy("process 7".into())]);
    assert_eq!(order(&mut daemon, "hand").await, Ok(FireState::Running));
    assert!(daemon.wait().await);
    assert!(order(&mut daemon, "hand").await.unwrap_err().contains("is on since"));
    assert_eq!(place.until(&mut daemon, "06-15T02:01:00").await, ["hand", "hand"]);
    assert_eq!(place.fires("hand").await.last().unwrap().1, FireState::Done);
}

#[tokio::test]
async fn a_door_leads_to_the_scheduler_until_it_stops() {
    let place = Place::new("06-15T00:00:00", &[("hand", "")]).await;
    let known = crate::daemon::timetable::take_over(&[], place.jobs.clone(), &[]);
    let (_knows, known) = watch::channel(known);
    let (door, mut orders) =
        crate::daemon::door::Door::new(known, Arc::clone(&place.store) as _, Arc::clone(&place.clock) as _);
    let (stop, stopping) = watch::channel(false);
    let running = tokio::spawn({
        let daemon = place.daemon().await;
        async move {
            daemon.run(stopping, &mut orders).await;
        }
    });
    let fire = door.run_now("hand").await.unwrap();
    assert_eq!((fire.job.as_str(), fire.due), ("hand", at("06-15T00:00:00")));
    stop.send(true).unwrap();
    running.await.unwrap();
    assert!(matches!(door.run_now("hand").await, Err(crate::daemon::door::Refused::Stopping)));
    assert_eq!(place.fires("hand").await, [("06-15T00:00:00".to_owned(), FireState::Done, 0)]);
}

mod besides;
mod past;
mod reload;
