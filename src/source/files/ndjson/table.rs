//! Objects as columns: the lines of a file, and in the same way the objects of a nested field.

use super::cells::{Cell, Cells, Names, Number, parse, whole};
use super::faults::Place;
use super::kinds::Seen;
use crate::row::Kind;
use crate::source::SourceError;
use crate::source::files::{engine, json_text};
use polars::prelude::{
    BooleanChunkedBuilder, ChunkedBuilder, Column, DataFrame, DataType, Float64Type, Int64Type, IntoColumn, PlSmallStr,
    PolarsResult, PrimitiveChunkedBuilder, StringChunkedBuilder,
};

/// Objects with more members than this are not split: they are maps whose keys are data, and each key would be a column.
const MEMBERS: usize = 256;

/// So much of a value that does not fit is shown.
const SHOWN: usize = 60;

/// The fields of all objects and what they hold.
#[derive(Default)]
pub struct Survey<'a> {
    /// The fields.
    pub names: Names,
    seen: Vec<Seen>,
    cells: Cells<'a>,
}

impl<'a> Survey<'a> {
    /// Takes an object into account.
    pub fn see(&mut self, object: &'a str, at: Place) -> Result<(), String> {
        parse(object, &mut self.names, &mut self.cells)?;
        self.seen.resize_with(self.cells.len(), Seen::default);
        for (position, seen) in self.seen.iter_mut().enumerate() {
            let Some(cell) = Cell::of(self.cells[position]) else { continue };
            cell.check().map_err(|fault| format!("`{}`: {fault}", self.names.all()[position]))?;
            seen.see(cell, at);
        }
        Ok(())
    }

    /// Every field with what it holds.
    pub fn columns(&self) -> impl Iterator<Item = (&str, &Seen)> {
        self.names.all().iter().map(String::as_str).zip(&self.seen)
    }
}

/// Columns of known kinds that take the values of objects.
pub struct Table<'a> {
    names: Names,
    columns: Vec<Values<'a>>,
    cells: Cells<'a>,
    rows: usize,
}

impl<'a> Table<'a> {
    /// No rows yet; one kind per name.
    pub fn new(names: Names, kinds: impl Iterator<Item = Option<Kind>>) -> Self {
        let columns = names.all().iter().zip(kinds).map(|(name, kind)| Values::new(name, kind)).collect();
        Table { names, columns, cells: Cells::new(), rows: 0 }
    }

    /// Adds a row; `None` is one of NULLs. An error names the first value that does not fit its column.
    pub fn push(&mut self, object: Option<&'a str>) -> Result<(), String> {
        self.cells.clear();
        match object {
            Some(object) => parse(object, &mut self.names, &mut self.cells)?,
            None => self.cells.resize(self.columns.len(), None),
        }
        self.rows += 1;
        let mut misfit = None;
        for (position, (values, field)) in self.columns.iter_mut().zip(&self.cells).enumerate() {
            let cell = Cell::of(*field);
            if let (false, Some(cell)) = (values.push(cell), cell) {
                misfit.get_or_insert((position, cell));
            }
        }
        let Some((position, cell)) = misfit else { return Ok(()) };
        let (name, kind) = (&self.names.all()[position], self.columns[position].kind_name());
        let found: String = cell.json().chars().take(SHOWN).collect();
        Err(format!("column `{name}` is {kind}, found {found}"))
    }

    /// The columns as a frame; with `members`, nested ones can be looked into.
    pub fn into_frame(self, members: bool) -> Result<DataFrame, SourceError> {
        let rows = self.rows;
        engine::run("putting columns together", || DataFrame::new(rows, self.into_columns(members)?))
    }

    fn into_columns(self, members: bool) -> PolarsResult<Vec<Column>> {
        let named = self.names.all().iter().zip(self.columns);
        named.map(|(name, values)| values.finish(name.as_str().into(), members)).collect()
    }
}

/// The objects of a nested field as columns of their members; none if some value is no object, or if there are too many.
fn members(values: &[Option<&str>]) -> PolarsResult<Vec<Column>> {
    let mut survey = Survey::default();
    for object in values.iter().flatten() {
        let seen = object.starts_with('{') && survey.see(object, Place::default()).is_ok();
        if !seen || survey.names.all().len() > MEMBERS {
            return Ok(Vec::new());
        }
    }
    // Where values have no kind in common, each is JSON of its own.
    let kinds: Vec<_> = survey.seen.iter().map(|seen| seen.kind().unwrap_or(Some(Kind::Json))).collect();
    let mut table = Table::new(survey.names, kinds.into_iter());
    for object in values {
        // Nothing can misfit kinds that were found in the same values.
        table.push(*object).ok();
    }
    table.into_columns(true)
}

/// The values of one column.
enum Values<'a> {
    Null(usize),
    Bool(BooleanChunkedBuilder),
    Int(PrimitiveChunkedBuilder<Int64Type>),
    Float(PrimitiveChunkedBuilder<Float64Type>),
    Text(StringChunkedBuilder),
    Json(Vec<Option<&'a str>>),
}

impl<'a> Values<'a> {
    fn new(name: &str, kind: Option<Kind>) -> Self {
        let name = PlSmallStr::from(name);
        match kind {
            None => Values::Null(0),
            Some(Kind::Bool) => Values::Bool(BooleanChunkedBuilder::new(name, 0)),
            Some(Kind::Int) => Values::Int(PrimitiveChunkedBuilder::new(name, 0)),
            Some(Kind::Float) => Values::Float(PrimitiveChunkedBuilder::new(name, 0)),
            Some(Kind::Json) => Values::Json(Vec::new()),
            Some(_) => Values::Text(StringChunkedBuilder::new(name, 0)),
        }
    }

    fn kind_name(&self) -> &'static str {
        match self {
            Values::Null(_) => "null",
            Values::Bool(_) => "bool",
            Values::Int(_) => "int",
            Values::Float(_) => "float",
            Values::Text(_) => "text",
            Values::Json(_) => "json",
        }
    }

    /// Adds a value, or NULL for one that does not fit; returns whether it did.
    fn push(&mut self, cell: Option<Cell<'a>>) -> bool {
        let fits = match self {
            Values::Null(rows) => {
                *rows += 1;
                false
            }
            Values::Bool(values) => append(values, cell.and_then(bool)),
            Values::Int(values) => append(values, cell.and_then(int)),
            Values::Float(values) => append(values, cell.and_then(float)),
            Values::Text(values) => {
                let text = cell.filter(|cell| !matches!(cell, Cell::Nested(_))).map(Cell::text);
                values.append_option(text.as_deref());
                text.is_some()
            }
            Values::Json(values) => {
                values.push(cell.map(Cell::json));
                true
            }
        };
        fits || cell.is_none()
    }

    fn finish(self, name: PlSmallStr, split: bool) -> PolarsResult<Column> {
        Ok(match self {
            Values::Null(rows) => Column::full_null(name, rows, &DataType::Null),
            Values::Bool(values) => values.finish().into_column(),
            Values::Int(values) => values.finish().into_column(),
            Values::Float(values) => values.finish().into_column(),
            Values::Text(values) => values.finish().into_column(),
            Values::Json(values) => {
                let members = if split { members(&values)? } else { Vec::new() };
                json_text::wrap(name, &values, members)?
            }
        })
    }
}

fn append<N, T: polars::prelude::PolarsDataType>(values: &mut impl ChunkedBuilder<N, T>, value: Option<N>) -> bool {
    let fits = value.is_some();
    values.append_option(value);
    fits
}

fn bool(cell: Cell<'_>) -> Option<bool> {
    matches!(cell, Cell::Bool(_)).then(|| cell.json() == "true")
}

fn int(cell: Cell<'_>) -> Option<i64> {
    let Cell::Number(json) = cell else { return None };
    // `-0` equals 0 (normalise compares numbers by value).
    whole(json)
}

/// A double; an integer only if it is exactly that.
fn float(cell: Cell<'_>) -> Option<f64> {
    let Cell::Number(json) = cell else { return None };
    match Number::of(json) {
        Number::Int(int) if int.unsigned_abs() <= 1 << 53 => Some(int as f64),
        Number::Float(float) => Some(float),
        _ => None,
    }
}
