//! A backfill of one machine, and what others do with the job meanwhile.

use super::turns::until;
use super::{ORGS, all, as_soon_as_free, end, last_of, machine, named};
use crate::shared::{PASSWORD_OF_S3, Site, night, run_with};
use crate::support::postgres::PASSWORD;
use crate::support::{Home, says, signal};
use sqlx::Connection as _;
use std::process::{Child, Stdio};

/// So slow that it is in its middle whenever somebody looks.
fn fill(home: &Home) -> Child {
    let mut command = home.command(&["backfill", "orgs", "--yes", "--rate", "2/s", "--json"]);
    command.env("PG_PASSWORD", PASSWORD).env("S3_SECRET", PASSWORD_OF_S3);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Two machines, and a destination that has every org as both know.
fn site() -> (Site, Home, Home) {
    let site = Site::new();
    let (a, b) = (machine(&site, None), machine(&site, None));
    all(&[&a, &b], "free");
    assert_eq!(night(&a, 0)["acknowledged"], ORGS);
    site.destination.take();
    (site, a, b)
}

#[test]
fn a_run_of_another_machine_has_its_turn_and_what_it_sent_is_not_sent_again() {
    let (site, a, b) = site();
    let filling = fill(&a);
    site.destination.wait_for(3);
    all(&[&a, &b], "pro");
    // It is not refused, although the lease is another's.
    assert_eq!(night(&b, 0)["acknowledged"], ORGS);
    let filled = end(filling).expect(0).json();
    assert_eq!(filled["state"], "finished", "{filled}");
    let (sent, passed) = (filled["acknowledged"].as_u64().unwrap(), filled["passed_over"].as_u64().unwrap());
    assert!(sent >= 3 && passed > 0 && sent + passed == ORGS as u64, "{filled}");
    let known = last_of(&site);
    assert_eq!((known.len(), known.values().all(|plan| plan == "pro")), (ORGS, true), "{known:?}");
    assert_eq!(night(&a, 0)["unchanged"], ORGS);
}

#[test]
fn it_is_paused_and_cancelled_from_another_machine() {
    let (site, a, b) = site();
    let filling = fill(&a);
    site.destination.wait_for(3);
    says(&run_with(&b, &["backfill", "orgs", "--pause", "--by", "Zoë"], "").expect(0), &["paused by Zoë"]);
    let rests = end(filling).expect(1).json();
    assert_eq!(rests["state"], "paused", "{rests}");
    run_with(&b, &["backfill", "orgs", "--cancel"], "").expect(0);
    says(&run_with(&a, &["backfill", "orgs", "--resume"], "").expect(2), &["none that is not at its end"]);
    assert_eq!(night(&b, 0)["unchanged"], ORGS);
}

#[test]
fn one_that_stood_still_sends_nothing_when_it_goes_on() {
    let (site, a, b) = site();
    let filling = fill(&a);
    site.destination.wait_for(3);
    signal(filling.id(), "STOP");
    all(&[&a, &b], "pro");
    assert_eq!(as_soon_as_free(&b)["acknowledged"], ORGS);
    let known = last_of(&site);
    assert_eq!((known.len(), known.values().all(|plan| plan == "pro")), (ORGS, true), "{known:?}");
    signal(filling.id(), "CONT");
    says(&end(filling).expect(2), &["job `orgs` was left", "store.lease"]);
    assert_eq!(site.destination.take_orgs(), Vec::<String>::new());
    let resumed = run_with(&a, &["backfill", "orgs", "--resume", "--json"], "");
    assert_eq!(resumed.json()["state"], "finished", "{}", resumed.stderr);
    assert_eq!(site.destination.take_orgs(), Vec::<String>::new(), "a run has sent them");
    assert_eq!(night(&a, 0)["unchanged"], ORGS);
}

/// What it had begun to write is ended by the database after some seconds, for others' sake.
#[test]
fn one_that_stood_still_in_the_midst_of_a_write_is_left_as_well() {
    let (site, a, b) = site();
    let filling = fill(&a);
    site.destination.wait_for(3);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut lock = runtime.block_on(sqlx::PgConnection::connect(&site.database.url())).unwrap();
    runtime.block_on(sqlx::raw_sql("BEGIN; LOCK TABLE nightmark.progress IN SHARE MODE").execute(&mut lock)).unwrap();
    let writing = |wait: &str| {
        let among = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND {wait}");
        until(wait, || (named(&site, &among) != "0").then_some(()));
    };
    writing("wait_event_type = 'Lock'");
    signal(filling.id(), "STOP");
    runtime.block_on(sqlx::raw_sql("COMMIT").execute(&mut lock)).unwrap();
    writing("state = 'idle in transaction'");
    all(&[&a, &b], "pro");
    assert_eq!(as_soon_as_free(&b)["acknowledged"], ORGS);
    site.destination.take();
    signal(filling.id(), "CONT");
    says(&end(filling).expect(2), &["job `orgs` was left", "store.lease"]);
    assert_eq!(site.destination.take_orgs(), Vec::<String>::new());
}

#[test]
fn of_two_that_are_begun_at_the_same_instant_one_is_sent() {
    let (site, a, b) = site();
    // Both have found that there is none, have made their own and would put it down when they may.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut lock = runtime.block_on(sqlx::PgConnection::connect(&site.database.url())).unwrap();
    runtime.block_on(sqlx::raw_sql("BEGIN; LOCK TABLE nightmark.runs IN SHARE MODE").execute(&mut lock)).unwrap();
    let begun = [&a, &b].map(|home| {
        let mut command = home.command(&["backfill", "orgs", "--yes", "--json"]);
        command.env("PG_PASSWORD", PASSWORD).env("S3_SECRET", PASSWORD_OF_S3);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    });
    until("both wait", || {
        let waiting =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        (named(&site, waiting) == "2").then_some(())
    });
    runtime.block_on(sqlx::raw_sql("COMMIT").execute(&mut lock)).unwrap();
    let ended = begun.map(end);
    let (done, refused) = match ended[0].code {
        0 => (&ended[0], (&ended[1], &b)),
        _ => (&ended[1], (&ended[0], &a)),
    };
    assert_eq!((done.code, refused.0.code), (0, 2), "{} / {}", ended[0].stderr, ended[1].stderr);
    assert_eq!(done.json()["acknowledged"], ORGS);
    says(refused.0, &[done.json()["backfill"].as_str().unwrap(), "is not at its end", "--cancel"]);
    assert_eq!(site.destination.take_orgs().len(), ORGS);
    // What it had made is gone, and nothing is in the way of the next.
    let left = refused.1.files();
    assert!(!left.iter().any(|file| file.display().to_string().contains("/backfill-")), "{left:?}");
    says(&run_with(&b, &["backfill", "orgs", "--cancel"], "").expect(2), &["none that is not at its end"]);
    assert_eq!(
        run_with(refused.1, &["backfill", "orgs", "--yes", "--json"], "").expect(0).json()["acknowledged"],
        ORGS
    );
}
