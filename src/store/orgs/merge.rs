//! What an update does to an org: the one place that every store merges with.
//!
//! Field by field: "absent" keeps, null clears, a value sets. Of two events about a field the one that happened later stands,
//! whichever came first; of the same time, or where one has no time, the one that came later. So an event that comes late still
//! fills in what nothing newer is known of: senders send some of an org's fields at a time.

use super::history::Changed;
use super::{OrgRecord, OrgUpsert, Patch};
use crate::mapping::Field;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use serde_json::Value;
use std::borrow::Cow;

/// How far ahead of its receipt an event may have happened. One that is further ahead comes from a clock that is wrong, and would
/// hold back every true event until then: it counts as one without a time.
const AHEAD: TimeDelta = TimeDelta::days(1);

/// What an update did.
#[derive(Debug, Default)]
pub(super) struct Merged<'a> {
    /// It happened before the newest event of the org.
    pub stale: bool,
    /// What it changed.
    pub changed: Vec<Changed<'a>>,
}

/// To the microsecond, as the stores keep it.
pub(super) fn micros(at: DateTime<Utc>) -> DateTime<Utc> {
    at.trunc_subsecs(6)
}

/// When the update happened, as far as that can be believed.
pub(super) fn happened(upsert: &OrgUpsert) -> Option<DateTime<Utc>> {
    upsert.event_at.map(micros).filter(|event| *event <= upsert.at + AHEAD)
}

/// Takes an update in.
pub(super) fn merge<'a>(org: &mut OrgRecord, upsert: &'a OrgUpsert) -> Merged<'a> {
    let event_at = happened(upsert);
    let newest = org.event_at;
    let stale = matches!((event_at, newest), (Some(event), Some(newest)) if event < newest);
    let mut merging = Merging { org, event_at, newest, touched: Vec::new(), changed: Vec::new() };
    merging.fields(upsert);
    for (name, patch) in &upsert.patch.custom {
        merging.custom(name, patch);
    }
    let Merging { touched, changed, .. } = merging;
    note_times(org, event_at, &touched);
    Merged { stale, changed }
}

struct Merging<'o, 'a> {
    org: &'o mut OrgRecord,
    event_at: Option<DateTime<Utc>>,
    newest: Option<DateTime<Utc>>,
    /// Fields whose value is of this update from now on, and whether they have one.
    touched: Vec<(Cow<'a, str>, bool)>,
    changed: Vec<Changed<'a>>,
}

impl<'a> Merging<'_, 'a> {
    fn fields(&mut self, upsert: &'a OrgUpsert) {
        let patch = &upsert.patch;
        let text = |text: &String| Value::from(text.as_str());
        self.one(Field::Name, &patch.name, |org| &mut org.fields.name, text);
        self.one(Field::PlanId, &patch.plan_id, |org| &mut org.fields.plan_id, text);
        self.one(Field::PlanName, &patch.plan_name, |org| &mut org.fields.plan_name, text);
        self.one(Field::UserCount, &patch.user_count, |org| &mut org.fields.user_count, |n| Value::from(*n));
        self.one(Field::Mrr, &patch.mrr, |org| &mut org.fields.mrr, |n| Value::from(*n));
        self.one(Field::TrialStatus, &patch.trial_status, |org| &mut org.fields.trial_status, |s| s.as_str().into());
        let last_active_at = match &patch.last_active_at {
            Patch::Set(at) => Patch::Set(micros(*at)),
            other => other.clone(),
        };
        self.one(Field::LastActiveAt, &last_active_at, |org| &mut org.fields.last_active_at, time);
        let object = |flags: &serde_json::Map<String, Value>| Value::Object(flags.clone());
        self.one(Field::FeatureFlags, &patch.feature_flags, |org| &mut org.fields.feature_flags, object);
    }

    fn one<T: Clone + PartialEq>(
        &mut self,
        field: Field,
        patch: &Patch<T>,
        stored: impl FnOnce(&mut OrgRecord) -> &mut Option<T>,
        json: impl Fn(&T) -> Value,
    ) {
        let new = match patch {
            Patch::Keep => return,
            Patch::Clear => None,
            Patch::Set(value) => Some(value),
        };
        let (event_at, newest) = (self.event_at, self.newest);
        let times = std::mem::take(&mut self.org.times);
        let stored = stored(self.org);
        let held = held_back(event_at, times.of(field.as_str(), stored.is_some(), newest));
        if !held {
            if stored.as_ref() != new {
                let before = stored.as_ref().map_or(Value::Null, &json);
                let after = new.map_or(Value::Null, &json);
                self.changed.push(Changed { field: field.as_str().into(), before, after });
                *stored = new.cloned();
            }
            self.touched.push((field.as_str().into(), new.is_some()));
        }
        self.org.times = times;
    }

    fn custom(&mut self, name: &'a str, patch: &Patch<Value>) {
        let new = match patch {
            Patch::Keep => return,
            Patch::Clear => None,
            Patch::Set(value) => Some(value),
        };
        let field = format!("custom.{name}");
        let stored = &mut self.org.fields.custom;
        let before = stored.get(name);
        if held_back(self.event_at, self.org.times.of(&field, before.is_some(), self.newest)) {
            return;
        }
        if before != new {
            let (before, after) = (before.cloned().unwrap_or_default(), new.cloned().unwrap_or_default());
            self.changed.push(Changed { field: field.clone().into(), before, after });
            match new {
                Some(value) => drop(stored.insert(name.to_owned(), value.clone())),
                // shift_remove: the other fields keep their order, so an export does not change where nothing did.
                None => drop(stored.shift_remove(name)),
            }
        }
        self.touched.push((field.into(), new.is_some()));
    }
}

/// Whether something newer is known of a field.
fn held_back(event_at: Option<DateTime<Utc>>, stored: Option<DateTime<Utc>>) -> bool {
    matches!((event_at, stored), (Some(event), Some(stored)) if event < stored)
}

/// The times of the fields after an update of `touched`.
fn note_times(org: &mut OrgRecord, event_at: Option<DateTime<Utc>>, touched: &[(Cow<'_, str>, bool)]) {
    let newest_was = org.event_at;
    if event_at > newest_was {
        org.event_at = event_at;
        keep_others(org, newest_was, touched);
    }
    for (field, has_value) in touched {
        org.times.set(field, event_at, *has_value, org.event_at);
    }
}

/// Fields that have a value, and not from the event that is now the newest, keep their time.
fn keep_others(org: &mut OrgRecord, newest_was: Option<DateTime<Utc>>, touched: &[(Cow<'_, str>, bool)]) {
    let is_touched = |field: &str| touched.iter().any(|(name, _)| name == field);
    for field in Field::ALL {
        if has_value(org, field) && !is_touched(field.as_str()) {
            org.times.keep(field.as_str(), newest_was);
        }
    }
    for name in org.fields.custom.keys() {
        let field = format!("custom.{name}");
        if !is_touched(&field) {
            org.times.keep(&field, newest_was);
        }
    }
}

fn has_value(org: &OrgRecord, field: Field) -> bool {
    let fields = &org.fields;
    match field {
        Field::Name => fields.name.is_some(),
        Field::PlanId => fields.plan_id.is_some(),
        Field::PlanName => fields.plan_name.is_some(),
        Field::UserCount => fields.user_count.is_some(),
        Field::Mrr => fields.mrr.is_some(),
        Field::TrialStatus => fields.trial_status.is_some(),
        Field::LastActiveAt => fields.last_active_at.is_some(),
        Field::FeatureFlags => fields.feature_flags.is_some(),
    }
}

/// As [`OrgRecord`] is serialised.
fn time(at: &DateTime<Utc>) -> Value {
    serde_json::to_value(at).unwrap_or_default()
}
