//! What begins runs besides the clock: new extracts and other jobs' successes.

use super::*;

impl Place {
    fn lies_there(&self, extract: Option<&'static str>) {
        *self.work.extract.lock().unwrap() = extract;
    }

    /// Goes to this time from look to look. Returns which runs began.
    async fn watching(&self, daemon: &mut Scheduler, text: &str) -> Vec<String> {
        let end = at(text);
        loop {
            let next = daemon.tick().await.unwrap();
            if daemon.wait_for_look().await || daemon.wait().await {
                continue;
            }
            match next.filter(|next| *next <= end) {
                Some(next) => self.clock.to(next),
                None => break,
            }
        }
        self.clock.to(end);
        self.work.take()
    }

    async fn causes(&self, job: &str) -> Vec<(FireCause, Option<String>)> {
        self.store.fires(Some(job), 99).await.unwrap().into_iter().rev().map(|fire| (fire.cause, fire.origin)).collect()
    }
}

const WATCHED: &str = "on_file = \"1m\"";

#[tokio::test]
async fn a_new_extract_begins_a_run_once_it_is_the_same_at_two_looks() {
    let none = Vec::<String>::new();
    let place = Place::new("06-15T00:00:00", &[("orgs", WATCHED)]).await;
    let mut daemon = place.daemon().await;
    assert_eq!(place.watching(&mut daemon, "06-15T00:10:00").await, none);
    place.lies_there(Some("a"));
    assert_eq!(place.watching(&mut daemon, "06-15T00:11:30").await, none, "it was seen once");
    assert_eq!(place.watching(&mut daemon, "06-15T00:12:00").await, ["orgs"]);
    assert_eq!(place.watching(&mut daemon, "06-15T03:00:00").await, none);
    // One that grows from look to look is left alone.
    for (extract, until) in [("b1", "03:01:00"), ("b2", "03:02:00"), ("b3", "03:03:00")] {
        place.lies_there(Some(extract));
        assert_eq!(place.watching(&mut daemon, &format!("06-15T{until}")).await, none);
    }
    assert_eq!(place.watching(&mut daemon, "06-15T03:05:00").await, ["orgs"]);
    // Neither a restart nor a look that fails begins it again; what came meanwhile does.
    drop(daemon);
    place.clock.to(at("06-15T04:00:00"));
    let mut daemon = place.daemon().await;
    assert_eq!(place.watching(&mut daemon, "06-15T05:00:00").await, none);
    place.lies_there(None);
    assert_eq!(place.watching(&mut daemon, "06-15T05:10:00").await, none);
    place.lies_there(Some("b3"));
    assert_eq!(place.watching(&mut daemon, "06-15T05:20:00").await, none);
    drop(daemon);
    place.lies_there(Some("c"));
    let mut daemon = place.daemon().await;
    assert_eq!(place.watching(&mut daemon, "06-15T06:00:00").await, ["orgs"]);
    let expected = ["a", "b3", "c"].map(|name| (FireCause::File, Some(name.to_owned())));
    assert_eq!(place.causes("orgs").await, expected);
}

#[tokio::test]
async fn what_another_run_has_read_begins_none() {
    let more = "schedule = \"0 2 * * *\"\non_file = \"1m\"\nblackout = [\"04:00-05:00\"]";
    let place = Place::new("06-15T01:00:00", &[("orgs", more)]).await;
    let mut daemon = place.daemon().await;
    place.lies_there(Some("a"));
    assert_eq!(place.watching(&mut daemon, "06-15T01:58:30").await, ["orgs"]);
    // It comes just before the schedule fires, and is seen once.
    place.lies_there(Some("b"));
    assert_eq!(place.watching(&mut daemon, "06-15T03:00:00").await, ["orgs"]);
    // In a blackout it waits, and the newest is read.
    place.clock.to(at("06-15T04:00:00"));
    place.lies_there(Some("c"));
    assert_eq!(place.watching(&mut daemon, "06-15T04:30:00").await, Vec::<String>::new());
    place.lies_there(Some("d"));
    assert_eq!(place.watching(&mut daemon, "06-15T06:00:00").await, ["orgs"]);
    let file = |name: &str| (FireCause::File, Some(name.to_owned()));
    assert_eq!(place.causes("orgs").await, [file("a"), (FireCause::Schedule, None), file("d")]);
    assert_eq!(place.store.fires(Some("orgs"), 1).await.unwrap()[0].claimed_at, at("06-15T05:00:00"));
    // What comes while a run is on is seen after it.
    place.work.then(&[Ended::Busy("for ever".into())]);
    daemon.run_now("orgs").await.unwrap();
    tokio::task::yield_now().await;
    place.lies_there(Some("e"));
    place.clock.to(at("06-15T07:00:00"));
    daemon.tick().await.unwrap();
    assert!(daemon.looking.is_empty());
    drop(daemon);
    place.work.take();
    let mut daemon = place.daemon().await;
    // First what was cut off, and that has read it: by then it had not been looked at.
    assert_eq!(place.watching(&mut daemon, "06-15T08:00:00").await, ["orgs", "orgs"]);
}

#[tokio::test]
async fn a_success_begins_the_jobs_that_run_after_it_once() {
    let none = Vec::<String>::new();
    let jobs = [
        ("accounts", NIGHTLY),
        ("orgs", "run_after = [\"accounts\"]"),
        ("teams", "run_after = [\"orgs\", \"accounts\"]"),
    ];
    let place = Place::new("06-15T00:00:00", &jobs).await;
    let mut daemon = place.daemon().await;
    assert_eq!(place.until(&mut daemon, "06-15T03:00:00").await, ["accounts", "orgs", "teams", "teams"]);
    let mut daemon = place.daemon().await;
    assert_eq!(place.until(&mut daemon, "06-15T04:00:00").await, none, "nothing of it twice");
    assert_eq!(place.causes("orgs").await, [(FireCause::Job, Some("accounts".to_owned()))]);
    // What fails, is held, or was not run begins nothing.
    for (night, end) in [("16", Ended::Failed("no disk".into())), ("17", Ended::Held("too many".into()))] {
        place.work.then(&[end]);
        place.clock.to(at(&format!("06-{night}T02:30:00")));
        daemon.tick().await.unwrap();
        assert!(daemon.wait().await);
        assert_eq!(place.until(&mut daemon, &format!("06-{night}T03:00:00")).await, ["accounts"]);
    }
    // An order that succeeds counts.
    daemon.run_now("accounts").await.unwrap();
    assert_eq!(place.until(&mut daemon, "06-17T04:00:00").await, ["accounts", "orgs", "teams", "teams"]);
}

#[tokio::test]
async fn a_daemon_that_ends_between_two_jobs_forgets_nothing() {
    let jobs = [
        ("accounts", "schedule = \"0 * * * *\""),
        ("orgs", "run_after = [\"accounts\"]\nblackout = [\"02:30-05:30\"]"),
    ];
    let place = Place::new("06-15T00:30:00", &jobs).await;
    let mut daemon = place.daemon().await;
    place.clock.to(at("06-15T01:00:00"));
    daemon.tick().await.unwrap();
    assert!(daemon.wait().await);
    // The success is in the store, and nothing else has happened: it is killed here.
    daemon.write().await.unwrap();
    drop(daemon);
    assert_eq!(place.work.take(), ["accounts"]);
    place.clock.to(at("06-15T01:10:00"));
    let mut daemon = place.daemon().await;
    assert_eq!(place.until(&mut daemon, "06-15T01:20:00").await, ["orgs"]);
    // Killed in the midst of the second, it is begun anew, and once.
    place.work.then(&[Ended::Done(None), Ended::Busy("for ever".into())]);
    place.clock.to(at("06-15T02:00:00"));
    daemon.tick().await.unwrap();
    assert!(daemon.wait().await);
    daemon.tick().await.unwrap();
    tokio::task::yield_now().await;
    drop(daemon);
    assert_eq!(place.work.take(), ["accounts", "orgs"]);
    let mut daemon = place.daemon().await;
    assert_eq!(place.until(&mut daemon, "06-15T02:20:00").await, ["orgs"]);
    // Those of 03, 04 and 05 o'clock come in a blackout, and together, also after a restart.
    assert_eq!(place.until(&mut daemon, "06-15T04:10:00").await, ["accounts", "accounts"]);
    drop(daemon);
    let mut daemon = place.daemon().await;
    assert_eq!(place.until(&mut daemon, "06-15T05:50:00").await, ["accounts", "orgs"]);
    let fires = place.store.fires(Some("orgs"), 9).await.unwrap();
    assert!(fires.iter().all(|fire| fire.state == FireState::Done), "{fires:?}");
    assert_eq!(fires.iter().map(|fire| fire.collapsed).collect::<Vec<_>>(), [2, 0, 0]);
}

#[tokio::test]
async fn a_job_that_is_new_owes_nothing_for_successes_before() {
    let mut place = Place::new("06-15T00:00:00", &[("accounts", NIGHTLY)]).await;
    let mut daemon = place.daemon().await;
    assert_eq!(place.until(&mut daemon, "06-15T03:00:00").await, ["accounts"]);
    place.jobs.push(job("orgs", "run_after = [\"accounts\"]"));
    let mut daemon = place.daemon().await;
    assert_eq!(place.until(&mut daemon, "06-15T04:00:00").await, Vec::<String>::new());
    assert_eq!(place.until(&mut daemon, "06-16T04:00:00").await, ["accounts", "orgs"]);
}
