//! What a store does with received orgs.

use super::{at, key, orgs_model};
use chrono::{DateTime, Utc};
use nightmark::store::{
    KeyCounts, KeyRecord, KeyStore, KeyUse, OrgChange, OrgFields, OrgPatch, OrgStore, OrgUpsert, Patch, TrialStatus,
    UpsertOutcome, Upserted,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const KEY: &str = "orgs_1";

/// Everything that a store must do with orgs. It has none yet.
pub async fn conform(store: &(impl OrgStore + KeyStore)) {
    for (id, hash) in [(KEY, 101), ("orgs_2", 102)] {
        store.put_key(&KeyRecord { expires_at: Some(at(1000)), ..key(id, hash) }).await.unwrap();
    }
    store.probe().await.unwrap();
    orgs_are_kept(store).await;
    a_batch_applies_in_its_order(store).await;
    orgs_come_in_pages(store).await;
    changes_are_kept(store).await;
    a_late_event_overwrites_nothing_newer(store).await;
    a_repeat_is_answered_as_the_first(store).await;
    answers_are_forgotten_bit_by_bit(store).await;
    a_changed_key_writes_nothing(store).await;
    uses_are_counted_with_the_orgs(store).await;
    large_batches_are_written_whole(store).await;
    let before = json!(store.orgs(None, 1000).await.unwrap());
    store.probe().await.unwrap();
    assert_eq!(json!(store.orgs(None, 1000).await.unwrap()), before, "a probe changes nothing");
    orgs_model::follows(store, 60).await;
    history_is_forgotten_bit_by_bit(store).await;
}

pub fn upsert(id: &str, seconds: i64, change: impl FnOnce(&mut OrgPatch)) -> OrgUpsert {
    let mut patch = OrgPatch { product_org_id: id.to_owned(), ..OrgPatch::default() };
    change(&mut patch);
    OrgUpsert {
        patch,
        key: KeyUse { id: KEY.to_owned(), revision: 1 },
        request_id: format!("req_{seconds}"),
        at: at(seconds),
        event_at: None,
        idempotency_id: None,
    }
}

fn named(id: &str, seconds: i64, name: &str) -> OrgUpsert {
    upsert(id, seconds, |patch| patch.name = Patch::Set(name.to_owned()))
}

/// The outcomes of updates that are all stored.
pub async fn done(store: &impl OrgStore, batch: &[OrgUpsert]) -> Vec<Upserted> {
    let outcomes = store.upsert_orgs(batch).await.unwrap();
    let one = |outcome| match outcome {
        UpsertOutcome::Done(upserted) => upserted,
        UpsertOutcome::KeyChanged => panic!("the key is as it was"),
    };
    outcomes.into_iter().map(one).collect()
}

async fn fields(store: &impl OrgStore, id: &str) -> Value {
    json!(store.org(id).await.unwrap().unwrap().fields)
}

async fn changes(store: &impl OrgStore, id: &str) -> Vec<OrgChange> {
    store.history(id, None, 1000).await.unwrap()
}

async fn orgs_are_kept(store: &impl OrgStore) {
    assert_eq!(store.upsert_orgs(&[]).await.unwrap(), []);
    let custom =
        [("big", json!(u64::MAX)), ("text", json!("{\"x\": \"\\u0001\"}")), ("float", json!([0.1, 1e300, null]))];
    let full = upsert("Ws_1", 1, |patch| {
        patch.name = Patch::Set("O'Hara \"&\" Zoë\n\u{1}".to_owned());
        patch.plan_id = Patch::Set("007".to_owned());
        patch.user_count = Patch::Set(i64::MAX);
        patch.mrr = Patch::Set(-1);
        patch.trial_status = Patch::Set(TrialStatus::Expired);
        // To the microsecond, also where a sender has more.
        patch.last_active_at = Patch::Set(at(-5) + chrono::TimeDelta::nanoseconds(999));
        patch.feature_flags = Patch::Set([("sso".to_owned(), json!({"on": true}))].into_iter().collect());
        patch.custom = custom.iter().map(|(name, value)| ((*name).to_owned(), Patch::Set(value.clone()))).collect();
    });
    let done_first = done(store, &[full.clone(), upsert("ws_1", 2, |_| {})]).await;
    assert!(done_first[0].is_new && done_first[1].is_new, "ids are case-sensitive");
    assert!(done_first[0].target_org_id < done_first[1].target_org_id, "numbered as they came");
    let stored = store.org("Ws_1").await.unwrap().unwrap();
    let expected = OrgFields {
        name: Some("O'Hara \"&\" Zoë\n\u{1}".to_owned()),
        plan_id: Some("007".to_owned()),
        plan_name: None,
        user_count: Some(i64::MAX),
        mrr: Some(-1),
        trial_status: Some(TrialStatus::Expired),
        last_active_at: Some(at(-5)),
        feature_flags: Some([("sso".to_owned(), json!({"on": true}))].into_iter().collect()),
        custom: custom.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
    };
    assert_eq!(stored.fields, expected);
    assert_eq!((stored.created_at, stored.updated_at, stored.key_id.as_str()), (at(1), at(1), KEY));
    assert_eq!(stored.target_org_id, done_first[0].target_org_id);
    // The same again changes nothing.
    done(store, &[OrgUpsert { at: at(2), ..full }]).await;
    let again = store.org("Ws_1").await.unwrap().unwrap();
    assert_eq!((again.fields, again.updated_at, changes(store, "Ws_1").await.len()), (expected, at(2), 1));
    assert_eq!(store.org("WS_1").await.unwrap(), None);
}

/// Several updates of one org in one batch, beside a new one.
async fn a_batch_applies_in_its_order(store: &impl OrgStore) {
    let before = store.org("Ws_1").await.unwrap().unwrap();
    let batch = [
        named("Ws_1", 3, "second"),
        upsert("new", 3, |patch| patch.mrr = Patch::Set(1)),
        upsert("Ws_1", 4, |patch| (patch.name, patch.mrr) = (Patch::Set("third".to_owned()), Patch::Clear)),
        upsert("new", 4, |patch| patch.user_count = Patch::Set(2)),
    ];
    let outcomes = done(store, &batch).await;
    assert_eq!(outcomes.iter().map(|d| d.is_new).collect::<Vec<_>>(), [false, true, false, false]);
    assert_eq!(outcomes[0].target_org_id, before.target_org_id);
    assert_eq!(outcomes[1].target_org_id, outcomes[3].target_org_id);
    let stored = store.org("Ws_1").await.unwrap().unwrap();
    assert_eq!((stored.fields.name.as_deref(), stored.fields.mrr), (Some("third"), None));
    assert_eq!((stored.fields.user_count, stored.fields.custom.len()), (Some(i64::MAX), 3), "absent fields stay");
    assert_eq!((stored.created_at, stored.updated_at), (at(1), at(4)));
    assert_eq!(changes(store, "Ws_1").await.len(), 3, "each change is kept");
}

async fn orgs_come_in_pages(store: &impl OrgStore) {
    let page = async |after, limit| {
        let orgs = store.orgs(after, limit).await.unwrap();
        orgs.into_iter().map(|org| org.product_org_id).collect::<Vec<_>>()
    };
    assert_eq!(page(None, 10).await, ["Ws_1", "new", "ws_1"]);
    assert_eq!(page(None, 1).await, ["Ws_1"]);
    assert_eq!(page(Some("Ws_1"), 10).await, ["new", "ws_1"]);
    assert_eq!(page(Some("Zzz"), 10).await, ["new", "ws_1"], "bytes, not letters; the id need not exist");
    // What no id has can be asked for all the same.
    assert_eq!(page(Some("Ws_1\0z"), 10).await, ["new", "ws_1"]);
    assert_eq!(store.org("Ws_1\0").await.unwrap(), None);
    assert_eq!(store.history("Ws_1\0", None, 1).await.unwrap(), []);
    let odd = ["é", "z", "'\"", "\u{10ffff}", "\u{e000}", "007", "7"];
    done(store, &odd.map(|id| upsert(id, 5, |_| {}))).await;
    let mut sorted = [&odd[..], &["Ws_1", "new", "ws_1"]].concat();
    sorted.sort_unstable();
    assert_eq!(page(None, 100).await, sorted);
}

async fn changes_are_kept(store: &impl OrgStore) {
    let update = |second, change: fn(&mut OrgPatch)| upsert("changing", second, change);
    let batches = [
        vec![update(10, |_| {}), update(11, |_| {})],
        vec![update(12, |patch| {
            patch.name = Patch::Set("a".to_owned());
            patch.mrr = Patch::Clear;
            patch.custom = BTreeMap::from([("name".to_owned(), Patch::Set(json!({"x": [1]})))]);
        })],
        vec![update(13, |patch| patch.name = Patch::Set("a".to_owned()))],
        vec![OrgUpsert {
            event_at: Some(at(-1)),
            key: KeyUse { id: "orgs_2".to_owned(), revision: 1 },
            ..update(14, |patch| {
                patch.name = Patch::Clear;
                patch.custom = BTreeMap::from([("name".to_owned(), Patch::Clear)]);
                patch.trial_status = Patch::Set(TrialStatus::Active);
            })
        }],
    ];
    for batch in &batches {
        done(store, batch).await;
    }
    let change = |number, second: i64, key: &str, event_at: Option<DateTime<Utc>>, fields: Value| OrgChange {
        number,
        at: at(second),
        key_id: key.to_owned(),
        request_id: format!("req_{second}"),
        event_at,
        fields: fields.as_object().unwrap().clone(),
    };
    let pair = |before: Value, after: Value| json!({"before": before, "after": after});
    let expected = [
        change(1, 10, KEY, None, json!({})),
        change(
            2,
            12,
            KEY,
            None,
            json!({"name": pair(Value::Null, json!("a")), "custom.name": pair(Value::Null, json!({"x": [1]}))}),
        ),
        change(
            3,
            14,
            "orgs_2",
            Some(at(-1)),
            json!({
                "name": pair(json!("a"), Value::Null),
                "trial_status": pair(Value::Null, json!("active")),
                "custom.name": pair(json!({"x": [1]}), Value::Null),
            }),
        ),
    ];
    assert_eq!(changes(store, "changing").await, expected);
    assert_eq!(store.history("changing", Some(1), 1).await.unwrap(), expected[1..2]);
    assert_eq!(store.history("changing", Some(3), 1).await.unwrap(), []);
    assert_eq!(store.history("never", None, 1).await.unwrap(), []);
}

async fn a_late_event_overwrites_nothing_newer(store: &impl OrgStore) {
    let event = |second: i64, happened: Option<i64>, change: fn(&mut OrgPatch)| OrgUpsert {
        event_at: happened.map(at),
        ..upsert("timed", second, change)
    };
    let name = |patch: &mut OrgPatch| patch.name = Patch::Set("newer".to_owned());
    assert!(!done(store, &[event(20, Some(10), name)]).await[0].stale);
    // Older: what nothing newer is known of is filled in, the rest is left alone.
    let late = event(21, Some(5), |patch| {
        patch.name = Patch::Set("older".to_owned());
        patch.mrr = Patch::Set(5);
        patch.custom = BTreeMap::from([("c".to_owned(), Patch::Clear)]);
    });
    assert!(done(store, &[late]).await[0].stale);
    let stored = store.org("timed").await.unwrap().unwrap();
    assert_eq!(
        (stored.fields.name.as_deref(), stored.fields.mrr, stored.event_at),
        (Some("newer"), Some(5), Some(at(10)))
    );
    // Each field by its own time, also one that was cleared.
    let between = event(22, Some(7), |patch| {
        patch.name = Patch::Clear;
        patch.mrr = Patch::Set(7);
        patch.custom = BTreeMap::from([("c".to_owned(), Patch::Set(json!(7)))]);
    });
    assert!(done(store, &[between]).await[0].stale);
    let earlier = event(23, Some(6), |patch| {
        patch.mrr = Patch::Set(6);
        patch.custom = BTreeMap::from([("c".to_owned(), Patch::Set(json!(6)))]);
    });
    assert!(done(store, &[earlier]).await[0].stale);
    let stored = fields(store, "timed").await;
    assert_eq!((&stored["name"], &stored["mrr"], &stored["custom"]["c"]), (&json!("newer"), &json!(7), &json!(7)));
    // Of the same time: what comes later stands. Without a time: it stands, and has none.
    assert!(!done(store, &[event(24, Some(10), |patch| patch.name = Patch::Set("same".to_owned()))]).await[0].stale);
    assert!(!done(store, &[event(25, None, |patch| patch.mrr = Patch::Set(1))]).await[0].stale);
    assert!(done(store, &[event(26, Some(1), |patch| patch.mrr = Patch::Set(2))]).await[0].stale);
    let stored = fields(store, "timed").await;
    assert_eq!((&stored["name"], &stored["mrr"]), (&json!("same"), &json!(2)));
    // From a clock that is days ahead: as one without a time, so that it holds nothing back.
    assert!(
        !done(store, &[event(27, Some(2 * 86_400), |patch| patch.name = Patch::Set("ahead".to_owned()))]).await[0]
            .stale
    );
    assert!(!done(store, &[event(28, Some(11), |patch| patch.name = Patch::Set("true".to_owned()))]).await[0].stale);
    assert_eq!(fields(store, "timed").await["name"], json!("true"));
}

async fn a_repeat_is_answered_as_the_first(store: &impl OrgStore) {
    let sent = |org: &str, second: i64, id: &str, name: &str| OrgUpsert {
        idempotency_id: Some(id.to_owned()),
        event_at: Some(at(second.min(31))),
        ..named(org, second, name)
    };
    // Within a batch.
    let batch = [sent("rep", 30, "m1", "first"), sent("rep", 30, "m1", "second"), sent("other", 30, "m1", "other")];
    let first = done(store, &batch).await;
    assert_eq!(
        first.iter().map(|d| (d.is_new, d.repeated)).collect::<Vec<_>>(),
        [(true, false), (true, true), (true, false)]
    );
    assert_eq!(first[0].target_org_id, first[1].target_org_id);
    assert_eq!(fields(store, "rep").await["name"], json!("first"));
    // Later, with another id between.
    let second = done(store, &[sent("rep", 31, "m2", "second")]).await;
    assert_eq!((second[0].is_new, second[0].repeated), (false, false));
    let before = store.org("rep").await.unwrap();
    let again =
        done(store, &[sent("rep", 32, "m1", "first"), sent("rep", 32, "m2", "x"), sent("other", 32, "m1", "y")]).await;
    assert_eq!(
        again.iter().map(|d| (d.is_new, d.repeated)).collect::<Vec<_>>(),
        [(true, true), (false, true), (true, true)]
    );
    assert_eq!(store.org("rep").await.unwrap(), before, "nothing of it is written");
    assert_eq!(changes(store, "rep").await.len(), 2);
    // A stale answer stays one; a key has its own ids.
    let late = OrgUpsert { event_at: Some(at(0)), ..sent("rep", 33, "m3", "late") };
    let expected = Upserted { target_org_id: first[0].target_org_id, is_new: false, stale: true, repeated: false };
    assert_eq!(done(store, std::slice::from_ref(&late)).await, [expected]);
    assert_eq!(done(store, &[late]).await, [Upserted { repeated: true, ..expected }]);
    let other_key = KeyUse { id: "orgs_2".to_owned(), revision: 1 };
    let other = OrgUpsert { key: other_key, ..sent("rep", 34, "m1", "by another key") };
    assert!(!done(store, &[other]).await[0].repeated);
}

async fn answers_are_forgotten_bit_by_bit(store: &impl OrgStore) {
    let sent = |number: i64| OrgUpsert {
        idempotency_id: Some(format!("f{number}")),
        ..named("forgetting", 40 + number, &number.to_string())
    };
    for number in 0..5 {
        done(store, &[sent(number)]).await;
    }
    // What the other cases have left.
    while store.forget_answers(at(40), 2).await.unwrap() > 0 {}
    assert_eq!(store.forget_answers(at(43), 2).await.unwrap(), 2, "the oldest");
    assert!(done(store, &[sent(2)]).await[0].repeated);
    assert_eq!(store.forget_answers(at(43), 2).await.unwrap(), 1);
    assert_eq!(store.forget_answers(at(43), 2).await.unwrap(), 0, "those of that time and later are kept");
    assert!(done(store, &[sent(3)]).await[0].repeated);
    assert!(!done(store, &[OrgUpsert { at: at(50), ..sent(2) }]).await[0].repeated);
    assert_eq!(store.org("forgetting").await.unwrap().unwrap().fields.name.as_deref(), Some("2"), "orgs stay");
    assert_eq!(changes(store, "forgetting").await.len(), 6, "and their history");
}

async fn history_is_forgotten_bit_by_bit(store: &impl OrgStore) {
    let ids: Vec<String> = (0..1100).map(|number| format!("past_{number:04}")).collect();
    // Years ago, then now: what else is there is of neither time.
    for (second, name) in [(-1_000_000_000, "old"), (-999_999_000, "older"), (900, "new")] {
        let batch: Vec<OrgUpsert> = ids.iter().map(|id| named(id, second, name)).collect();
        done(store, &batch).await;
    }
    let (others, numbers) =
        (changes(store, "forgetting").await, |all: Vec<OrgChange>| all.iter().map(|c| c.number).collect::<Vec<_>>());
    let orgs = store.orgs(Some("past_"), 2000).await.unwrap();
    let (mut from, mut pieces) = (Some(0), 0);
    while let Some(number) = from {
        from = store.forget_history(at(-999_999_000), number).await.unwrap();
        assert!(from.is_none_or(|next| next > number));
        pieces += 1;
    }
    assert!(pieces > 2, "{pieces}");
    for id in [&ids[0], &ids[499], &ids[1099]] {
        assert_eq!(numbers(changes(store, id).await), [2, 3], "that of the time itself stays");
    }
    assert_eq!(changes(store, "forgetting").await, others);
    assert_eq!(json!(store.orgs(Some("past_"), 2000).await.unwrap()), json!(orgs), "orgs stay as they are");
    // All of it is gone: numbers go on.
    let mut from = Some(0);
    while let Some(number) = from {
        from = store.forget_history(at(-900_000_000), number).await.unwrap();
    }
    assert_eq!(numbers(changes(store, &ids[7]).await), [3]);
    done(store, &[named(&ids[7], 901, "newest")]).await;
    assert_eq!(numbers(changes(store, &ids[7]).await), [3, 4]);
}

async fn a_changed_key_writes_nothing(store: &(impl OrgStore + KeyStore)) {
    for (id, hash) in [("revoked", 110), ("rotated", 111), ("expiring", 112)] {
        store.put_key(&KeyRecord { expires_at: Some(at(70)), ..key(id, hash) }).await.unwrap();
    }
    let by = |key: &str, second: i64, org: &str| OrgUpsert {
        key: KeyUse { id: key.to_owned(), revision: 1 },
        idempotency_id: Some("once".to_owned()),
        ..named(org, second, key)
    };
    let outcome = async |upsert: OrgUpsert| store.upsert_orgs(&[upsert]).await.unwrap()[0];
    for id in ["revoked", "rotated", "expiring"] {
        assert!(matches!(outcome(by(id, 60, id)).await, UpsertOutcome::Done(_)));
    }
    store.revoke_key("revoked", at(61)).await.unwrap();
    let rotated = store.key("rotated").await.unwrap().unwrap();
    assert!(store.change_key(&rotated).await.unwrap());
    assert!(matches!(outcome(by("expiring", 69, "expiring")).await, UpsertOutcome::Done(_)));

    let before = store.orgs(None, 1000).await.unwrap();
    for (id, second) in [("revoked", 62), ("rotated", 62), ("expiring", 70), ("never", 62)] {
        // Not even a repeat is answered.
        assert_eq!(outcome(by(id, second, id)).await, UpsertOutcome::KeyChanged, "{id}");
        // What stands beside it in the batch is written.
        let batch = [by(id, second, "unborn"), by("revoked", 62, "unborn"), named("beside", second, id)];
        let outcomes = store.upsert_orgs(&batch).await.unwrap();
        assert_eq!(outcomes[..2], [UpsertOutcome::KeyChanged; 2], "{id}");
        assert!(matches!(outcomes[2], UpsertOutcome::Done(_)), "{id}");
    }
    let after = store.orgs(None, 1000).await.unwrap();
    let without_beside: Vec<_> = after.into_iter().filter(|org| org.product_org_id != "beside").collect();
    assert_eq!(without_beside, before);
    let revision = store.key("rotated").await.unwrap().unwrap().revision;
    let fresh = OrgUpsert { key: KeyUse { id: "rotated".to_owned(), revision }, ..by("rotated", 63, "rotated") };
    assert!(matches!(outcome(fresh).await, UpsertOutcome::Done(Upserted { repeated: true, .. })));
}

async fn uses_are_counted_with_the_orgs(store: &(impl OrgStore + KeyStore)) {
    store.put_key(&key("counting", 120)).await.unwrap();
    let by = |second: i64, id: Option<&str>| OrgUpsert {
        key: KeyUse { id: "counting".to_owned(), revision: 1 },
        idempotency_id: id.map(str::to_owned),
        ..upsert("counted", second, |_| {})
    };
    let counted = async || {
        let key = store.key("counting").await.unwrap().unwrap();
        (key.counts, key.last_used_at, key.revision)
    };
    let stored = |stored, second| (KeyCounts { stored, ..KeyCounts::default() }, Some(at(second)), 1);
    done(store, &[by(5, None), by(4, Some("a")), by(3, Some("a"))]).await;
    assert_eq!(counted().await, stored(2, 5), "a repeat is not stored again");
    done(store, &[by(4, None)]).await;
    assert_eq!(counted().await, stored(3, 5), "the last use is never set back");
    done(store, &[by(6, Some("a"))]).await;
    assert_eq!(counted().await, stored(3, 6), "a repeat is a use");
}

/// Of every size around those of the pieces that statements come in.
async fn large_batches_are_written_whole(store: &impl OrgStore) {
    for size in [1, 2, 3, 64, 65, 127, 128, 129, 257, 700] {
        let batch: Vec<OrgUpsert> = (0..size)
            .map(|number| OrgUpsert {
                idempotency_id: Some("once".to_owned()),
                ..named(&format!("large_{size}_{number:04}"), 80, &number.to_string())
            })
            .collect();
        let first = done(store, &batch).await;
        assert!(first.windows(2).all(|pair| pair[0].target_org_id < pair[1].target_org_id), "{size}");
        let names: Vec<String> = (0..size).map(|number: i64| number.to_string()).collect();
        let stored = store.orgs(Some(&format!("large_{size}_")), size as u32).await.unwrap();
        let found: Vec<&str> = stored.iter().filter_map(|org| org.fields.name.as_deref()).collect();
        assert_eq!(found, names, "{size}");
        let again = done(store, &batch).await;
        let expected: Vec<Upserted> = first.iter().map(|first| Upserted { repeated: true, ..*first }).collect();
        assert_eq!(again, expected, "{size}");
        assert_eq!(changes(store, &batch[batch.len() - 1].patch.product_org_id).await.len(), 1, "{size}");
    }
}
