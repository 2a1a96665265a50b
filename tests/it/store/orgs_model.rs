//! Random updates against a model that does each rule in the plainest way.

use super::at;
use super::orgs::{done, upsert};
use crate::support::number;
use nightmark::store::{OrgPatch, OrgRecord, OrgStore, OrgUpsert, Patch, TrialStatus, Upserted};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Fields, one of each form, and a custom one that has the name of another.
const FIELDS: [&str; 6] = ["name", "mrr", "trial_status", "last_active_at", "feature_flags", "custom.name"];

/// What a field has, and when that happened.
type Held = (Value, Option<i64>);

#[derive(Default)]
struct Model {
    orgs: BTreeMap<String, BTreeMap<&'static str, Held>>,
    newest: BTreeMap<String, i64>,
    /// By id and org: the answer.
    answers: BTreeMap<(String, String), (bool, bool)>,
    histories: BTreeMap<String, usize>,
}

/// An update: org, when it happened, id, and for each field it says: null or a value.
#[derive(Debug, Clone)]
struct Update {
    org: String,
    happened: Option<i64>,
    id: Option<String>,
    fields: Vec<(&'static str, Value)>,
}

impl Model {
    /// Whether the org is new, whether the update is stale, and whether it is a repeat.
    fn apply(&mut self, update: &Update) -> (bool, bool, bool) {
        let name = update.id.clone().map(|id| (id, update.org.clone()));
        if let Some(&(new, stale)) = name.as_ref().and_then(|name| self.answers.get(name)) {
            return (new, stale, true);
        }
        let new = !self.orgs.contains_key(&update.org);
        let newest = self.newest.get(&update.org).copied();
        let stale = update.happened.zip(newest).is_some_and(|(happened, newest)| happened < newest);
        let org = self.orgs.entry(update.org.clone()).or_default();
        let mut changed = new;
        for (field, value) in &update.fields {
            let (stored, time) = org.get(field).cloned().unwrap_or((Value::Null, None));
            if update.happened.zip(time).is_some_and(|(happened, time)| happened < time) {
                continue;
            }
            changed |= stored != *value;
            org.insert(field, (value.clone(), update.happened));
        }
        if let Some(happened) = update.happened {
            self.newest.insert(update.org.clone(), newest.map_or(happened, |newest| newest.max(happened)));
        }
        *self.histories.entry(update.org.clone()).or_default() += usize::from(changed);
        if let Some(name) = name {
            self.answers.insert(name, (new, stale));
        }
        (new, stale, false)
    }
}

fn value(field: &str, rng: &mut StdRng) -> Value {
    let small = rng.random_range(0..3);
    match field {
        _ if rng.random_bool(0.2) => Value::Null,
        "mrr" => json!(small),
        "trial_status" => json!(TrialStatus::ALL[small].as_str()),
        "last_active_at" => json!(at(small as i64)),
        "feature_flags" => json!({"a": small, "b": {"c": null}}),
        "custom.name" => json!([small]),
        _ => json!(format!("{small}")),
    }
}

fn update(case: u64, rng: &mut StdRng) -> Update {
    let mut fields = Vec::new();
    for field in FIELDS {
        if rng.random_bool(0.4) {
            fields.push((field, value(field, rng)));
        }
    }
    Update {
        org: format!("model_{case}_{}", rng.random_range(0..2)),
        happened: rng.random_bool(0.8).then(|| rng.random_range(-20..0)),
        id: rng.random_bool(0.5).then(|| format!("id_{case}_{}", rng.random_range(0..8))),
        fields,
    }
}

fn patch(update: &Update) -> OrgPatch {
    fn of<T>(value: &Value, read: impl Fn(&Value) -> Option<T>) -> Patch<T> {
        match value {
            Value::Null => Patch::Clear,
            value => Patch::Set(read(value).unwrap()),
        }
    }
    let mut patch = OrgPatch { product_org_id: update.org.clone(), ..OrgPatch::default() };
    for (field, value) in &update.fields {
        match *field {
            "mrr" => patch.mrr = of(value, Value::as_i64),
            "trial_status" => patch.trial_status = of(value, |value| TrialStatus::parse(value.as_str()?)),
            "last_active_at" => patch.last_active_at = of(value, |value| value.as_str()?.parse().ok()),
            "feature_flags" => patch.feature_flags = of(value, |value| value.as_object().cloned()),
            "name" => patch.name = of(value, |value| Some(value.as_str()?.to_owned())),
            _ => drop(patch.custom.insert("name".to_owned(), of(value, |value| Some(value.clone())))),
        }
    }
    patch
}

/// A field of an org as the model has it.
fn field(org: &OrgRecord, field: &str) -> Value {
    let org = json!(org);
    match field.strip_prefix("custom.") {
        Some(name) => org["custom"][name].clone(),
        None => org[field].clone(),
    }
}

/// Every change in its order, from nothing on.
async fn replayed(store: &impl OrgStore, id: &str, entries: usize, shown: &str) -> Map<String, Value> {
    let mut state = Map::new();
    let mut number = 0;
    loop {
        let page = store.history(id, Some(number), 3).await.unwrap();
        if page.is_empty() {
            assert_eq!(number as usize, entries, "{shown}: {id} has one entry for each change");
            return state;
        }
        for change in page {
            number += 1;
            assert_eq!(change.number, number, "{shown}");
            for (field, values) in change.fields {
                assert_eq!(state.get(&field).unwrap_or(&Value::Null), &values["before"], "{shown}: {field}");
                assert_ne!(values["before"], values["after"], "{shown}: {field}");
                state.insert(field, values["after"].clone());
            }
        }
    }
}

async fn one_case(store: &impl OrgStore, case: u64, seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut model = Model::default();
    let mut past: Vec<Update> = Vec::new();
    let shown = format!("NIGHTMARK_MODEL_SEED={seed}");
    for second in 0..10 {
        let updates: Vec<Update> = (0..rng.random_range(1..7))
            .map(|_| match rng.random_bool(0.3) && !past.is_empty() {
                true => past[rng.random_range(0..past.len())].clone(),
                false => update(case, &mut rng),
            })
            .collect();
        let sent = |update: &Update| OrgUpsert {
            patch: patch(update),
            event_at: update.happened.map(at),
            idempotency_id: update.id.clone(),
            ..upsert(&update.org, second, |_| {})
        };
        let batch: Vec<OrgUpsert> = updates.iter().map(sent).collect();
        for (update, done) in updates.iter().zip(done(store, &batch).await) {
            let Upserted { is_new, stale, repeated, .. } = done;
            assert_eq!((is_new, stale, repeated), model.apply(update), "{shown}: {update:?}");
        }
        past.extend(updates);
    }
    for (id, expected) in &model.orgs {
        let org = store.org(id).await.unwrap().unwrap();
        let replayed = replayed(store, id, model.histories[id], &shown).await;
        for name in FIELDS {
            let expected = expected.get(name).map_or(&Value::Null, |(value, _)| value);
            assert_eq!(&field(&org, name), expected, "{shown}: {name} of {id}");
            assert_eq!(replayed.get(name).unwrap_or(&Value::Null), expected, "{shown}: {name} of {id}, replayed");
        }
        assert_eq!(org.event_at, model.newest.get(id).copied().map(at), "{shown}");
    }
}

/// A store does as the model, in so many random cases: final state field by field, answers, and a history that replays to the state.
pub async fn follows(store: &impl OrgStore, cases: u64) {
    let seed = number("NIGHTMARK_MODEL_SEED").unwrap_or_else(rand::random);
    for case in 0..cases {
        one_case(store, case, seed.wrapping_add(case)).await;
    }
}
