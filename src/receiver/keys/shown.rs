//! A key as it may be shown.

use crate::mapping::PayloadTemplate;
use crate::store::KeyRecord;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Whether a key admits requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// It does.
    Valid,
    /// Its time is over.
    Expired,
    /// It was revoked.
    Revoked,
}

impl KeyState {
    /// The state of a key at a time.
    pub fn of(key: &KeyRecord, now: DateTime<Utc>) -> KeyState {
        match (key.revoked_at, key.expires_at) {
            (Some(_), _) => KeyState::Revoked,
            (None, Some(end)) if end <= now => KeyState::Expired,
            _ => KeyState::Valid,
        }
    }
}

/// A key with what follows from its record, and without any hash.
#[derive(Debug, Serialize, ToSchema)]
pub struct ShownKey {
    /// The record. `previous` only while its text is valid.
    #[serde(flatten)]
    pub record: KeyRecord,
    /// A preset's name, or `custom`; `None` for keys that have no template.
    pub template: Option<&'static str>,
    /// The template itself, as `keys create --template` reads it from a JSON file.
    pub payload_template: Option<Value>,
    /// Whether requests need a secret.
    pub has_secret: bool,
    /// Whether it admits requests.
    pub state: KeyState,
}

impl ShownKey {
    /// A key as it is at a time.
    pub fn new(mut record: KeyRecord, now: DateTime<Utc>) -> ShownKey {
        let state = KeyState::of(&record, now);
        record.previous = record.previous.filter(|previous| state == KeyState::Valid && now < previous.until);
        let template = record.template.as_deref().map(PayloadTemplate::from_json_text);
        let name =
            template.map(|template| template.ok().and_then(|template| template.preset_name()).unwrap_or("custom"));
        let payload_template = record.template.as_deref().and_then(|text| serde_json::from_str(text).ok());
        ShownKey { template: name, payload_template, has_secret: record.secret_hash.is_some(), state, record }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::record;
    use super::*;
    use serde_json::json;

    #[test]
    fn a_key_is_shown_without_what_lets_somebody_in() {
        let shown = |second: i64, change: fn(&mut KeyRecord)| {
            let mut record = record();
            change(&mut record);
            json!(ShownKey::new(record, DateTime::from_timestamp(1_700_000_000 + second, 0).expect("a time")))
        };
        let key = shown(9, |_| {});
        let names: Vec<&str> = key.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "id",
                "name",
                "type",
                "prefix",
                "created_at",
                "expires_at",
                "revoked_at",
                "last_used_at",
                "rotation",
                "signature",
                "rate",
                "counts",
                "template",
                "payload_template",
                "has_secret",
                "state",
            ]
        );
        assert_eq!(key["rotation"], json!({"prefix": "sk_old", "until": "2023-11-14T22:13:30Z"}));
        assert_eq!((&key["template"], &key["payload_template"]), (&json!("custom"), &json!({"product_org_id": "id"})));
        assert_eq!((&key["has_secret"], &key["state"]), (&json!(true), &json!("valid")));
        assert_eq!(shown(10, |_| {})["rotation"], Value::Null, "over");
        let expired = shown(9, |key| key.expires_at = Some(key.created_at));
        assert_eq!((&expired["state"], &expired["rotation"]), (&json!("expired"), &Value::Null));
        assert_eq!(shown(9, |key| key.revoked_at = Some(key.created_at))["state"], json!("revoked"));
        assert_eq!(shown(9, |key| key.template = None)["template"], Value::Null);
    }
}
