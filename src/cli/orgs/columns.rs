//! Orgs as rows of an extract.
//!
//! A custom field becomes a column of its own. What kind it has goes by all of its values: text, integers, numbers or true and false
//! where all are that, JSON where they are mixed, or lists and objects.

use crate::row::{Column, Kind, Schema};
use crate::store::{OrgRecord, TrialStatus};
use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringViewArray, TimestampMicrosecondArray,
};
use arrow::error::ArrowError;
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The columns that every export has, before those of custom fields.
const FIXED: [(&str, Kind); 13] = [
    ("product_org_id", Kind::Text),
    ("name", Kind::Text),
    ("plan_id", Kind::Text),
    ("plan_name", Kind::Text),
    ("user_count", Kind::Int),
    ("mrr", Kind::Int),
    ("trial_status", Kind::Text),
    ("last_active_at", Kind::Timestamp),
    ("feature_flags", Kind::Json),
    ("target_org_id", Kind::Int),
    ("created_at", Kind::Timestamp),
    ("updated_at", Kind::Timestamp),
    ("event_at", Kind::Timestamp),
];

/// What all values of a custom field are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Bool,
    Int,
    /// Integers of which some are too large to be floats.
    WideInt,
    Float,
    Text,
    Json,
}

impl Shape {
    fn of(value: &Value) -> Shape {
        // Beyond 2⁵³ a float is no longer exact.
        const EXACT: u64 = 1 << 53;
        match value {
            Value::Bool(_) => Shape::Bool,
            Value::String(_) => Shape::Text,
            Value::Number(number) => match number.as_i64() {
                Some(integer) if integer.unsigned_abs() <= EXACT => Shape::Int,
                Some(_) => Shape::WideInt,
                None if number.is_f64() => Shape::Float,
                None => Shape::Json,
            },
            _ => Shape::Json,
        }
    }

    fn and(self, other: Shape) -> Shape {
        match (self, other) {
            (one, other) if one == other => one,
            (Shape::Int, Shape::WideInt) | (Shape::WideInt, Shape::Int) => Shape::WideInt,
            (Shape::Int, Shape::Float) | (Shape::Float, Shape::Int) => Shape::Float,
            _ => Shape::Json,
        }
    }

    fn kind(self) -> Kind {
        match self {
            Shape::Bool => Kind::Bool,
            Shape::Int | Shape::WideInt => Kind::Int,
            Shape::Float => Kind::Float,
            Shape::Text => Kind::Text,
            Shape::Json => Kind::Json,
        }
    }
}

/// Custom fields of all orgs, by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Custom(BTreeMap<String, Shape>);

impl Custom {
    /// Takes an org's fields in. Whether that changed anything.
    pub(super) fn see(&mut self, org: &OrgRecord) -> bool {
        let mut changed = false;
        for (name, value) in &org.fields.custom {
            let shape = Shape::of(value);
            match self.0.get_mut(name) {
                Some(known) => {
                    let both = known.and(shape);
                    changed |= std::mem::replace(known, both) != both;
                }
                None => {
                    self.0.insert(name.clone(), shape);
                    changed = true;
                }
            }
        }
        changed
    }

    /// The columns: always the same ones first, then the custom fields in the order of their names. One that is called as another
    /// column is called `custom.NAME`.
    pub(super) fn schema(&self) -> Schema {
        let column = |name: &str, kind| Column { name: name.to_owned(), kind };
        let mut columns: Vec<Column> = FIXED.iter().map(|(name, kind)| column(name, *kind)).collect();
        for (name, shape) in &self.0 {
            let mut free = name.clone();
            // An empty name is no name for a column.
            while free.is_empty() || columns.iter().any(|column| column.name == free) || self.is_anothers(&free, name) {
                free.insert_str(0, "custom.");
            }
            columns.push(column(&free, shape.kind()));
        }
        Schema { columns }
    }

    /// Whether a name that `name` is given is that of another custom field.
    fn is_anothers(&self, free: &str, name: &str) -> bool {
        free != name && self.0.contains_key(free)
    }

    /// Orgs as rows under [`schema`](Self::schema).
    ///
    /// # Errors
    /// None that is known of: arrays and schema are made of the same table.
    pub(super) fn rows(&self, orgs: &[OrgRecord]) -> Result<RecordBatch, ArrowError> {
        let mut arrays: Vec<ArrayRef> = fixed(orgs).into();
        arrays.extend(self.0.iter().map(|(name, shape)| custom(orgs, name, shape.kind())));
        RecordBatch::try_new(self.schema().arrow(), arrays)
    }
}

/// In the order of [`FIXED`].
fn fixed(orgs: &[OrgRecord]) -> [ArrayRef; FIXED.len()] {
    let flags = |org: &OrgRecord| org.fields.feature_flags.clone().map(|flags| Value::Object(flags).to_string());
    [
        texts(orgs, |org| Some(&org.product_org_id)),
        texts(orgs, |org| org.fields.name.as_deref()),
        texts(orgs, |org| org.fields.plan_id.as_deref()),
        texts(orgs, |org| org.fields.plan_name.as_deref()),
        integers(orgs, |org| org.fields.user_count),
        integers(orgs, |org| org.fields.mrr),
        texts(orgs, |org| org.fields.trial_status.map(TrialStatus::as_str)),
        times(orgs, |org| org.fields.last_active_at),
        Arc::new(orgs.iter().map(flags).collect::<StringViewArray>()),
        integers(orgs, |org| Some(org.target_org_id)),
        times(orgs, |org| Some(org.created_at)),
        times(orgs, |org| Some(org.updated_at)),
        times(orgs, |org| org.event_at),
    ]
}

fn custom(orgs: &[OrgRecord], name: &str, kind: Kind) -> ArrayRef {
    let values = orgs.iter().map(|org| org.fields.custom.get(name));
    match kind {
        Kind::Bool => Arc::new(values.map(|value| value?.as_bool()).collect::<BooleanArray>()),
        Kind::Int => Arc::new(values.map(|value| value?.as_i64()).collect::<Int64Array>()),
        Kind::Float => Arc::new(values.map(|value| value?.as_f64()).collect::<Float64Array>()),
        Kind::Text => Arc::new(values.map(|value| value?.as_str()).collect::<StringViewArray>()),
        _ => Arc::new(values.map(|value| value.map(Value::to_string)).collect::<StringViewArray>()),
    }
}

fn texts<'a>(orgs: &'a [OrgRecord], of: impl Fn(&'a OrgRecord) -> Option<&'a str>) -> ArrayRef {
    Arc::new(orgs.iter().map(of).collect::<StringViewArray>())
}

fn integers(orgs: &[OrgRecord], of: impl Fn(&OrgRecord) -> Option<i64>) -> ArrayRef {
    Arc::new(orgs.iter().map(of).collect::<Int64Array>())
}

fn times(orgs: &[OrgRecord], of: impl Fn(&OrgRecord) -> Option<DateTime<Utc>>) -> ArrayRef {
    let micros = orgs.iter().map(|org| of(org).map(|at| at.timestamp_micros()));
    Arc::new(micros.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{FieldTimes, OrgFields};
    use serde_json::json;

    fn org(custom: Value) -> OrgRecord {
        let Value::Object(custom) = custom else { panic!("an object") };
        OrgRecord {
            product_org_id: "a".into(),
            target_org_id: 1,
            fields: OrgFields { custom, ..OrgFields::default() },
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
            key_id: "k".into(),
            event_at: None,
            times: FieldTimes::default(),
            changes: 1,
        }
    }

    #[track_caller]
    fn check(values: &[Value], kind: Kind) {
        let mut custom = Custom::default();
        for value in values {
            custom.see(&org(json!({ "x": value })));
        }
        assert_eq!(custom.schema().columns[FIXED.len()].kind, kind, "{values:?}");
    }

    #[test]
    fn the_kind_goes_by_all_values() {
        check(&[json!("a"), json!("")], Kind::Text);
        check(&[json!(1), json!(-1)], Kind::Int);
        check(&[json!(1), json!(1.5)], Kind::Float);
        check(&[json!(true), json!(false)], Kind::Bool);
        check(&[json!(i64::MAX), json!(1)], Kind::Int);
        check(&[json!(i64::MAX), json!(1), json!(0.5)], Kind::Json);
        check(&[json!(u64::MAX)], Kind::Json);
        check(&[json!(1), json!("1")], Kind::Json);
        check(&[json!([1])], Kind::Json);
        check(&[json!({"a": 1}), json!("a")], Kind::Json);
    }

    #[test]
    fn names_do_not_collide() {
        let mut custom = Custom::default();
        assert!(custom.see(&org(json!({"name": 1, "custom.name": 2, "custom.mrr": 3, "": 4, "own": 5}))));
        assert!(!custom.see(&org(json!({"own": 6}))), "nothing new");
        let names = custom.schema().names();
        assert_eq!(names[FIXED.len()..], ["custom.", "custom.mrr", "custom.name", "custom.custom.name", "own"]);
        let mut unique = names.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), names.len());
    }
}
