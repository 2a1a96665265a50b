//! Judgements, on clocks that the test sets; and a whole examination of a home where much is wrong.

use super::*;
use chrono::{DateTime, TimeDelta, Utc};
use std::path::Path;

#[derive(Debug)]
struct Fixed(DateTime<Utc>);

impl Clock for Fixed {
    fn now(&self) -> DateTime<Utc> {
        self.0
    }

    fn random(&self) -> u128 {
        7
    }
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn patient(dir: &Path, now: &str) -> Patient {
    let home = Home::new(dir).unwrap();
    let settings = Settings::load(&home).unwrap_or_else(|error| panic!("{error}"));
    let place = Ok(Place::File(home.database()));
    Patient { home, settings, clock: Arc::new(Fixed(at(now))), place }
}

#[track_caller]
fn finds<'f>(found: &'f [Finding], area: &str, subject: &str, verdict: Verdict) -> &'f Finding {
    let it =
        found.iter().find(|finding| finding.area == area && finding.subject == subject && finding.verdict == verdict);
    it.unwrap_or_else(|| panic!("{area} {subject} {verdict:?}: {found:#?}"))
}

#[test]
fn clocks_are_compared() {
    let now = at("2026-11-27T02:30:00Z");
    for (seconds, verdict, words) in [
        (0, Verdict::Ok, "goes alike"),
        (29, Verdict::Ok, "goes alike"),
        (-29, Verdict::Ok, "goes alike"),
        (30, Verdict::Note, "30 s behind"),
        (-30, Verdict::Note, "30 s ahead of"),
        (299, Verdict::Note, "299 s behind"),
        (300, Verdict::Mend, "300 s behind"),
        (-86_400, Verdict::Mend, "86400 s ahead of"),
    ] {
        let found = clock::against("the server", now + TimeDelta::seconds(seconds), now);
        assert!(found.verdict == verdict && found.what.contains(words), "{seconds}: {found:?}");
        assert_eq!(found.remedy.is_empty(), verdict == Verdict::Ok, "{found:?}");
    }
    assert_eq!(clock::after(now + TimeDelta::seconds(29), now), None);
    assert_eq!(clock::after(now + TimeDelta::minutes(3), now).unwrap().verdict, Verdict::Mend);
}

#[tokio::test]
async fn a_clock_that_cannot_be_right_is_found() {
    let dir = tempfile::tempdir().unwrap();
    for (now, verdict) in [
        ("1970-01-01T00:00:09Z", Verdict::Mend),
        ("2025-12-31T23:59:59Z", Verdict::Mend),
        ("2026-01-01T00:00:00Z", Verdict::Ok),
        ("2100-01-01T00:00:00Z", Verdict::Mend),
    ] {
        let found = examine(&patient(dir.path(), now)).await;
        finds(&found, "clock", "this machine", verdict);
    }
    // Rules of time zones get old.
    let found = examine(&patient(dir.path(), "2099-01-01T00:00:00Z")).await;
    finds(&found, "clock", "time zones", Verdict::Note);
}

#[tokio::test]
async fn a_clock_behind_what_was_recorded_is_found() {
    use crate::store::RunRecord;
    let dir = tempfile::tempdir().unwrap();
    let well = patient(dir.path(), "2026-11-27T02:30:00Z");
    let store = well.place.as_ref().unwrap().open().await.unwrap();
    let began = at("2026-11-27T02:29:00Z");
    store.put_run(&RunRecord::new("01A", "orgs", began), began).await.unwrap();
    store.close().await;
    let found = examine(&well).await;
    finds(&found, "clock", "this machine", Verdict::Ok);
    assert!(found.iter().all(|finding| finding.verdict != Verdict::Mend), "{found:#?}");
    let found = examine(&patient(dir.path(), "2026-11-20T02:30:00Z")).await;
    assert!(
        finds(&found, "clock", "this machine", Verdict::Mend).what.contains("2026-11-27 02:29:00 UTC"),
        "{found:#?}"
    );
}

#[test]
fn a_newer_schema_is_to_be_mended_and_an_older_one_is_worth_a_backup() {
    use crate::store::Inspected;
    let of = |found| Inspected {
        engine: "SQLite 3".into(),
        found: Some(found),
        known: 9,
        now: None,
        damage: Vec::new(),
        unwritable: None,
    };
    for (schema, verdict) in [(8, Verdict::Note), (9, Verdict::Ok), (10, Verdict::Mend)] {
        finds(&database::state(&of(schema)), "database", "schema", verdict);
    }
    let sick = Inspected { damage: vec!["row 3 missing".into()], unwritable: Some("locked".into()), ..of(9) };
    let found = database::state(&sick);
    finds(&found, "database", "integrity", Verdict::Mend);
    finds(&found, "database", "writing", Verdict::Mend);
}
