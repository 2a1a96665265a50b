//! Each kind says what to type.

use super::*;
use crate::job;
use crate::store::{FireCause, FireState, RunState};
use chrono::TimeDelta;
use std::path::Path;

fn at(text: &str) -> DateTime<Utc> {
    format!("2026-{text}Z").parse().unwrap()
}

fn orgs() -> Job {
    let text = "version = 1\n[source]\nkind = \"files\"\npath = \"orgs.csv\"\n[diff]\nkey = \"id\"\n[destination]\n\
                kind = \"http\"\nurl = \"http://127.0.0.1:9/\"\n[payload]\npreset = \"flat\"\n";
    job::parse(text, Path::new("orgs.toml"), Path::new("/home")).unwrap_or_else(|p| panic!("{p:?}"))
}

/// Of a job without a time to be through in, looked at on the second day.
fn seen<'a>(job: &'a Job, runs: &'a [RunRecord]) -> Seen<'a> {
    Seen {
        job,
        runs,
        fire: None,
        destination: None,
        dead_letters: 0,
        watched_since: at("06-14T00:00:00"),
        no_success_for: None,
        next_fire: None,
        now: at("06-15T04:00:00"),
    }
}

#[test]
fn what_is_held_names_the_commands_and_how_many_wait() {
    let job = orgs();
    let mut run = RunRecord::new("01A", "orgs", at("06-15T02:30:00"));
    (run.state, run.finished_at, run.reason) = (RunState::Held, Some(at("06-15T02:31:00")), Some("too many".into()));
    run.counts = Counts { pending: 7, ..Counts::default() };
    let seen = Seen {
        watched_since: at("06-15T00:00:00"),
        now: at("06-15T03:00:00"),
        ..seen(&job, std::slice::from_ref(&run))
    };
    let found = conditions(&seen);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].kind, found[0].about.as_str()), (Kind::Held, "01A"));
    assert!(found[0].what.contains("too many") && found[0].unsent.starts_with("7 changes"), "{found:?}");
    let todo = found[0].todo.join("\n");
    for command in ["nightmark preview orgs --held", "nightmark approve 01A", "nightmark discard 01A"] {
        assert!(todo.contains(command), "{todo}");
    }
    // A run that is on says nothing of what was before it.
    let on = RunRecord::new("01B", "orgs", at("06-15T02:40:00"));
    let runs = [on, run.clone()];
    assert_eq!(conditions(&Seen { runs: &runs, ..seen }), found);
    // One that fails after it does not let go of it.
    let mut failed = RunRecord::new("01B", "orgs", at("06-15T02:40:00"));
    (failed.state, failed.finished_at) = (RunState::Failed, Some(at("06-15T02:41:00")));
    let runs = [failed, run.clone()];
    let kinds: Vec<Kind> = conditions(&Seen { runs: &runs, ..seen }).iter().map(|found| found.kind).collect();
    assert_eq!(kinds, [Kind::Failed, Kind::Held]);
    // Without a change set there is nothing to approve.
    let drifted = RunRecord { counts: Counts::default(), ..run.clone() };
    let found = conditions(&Seen { runs: std::slice::from_ref(&drifted), ..seen });
    let todo = found[0].todo.join("\n");
    assert!(todo.contains("nightmark schema orgs show") && !todo.contains("approve"), "{todo}");
}

fn failed_fire(ended: &str, reason: &str) -> FireRecord {
    FireRecord {
        cause: FireCause::Schedule,
        origin: None,
        seen: None,
        job: "orgs".into(),
        due: at("06-15T02:30:00"),
        state: FireState::Failed,
        holder: String::new(),
        claimed_at: at("06-15T02:30:01"),
        ended_at: Some(at(ended)),
        collapsed: 0,
        reason: Some(reason.into()),
    }
}

#[test]
fn a_run_that_could_not_begin_is_told_by_its_fire() {
    let job = orgs();
    let fire = failed_fire("06-15T02:30:02", "the folder is read-only");
    let mut run = RunRecord::new("01A", "orgs", at("06-14T02:30:00"));
    (run.state, run.finished_at) = (RunState::Finished, Some(at("06-14T02:31:00")));
    let seen = Seen { fire: Some(&fire), now: at("06-15T03:00:00"), ..seen(&job, std::slice::from_ref(&run)) };
    let found = conditions(&seen);
    assert!(
        found.len() == 1 && found[0].what.contains("2026-06-15 02:30 UTC failed: the folder is read-only"),
        "{found:?}"
    );
    // Somebody ran it by hand since.
    let (started_at, finished_at) = (at("06-15T02:50:00"), Some(at("06-15T02:51:00")));
    let by_hand = RunRecord { started_at, finished_at, ..run.clone() };
    assert!(conditions(&Seen { runs: std::slice::from_ref(&by_hand), ..seen }).is_empty());
}

#[test]
fn a_run_that_failed_behind_its_publication_is_told_by_its_fire() {
    let job = orgs();
    let fire = failed_fire("06-15T02:33:00", "destination.url: the environment variable KEY is not set");
    let mut run = RunRecord::new("01A", "orgs", at("06-15T02:30:02"));
    (run.state, run.finished_at) = (RunState::Published, Some(at("06-15T02:32:59")));
    run.counts = Counts { pending: 3, ..Counts::default() };
    let seen = Seen { fire: Some(&fire), now: at("06-15T03:00:00"), ..seen(&job, std::slice::from_ref(&run)) };
    let found = conditions(&seen);
    assert_eq!((found.len(), found[0].kind), (1, Kind::Failed), "{found:?}");
    assert!(found[0].what.contains("KEY") && found[0].unsent == "3 changes; the next run sends them", "{found:?}");
    // `retry` has sent them.
    let retried = RunRecord { state: RunState::Finished, finished_at: Some(at("06-15T02:50:00")), ..run.clone() };
    assert!(conditions(&Seen { runs: std::slice::from_ref(&retried), ..seen }).is_empty());
}

#[test]
fn a_delivery_that_was_given_up_is_told_as_the_destination() {
    let job = orgs();
    let mut run = RunRecord::new("01A", "orgs", at("06-15T02:30:02"));
    (run.state, run.finished_at) = (RunState::Delivering, Some(at("06-15T03:32:59")));
    run.counts = Counts { pending: 3, ..Counts::default() };
    let stopped =
        |kind: &str| Some(serde_json::json!({ "stopped": { "kind": kind, "reason": "HTTP 503", "remedy": "wait" } }));
    run.report = stopped("breaker");
    let runs = std::slice::from_ref;
    let found = conditions(&seen(&job, runs(&run)));
    assert_eq!((found.len(), found[0].kind), (1, Kind::Destination), "{found:?}");
    assert!(found[0].what.contains("HTTP 503") && found[0].unsent.starts_with("3 changes"), "{found:?}");
    // Somebody has stopped it, or it goes on.
    let asked = RunRecord { report: stopped("asked"), ..run.clone() };
    let on = RunRecord { finished_at: None, ..run.clone() };
    for other in [asked, on] {
        assert!(conditions(&seen(&job, runs(&other))).is_empty(), "{other:?}");
    }
}

#[test]
fn what_is_wrong_stays_so_over_runs_that_were_cut_off() {
    let job = orgs();
    let run = |id: &str, state| RunRecord {
        state,
        finished_at: Some(at("06-15T03:00:00")),
        ..RunRecord::new(id, "orgs", at("06-15T02:30:00"))
    };
    let kinds = |runs: &[RunRecord]| conditions(&seen(&job, runs)).iter().map(|found| found.kind).collect::<Vec<_>>();
    let (failed, cut_off) = (run("01A", RunState::Failed), run("01B", RunState::Discarded));
    assert_eq!(kinds(&[cut_off.clone(), failed.clone()]), [Kind::Failed]);
    // It had compared: the extract is right again. So it is where somebody has looked at what it would send, and given it up.
    let compared = RunRecord { counts: Counts { unchanged: 1, ..Counts::default() }, ..cut_off.clone() };
    assert_eq!(kinds(&[compared, failed.clone()]), []);
    // Nothing was, where a schema has drifted: it is held, or that has been given up or replaced since.
    for (state, kinds_of) in [
        (RunState::Held, &[Kind::Failed, Kind::Held][..]),
        (RunState::Discarded, &[Kind::Failed]),
        (RunState::Superseded, &[Kind::Failed]),
    ] {
        assert_eq!(kinds(&[run("01B", state), failed.clone()]), kinds_of, "{state:?}");
    }
    // What a delivery has left behind is pending until another one is published.
    let mut given_up = run("01A", RunState::Delivering);
    given_up.report =
        Some(serde_json::json!({ "stopped": { "kind": "breaker", "reason": "HTTP 503", "remedy": "wait" } }));
    assert_eq!(kinds(&[cut_off, given_up.clone()]), [Kind::Destination]);
    assert_eq!(kinds(&[run("01B", RunState::Failed), given_up.clone()]), [Kind::Failed, Kind::Destination]);
    assert_eq!(kinds(&[run("01B", RunState::Held), given_up.clone()]), [Kind::Held, Kind::Destination]);
    let replaced = [run("01C", RunState::Held), run("01B", RunState::Superseded), given_up.clone()];
    assert_eq!(kinds(&replaced), [Kind::Held, Kind::Destination]);
    assert_eq!(kinds(&[run("01B", RunState::Finished), given_up]), []);
}

#[test]
fn a_job_is_late_when_its_time_and_its_next_fire_are_over() {
    let job = orgs();
    let mut run = RunRecord::new("01A", "orgs", at("06-01T02:30:00"));
    (run.state, run.finished_at) = (RunState::Finished, Some(at("06-01T02:31:00")));
    let week = |_: &Job, after: DateTime<Utc>| Some(after + TimeDelta::days(7));
    let seen = |now: &str| Seen {
        job: &job,
        runs: std::slice::from_ref(&run),
        fire: None,
        destination: None,
        dead_letters: 0,
        watched_since: at("06-01T00:00:00"),
        no_success_for: Some(Duration::from_secs(26 * 3600)),
        next_fire: None,
        now: at(now),
    };
    let is_late = |seen: &Seen<'_>| conditions(seen).iter().any(|found| found.kind == Kind::Stale);
    for (now, alone, weekly) in [
        ("06-02T04:31:00", false, false),
        ("06-02T04:31:01", true, false),
        ("06-08T04:31:00", true, false),
        ("06-08T04:31:01", true, true),
    ] {
        assert_eq!(is_late(&seen(now)), alone, "{now}");
        assert_eq!(is_late(&Seen { next_fire: Some(&week), ..seen(now) }), weekly, "{now}");
    }
    // Nobody knows how long before the oldest run that is remembered.
    let mut failed = RunRecord::new("01B", "orgs", at("06-01T02:30:00"));
    failed.state = RunState::Failed;
    let only =
        Seen { runs: std::slice::from_ref(&failed), watched_since: at("06-09T00:00:00"), ..seen("06-09T00:00:00") };
    let found = conditions(&only);
    assert!(found.iter().any(|found| found.what.contains("none of the last 1 runs")), "{found:?}");
}
