//! What the scheduler tells of fires.

use super::*;

#[derive(Default)]
struct Heard {
    fired: Mutex<Vec<&'static str>>,
    next: Mutex<Option<DateTime<Utc>>>,
    began: Mutex<Vec<DateTime<Utc>>>,
}

impl Metrics for Heard {
    fn fired(&self, job: &str, state: &'static str) {
        assert_eq!(job, "orgs");
        self.fired.lock().unwrap().push(state);
    }

    fn fire_begins(&self, job: &str, due: DateTime<Utc>) {
        assert_eq!(job, "orgs");
        self.began.lock().unwrap().push(due);
    }

    fn next_fire(&self, job: &str, at: Option<DateTime<Utc>>) {
        assert_eq!(job, "orgs");
        *self.next.lock().unwrap() = at;
    }
}

/// Nights that end in each way, and days without a daemon: each fire is told once, as the store has it in the end.
#[tokio::test]
async fn each_fire_is_told_once_as_the_store_has_it() {
    let place = Place::new("06-15T00:00:00", &[("orgs", NIGHTLY)]).await;
    let heard = Arc::new(Heard::default());
    let next = || *heard.next.lock().unwrap();
    let mut daemon = place.daemon().await.with_metrics(Arc::clone(&heard) as _);
    assert_eq!(next(), Some(at("06-15T02:30:00")), "before the first look");
    let nights = [
        ("15", Ended::Done(None)),
        ("16", Ended::Held("fewer".to_owned())),
        ("17", Ended::Failed("gone".to_owned())),
        ("18", Ended::Busy("another".to_owned())),
    ];
    for (day, end) in nights {
        place.work.then(&[end]);
        assert_eq!(place.until(&mut daemon, &format!("06-{day}T03:00:00")).await, ["orgs"]);
        assert_eq!(next(), Some(at(&format!("06-{day}T02:30:00")) + TimeDelta::days(1)));
    }
    // The daemon ends in the middle of a run, which the next one begins anew.
    place.work.then(&[Ended::Stopped]);
    place.until(&mut daemon, "06-19T03:00:00").await;
    drop(daemon);
    let mut daemon = place.daemon().await.with_metrics(Arc::clone(&heard) as _);
    assert_eq!(place.until(&mut daemon, "06-19T04:00:00").await, ["orgs"]);
    drop(daemon);
    place.clock.to(at("06-21T12:00:00"));
    let mut daemon = place.daemon().await.with_metrics(Arc::clone(&heard) as _);
    assert_eq!(place.until(&mut daemon, "06-21T13:00:00").await, Vec::<String>::new());
    assert_eq!(next(), Some(at("06-22T02:30:00")));
    let stored: Vec<&str> = place.fires("orgs").await.iter().map(|(_, state, _)| state.as_str()).collect();
    assert_eq!(stored, ["done", "held", "failed", "skipped", "done", "missed"]);
    assert_eq!(*heard.fired.lock().unwrap(), stored);
    // Each that began by its time: neither the one that was begun anew nor the one that was missed.
    let began: Vec<String> = heard.began.lock().unwrap().iter().map(|at| at.format("%dT%H:%M").to_string()).collect();
    assert_eq!(began, ["15T02:30", "16T02:30", "17T02:30", "18T02:30", "19T02:30"]);
}

/// When a fire is to begin is after its jitter and its blackout, which nobody calls a delay.
#[tokio::test]
async fn what_was_put_off_is_not_late() {
    let schedule = format!("{NIGHTLY}\nblackout = [\"02:00-04:00\"]");
    let place = Place::new("06-15T00:00:00", &[("orgs", &schedule)]).await;
    let heard = Arc::new(Heard::default());
    let mut daemon = place.daemon().await.with_metrics(Arc::clone(&heard) as _);
    assert_eq!(place.until(&mut daemon, "06-15T05:00:00").await, ["orgs"]);
    assert_eq!(*heard.began.lock().unwrap(), [at("06-15T04:00:00")]);
}
