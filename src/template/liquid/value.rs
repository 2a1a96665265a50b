//! A value as Liquid sees it, with JavaScript's conversions.
//!
//! Borrowed from the row wherever it can be. Arrays and objects of JSON columns stay text until something looks into
//! them (`json`), so that what is only printed keeps every digit.

use super::number::Num;
use super::{json, text};
use crate::row::{self, RowRef, Schema};
use crate::template::batch::PreparedRow;
use crate::template::write;
use std::borrow::Cow;
use std::rc::Rc;

#[derive(Debug, Clone)]
pub(super) enum Val<'a> {
    /// What is not there, and the word `nil`.
    Undefined,
    /// NULL and JSON's null.
    Nil,
    Bool(bool),
    Num(Num),
    Text(Cow<'a, str>),
    /// What the filter `json` made: text, but for the place where it is printed as JSON.
    Json(Cow<'a, str>),
    /// An array or object of a JSON column: its text.
    Container(&'a str),
    Array(Rc<Vec<Val<'a>>>),
    Row(Row<'a>),
    Rows(&'a Schema, &'a [PreparedRow]),
    /// The word `empty`.
    Empty,
    /// The word `blank`.
    Blank,
}

/// A row by its columns.
#[derive(Clone, Copy)]
pub(in crate::template) enum Row<'a> {
    Arrow(RowRef<'a>),
    Prepared(&'a Schema, &'a PreparedRow),
}

impl std::fmt::Debug for Row<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Row")
    }
}

impl<'a> Row<'a> {
    pub(super) fn schema(self) -> &'a Schema {
        match self {
            Row::Arrow(row) => row.schema,
            Row::Prepared(schema, _) => schema,
        }
    }

    /// The value of a column by position.
    pub(super) fn value(self, column: usize) -> row::Value<'a> {
        match self {
            Row::Arrow(row) => row.value(column),
            Row::Prepared(_, row) => row.value(column),
        }
    }

    fn get(self, name: &str) -> Val<'a> {
        match (self.schema().index_of(name), self) {
            (Some(column), _) => Val::of(self.value(column)),
            (None, Row::Prepared(_, row)) => row.about(name).map_or(Val::Undefined, |text| Val::Text(text.into())),
            (None, Row::Arrow(_)) => Val::Undefined,
        }
    }
}

impl<'a> Val<'a> {
    /// A column's value. What JSON has no number for is NULL.
    pub(super) fn of(value: row::Value<'a>) -> Val<'a> {
        match value {
            row::Value::Null => Val::Nil,
            row::Value::Bool(v) => Val::Bool(v),
            row::Value::Int(v) => Val::Num(Num::Int(v)),
            row::Value::Decimal { unscaled, scale } => {
                Val::Num(Num::decimal(unscaled, u32::try_from(scale).unwrap_or(0)))
            }
            row::Value::Float(v) if !v.is_finite() => Val::Nil,
            row::Value::Float(v) => Val::Num(Num::Float(v)),
            row::Value::Text(text) => Val::Text(Cow::Borrowed(text)),
            row::Value::Json(raw) => json::value(raw),
            other => {
                let mut text = String::new();
                write::text(other, &mut text);
                Val::owned(text)
            }
        }
    }

    pub(super) fn owned(text: impl Into<String>) -> Val<'a> {
        Val::Text(Cow::Owned(text.into()))
    }

    pub(super) fn array(items: Vec<Val<'a>>) -> Val<'a> {
        Val::Array(Rc::new(items))
    }

    pub(super) fn is_nil(&self) -> bool {
        matches!(self, Val::Undefined | Val::Nil)
    }

    /// Everything is true but `false` and NULL: 0 and the empty string are, too.
    pub(super) fn is_true(&self) -> bool {
        !matches!(self, Val::Undefined | Val::Nil | Val::Bool(false))
    }

    pub(super) fn is_array(&self) -> bool {
        match self {
            Val::Array(_) | Val::Rows(..) => true,
            Val::Container(raw) => raw.starts_with('['),
            _ => false,
        }
    }

    /// The items of an array; `None` for anything else.
    pub(super) fn items(&self) -> Option<Rc<Vec<Val<'a>>>> {
        match self {
            Val::Array(items) => Some(Rc::clone(items)),
            Val::Container(raw) if raw.starts_with('[') => Some(Rc::new(json::items(raw))),
            Val::Rows(schema, rows) => {
                Some(Rc::new(rows.iter().map(|row| Val::Row(Row::Prepared(schema, row))).collect()))
            }
            _ => None,
        }
    }

    /// What a filter of arrays takes: NULL is no item, and a value that is no array is the only one.
    pub(super) fn to_items(&self) -> Rc<Vec<Val<'a>>> {
        match self {
            _ if self.is_nil() => Rc::new(Vec::new()),
            other => other.items().unwrap_or_else(|| Rc::new(vec![other.clone()])),
        }
    }

    /// The members of an object, in order.
    pub(super) fn members(&self) -> Option<Vec<(Cow<'a, str>, Val<'a>)>> {
        match self {
            Val::Container(raw) if raw.starts_with('{') => Some(json::members(raw)),
            Val::Row(row) => {
                let named = |(at, column): (usize, &'a row::Column)| {
                    (Cow::Borrowed(column.name.as_str()), Val::of(row.value(at)))
                };
                Some(row.schema().columns.iter().enumerate().map(named).collect())
            }
            _ => None,
        }
    }

    /// What `{% for %}` goes through: an object is its pairs of key and value, a text is itself.
    pub(super) fn to_enumerable(&self) -> Rc<Vec<Val<'a>>> {
        if let Some(items) = self.items() {
            return items;
        }
        match self {
            Val::Text(text) | Val::Json(text) if !text.is_empty() => Rc::new(vec![self.clone()]),
            _ => {
                let pair = |(key, value): (Cow<'a, str>, Val<'a>)| Val::array(vec![Val::Text(key), value]);
                Rc::new(self.members().unwrap_or_default().into_iter().map(pair).collect())
            }
        }
    }

    /// A member, an item, or one of `size`, `first`, `last` and `length`.
    pub(super) fn get(&self, key: &Val<'a>) -> Val<'a> {
        match self {
            Val::Undefined | Val::Nil => self.clone(),
            Val::Row(row) => row.get(&key.js_text()),
            Val::Container(raw) if raw.starts_with('{') => match json::member(raw, &key.js_text()) {
                Some(value) => value,
                None if key.js_text() == "size" => Val::Num(Num::Int(json::members(raw).len() as i64)),
                None => Val::Undefined,
            },
            Val::Container(_) | Val::Array(_) | Val::Rows(..) => self.item(key),
            Val::Text(text) | Val::Json(text) => match (&*key.js_text(), index(key)) {
                ("size" | "length", _) => Val::Num(Num::Int(text::length(text) as i64)),
                (_, Some(at)) => usize::try_from(at)
                    .ok()
                    .and_then(|at| text.chars().nth(at))
                    .map_or(Val::Undefined, |c| Val::owned(c.to_string())),
                _ => Val::Undefined,
            },
            _ => Val::Undefined,
        }
    }

    fn item(&self, key: &Val<'a>) -> Val<'a> {
        let items = self.items().unwrap_or_default();
        let at = |at: i64| {
            let from_start = if at < 0 { at + items.len() as i64 } else { at };
            usize::try_from(from_start).ok().and_then(|at| items.get(at)).cloned().unwrap_or(Val::Undefined)
        };
        match (&*key.js_text(), index(key)) {
            ("size" | "length", _) => Val::Num(Num::Int(items.len() as i64)),
            ("first", _) => at(0),
            ("last", _) => at(-1),
            (_, Some(index)) => at(index),
            _ => Val::Undefined,
        }
    }
}

/// The key as a position, if it is one.
fn index(key: &Val<'_>) -> Option<i64> {
    match key {
        Val::Num(Num::Int(at)) => Some(*at),
        Val::Text(text) if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    }
}
