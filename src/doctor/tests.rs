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
    Patient { home, settings, clock: Arc::new(Fixed(at(now))), place, admitted: Ok(()) }
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

#[test]
fn certificates_are_judged_by_their_time_and_names() {
    use crate::server::Certificate;
    let now = at("2026-11-27T02:30:00Z");
    let of = |names: &[&str], from: &str, until: &str| Certificate {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        from: Some(at(from)),
        until: Some(at(until)),
    };
    let (past, far) = ("2020-01-01T00:00:00Z", "2030-01-01T00:00:00Z");
    let good = of(&["ops.example"], past, far);
    let judge = |chain: &[Certificate], address: &str| {
        let found = tls::judged("admin.tls", chain, address.parse().unwrap(), now);
        assert_eq!(found.len(), 1, "{found:?}");
        found.into_iter().next().map(|finding| (finding.verdict, finding.what)).unwrap()
    };
    let any = "0.0.0.0:8081";
    for (chain, verdict, words) in [
        (vec![good.clone()], Verdict::Ok, "for ops.example, valid until 2030-01-01"),
        (vec![of(&["a"], past, "2026-11-27T02:30:00Z")], Verdict::Mend, "the certificate has expired on 2026-11-27"),
        (vec![of(&["a"], past, "2026-12-11T02:30:00Z")], Verdict::Note, "expires on 2026-12-11"),
        (vec![of(&["a"], past, "2026-12-11T02:30:01Z")], Verdict::Ok, "valid until 2026-12-11"),
        (vec![of(&["a"], "2026-11-28T00:00:00Z", far)], Verdict::Mend, "not valid before 2026-11-28"),
        (vec![of(&[], past, far)], Verdict::Mend, "no name in it"),
        (vec![good.clone(), of(&[], past, past)], Verdict::Mend, "leads to its root has expired on 2020-01-01"),
    ] {
        let (found, what) = judge(&chain, any);
        assert!(found == verdict && what.contains(words), "{found:?} {what}");
    }
    // Of names nobody knows here whose they are; of addresses it is seen.
    for (names, address, verdict) in [
        (&["10.0.0.5"][..], "10.0.0.5:8081", Verdict::Ok),
        (&["10.0.0.5"], "10.0.0.6:8081", Verdict::Note),
        (&["10.0.0.5"], any, Verdict::Ok),
        (&["10.0.0.5", "ops.example"], "10.0.0.6:8081", Verdict::Ok),
    ] {
        assert_eq!(judge(&[of(names, past, far)], address).0, verdict, "{names:?} {address}");
    }
}
