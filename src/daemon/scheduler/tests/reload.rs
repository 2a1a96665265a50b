//! Jobs that are changed, added and removed while the daemon runs.

use super::*;

impl Place {
    /// Has other jobs take over; what reads the same stays the same.
    async fn becomes(&mut self, daemon: &mut Scheduler, jobs: &[(&str, &str)]) {
        let files = jobs.iter().map(|(name, more)| job(name, more)).collect();
        let before: Vec<crate::daemon::timetable::Known> = {
            let known = |job: &Arc<Job>| crate::daemon::timetable::Known {
                name: job.name.clone(),
                file: job.file.clone(),
                job: Some(Arc::clone(job)),
                faulty: None,
            };
            daemon.jobs.values().map(|watched| known(&watched.job)).collect()
        };
        let known = crate::daemon::timetable::take_over(&before, files, &[]);
        daemon.replace(known.into_iter().filter_map(|one| one.job).collect()).await.unwrap();
    }
}

#[tokio::test]
async fn jobs_are_added_changed_and_removed() {
    let hourly = "schedule = \"0 * * * *\"";
    let mut place = Place::new("06-15T00:00:00", &[("orgs", NIGHTLY), ("teams", hourly)]).await;
    let mut daemon = place.daemon().await;
    assert_eq!(place.until(&mut daemon, "06-15T00:59:00").await, Vec::<String>::new());
    let same = Arc::clone(&daemon.jobs["teams"].job);
    // `orgs` is another: it owes nothing for 00:30; `teams` keeps its fires; `users` is new.
    place
        .becomes(
            &mut daemon,
            &[("orgs", "schedule = \"30 0,3 * * *\""), ("teams", hourly), ("users", "schedule = \"15 * * * *\"")],
        )
        .await;
    assert!(Arc::ptr_eq(&same, &daemon.jobs["teams"].job));
    assert_eq!(place.until(&mut daemon, "06-15T01:20:00").await, ["teams", "users"]);
    assert_eq!(place.until(&mut daemon, "06-15T03:40:00").await, ["teams", "users", "teams", "users", "orgs"]);
    // What is gone fires no more.
    place.becomes(&mut daemon, &[("orgs", "")]).await;
    assert_eq!(place.until(&mut daemon, "06-16T12:00:00").await, Vec::<String>::new());
    assert_eq!(place.store.fires(Some("users"), 99).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_run_that_is_on_goes_on_whatever_becomes_of_its_job() {
    let queues = "schedule = \"30 2 * * *\"\noverlap = \"queue\"";
    let mut place = Place::new("06-15T00:00:00", &[("orgs", queues), ("teams", queues)]).await;
    let mut daemon = place.daemon().await;
    // Two runs are on, which end when they are waited for.
    for job in ["orgs", "teams", "teams"] {
        daemon.run_now(job).await.unwrap();
    }
    // `orgs` is changed, `teams` is gone and what waited with it.
    place.becomes(&mut daemon, &[("orgs", "schedule = \"30 2 * * *\"")]).await;
    daemon.tick().await.unwrap();
    assert!(daemon.run_now("orgs").await.unwrap_err().to_string().contains("is on since"));
    assert!(daemon.wait().await && daemon.wait().await);
    daemon.tick().await.unwrap();
    assert_eq!(place.work.take(), ["orgs", "teams"]);
    assert_eq!(place.fires("orgs").await, [fire("06-15T00:00:00", FireState::Done, 0)]);
    let fires = place.store.fires(Some("teams"), 9).await.unwrap();
    let told: Vec<_> = fires.iter().map(|fire| (fire.state, fire.reason.as_deref())).collect();
    assert_eq!(told, [(FireState::Failed, Some("the job's file is gone")), (FireState::Done, None)]);
    // It comes back, and nothing is begun anew.
    place.becomes(&mut daemon, &[("teams", queues)]).await;
    assert_eq!(place.until(&mut daemon, "06-15T02:00:00").await, Vec::<String>::new());
}
