//! What changed in an org, kept until it is forgotten ([`forget_history`](super::OrgStore::forget_history)).

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::fmt::Write;
use utoipa::ToSchema;

/// One change of one org.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct OrgChange {
    /// From 1, without a gap.
    pub number: i64,
    /// When the update was received.
    pub at: DateTime<Utc>,
    /// The id of the API key that sent it.
    pub key_id: String,
    /// The request that it came with.
    pub request_id: String,
    /// When it happened, by its sender.
    pub event_at: Option<DateTime<Utc>>,
    /// `{"before": …, "after": …}` by field; null is no value. A custom field is called `custom.NAME`, which no other field can be.
    pub fields: Map<String, Value>,
}

/// What an update did to one field.
#[derive(Debug, PartialEq)]
pub(super) struct Changed<'a> {
    pub field: Cow<'a, str>,
    pub before: Value,
    pub after: Value,
}

/// As it is stored: `{"field": [before, after]}`.
pub(super) fn to_text(changed: &[Changed<'_>]) -> String {
    let mut text = String::with_capacity(2 + changed.len() * 32);
    text.push('{');
    for (index, Changed { field, before, after }) in changed.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        // Writing to a String does not fail.
        let _ = match field.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
            true => write!(text, "\"{field}\""),
            false => write!(text, "{}", json!(field)),
        };
        let _ = write!(text, ":[{before},{after}]");
    }
    text.push('}');
    text
}

impl OrgChange {
    /// The fields of a change, from how they are stored.
    ///
    /// # Errors
    /// What it is not.
    pub fn fields_from(text: &str) -> Result<Map<String, Value>, String> {
        let stored: Map<String, Value> = serde_json::from_str(text).map_err(|error| format!("a change ({error})"))?;
        let one = |(field, pair): (String, Value)| match pair {
            Value::Array(pair) => match <[Value; 2]>::try_from(pair) {
                Ok([before, after]) => Ok((field, json!({ "before": before, "after": after }))),
                Err(_) => Err(format!("the change of {field}")),
            },
            _ => Err(format!("the change of {field}")),
        };
        stored.into_iter().map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_read_as_it_was_written() {
        let changed = [
            Changed { field: "name".into(), before: Value::Null, after: json!("O'Hara \"&\"\n") },
            Changed { field: "custom.a \"b\"".into(), before: json!([1]), after: json!({"x": null}) },
        ];
        let text = to_text(&changed);
        assert_eq!(text, r#"{"name":[null,"O'Hara \"&\"\n"],"custom.a \"b\"":[[1],{"x":null}]}"#);
        let fields = OrgChange::fields_from(&text).expect("as written");
        assert_eq!(fields["name"], json!({"before": null, "after": "O'Hara \"&\"\n"}));
        assert_eq!(fields["custom.a \"b\""], json!({"before": [1], "after": {"x": null}}));
        assert_eq!(to_text(&[]), "{}");
        for bad in ["", "[]", "{\"name\":1}", "{\"name\":[1]}", "{\"name\":[1,2,3]}"] {
            assert!(OrgChange::fields_from(bad).is_err(), "{bad}");
        }
    }
}
