//! Orgs as rows of an extract.
//!
//! The columns do not depend on the orgs: an extract whose columns come and go with the data would hold every job that has it as its source. All
//! custom fields stand in one column of JSON; those that are named have a column of their own besides, of the kind that was said.

use crate::row::{Column, Kind, Schema};
use crate::store::{OrgRecord, TrialStatus};
use anyhow::bail;
use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringViewArray, TimestampMicrosecondArray,
};
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::sync::Arc;

/// The columns that every export has.
const FIXED: [(&str, Kind); 14] = [
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
    ("custom", Kind::Json),
];

/// What a custom field's column may be.
const KINDS: [(&str, Kind); 5] =
    [("text", Kind::Text), ("int", Kind::Int), ("float", Kind::Float), ("bool", Kind::Bool), ("json", Kind::Json)];

/// A custom field that has a column of its own: `NAME` or `NAME:KIND`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Named {
    name: String,
    kind: Kind,
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Named, String> {
        // A name may have a colon in it; only what is a kind is taken for one.
        let kind = |name: &str| KINDS.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
        let split = text.rsplit_once(':').and_then(|(name, last)| Some((name, kind(last)?)));
        let (name, kind) = split.unwrap_or((text, Kind::Text));
        match name {
            "" => Err("name a custom field: NAME, or NAME:KIND with text, int, float, bool or json".to_owned()),
            name => Ok(Named { name: name.to_owned(), kind }),
        }
    }
}

impl Named {
    /// What its column is called: the field's name, unless another column is called so.
    fn column(&self) -> Column {
        let is_taken = FIXED.iter().any(|(name, _)| *name == self.name);
        let name = if is_taken { format!("custom.{}", self.name) } else { self.name.clone() };
        Column { name, kind: self.kind }
    }

    /// # Errors
    /// A value that is not of the column's kind.
    fn values(&self, orgs: &[OrgRecord]) -> anyhow::Result<ArrayRef> {
        Ok(match self.kind {
            Kind::Bool => Arc::new(BooleanArray::from(self.each(orgs, Value::as_bool)?)),
            Kind::Int => Arc::new(Int64Array::from(self.each(orgs, Value::as_i64)?)),
            Kind::Float => Arc::new(Float64Array::from(self.each(orgs, float)?)),
            Kind::Text => Arc::new(StringViewArray::from_iter(self.each(orgs, |value| Some(text(value)))?)),
            _ => Arc::new(StringViewArray::from_iter(self.each(orgs, |value| Some(value.to_string()))?)),
        })
    }

    fn each<T>(&self, orgs: &[OrgRecord], of: impl Fn(&Value) -> Option<T>) -> anyhow::Result<Vec<Option<T>>> {
        let value = |org: &OrgRecord| {
            let Some(value) = org.fields.custom.get(&self.name) else { return Ok(None) };
            match of(value) {
                None => bail!(self.misfit(org, value)),
                fitting => Ok(fitting),
            }
        };
        orgs.iter().map(value).collect()
    }

    fn misfit(&self, org: &OrgRecord, value: &Value) -> String {
        let what = match value {
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number of another kind",
            Value::String(_) => "text",
            Value::Array(_) => "a list",
            _ => "an object",
        };
        let kind = KINDS.iter().find(|(_, kind)| *kind == self.kind).map_or("json", |(name, _)| name);
        let (name, org) = (&self.name, &org.product_org_id);
        format!("the custom field `{name}` of org {org} is {what}, not {kind}; export it as {name}:text or {name}:json")
    }
}

/// A number, if a float has exactly its value.
fn float(value: &Value) -> Option<f64> {
    // Beyond 2⁵³ a float is no longer exact.
    const EXACT: u64 = 1 << 53;
    match (value.as_i64(), value.as_u64()) {
        (Some(integer), _) if integer.unsigned_abs() > EXACT => None,
        (None, Some(_)) => None,
        _ => value.as_f64(),
    }
}

/// A string as it is, anything else as its JSON.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// In the order of their names, so that the same fields are the same text.
fn all_custom(org: &OrgRecord) -> String {
    let sorted: BTreeMap<&String, &Value> = org.fields.custom.iter().collect();
    serde_json::json!(sorted).to_string()
}

/// The columns of an export: always the same, then those that were named, in that order.
#[derive(Debug)]
pub(super) struct Columns {
    named: Vec<Named>,
    schema: Schema,
}

impl Columns {
    /// # Errors
    /// Two columns of one name.
    pub(super) fn new(named: &[Named]) -> anyhow::Result<Columns> {
        let fixed = FIXED.iter().map(|(name, kind)| Column { name: (*name).to_owned(), kind: *kind });
        let schema = Schema { columns: fixed.chain(named.iter().map(Named::column)).collect() };
        let mut names = BTreeSet::new();
        if let Some(twice) = schema.columns.iter().find(|column| !names.insert(&column.name)) {
            bail!("--custom: two columns would be called `{}`; name each field once", twice.name);
        }
        Ok(Columns { named: named.to_vec(), schema })
    }

    pub(super) fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Orgs as rows.
    ///
    /// # Errors
    /// A custom field that does not fit the kind of its column.
    pub(super) fn rows(&self, orgs: &[OrgRecord]) -> anyhow::Result<RecordBatch> {
        let mut arrays: Vec<ArrayRef> = fixed(orgs).into();
        for named in &self.named {
            arrays.push(named.values(orgs)?);
        }
        Ok(RecordBatch::try_new(self.schema.arrow(), arrays)?)
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
        Arc::new(orgs.iter().map(|org| Some(all_custom(org))).collect::<StringViewArray>()),
    ]
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
    use crate::row::RowRef;
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

    fn columns(named: &[&str]) -> anyhow::Result<Columns> {
        let named: Vec<Named> = named.iter().map(|named| named.parse().expect("a name")).collect();
        Columns::new(&named)
    }

    #[track_caller]
    fn check(named: &str, value: &Value, expected: Option<&str>) {
        let columns = columns(&[named]).expect("one column");
        let rows = columns.rows(&[org(json!({ "x": value })), org(json!({}))]);
        let Some(expected) = expected else {
            let error = rows.expect_err("it does not fit").to_string();
            assert!(error.contains("`x` of org a") && error.contains("x:json"), "{error}");
            return;
        };
        let rows = rows.unwrap_or_else(|error| panic!("{named} {value}: {error}"));
        let row = RowRef { schema: columns.schema(), batch: &rows, row: 0 };
        assert_eq!(row.value(FIXED.len()).text(), expected, "{named} {value}");
        assert!(rows.column(FIXED.len()).is_null(1), "{named}: absent is NULL");
    }

    #[test]
    fn a_column_is_of_the_kind_that_was_said() {
        check("x", &json!("a"), Some("a"));
        check("x", &json!(10), Some("10"));
        check("x:text", &json!([1, "a"]), Some("[1,\"a\"]"));
        check("x:int", &json!(i64::MAX), Some("9223372036854775807"));
        check("x:int", &json!(u64::MAX), None);
        check("x:int", &json!("1"), None);
        check("x:float", &json!(1.5), Some("1.5"));
        check("x:float", &json!((1_u64 << 53) + 1), None);
        check("x:float", &json!(u64::MAX), None);
        check("x:bool", &json!(true), Some("true"));
        check("x:bool", &json!(0), None);
        check("x:json", &json!("a"), Some("\"a\""));
        check("x:json", &json!({"a": 1}), Some("{\"a\":1}"));
    }

    #[test]
    fn names_do_not_collide() {
        let names = columns(&["name:int", "own", "a:b", "mrr"]).expect("four columns").schema().names();
        assert_eq!(names[FIXED.len()..], ["custom.name", "own", "a:b", "custom.mrr"]);
        for twice in [["own", "own:int"], ["name", "custom.name"]] {
            let error = columns(&twice).expect_err("twice").to_string();
            assert!(error.contains("name each field once"), "{error}");
        }
        assert!("".parse::<Named>().is_err() && ":int".parse::<Named>().is_err());
    }

    #[test]
    fn the_columns_are_the_same_whatever_the_orgs_are() {
        let columns = columns(&["x"]).expect("one column");
        let none = columns.rows(&[]).expect("no rows");
        let some = columns.rows(&[org(json!({"z": 1, "a": [true]}))]).expect("a row");
        assert_eq!(none.schema(), some.schema());
        let row = RowRef { schema: columns.schema(), batch: &some, row: 0 };
        assert_eq!(row.value(FIXED.len() - 1).text(), "{\"a\":[true],\"z\":1}", "in the order of their names");
    }
}
