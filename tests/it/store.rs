//! The conformance suite of the state stores: what every store must do, run on each (`postgres` has that of Postgres).

mod admin;
mod alerts;
mod fires;
mod leases;
mod orgs;
mod orgs_model;
mod postgres;
mod side_by_side;
mod transfer;

use chrono::{DateTime, TimeDelta, Utc};
use nightmark::receipt::{Counts, Failure, FailureKind, Outcome, Progress, Receipt, Unacknowledged};
use nightmark::store::sqlite::SqliteStore;
use nightmark::store::{
    AdminStore, AlertStore, DestinationRecord, DestinationState, EndpointType, FireStore, KeyCounts, KeyRecord,
    KeyStore, KeyUses, OrgStore, Past, PreviousText, RefusalChange, RefusalStore, RunKind, RunRecord, RunState,
    RunStore, SignatureCheck, SignatureScheme, StoreError,
};
use serde_json::json;
use std::path::Path;

fn at(seconds: i64) -> DateTime<Utc> {
    "2026-01-15T02:30:00.123456Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::seconds(seconds)
}

fn run(id: &str, job: &str, state: RunState, started: i64) -> RunRecord {
    RunRecord {
        id: id.to_owned(),
        job: job.to_owned(),
        kind: RunKind::Run,
        state,
        started_at: at(started),
        finished_at: None,
        counts: Counts { extracted: 3, added: 2, ..Counts::default() },
        reason: None,
        report: None,
    }
}

fn receipt(seq: u64, outcome: Outcome) -> Receipt {
    let detail = Some("it said: \"no\"\n".to_owned());
    let kind = match outcome {
        Outcome::Acknowledged => None,
        Outcome::Refused => Some(FailureKind::Refused),
        Outcome::Unknown => Some(FailureKind::Unknown),
    };
    let failure = kind.map(|kind| Failure { kind, key: format!("ws_{seq}"), webhook_id: format!("nm_{seq}") });
    Receipt { seq, outcome, status: Some(503), attempts: 2, detail, at: at(60), failure }
}

fn key(id: &str, hash: u8) -> KeyRecord {
    KeyRecord {
        id: id.to_owned(),
        name: "Segment \"prod\"".to_owned(),
        endpoint: EndpointType::ProductOrgs,
        prefix: "sk_abcdef".to_owned(),
        key_hash: [hash; 32],
        secret_hash: Some([200; 32]),
        template: Some("{\"product_org_id\":\"id\"}".to_owned()),
        created_at: at(0),
        expires_at: Some(at(10)),
        revoked_at: None,
        last_used_at: None,
        revision: 1,
        previous: None,
        signature: None,
        rate: None,
        counts: KeyCounts::default(),
    }
}

async fn runs_are_kept(store: &impl RunStore) {
    assert_eq!(store.run("r1").await.unwrap(), None);
    let first = run("r1", "a", RunState::Extracting, 0);
    store.put_run(&first, at(0)).await.unwrap();
    store.put_run(&first, at(0)).await.unwrap();
    store.put_run(&run("r2", "b", RunState::Held, 1), at(0)).await.unwrap();
    store.put_run(&run("r3", "a", RunState::Finished, 2), at(0)).await.unwrap();
    let ended = RunRecord {
        state: RunState::Failed,
        finished_at: Some(at(9)),
        counts: Counts { acknowledged: 1, ..first.counts },
        reason: Some("the destination said 401".to_owned()),
        ..first
    };
    store.put_run(&ended, at(0)).await.unwrap();
    assert_eq!(store.run("r1").await.unwrap(), Some(ended));

    let ids = async |job, limit| {
        let runs = store.runs(job, limit).await.unwrap();
        runs.into_iter().map(|run| run.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(None, 10).await, ["r3", "r2", "r1"]);
    assert_eq!(ids(None, 2).await, ["r3", "r2"]);
    assert_eq!(ids(Some("a"), 10).await, ["r3", "r1"]);
    assert_eq!(ids(Some("A"), 10).await, Vec::<String>::new());
}

async fn backfills_are_no_runs(store: &impl RunStore) {
    let backfill = |id: &str, job: &str, state, started| RunRecord {
        kind: RunKind::Backfill,
        report: Some(json!({"rate": "20/s"})),
        ..run(id, job, state, started)
    };
    let first = backfill("f1", "fill", RunState::Delivering, 0);
    store.put_run(&first, at(0)).await.unwrap();
    store.put_run(&run("f2", "fill", RunState::Delivering, 1), at(1)).await.unwrap();
    let second = backfill("f3", "fill", RunState::Discarded, 2);
    store.put_run(&second, at(2)).await.unwrap();
    store.put_run(&backfill("f4", "fill too", RunState::Published, 3), at(3)).await.unwrap();
    let runs = store.runs(Some("fill"), 10).await.unwrap();
    assert_eq!(runs.iter().map(|run| run.id.as_str()).collect::<Vec<_>>(), ["f2"]);
    assert!(store.runs(None, 100).await.unwrap().iter().all(|run| run.kind == RunKind::Run));
    assert_eq!(store.open_runs("fill").await.unwrap().len(), 1, "no run takes over what a backfill has left");
    assert_eq!(store.backfills(Some("fill"), 10).await.unwrap(), [second.clone(), first.clone()]);
    assert_eq!(store.backfills(Some("fill"), 1).await.unwrap(), [second]);
    assert_eq!(store.backfills(None, 10).await.unwrap().len(), 3);
    assert_eq!(store.run("f1").await.unwrap(), Some(first));
    // Rows and receipts are kept as those of a run.
    store.commit("f1", std::slice::from_ref(&(0..3)), &[receipt(1, Outcome::Acknowledged)]).await.unwrap();
    assert_eq!(store.progress("f1").await.unwrap().acknowledged.iter().collect::<Vec<_>>(), [1]);
    // What is at its end is forgotten as a run is; what is not, never.
    let past = Past { before: at(100), rows_of: 100, except: &[] };
    store.forget_runs("fill", &past).await.unwrap();
    assert_eq!(store.backfills(Some("fill"), 10).await.unwrap().len(), 1);
    store.put_run(&backfill("f1", "fill", RunState::Finished, 0), at(4)).await.unwrap();
    store.forget_runs("fill", &past).await.unwrap();
    assert!(store.backfills(Some("fill"), 10).await.unwrap().is_empty());
}

async fn a_job_has_one_backfill_at_a_time(store: &impl RunStore) {
    let backfill = |id: &str, job: &str, started| RunRecord {
        kind: RunKind::Backfill,
        report: Some(json!({"rate": "20/s"})),
        ..run(id, job, RunState::Published, started)
    };
    store.put_run(&run("g0", "gap", RunState::Delivering, 0), at(0)).await.unwrap();
    assert_eq!(store.open_backfill("gap").await.unwrap(), None, "a run is none");
    let first = backfill("g1", "gap", 10);
    for _ in 0..2 {
        // Not even the same once more is in its own way.
        assert_eq!(store.begin_backfill(&first, at(10)).await.unwrap(), None);
    }
    assert_eq!(store.events("g1").await.unwrap().len(), 1);
    // In whichever state it is, and whatever the clock says of whoever begins another.
    for state in RunState::ALL {
        let now = RunRecord { state, ..first.clone() };
        store.put_run(&now, at(20)).await.unwrap();
        let open = (!state.is_final()).then_some(now);
        assert_eq!(store.open_backfill("gap").await.unwrap(), open, "{state:?}");
        for started in [5, 30] {
            let other = backfill(&format!("g2 {state:?} {started}"), "gap", started);
            assert_eq!(store.begin_backfill(&other, at(30)).await.unwrap(), open, "{state:?}");
            let is_put = store.run(&other.id).await.unwrap();
            assert_eq!(is_put.is_none(), open.is_some(), "{state:?}");
            if let Some(other) = is_put {
                assert_eq!(store.open_backfill("gap").await.unwrap().as_ref(), Some(&other));
                store.put_run(&RunRecord { state: RunState::Finished, ..other }, at(31)).await.unwrap();
            }
        }
    }
    // Another job has its own.
    assert_eq!(store.begin_backfill(&backfill("g3", "gap too", 1), at(40)).await.unwrap(), None);
}

async fn steps_are_kept(store: &impl RunStore) {
    let mut record = run("s1", "steps", RunState::Extracting, 0);
    let path =
        [RunState::Extracting, RunState::Extracting, RunState::Diffed, RunState::Published, RunState::Delivering];
    for (second, state) in path.into_iter().enumerate() {
        (record.state, record.reason) = (state, Some(format!("step {second}")));
        store.put_run(&record, at(second as i64)).await.unwrap();
        let open = store.open_runs("steps").await.unwrap();
        assert_eq!(open, [record.clone()], "{state:?}");
    }
    (record.state, record.report) = (RunState::Finished, Some(json!({ "limits": { "paused": 1.5 } })));
    store.end_delivery(&record, at(9)).await.unwrap();
    assert_eq!(store.open_runs("steps").await.unwrap(), []);
    assert_eq!(store.run("s1").await.unwrap(), Some(record));
    let events = store.events("s1").await.unwrap();
    let told: Vec<_> = events.iter().map(|e| (e.state, e.at, e.reason.as_deref().unwrap())).collect();
    let expected = [
        (RunState::Extracting, at(0), "step 0"),
        (RunState::Diffed, at(2), "step 2"),
        (RunState::Published, at(3), "step 3"),
        (RunState::Delivering, at(4), "step 4"),
        (RunState::Finished, at(9), "step 4"),
    ];
    assert_eq!(told, expected);
    assert_eq!(store.events("never").await.unwrap(), []);
}

async fn progress_is_kept(store: &impl RunStore) {
    store.put_run(&run("p1", "p", RunState::Delivering, 0), at(0)).await.unwrap();
    assert_eq!(store.progress("p1").await.unwrap(), Progress::default());
    store.commit("p1", &[], &[]).await.unwrap();
    // Grants and receipts reach over several chunks of the store.
    let far = 3 << 16;
    store.commit("p1", &[0..300, far - 2..far + 2], &[]).await.unwrap();
    let batch: Vec<_> = (0..300).map(|seq| receipt(seq, Outcome::Unknown)).collect();
    store.commit("p1", std::slice::from_ref(&(300..400)), &batch).await.unwrap();
    store.commit("p1", &[], &[receipt(3, Outcome::Refused), receipt(far, Outcome::Refused)]).await.unwrap();
    store.commit("p1", &[], &[receipt(4, Outcome::Acknowledged)]).await.unwrap();
    // Replacing the run's record must not lose what is known of its rows.
    store.put_run(&run("p1", "p", RunState::Delivering, 0), at(0)).await.unwrap();
    let mut expected = Progress::default();
    [0..400, far - 2..far + 2].into_iter().for_each(|rows| expected.attempt(rows));
    (0..300).for_each(|seq| expected.receive(seq, Outcome::Unknown));
    expected.receive(far, Outcome::Refused);
    expected.receive(4, Outcome::Acknowledged);
    assert_eq!(store.progress("p1").await.unwrap(), expected);
    let failures = store.failures("p1", 1000).await.unwrap();
    assert_eq!(failures.len(), 300, "299 unknown and one refused");
    let row = failures.iter().find(|failure| failure.seq == 5).unwrap();
    assert_eq!((row.key.as_str(), row.kind, row.status, row.attempts), ("ws_5", FailureKind::Unknown, Some(503), 2));
    assert_eq!(row.detail, receipt(5, Outcome::Unknown).detail);
    assert!(!failures.iter().any(|failure| failure.seq == 4), "it is acknowledged");

    // The process dies, and the next one ends in order.
    store.cut_off("p1").await.unwrap();
    expected.cut_off();
    assert_eq!(store.progress("p1").await.unwrap(), expected);
    store.commit("p1", std::slice::from_ref(&(398..500)), &[receipt(398, Outcome::Acknowledged)]).await.unwrap();
    store.end_delivery(&run("p1", "p", RunState::Finished, 0), at(1)).await.unwrap();
    expected.receive(398, Outcome::Acknowledged);
    assert_eq!(store.progress("p1").await.unwrap(), expected);
    assert_eq!(expected.unacknowledged(450), Some(Unacknowledged::NotApplied), "it has not left");
    assert_eq!(expected.unacknowledged(399), Some(Unacknowledged::MaybeApplied), "it may have left before");
}

/// Of six runs a day apart, the second is not at its end and the third is needed; `other` is another job's.
async fn old_runs_are_forgotten(store: &impl RunStore) {
    let day = 24 * 3600;
    let runs = [
        ("o1", RunState::Superseded),
        ("o2", RunState::Held),
        ("o3", RunState::Finished),
        ("o4", RunState::Failed),
        ("o5", RunState::Finished),
        ("o6", RunState::Delivering),
    ];
    let unknown = receipt(7, Outcome::Unknown);
    for (days, (id, state)) in runs.into_iter().enumerate() {
        store.put_run(&run(id, "o", state, days as i64 * day), at(0)).await.unwrap();
        store.commit(id, &[], std::slice::from_ref(&unknown)).await.unwrap();
    }
    store.put_run(&run("other", "o'", RunState::Finished, 0), at(0)).await.unwrap();
    let left = async || {
        let mut left = Vec::new();
        for run in store.runs(Some("o"), 10).await.unwrap() {
            let failures = store.failures(&run.id, 10).await.unwrap().len();
            let known = usize::from(store.progress(&run.id).await.unwrap() != Progress::forgotten());
            assert_eq!(failures, known, "{}", run.id);
            left.push((run.id, failures));
        }
        left
    };
    let some = |runs: &[(&str, usize)]| runs.iter().map(|(id, rows)| ((*id).to_owned(), *rows)).collect::<Vec<_>>();
    let except = ["o3".to_owned()];
    let past = Past { before: at(0), rows_of: 10, except: &except };
    store.forget_runs("o", &past).await.unwrap();
    assert_eq!(left().await, some(&[("o6", 1), ("o5", 1), ("o4", 1), ("o3", 1), ("o2", 1), ("o1", 1)]));
    // The newest is not at its end, and counts as one of the newest all the same.
    store.forget_runs("o", &Past { rows_of: 1, ..past }).await.unwrap();
    assert_eq!(left().await, some(&[("o6", 1), ("o5", 0), ("o4", 0), ("o3", 1), ("o2", 1), ("o1", 0)]));
    store.forget_runs("o", &Past { before: at(4 * day), ..past }).await.unwrap();
    assert_eq!(left().await, some(&[("o6", 1), ("o5", 0), ("o3", 1), ("o2", 1)]));
    assert_eq!(store.progress("o4").await.unwrap(), Progress::forgotten());
    assert_eq!(store.events("o4").await.unwrap(), []);
    assert!(store.run("other").await.unwrap().is_some());
}

/// What a destination says may hold anything; a store that cannot keep a character keeps the rest.
async fn whatever_is_said_is_kept(store: &impl RunStore) {
    let said = "it said \0 and \u{1F600}".to_owned();
    let record = RunRecord { reason: Some(said.clone()), ..run("n1", "n\u{e4}", RunState::Delivering, 0) };
    store.put_run(&record, at(0)).await.unwrap();
    let mut refused = receipt(1, Outcome::Refused);
    refused.detail = Some(said.clone());
    // Twice in one write: the last word stands, and each counts.
    store.commit("n1", &[], &[refused.clone(), refused]).await.unwrap();
    let kept = |text: Option<&str>| {
        let text = text.unwrap();
        assert!(text.starts_with("it said ") && text.ends_with(" and \u{1F600}"), "{text:?}");
    };
    kept(store.run("n1").await.unwrap().unwrap().reason.as_deref());
    kept(store.failures("n1", 10).await.unwrap()[0].detail.as_deref());
    let refusals = store.refusals(Some("n\u{e4}")).await.unwrap();
    kept(refusals[0].detail.as_deref());
    assert_eq!((refusals.len(), refusals[0].count), (1, 2));
}

async fn unknown_runs_are_careful(store: &impl RunStore) {
    assert_eq!(store.progress("never").await.unwrap(), Progress::forgotten());
    let unknown = |result| matches!(result, Err(StoreError::UnknownRun(id)) if id == "never");
    assert!(unknown(store.commit("never", std::slice::from_ref(&(0..1)), &[]).await));
    assert!(unknown(store.commit("never", &[], &[receipt(0, Outcome::Refused)]).await));
}

async fn refusals_are_counted(store: &impl RunStore) {
    for (second, id) in ["f1", "f2"].into_iter().enumerate() {
        store.put_run(&run(id, "f", RunState::Delivering, second as i64), at(0)).await.unwrap();
        let unknown = Receipt { seq: 7, ..receipt(7, Outcome::Unknown) };
        let refused = Receipt { at: at(60 + second as i64), ..receipt(8, Outcome::Refused) };
        store.commit(id, &[], &[receipt(6, Outcome::Acknowledged), unknown, refused]).await.unwrap();
    }
    let known = store.refusals(Some("f")).await.unwrap();
    let [refusal] = known.as_slice() else { panic!("{known:?}") };
    assert_eq!((refusal.webhook_id.as_str(), refusal.key.as_str(), refusal.count), ("nm_8", "ws_8", 2));
    assert_eq!((refusal.first_at, refusal.last_at, refusal.run.as_str()), (at(60), at(61), "f2"));
    assert_eq!((refusal.status, refusal.dropped), (Some(503), false));
    let change = async |change| {
        let ids = ["nm_8".to_owned(), "nm_9".to_owned()];
        assert_eq!(store.change_refusals("other", &ids, change).await.unwrap(), 0, "another job's");
        assert_eq!(store.change_refusals("f", &ids, change).await.unwrap(), 1);
        store.refusals(Some("f")).await.unwrap()
    };
    assert!(change(RefusalChange::Drop).await[0].dropped);
    let again = change(RefusalChange::Retry).await;
    assert_eq!((again[0].count, again[0].dropped), (0, false));
    assert_eq!(change(RefusalChange::Forget).await, []);
}

async fn destinations_are_kept(store: &impl RefusalStore) {
    let record = DestinationRecord {
        job: "d".to_owned(),
        address: "https://example.com/${KEY}".to_owned(),
        state: DestinationState::Paused,
        reason: "it said 401".to_owned(),
        remedy: "mend the key".to_owned(),
        since: at(1),
        run: "r1".to_owned(),
        paused_until: Some(at(3600)),
    };
    assert_eq!(store.destination("d").await.unwrap(), None);
    store.put_destination(&record).await.unwrap();
    assert_eq!(store.destination("d").await.unwrap().as_ref(), Some(&record));
    let disabled = DestinationRecord { state: DestinationState::Disabled, since: at(2), paused_until: None, ..record };
    store.put_destination(&disabled).await.unwrap();
    assert_eq!(store.destinations().await.unwrap(), std::slice::from_ref(&disabled));
    assert_eq!(store.destination("d").await.unwrap(), Some(disabled));
    assert!(store.clear_destination("d").await.unwrap());
    assert!(!store.clear_destination("d").await.unwrap());
}

async fn keys_are_kept(store: &impl KeyStore) {
    let (one, two) = (key("key_1", 1), KeyRecord { secret_hash: None, template: None, ..key("key_2", 2) });
    store.put_key(&one).await.unwrap();
    store.put_key(&one).await.unwrap();
    store.put_key(&two).await.unwrap();
    assert!(store.put_key(&key("key_3", 2)).await.is_err(), "a hash belongs to one key");
    assert_eq!(store.keys().await.unwrap(), [one.clone(), two.clone()]);
    assert_eq!(store.key_by_hash(&[1; 32]).await.unwrap(), Some(one));
    assert_eq!(store.key_by_hash(&[9; 32]).await.unwrap(), None);
    assert_eq!(store.key("key_1\0").await.unwrap(), None);
    assert_eq!(store.revoke_key("key_1\0", at(5)).await.unwrap(), None);

    assert_eq!(store.key("key_2").await.unwrap(), Some(two.clone()));
    assert_eq!(store.key("KEY_2").await.unwrap(), None);

    let revoked = KeyRecord { revoked_at: Some(at(5)), revision: 2, ..two };
    assert_eq!(store.revoke_key("key_2", at(5)).await.unwrap(), Some(revoked.clone()));
    assert_eq!(store.revoke_key("key_2", at(6)).await.unwrap(), Some(revoked.clone()), "the first time stays");
    assert_eq!(store.key_by_hash(&[2; 32]).await.unwrap(), Some(revoked));
    assert_eq!(store.revoke_key("never", at(5)).await.unwrap(), None);
}

async fn keys_are_changed_by_one_at_a_time(store: &impl KeyStore) {
    let made = KeyRecord { last_used_at: Some(at(3)), ..key("change", 20) };
    store.put_key(&made).await.unwrap();
    let rotated = |hash: u8, key: &KeyRecord| KeyRecord {
        name: "renamed".to_owned(),
        prefix: format!("sk_{hash}"),
        key_hash: [hash; 32],
        secret_hash: None,
        template: None,
        expires_at: None,
        previous: Some(PreviousText {
            prefix: key.prefix.clone(),
            key_hash: key.key_hash,
            secret_hash: key.secret_hash,
            until: at(7),
        }),
        signature: Some(SignatureCheck {
            scheme: SignatureScheme::StandardWebhooks,
            secret: "${file:a \"b\"}".to_owned(),
        }),
        rate: Some(u32::MAX),
        // What the writer of a change may not know.
        last_used_at: None,
        created_at: at(9),
        counts: KeyCounts { stored: 9, ignored: 9, rejected: 9 },
        ..key.clone()
    };
    let first = rotated(21, &made);
    assert!(store.change_key(&first).await.unwrap());
    let kept = KeyRecord {
        revision: 2,
        created_at: at(0),
        last_used_at: Some(at(3)),
        counts: KeyCounts::default(),
        ..first.clone()
    };
    for hash in [20, 21] {
        assert_eq!(store.key_by_hash(&[hash; 32]).await.unwrap().as_ref(), Some(&kept), "before and after");
    }
    assert!(!store.change_key(&first).await.unwrap(), "it rests on what is no longer there");
    assert!(!store.change_key(&KeyRecord { revision: 3, ..first }).await.unwrap());
    assert!(!store.change_key(&key("never", 90)).await.unwrap());
    assert_eq!(store.key("never").await.unwrap(), None);
    assert!(store.change_key(&rotated(22, &kept)).await.unwrap());
    assert_eq!(store.key_by_hash(&[20; 32]).await.unwrap(), None, "the text before the last");
    let segment = SignatureCheck { scheme: SignatureScheme::SegmentSha1, secret: "${S}".to_owned() };
    let plain = KeyRecord { signature: Some(segment), previous: None, ..rotated(22, &kept) };
    assert!(store.change_key(&KeyRecord { revision: 3, ..plain.clone() }).await.unwrap());
    let found = store.key("change").await.unwrap().unwrap();
    assert_eq!((found.revision, &found.previous, &found.signature), (4, &None, &plain.signature));
    let conflict = KeyRecord { key_hash: [1; 32], ..found };
    assert!(store.change_key(&conflict).await.is_err(), "a hash belongs to one key");
    // Of many that rest on the same revision, one gets through.
    let racing: Vec<KeyRecord> = (0..8).map(|_| KeyRecord { revision: 4, ..plain.clone() }).collect();
    let done = futures_util::future::join_all(racing.iter().map(|key| store.change_key(key))).await;
    assert_eq!(done.into_iter().filter(|done| *done.as_ref().unwrap()).count(), 1);
}

async fn uses_are_counted(store: &impl KeyStore) {
    let revision = async || store.key("counted").await.unwrap().unwrap().revision;
    store.put_key(&key("counted", 30)).await.unwrap();
    store.put_key(&key("other", 31)).await.unwrap();
    let uses = |id: &str, ignored, rejected, second| KeyUses {
        key_id: id.to_owned(),
        ignored,
        rejected,
        last_used_at: at(second),
    };
    store.count_uses(&[]).await.unwrap();
    let batch = [uses("counted", 2, 0, 8), uses("never", 1, 1, 1), uses("counted", 1, 5, 6), uses("other", 0, 0, 1)];
    store.count_uses(&batch).await.unwrap();
    let counted = async |id| {
        let key = store.key(id).await.unwrap().unwrap();
        (key.counts, key.last_used_at)
    };
    let expected = |ignored, rejected, second| (KeyCounts { stored: 0, ignored, rejected }, Some(at(second)));
    assert_eq!(counted("counted").await, expected(3, 5, 8), "never set back");
    assert_eq!(counted("other").await, expected(0, 0, 1));
    store.count_uses(&[uses("counted", 1 << 40, 0, 9)]).await.unwrap();
    assert_eq!(counted("counted").await, expected((1 << 40) + 3, 5, 9));
    assert_eq!((store.key("never").await.unwrap(), revision().await), (None, 1), "a use is no change");
}

/// Everything that a store must do. It begins empty.
async fn conforms(store: &(impl RunStore + KeyStore + OrgStore + FireStore + AlertStore + AdminStore)) {
    runs_conform(store).await;
    fires::conform(store).await;
    alerts::conform(store).await;
    admin::conform(store).await;
    keys_conform(store).await;
    orgs::conform(store).await;
}

async fn keys_conform(store: &impl KeyStore) {
    keys_are_kept(store).await;
    keys_are_changed_by_one_at_a_time(store).await;
    uses_are_counted(store).await;
}

async fn runs_conform(store: &impl RunStore) {
    runs_are_kept(store).await;
    backfills_are_no_runs(store).await;
    a_job_has_one_backfill_at_a_time(store).await;
    steps_are_kept(store).await;
    progress_is_kept(store).await;
    old_runs_are_forgotten(store).await;
    refusals_are_counted(store).await;
    destinations_are_kept(store).await;
    unknown_runs_are_careful(store).await;
    whatever_is_said_is_kept(store).await;
}

async fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path).await.unwrap()
}

#[tokio::test]
async fn sqlite_conforms_and_reopening_keeps_all() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nightmark.db");
    let store = open(&path).await;
    conforms(&store).await;
    let all = async |store: &SqliteStore| {
        let runs = store.runs(None, 100).await.unwrap();
        let progress = store.progress("p1").await.unwrap();
        (
            runs,
            progress,
            store.keys().await.unwrap(),
            store.orgs(None, 100).await.unwrap(),
            store.fires(None, 100).await.unwrap(),
        )
    };
    let before = all(&store).await;
    store.close().await;
    assert_eq!(all(&open(&path).await).await, before);
    let reader = SqliteStore::open_existing_readonly(&path).await.unwrap().unwrap();
    assert_eq!(all(&reader).await, before);
    assert!(reader.put_run(&run("x", "x", RunState::Extracting, 0), at(0)).await.is_err(), "read only");
    assert_eq!(all(&reader).await, before);
}

#[tokio::test]
async fn looking_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nightmark.db");
    assert!(SqliteStore::open_existing_readonly(&path).await.unwrap().is_none());
    assert!(!path.exists());
    open(&path).await.close().await;
    let before = std::fs::read(&path).unwrap();
    let reader = SqliteStore::open_existing_readonly(&path).await.unwrap().unwrap();
    assert!(reader.runs(None, 1).await.unwrap().is_empty());
    reader.close().await;
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no side files are left");
    std::fs::write(&path, "").unwrap();
    assert!(SqliteStore::open_existing_readonly(&path).await.unwrap().is_none(), "created, never filled");
}

#[tokio::test]
async fn two_processes_may_start_on_a_new_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nightmark.db");
    let opened = futures_util::future::join_all((0..8).map(|_| SqliteStore::open(&path))).await;
    for (index, store) in opened.into_iter().enumerate() {
        store.unwrap().put_run(&run(&format!("r{index}"), "a", RunState::Extracting, 0), at(0)).await.unwrap();
    }
    assert_eq!(open(&path).await.runs(None, 100).await.unwrap().len(), 8);
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nightmark.db");
    let store = open(&path).await;
    store.put_run(&run("r", "a", RunState::Extracting, 0), at(0)).await.unwrap();
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", entry.path().display());
    }
}

#[tokio::test]
async fn what_cannot_be_opened_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let check = async |path: &Path, part: &str| {
        for error in [SqliteStore::open(path).await.err(), SqliteStore::open_existing_readonly(path).await.err()] {
            let error = error.expect("refused").to_string();
            assert!(error.contains(part), "{error}");
        }
    };
    let missing = SqliteStore::open(&dir.path().join("no/nightmark.db")).await.unwrap_err().to_string();
    assert!(missing.contains("--home"), "{missing}");
    let text = dir.path().join("text.db");
    std::fs::write(&text, "this is not a database, whatever its name says. ".repeat(50)).unwrap();
    check(&text, "not a database").await;

    let newer = dir.path().join("newer.db");
    open(&newer).await.close().await;
    set_schema(&newer, 9999).await;
    check(&newer, "schema 9999").await;

    let older = dir.path().join("older.db");
    open(&older).await.close().await;
    set_schema(&older, 0).await;
    let error = SqliteStore::open_existing_readonly(&older).await.unwrap_err().to_string();
    assert!(error.contains("nightmark run"), "{error}");
}

/// As another version of Nightmark would have left it.
async fn set_schema(path: &Path, version: i64) {
    use sqlx::{ConnectOptions, Connection};
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let mut connection = options.connect().await.unwrap();
    sqlx::query("UPDATE _sqlx_migrations SET version = ?1 WHERE version = (SELECT max(version) FROM _sqlx_migrations)")
        .bind(version)
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}
