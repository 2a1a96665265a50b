//! A change as it is shown to whoever looks at a change set before it is sent.

use crate::diff::Operation;
use crate::row::{RowRef, key_json};
use crate::snapshot::ChangeBatch;
use crate::template::RenderError;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A change: what the destination has, what tonight's extract has, and the body that would leave.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ShownChange {
    /// The org's key: its value, or an object of several columns.
    pub key: Value,
    /// `added`, `changed` or `removed`.
    #[schema(example = "changed")]
    pub op: &'static str,
    /// What the destination is known to have, by compared column; `null`: nothing.
    pub before: Value,
    /// What it is to have; `null` of one that is removed.
    pub after: Value,
    /// The columns that differ.
    pub changed: Vec<String>,
    /// An earlier send of the org may have been applied.
    pub uncertain: bool,
    /// The id that it goes out under.
    pub webhook_id: String,
    /// As JSON, or as text if it is none.
    pub body: Value,
    /// Why there is none.
    pub body_error: Option<String>,
}

impl ShownChange {
    /// The change at this place of a batch, with its body.
    pub fn new(body: Result<String, RenderError>, batch: &ChangeBatch, at: usize) -> Self {
        let (row, meta) = (batch.row(at), &batch.rows[at]);
        let compared: Vec<&str> = batch.shape().compared().collect();
        let object = |of: RowRef<'_>| -> Value {
            let entries = compared
                .iter()
                .filter_map(|name| Some(((*name).to_owned(), of.value(of.schema.index_of(name)?).to_json())));
            Value::Object(entries.collect())
        };
        let (body, body_error) = match body {
            Ok(body) => (serde_json::from_str(&body).unwrap_or(Value::String(body)), None),
            Err(error) => (Value::Null, Some(error.to_string())),
        };
        ShownChange {
            key: key_json(row, &batch.shape().key),
            op: meta.operation.as_str(),
            before: batch.before(at).map_or(Value::Null, object),
            after: if meta.operation == Operation::Removed { Value::Null } else { object(row) },
            changed: batch.changed_columns(at).into_iter().map(str::to_owned).collect(),
            uncertain: meta.uncertain,
            webhook_id: meta.webhook_id.clone(),
            body,
            body_error,
        }
    }
}
