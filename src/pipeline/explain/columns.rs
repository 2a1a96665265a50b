//! The org column by column.

use super::search::Hit;
use super::text;
use super::words::Org;
use crate::pipeline::columns::Columns;
use crate::row::{Form, Kind, RowRef, Value, equal, within};

/// What one side has in a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Position {
    /// A value: as text (`None` is NULL) and as JSON.
    Value(Option<String>, serde_json::Value),
    /// The side does not have the org.
    NoOrg,
    /// Only key and compared columns are kept.
    NotKept,
    /// The column was not compared when the destination got the org.
    NotKnown,
    /// An ignored column that the payload does not name.
    NotRead,
}

impl Position {
    fn of(value: Value<'_>) -> Self {
        Position::Value(text(value), value.to_json())
    }
}

/// One column of the extract.
#[derive(Debug, Clone)]
pub struct ExplainedColumn {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// `key`, `compared`, `payload-only` or `ignored`.
    pub role: &'static str,
    /// How it is compared.
    pub form: Form,
    /// What the destination is known to have.
    pub destination: Position,
    /// What the extract has.
    pub tonight: Position,
    /// Whether the difference counts; `None` where nothing is compared.
    pub differs: Option<bool>,
    /// Why values that are not the same do not differ, or why nothing is compared.
    pub remark: Option<&'static str>,
}

/// Every column of the extract, in its order.
pub(super) fn columns(org: &Org<'_>) -> Vec<ExplainedColumn> {
    let (shape, basis) = (&org.extract.shape, &org.extract.basis);
    let rules = Columns { job: &org.input.job, manifest: org.manifest, dir: &org.input.dir };
    let hit = match org.tonight.hits.as_slice() {
        [only] => Some(only),
        _ => None,
    };
    let column = |(index, column): (usize, &crate::row::Column)| {
        let place = basis.schema.index_of(&column.name);
        let compared = place.and_then(|place| place.checked_sub(basis.key));
        let role = rules.purpose(&column.name);
        let form = compared.and_then(|c| basis.compared.get(c)).map(|c| c.form.clone()).unwrap_or_default();
        let destination = destination(org, place, &column.name);
        let tonight = tonight(org, hit, index, role);
        let mut explained = ExplainedColumn {
            name: column.name.clone(),
            kind: column.kind,
            role,
            form,
            destination,
            tonight,
            differs: None,
            remark: None,
        };
        if compared.is_some_and(|c| basis.adopted.contains(&c)) {
            explained.remark = Some("compared from the next run on (diff.on_new_column)");
        } else if let (Some(_), Some(place), Some(hit)) = (compared, place, hit) {
            compare(org, &mut explained, place, index, hit);
        }
        explained
    };
    shape.schema.columns.iter().enumerate().map(column).collect()
}

/// `place`: the column's position among key and compared columns.
fn destination(org: &Org<'_>, place: Option<usize>, name: &str) -> Position {
    let Some(batch) = &org.known.values else { return Position::NoOrg };
    let Some(place) = place else { return Position::NotKept };
    if org.unknown().iter().any(|unknown| unknown == name) {
        return Position::NotKnown;
    }
    Position::of(RowRef { schema: &org.extract.basis.schema, batch, row: 0 }.value(place))
}

fn tonight(org: &Org<'_>, hit: Option<&Hit>, index: usize, role: &str) -> Position {
    let Some(hit) = hit else { return Position::NoOrg };
    let value = RowRef { schema: &org.extract.shape.schema, batch: &hit.values, row: 0 }.value(index);
    if role == "ignored" && value == Value::Null { Position::NotRead } else { Position::of(value) }
}

fn compare(org: &Org<'_>, explained: &mut ExplainedColumn, place: usize, index: usize, hit: &Hit) {
    let Some(batch) = &org.known.values else { return };
    if explained.destination == Position::NotKnown {
        explained.remark = Some("not compared when the destination got the org");
        return;
    }
    let known = RowRef { schema: &org.extract.basis.schema, batch, row: 0 }.value(place);
    let now = RowRef { schema: &org.extract.shape.schema, batch: &hit.values, row: 0 }.value(index);
    let form = &explained.form;
    explained.differs = Some(!within(known, now, form));
    explained.remark = match () {
        () if equal(known, now, &Form::default()) || explained.differs == Some(true) => None,
        () if !equal(known, now, form) => Some("within the tolerance"),
        () if form.bucket.is_some() => Some("in the same bin"),
        () if form.round.is_some() => Some("the same when rounded"),
        () => Some("the same text by diff.columns"),
    };
}
