//! What a payload says about an org.

use super::Field;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// `trial_status`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrialStatus {
    /// The trial runs.
    Active,
    /// It ended without a purchase.
    Expired,
    /// It ended with one.
    Converted,
}

impl TrialStatus {
    /// Every status.
    pub const ALL: [TrialStatus; 3] = [TrialStatus::Active, TrialStatus::Expired, TrialStatus::Converted];

    /// As it stands in payloads, case-sensitive.
    pub fn as_str(self) -> &'static str {
        match self {
            TrialStatus::Active => "active",
            TrialStatus::Expired => "expired",
            TrialStatus::Converted => "converted",
        }
    }

    /// The reverse of [`as_str`](Self::as_str).
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// What an update says about one field.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Patch<T> {
    /// Nothing: the stored value stays.
    #[default]
    Keep,
    /// There is no value any more.
    Clear,
    /// This is the value.
    Set(T),
}

impl<T> Patch<T> {
    /// The same about the value as JSON.
    fn json<'a>(&'a self, to: impl FnOnce(&'a T) -> Value) -> Patch<Value> {
        match self {
            Patch::Keep => Patch::Keep,
            Patch::Clear => Patch::Clear,
            Patch::Set(value) => Patch::Set(to(value)),
        }
    }
}

/// One validated update of one org.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OrgPatch {
    /// Exact and case-sensitive; 1–255 bytes without control characters.
    pub product_org_id: String,
    /// The org's name.
    pub name: Patch<String>,
    /// The plan's id.
    pub plan_id: Patch<String>,
    /// The plan's name.
    pub plan_name: Patch<String>,
    /// Users, at least 0.
    pub user_count: Patch<i64>,
    /// Monthly recurring revenue in cents.
    pub mrr: Patch<i64>,
    /// Where its trial stands.
    pub trial_status: Patch<TrialStatus>,
    /// When somebody last used it.
    pub last_active_at: Patch<DateTime<Utc>>,
    /// Replaced as a whole, not merged.
    pub feature_flags: Patch<Map<String, Value>>,
    /// By name; a cleared field is removed.
    pub custom: BTreeMap<String, Patch<Value>>,
}

/// An update with what its sender says of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Update {
    /// What it says about the org.
    pub patch: OrgPatch,
    /// When it happened, to the microsecond.
    pub event_at: Option<DateTime<Utc>>,
    /// What its sender calls it ([`is_message_id`](super::is_message_id)).
    pub message_id: Option<String>,
}

/// What a payload that fits says.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "taken apart at once, and nearly every payload is an update")]
pub enum Reading {
    /// Something about an org.
    Update(Update),
    /// Nothing: the template's `only_if` does not hold. Whether its fields would fit was not looked at.
    Ignored,
}

impl Reading {
    /// The update, if it is one.
    pub fn update(self) -> Option<Update> {
        match self {
            Reading::Update(update) => Some(update),
            Reading::Ignored => None,
        }
    }
}

impl OrgPatch {
    /// What it says about a field, as JSON.
    pub fn field(&self, field: Field) -> Patch<Value> {
        let text = |value: &String| Value::from(value.as_str());
        let number = |value: &i64| Value::from(*value);
        match field {
            Field::Name => self.name.json(text),
            Field::PlanId => self.plan_id.json(text),
            Field::PlanName => self.plan_name.json(text),
            Field::UserCount => self.user_count.json(number),
            Field::Mrr => self.mrr.json(number),
            Field::TrialStatus => self.trial_status.json(|status| Value::from(status.as_str())),
            Field::LastActiveAt => self.last_active_at.json(|time| Value::from(time.to_rfc3339())),
            Field::FeatureFlags => self.feature_flags.json(|flags| Value::Object(flags.clone())),
        }
    }
}
