//! What was long ago, or has many others after it.

use super::*;

fn instant(text: &str) -> DateTime<Utc> {
    format!("{text}Z").parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

impl Place {
    /// So many fires of the job that are none of its schedule, one an hour, the last at an instant.
    async fn others(&self, state: FireState, count: i64, last: DateTime<Utc>) {
        for hours in 0..count {
            let due = last - TimeDelta::hours(hours);
            let fire = FireRecord {
                job: "orgs".to_owned(),
                due,
                state,
                holder: "here".to_owned(),
                claimed_at: due,
                ended_at: Some(due),
                collapsed: 0,
                reason: None,
                cause: FireCause::Request,
                origin: None,
                seen: None,
            };
            assert!(self.store.claim_fire(&fire).await.unwrap());
        }
    }

    async fn of_the_schedule(&self) -> Vec<(DateTime<Utc>, FireState)> {
        let fires = self.store.fires(Some("orgs"), 10_000).await.unwrap();
        fires.into_iter().filter(|fire| fire.cause == FireCause::Schedule).map(|fire| (fire.due, fire.state)).collect()
    }
}

#[tokio::test]
async fn what_a_schedule_has_done_is_known_whatever_came_after_it() {
    let place = Place::new("05-15T00:00:00", &[("orgs", "schedule = \"0 0 1 * *\"")]).await;
    let mut daemon = place.daemon().await;
    assert_eq!(place.until(&mut daemon, "06-01T01:00:00").await, ["orgs"]);
    drop(daemon);
    place.others(FireState::Failed, 300, at("06-20T00:00:00")).await;
    place.clock.to(at("06-20T00:00:00"));
    let mut daemon = place.daemon().await;
    let first = at("06-01T00:00:00");
    let known = |daemon: &Scheduler| (daemon.jobs["orgs"].handled, daemon.jobs["orgs"].done);
    assert_eq!(known(&daemon), (first, Some(first)));
    // Nor is it forgotten by a job file that is read again.
    let again = job("orgs", "schedule = \"0 0 1 * *\"\ncatch_up = \"40d\"");
    daemon.replace(vec![Arc::new(again)]).await.unwrap();
    assert_eq!(known(&daemon), (first, Some(first)));
    assert_eq!(place.until(&mut daemon, "06-21T00:00:00").await, Vec::<String>::new());
    assert_eq!(place.of_the_schedule().await, [(first, FireState::Done)]);
}

#[tokio::test]
async fn the_last_fire_of_a_schedule_is_not_forgotten_in_years() {
    let place = Place::new("01-01T00:00:00", &[("orgs", "schedule = \"0 0 29 2 *\"")]).await;
    let mut daemon = place.daemon().await;
    let leap = instant("2028-02-29T00:00:00");
    assert_eq!(daemon.tick().await.unwrap(), Some(leap));
    place.clock.to(leap);
    daemon.tick().await.unwrap();
    assert!(daemon.wait().await);
    daemon.tick().await.unwrap();
    assert_eq!(place.work.take(), ["orgs"]);
    drop(daemon);
    // Others come and go; what is older than 400 days is forgotten.
    let later = instant("2029-06-01T00:00:00");
    place.others(FireState::Done, 300, leap + TimeDelta::days(30)).await;
    place.others(FireState::Done, 300, later).await;
    place.clock.to(later);
    crate::daemon::retention::fires(&*place.store, later).await.unwrap();
    assert_eq!(place.store.fires(Some("orgs"), 10_000).await.unwrap().len(), 301);
    let mut daemon = place.daemon().await;
    assert_eq!(daemon.tick().await.unwrap(), Some(instant("2032-02-29T00:00:00")));
    assert_eq!(place.of_the_schedule().await, [(leap, FireState::Done)]);
    assert_eq!(place.work.take(), Vec::<String>::new());
}

#[tokio::test]
async fn a_run_that_was_cut_off_is_begun_anew_however_many_fires_it_has_held_up() {
    let place = Place::new("06-15T00:00:00", &[("orgs", NIGHTLY)]).await;
    let mut daemon = place.daemon().await;
    place.work.then(&[Ended::Stopped]);
    place.clock.to(at("06-15T02:30:00"));
    daemon.tick().await.unwrap();
    assert!(daemon.wait().await);
    drop(daemon);
    assert_eq!(place.work.take(), ["orgs"]);
    place.others(FireState::Skipped, 300, at("06-28T00:00:00")).await;
    place.clock.to(at("06-15T03:00:00"));
    let mut daemon = place.daemon().await;
    assert_eq!(place.until(&mut daemon, "06-15T04:00:00").await, ["orgs"]);
    assert_eq!(place.of_the_schedule().await, [(at("06-15T02:30:00"), FireState::Done)]);
}
