//! Each kind says what to type.

use super::*;
use crate::job;
use crate::receipt::Counts;
use std::path::Path;

fn at(text: &str) -> DateTime<Utc> {
    format!("2026-{text}Z").parse().unwrap()
}

fn orgs() -> Job {
    let text = "version = 1\n[source]\nkind = \"files\"\npath = \"orgs.csv\"\n[diff]\nkey = \"id\"\n[destination]\n\
                kind = \"http\"\nurl = \"http://127.0.0.1:9/\"\n[payload]\npreset = \"flat\"\n";
    job::parse(text, Path::new("orgs.toml"), Path::new("/home")).unwrap_or_else(|p| panic!("{p:?}"))
}

#[test]
fn what_is_held_names_the_commands_and_how_many_wait() {
    let job = orgs();
    let mut run = RunRecord::new("01A", "orgs", at("06-15T02:30:00"));
    (run.state, run.finished_at, run.reason) = (RunState::Held, Some(at("06-15T02:31:00")), Some("too many".into()));
    run.counts = Counts { pending: 7, ..Counts::default() };
    let seen = Seen {
        job: &job,
        runs: std::slice::from_ref(&run),
        fire: None,
        destination: None,
        dead_letters: 0,
        watched_since: at("06-15T00:00:00"),
        no_success_for: None,
        now: at("06-15T03:00:00"),
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
    let runs = [on, run];
    assert_eq!(conditions(&Seen { runs: &runs, ..seen }).len(), 1);
}

#[test]
fn a_run_that_could_not_begin_is_told_by_its_fire() {
    let job = orgs();
    let fire = FireRecord {
        job: "orgs".into(),
        due: at("06-15T02:30:00"),
        state: FireState::Failed,
        holder: String::new(),
        claimed_at: at("06-15T02:30:01"),
        ended_at: Some(at("06-15T02:30:02")),
        collapsed: 0,
        reason: Some("the folder is read-only".into()),
    };
    let mut run = RunRecord::new("01A", "orgs", at("06-14T02:30:00"));
    (run.state, run.finished_at) = (RunState::Finished, Some(at("06-14T02:31:00")));
    let seen = Seen {
        job: &job,
        runs: std::slice::from_ref(&run),
        fire: Some(&fire),
        destination: None,
        dead_letters: 0,
        watched_since: at("06-14T00:00:00"),
        no_success_for: None,
        now: at("06-15T03:00:00"),
    };
    let found = conditions(&seen);
    assert!(
        found.len() == 1 && found[0].what.contains("2026-06-15 02:30 UTC failed: the folder is read-only"),
        "{found:?}"
    );
    // Somebody ran it by hand since.
    let by_hand = RunRecord { started_at: at("06-15T02:50:00"), ..run };
    assert!(conditions(&Seen { runs: std::slice::from_ref(&by_hand), ..seen }).is_empty());
}
