//! From text to typed columns for the SQL model, strictly.

use super::csv::{CsvTable, Origin};
use super::{engine, infer};
use crate::row::{Column, Kind, Schema};
use crate::source::SourceError;
use polars::prelude::{
    BooleanChunked, Column as PolarsColumn, DataFrame, Float64Chunked, Int64Chunked, IntoColumn, NewChunkedArray,
    StringChunked,
};

/// So many values that do not fit are shown; all are counted.
const SHOWN: usize = 20;

/// What to do when tonight's input does not fit the pinned types.
pub const REMEDY: &str = "the model's input types are pinned with the job's first base, so that a column does not \
                          change its type from night to night: correct the extract, or begin the job anew if the \
                          change is meant";

/// The columns as the pinned kinds, or as their guess where none is pinned; and the kinds to pin ([`to_pin`]).
pub fn apply(table: CsvTable, pinned: Option<&Schema>) -> Result<(DataFrame, Schema), SourceError> {
    let CsvTable { frame, origin, .. } = table;
    let mut misfits = Misfits { origin: &origin, shown: Vec::new(), total: 0 };
    let (mut columns, mut used) = (Vec::new(), Vec::new());
    for column in frame.columns() {
        let name = column.name().as_str();
        let text = engine::run("typing a column", || Ok(column.str()?.clone()))?;
        let before = pinned_kind(pinned, name);
        let kind = before.unwrap_or_else(|| infer::guess(text.iter()));
        columns.push(cast(&text, kind, &mut misfits)?);
        if before.is_some() || text.null_count() < text.len() {
            used.push(Column { name: name.to_owned(), kind });
        }
    }
    misfits.into_result()?;
    let frame = engine::run("typing columns", || DataFrame::new(frame.height(), columns))?;
    Ok((frame, to_pin(used, pinned)))
}

/// The input types to pin: tonight's, and those pinned earlier whose columns are missing tonight, so that a column that
/// comes back is what it was.
///
/// `tonight` leaves out columns that hold no value and were not pinned: an empty column has no type of its own, and
/// counts as new when values come.
pub fn to_pin(tonight: Vec<Column>, pinned: Option<&Schema>) -> Schema {
    let missing = pinned.into_iter().flat_map(|schema| &schema.columns);
    let missing: Vec<Column> = missing.filter(|old| tonight.iter().all(|new| new.name != old.name)).cloned().collect();
    Schema { columns: tonight.into_iter().chain(missing).collect() }
}

/// The kind that a column was first read with.
pub fn pinned_kind(pinned: Option<&Schema>, name: &str) -> Option<Kind> {
    let schema = pinned?;
    Some(schema.columns[schema.index_of(name)?].kind)
}

fn cast(text: &StringChunked, kind: Kind, misfits: &mut Misfits<'_>) -> Result<PolarsColumn, SourceError> {
    let name = text.name().clone();
    Ok(match kind {
        Kind::Text => text.clone().into_column(),
        Kind::Bool => BooleanChunked::from_iter_options(name, misfits.parse(text, kind, infer::bool)).into_column(),
        Kind::Int => Int64Chunked::from_iter_options(name, misfits.parse(text, kind, infer::int)).into_column(),
        Kind::Float => Float64Chunked::from_iter_options(name, misfits.parse(text, kind, infer::float)).into_column(),
        other => {
            return Err(SourceError::new(format!(
                "column `{name}` was {other} when it was pinned; CSV has no such type"
            ))
            .hint(REMEDY));
        }
    })
}

/// Values that do not fit the pinned kind.
struct Misfits<'a> {
    origin: &'a Origin,
    shown: Vec<String>,
    total: usize,
}

impl Misfits<'_> {
    /// The values of a column, parsed; those that cannot be parsed are noted.
    fn parse<T>(
        &mut self,
        text: &StringChunked,
        kind: Kind,
        parse: fn(&str) -> Option<T>,
    ) -> impl Iterator<Item = Option<T>> {
        text.iter().enumerate().map(move |(row, value)| {
            let value = value?;
            let parsed = parse(value);
            if parsed.is_none() {
                self.note(row, text.name(), kind, value);
            }
            parsed
        })
    }

    fn note(&mut self, row: usize, column: &str, kind: Kind, value: &str) {
        self.total += 1;
        if self.shown.len() < SHOWN {
            let short: String = value.chars().take(60).collect();
            self.shown.push(format!("{}: column `{column}` is pinned as {kind}, found {short:?}", self.origin.of(row)));
        }
    }

    fn into_result(self) -> Result<(), SourceError> {
        if self.total == 0 {
            return Ok(());
        }
        let (noun, shown) = (if self.total == 1 { "value does" } else { "values do" }, self.shown.join("\n  "));
        Err(SourceError::new(format!("{} {noun} not fit the pinned types:\n  {shown}", self.total)).hint(REMEDY))
    }
}
