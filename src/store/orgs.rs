//! Received orgs: what is known of one, and what an update (`mapping`) does to it.

use super::StoreError;
pub use crate::mapping::{OrgPatch, Patch, TrialStatus};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};

/// What is known of an org.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct OrgFields {
    /// The org's name.
    pub name: Option<String>,
    /// The plan's id.
    pub plan_id: Option<String>,
    /// The plan's name.
    pub plan_name: Option<String>,
    /// Users.
    pub user_count: Option<i64>,
    /// Monthly recurring revenue in cents.
    pub mrr: Option<i64>,
    /// Where its trial stands.
    pub trial_status: Option<TrialStatus>,
    /// When somebody last used it.
    pub last_active_at: Option<DateTime<Utc>>,
    /// Feature flags.
    pub feature_flags: Option<Map<String, Value>>,
    /// Custom fields by name.
    pub custom: Map<String, Value>,
}

impl OrgFields {
    /// Takes an update in. Every store merges with this, so that all agree on what "absent" and "null" do.
    pub fn apply(&mut self, patch: &OrgPatch) {
        patch.name.apply(&mut self.name);
        patch.plan_id.apply(&mut self.plan_id);
        patch.plan_name.apply(&mut self.plan_name);
        patch.user_count.apply(&mut self.user_count);
        patch.mrr.apply(&mut self.mrr);
        patch.trial_status.apply(&mut self.trial_status);
        patch.last_active_at.apply(&mut self.last_active_at);
        patch.feature_flags.apply(&mut self.feature_flags);
        for (name, field) in &patch.custom {
            match field {
                Patch::Keep => {}
                // shift_remove: the other fields keep their order, so an export does not change where nothing did.
                Patch::Clear => drop(self.custom.shift_remove(name)),
                Patch::Set(value) => drop(self.custom.insert(name.clone(), value.clone())),
            }
        }
    }
}

/// One org as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OrgRecord {
    /// The id that payloads name it by.
    pub product_org_id: String,
    /// Our number for it: given once, never changed, never reused.
    pub target_org_id: i64,
    /// What is known of it.
    #[serde(flatten)]
    pub fields: OrgFields,
    /// When it was first received.
    pub created_at: DateTime<Utc>,
    /// When it was last received.
    pub updated_at: DateTime<Utc>,
    /// The id of the API key that sent it last.
    pub key_id: String,
}

/// An update with its circumstances.
#[derive(Debug, Clone, PartialEq)]
pub struct OrgUpsert {
    /// What it says.
    pub patch: OrgPatch,
    /// The id of the API key that sent it.
    pub key_id: String,
    /// When it was received.
    pub at: DateTime<Utc>,
}

/// What an update did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upserted {
    /// Our number for the org.
    pub target_org_id: i64,
    /// Whether the org was unknown before this update.
    pub is_new: bool,
}

/// The orgs that the receiver holds.
#[async_trait]
pub trait OrgStore: Send + Sync {
    /// Applies the updates in order, all or none, and notes the keys' last use with them. One answer for each update, in
    /// the same order.
    async fn upsert_orgs(&self, batch: &[OrgUpsert]) -> Result<Vec<Upserted>, StoreError>;
    /// One org, by its exact id.
    async fn org(&self, product_org_id: &str) -> Result<Option<OrgRecord>, StoreError>;
    /// Orgs in the byte order of their ids, beginning behind `after`, at most `limit`.
    async fn orgs(&self, after: Option<&str>, limit: u32) -> Result<Vec<OrgRecord>, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeMap;

    #[test]
    fn absent_keeps_null_clears_value_sets() {
        let custom: Map<String, Value> =
            [("a", json!(1)), ("b", json!(2)), ("c", json!(3))].map(|(k, v)| (k.to_owned(), v)).into_iter().collect();
        let mut fields = OrgFields {
            name: Some("Acme".into()),
            plan_id: Some("pro".into()),
            user_count: Some(4),
            custom,
            ..OrgFields::default()
        };
        fields.apply(&OrgPatch {
            plan_id: Patch::Clear,
            user_count: Patch::Set(5),
            custom: BTreeMap::from([
                ("a".to_owned(), Patch::Clear),
                ("b".to_owned(), Patch::Keep),
                ("c".to_owned(), Patch::Set(json!({"x": null}))),
            ]),
            ..OrgPatch::default()
        });
        assert_eq!(fields.name.as_deref(), Some("Acme"));
        assert_eq!(fields.plan_id, None);
        assert_eq!(fields.user_count, Some(5));
        assert_eq!(Value::Object(fields.custom), json!({"b": 2, "c": {"x": null}}));
    }
}
