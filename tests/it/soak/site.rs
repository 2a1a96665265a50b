//! Where the years go by: one daemon after the other, and the test that tells them how late it is.

use super::daemon::{NAME, TEST};
use super::fires::Away;
use super::place::{JOBS, Place};
use super::summary::Summary;
use super::talk::{Answer, How, Said, Talk};
use crate::crash::{Kill, SETTINGS, marks};
use crate::support::Home;
use chrono::{DateTime, TimeDelta, Utc};
use nightmark::store::sqlite::SqliteStore;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SIGKILL: i32 = 9;
/// Between two looks at a process.
const LOOKS: Duration = Duration::from_millis(1);

/// How a process comes to its end.
#[derive(Debug, Clone)]
enum Fate {
    /// In order, between two runs.
    Stopped,
    /// In order, so long after a run has begun.
    StoppedWithin(Duration),
    Killed(Kill),
    /// At the end of the time.
    Lives,
}

/// One process.
struct Life {
    fate: Fate,
    /// Runs that begin before its fate is upon it.
    runs: u32,
    is_upon_it: bool,
}

/// See the module.
pub struct Site {
    home: Home,
    places: Vec<Place>,
    rng: StdRng,
    now: DateTime<Utc>,
    away: Away,
    listener: TcpListener,
    marks: Vec<String>,
    /// Whether nothing is done to anybody any more.
    is_calm: bool,
    lives: BTreeMap<&'static str, u64>,
    /// Of each thing that somebody was told of: how often that it is wrong, and whether that it is right again came last.
    told: BTreeMap<String, (u64, bool)>,
    asked: String,
}

impl Site {
    pub fn new(mut rng: StdRng) -> Self {
        let (home, now) = (Home::in_memory(), "2026-01-01T00:00:00Z".parse().unwrap());
        home.write("nightmark.toml", &format!("[runs]\nkeep_days = 30\n{SETTINGS}"));
        let places = JOBS.iter().map(|plans| Place::new(&home, plans, now, &mut rng)).collect();
        // A life comes by others only with a receiver, a bucket, a held run or a backfill.
        let others = ["shared.", "rollback.", "backfill.", "share.", "spill.", "orgs.", "batch."];
        let is_here = |name: &String| !others.iter().any(|other| name.starts_with(other));
        let marks = marks().into_iter().filter(is_here).collect();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Site {
            home,
            places,
            rng,
            now,
            away: Away::new(),
            listener,
            marks,
            is_calm: false,
            lives: BTreeMap::new(),
            told: BTreeMap::new(),
            asked: String::new(),
        }
    }

    /// So many years of everything.
    pub fn years(&mut self, years: u64) {
        let until = self.now + TimeDelta::days(365 * i64::try_from(years).unwrap());
        while self.now < until {
            let fate = match self.rng.random_range(0..10) {
                0 | 1 => Fate::Stopped,
                2 | 3 => Fate::StoppedWithin(Duration::from_millis(self.rng.random_range(0..25))),
                4..6 => Fate::Killed(Kill::After(Duration::from_millis(self.rng.random_range(0..60)))),
                6 | 7 => Fate::Killed(Kill::AtRequest(self.rng.random_range(0..8))),
                _ => {
                    let mark = self.marks.choose(&mut self.rng).unwrap().clone();
                    Fate::Killed(Kill::AtPoint(mark.leak(), self.rng.random_range(0..20)))
                }
            };
            self.life(fate, until);
            let minutes = match self.rng.random_range(0..10) {
                0..6 => continue,
                6..9 => self.rng.random_range(1..60 * 12),
                _ => self.rng.random_range(1..60 * 24 * 5),
            };
            let left = self.now;
            self.now += TimeDelta::minutes(minutes);
            self.away.push((left, self.now));
        }
    }

    /// Two weeks in which nothing goes wrong: by the end of the first all is well, and in the second nothing is sent.
    pub fn calm(&mut self) {
        self.is_calm = true;
        for place in &self.places {
            let name = place.plans.name;
            self.home.run(&["destinations", "enable", name]).expect(0);
            self.home.run(&["dead-letters", "retry", name, "--all"]).expect(0);
        }
        self.life(Fate::Lives, self.now + TimeDelta::days(8));
        let sent: Vec<usize> = self.places.iter().map(|place| place.faulty.len()).collect();
        self.life(Fate::Lives, self.now + TimeDelta::days(8));
        let after: Vec<usize> = self.places.iter().map(|place| place.faulty.len()).collect();
        assert_eq!(sent, after, "a week of nights without changes sends nothing");
    }

    /// Panics at the first thing that does not hold.
    pub fn check(&self) -> Summary {
        for (what, (times, is_over)) in &self.told {
            assert!(is_over, "somebody was told {times} times of \"{what}\", and never that it is right again");
        }
        let mut summary = Summary { lives: self.lives.clone(), away: self.away.len(), ..Summary::default() };
        summary.told = self.told.iter().map(|(what, (times, _))| (what.clone(), *times)).collect();
        for place in &self.places {
            let (job, counts) = (place.plans.name, place.counts);
            summary.fires.insert(job, place.fires.check(self.now, &self.away));
            summary.requests.insert(job, place.check());
            summary.runs += place.runs();
            summary.failed += counts.failed;
            summary.held += counts.held;
            summary.approved += counts.approved;
            summary.discarded += counts.discarded;
            summary.outages += counts.outages;
        }
        summary
    }

    fn life(&mut self, fate: Fate, until: DateTime<Utc>) {
        // Mostly days, now and then months.
        let most = if self.rng.random_bool(0.05) { 500 } else { 40 };
        let mut life = Life { runs: self.rng.random_range(0..most), is_upon_it: false, fate };
        let mut command = Command::new(std::env::current_exe().unwrap());
        let log = std::fs::File::create(self.home.path("daemon.log")).unwrap();
        command.args([NAME, "--exact", "--ignored", "--nocapture"]);
        command.env("NIGHTMARK_HOME", self.home.path("")).env("TEST_KEY", "a-key-of-a-soak");
        command.env(TEST, self.listener.local_addr().unwrap().to_string()).current_dir(self.home.path(""));
        if let Fate::Killed(Kill::AtPoint(mark, nth)) = &life.fate {
            command.env("FAILPOINTS", format!("{mark}={nth}*off->return"));
        }
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = Arc::new(Mutex::new(command.spawn().unwrap()));
        let talk = self.meet(&child);
        while let Some(said) = talk.hear() {
            self.asked = format!("{said:?}");
            match self.answer(said, &mut life, until, &child) {
                Some(answer) => talk.answer(&answer),
                None => kill(&child),
            }
        }
        let status = self.end(&child);
        let killed = status.signal() == Some(SIGKILL);
        let as_expected = if killed { matches!(life.fate, Fate::Killed(_)) } else { status.success() };
        assert!(as_expected, "{status:?} after {}: {}", self.asked, self.log());
        let how = match (&life.fate, killed) {
            (Fate::Killed(Kill::AtPoint(..)), true) => "killed at a mark",
            (Fate::Killed(Kill::AtRequest(_)), true) => "killed at a request",
            (_, true) => "killed at any time",
            (Fate::StoppedWithin(_), _) => "stopped within a run",
            (Fate::Lives, _) => "not disturbed",
            _ => "stopped between runs",
        };
        *self.lives.entry(how).or_default() += 1;
        self.after();
    }

    /// A process comes before it does anything else.
    fn meet(&self, child: &Mutex<Child>) -> Talk {
        loop {
            if let Ok((stream, _)) = self.listener.accept() {
                stream.set_nonblocking(false).unwrap();
                return Talk::over(stream);
            }
            let ended = child.lock().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "it has ended before it came: {ended:?}: {}", self.log());
            std::thread::sleep(LOOKS);
        }
    }

    /// Waits for a process to end that has nothing more to say; one that has got stuck never does.
    fn end(&self, child: &Mutex<Child>) -> ExitStatus {
        for _ in 0..60_000 {
            if let Some(status) = child.lock().unwrap().try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(LOOKS);
        }
        kill(child);
        panic!("the daemon says nothing and does not end, after {}: {}", self.asked, self.log());
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.home.path("daemon.log")).unwrap_or_default()
    }

    /// What the daemon gets to hear; `None`: it is killed.
    fn answer(
        &mut self,
        said: Said,
        life: &mut Life,
        until: DateTime<Utc>,
        child: &Arc<Mutex<Child>>,
    ) -> Option<Answer> {
        match said {
            Said::Here => Some(Answer::Now(self.now)),
            Said::Begins { job } => Some(self.begins(&job, life, child)),
            Said::Ended { job, how } => {
                let place = of(&mut self.places, &job);
                if how != How::Stopped {
                    place.fires.ended();
                }
                place.ended(&self.home, &how);
                Some(Answer::Go(None))
            }
            Said::Decided { job } => {
                let place = of(&mut self.places, &job);
                place.was_decided(&self.home);
                Some(Answer::Go(None))
            }
            Said::Told { subject } => {
                let (what, is_over) = match subject.split_once(": right again (") {
                    Some((job, kind)) => (format!("{job}: {}", kind.trim_end_matches(')')), true),
                    None => (subject, false),
                };
                let told = self.told.entry(what).or_default();
                *told = (told.0 + u64::from(!is_over), is_over);
                Some(Answer::Go(None))
            }
            Said::Next(next) => self.goes_on(next, life, until),
        }
    }

    fn begins(&mut self, job: &str, life: &mut Life, child: &Arc<Mutex<Child>>) -> Answer {
        let place = of(&mut self.places, job);
        place.fires.begins();
        if self.is_calm {
            place.begins_calmly();
        } else {
            place.begins(&mut self.rng);
        }
        if life.runs > 0 {
            life.runs -= 1;
            return Answer::Go(None);
        }
        if std::mem::replace(&mut life.is_upon_it, true) {
            return Answer::Go(None);
        }
        match &life.fate {
            Fate::StoppedWithin(time) => return Answer::Go(Some(u64::try_from(time.as_millis()).unwrap())),
            Fate::Killed(Kill::After(time)) => {
                let (child, time) = (Arc::clone(child), *time);
                std::thread::spawn(move || {
                    std::thread::sleep(time);
                    kill(&child);
                });
            }
            Fate::Killed(Kill::AtRequest(nth)) => {
                let child = Arc::clone(child);
                place.at_request(*nth, move || kill(&child));
            }
            _ => {}
        }
        Answer::Go(None)
    }

    /// Between two runs.
    fn goes_on(&mut self, next: Option<DateTime<Utc>>, life: &mut Life, until: DateTime<Utc>) -> Option<Answer> {
        if life.is_upon_it {
            match life.fate {
                Fate::Lives => {}
                // It has not come by that mark.
                Fate::Killed(Kill::AtPoint(..)) | Fate::Stopped | Fate::StoppedWithin(_) => return Some(Answer::Stop),
                Fate::Killed(_) => return None,
            }
        }
        if let Some(place) = self.places.iter_mut().find(|place| place.is_held()) {
            let job = place.plans.name.to_owned();
            match self.rng.random_range(0..10) {
                _ if self.is_calm => {
                    place.is_approved(None);
                    return Some(Answer::Approve(job));
                }
                0..3 => {
                    place.is_approved(Some(&mut self.rng));
                    return Some(Answer::Approve(job));
                }
                3..6 => {
                    place.is_discarded();
                    return Some(Answer::Discard(job));
                }
                _ => {}
            }
        }
        if self.now >= until {
            return Some(Answer::Stop);
        }
        self.now = next.map_or(until, |next| next.min(until)).max(self.now);
        Some(Answer::Now(self.now))
    }

    /// What a process has left.
    fn after(&mut self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for place in &mut self.places {
            place.is_left(&self.home);
        }
        runtime.block_on(async {
            let store = SqliteStore::open_existing_readonly(&self.home.path("nightmark.db")).await.unwrap();
            // The first of all may have been killed before there was one.
            let Some(store) = store else { return };
            for place in &mut self.places {
                place.fires.read(&store).await;
            }
            store.close().await;
        });
    }
}

/// A job's place.
fn of<'p>(places: &'p mut [Place], job: &str) -> &'p mut Place {
    places.iter_mut().find(|place| place.plans.name == job).expect("it is one of JOBS")
}

/// A process that has ended has nothing against it.
fn kill(child: &Mutex<Child>) {
    let _ = child.lock().unwrap().kill();
}
