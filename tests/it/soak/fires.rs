//! What the state store has of the fires of a job, over all the years: it forgets after 400 days, and is read after each process.

use super::place::Plans;
use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc, Weekday};
use nightmark::daemon::{due, fires};
use nightmark::job::spec::Schedule;
use nightmark::store::{FireRecord, FireState, FireStore};
use std::collections::BTreeMap;
use std::path::Path;

/// When nobody was there.
pub type Away = Vec<(DateTime<Utc>, DateTime<Utc>)>;

/// See the module.
pub struct Fires {
    job: &'static str,
    schedule: Schedule,
    since: DateTime<Utc>,
    known: BTreeMap<DateTime<Utc>, FireRecord>,
    /// Runs that the present process has begun and ended by itself, and how many of the latter it has not recorded yet.
    begun: usize,
    ended: usize,
}

/// Whether a run has come of it.
fn was_run(fire: &FireRecord) -> bool {
    match fire.state {
        FireState::Done | FireState::Held => true,
        FireState::Failed => !is_taken_over(fire),
        _ => false,
    }
}

fn is_taken_over(fire: &FireRecord) -> bool {
    fire.reason.as_ref().is_some_and(|reason| reason.contains("took over"))
}

impl Fires {
    pub fn new(plans: &'static Plans, text: &str, since: DateTime<Utc>) -> Self {
        let job = nightmark::job::parse(text, Path::new("job.toml"), Path::new("/home"));
        let job = job.unwrap_or_else(|problems| panic!("{problems:?}\n{text}"));
        let schedule = job.schedule.expect("it has one");
        Fires { job: plans.name, schedule, since, known: BTreeMap::new(), begun: 0, ended: 0 }
    }

    /// A run begins.
    pub fn begins(&mut self) {
        self.begun += 1;
    }

    /// A run has come to its own end.
    pub fn ended(&mut self) {
        self.ended += 1;
    }

    /// Reads what the process that has just ended has left. Every run that it has begun is that of a fire which is recorded as ended, or is open.
    pub async fn read(&mut self, store: &dyn FireStore) {
        let (mut newly, mut open) = (0, 0);
        for fire in store.fires(Some(self.job), 1000).await.unwrap() {
            open += usize::from(fire.state == FireState::Running);
            let known = self.known.get(&fire.due);
            match known.filter(|known| known.state != FireState::Running) {
                Some(known) => assert_eq!(*known, fire, "what has ended stays as it is"),
                None => newly += usize::from(was_run(&fire)),
            }
            self.known.insert(fire.due, fire);
        }
        assert!(open <= 1, "{}: {open} fires are open", self.job);
        let (begun, ended) = (std::mem::take(&mut self.begun), std::mem::take(&mut self.ended));
        // What was killed between the end of its run and the record of it is begun anew.
        let said = format!("{}: {begun} runs begun, {ended} ended, {newly} recorded, {open} open", self.job);
        assert!(newly <= ended && ended - newly <= open && ended <= begun && begun - newly <= open, "{said}");
    }

    /// Every fire of the schedule is recorded, or stands in the count of the next one that is; only those that were due while nobody was there for longer
    /// than `catch_up` are missed.
    pub fn check(&self, until: DateTime<Utc>, away: &Away) -> BTreeMap<&'static str, u64> {
        let due: Vec<DateTime<Utc>> =
            fires::upcoming(&self.schedule, self.since).take_while(|at| *at <= until).collect();
        self.check_calendar(&due, until);
        let was_away =
            |from: DateTime<Utc>, to: DateTime<Utc>| away.iter().any(|(left, back)| *left <= from && *back > to);
        let (mut at, mut states) = (0, BTreeMap::new());
        for fire in self.known.values() {
            let first = due[at];
            at += usize::try_from(fire.collapsed).unwrap();
            assert_eq!(due[at], fire.due, "{}: {fire:?}", self.job);
            at += 1;
            let latest = due::deadline(self.job, &self.schedule, fire.due);
            let name = match fire.state {
                FireState::Missed => {
                    assert!(fire.claimed_at > latest && was_away(latest, latest), "somebody was there: {fire:?}");
                    "missed"
                }
                FireState::Failed if is_taken_over(fire) => "cut off, and taken over by the next",
                state if was_run(fire) => state.as_str(),
                other => panic!("{other:?}: {fire:?}"),
            };
            if was_run(fire) {
                assert!(fire.claimed_at >= fire.due && fire.ended_at.is_some(), "{fire:?}");
            }
            if fire.collapsed > 0 {
                let is_away = away.iter().any(|(left, back)| *left <= fire.due && *back > first);
                assert!(is_away, "somebody was there when they were due, and could have begun: {fire:?}");
                *states.entry("come together with the next").or_default() += fire.collapsed;
            }
            *states.entry(name).or_default() += 1;
        }
        // What is not recorded at the end has not begun yet: by jitter, or a blackout.
        let late = due[at..].iter().filter(|at| due::deadline(self.job, &self.schedule, **at) < until);
        assert_eq!(late.count(), 0, "{}", self.job);
        states.insert("due", due.len() as u64);
        states
    }

    /// By a plain calendar: each night, twice a day, each Sunday; whatever the clocks were put to.
    fn check_calendar(&self, due: &[DateTime<Utc>], until: DateTime<Utc>) {
        let mut by_day: BTreeMap<NaiveDate, usize> = BTreeMap::new();
        for at in due {
            *by_day.entry(at.with_timezone(&self.schedule.timezone).date_naive()).or_default() += 1;
        }
        let date = |at: DateTime<Utc>| at.with_timezone(&self.schedule.timezone).date_naive();
        // The first and the last day are not whole.
        let mut day = date(self.since) + TimeDelta::days(1);
        while day < date(until) {
            let expected = match self.job {
                "nightly" => 1,
                "often" => 2,
                _ => usize::from(day.weekday() == Weekday::Sun),
            };
            assert_eq!(by_day.get(&day).copied().unwrap_or(0), expected, "{} on {day}", self.job);
            day += TimeDelta::days(1);
        }
    }
}
