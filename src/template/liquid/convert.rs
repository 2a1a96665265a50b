//! JavaScript's conversions: to text, to numbers.

use super::number::{self, Num};
use super::value::Val;
use std::borrow::Cow;

impl<'a> Val<'a> {
    /// The text that filters work on: NULL is empty, an array its items one behind the other.
    pub(super) fn text(&self) -> Cow<'a, str> {
        match self {
            Val::Text(text) | Val::Json(text) => text.clone(),
            Val::Undefined | Val::Nil | Val::Empty | Val::Blank => Cow::Borrowed(""),
            _ => match self.items() {
                Some(items) => Cow::Owned(items.iter().map(Val::text).collect()),
                None => self.js_text(),
            },
        }
    }

    /// `String(value)` of JavaScript.
    pub(super) fn js_text(&self) -> Cow<'a, str> {
        match self {
            Val::Text(text) | Val::Json(text) => text.clone(),
            Val::Undefined => Cow::Borrowed("undefined"),
            Val::Nil => Cow::Borrowed("null"),
            Val::Empty | Val::Blank => Cow::Borrowed(""),
            Val::Bool(true) => Cow::Borrowed("true"),
            Val::Bool(false) => Cow::Borrowed("false"),
            Val::Num(number) => {
                let mut out = String::new();
                number.write(&mut out);
                Cow::Owned(out)
            }
            _ => match self.items() {
                Some(items) => Cow::Owned(join(&items, ",")),
                None => Cow::Borrowed("[object Object]"),
            },
        }
    }

    /// `Number(value)` of JavaScript, which may be NaN.
    pub(super) fn js_number(&self) -> Num {
        match self {
            Val::Num(number) => *number,
            Val::Nil | Val::Empty | Val::Blank => Num::Int(0),
            Val::Undefined => Num::Float(f64::NAN),
            Val::Bool(v) => Num::Int(i64::from(*v)),
            Val::Text(text) | Val::Json(text) => number::of_text(text),
            _ => number::of_text(&self.js_text()),
        }
    }

    /// The number that filters compute with: what is none is 0.
    pub(super) fn number(&self) -> Num {
        match self.js_number() {
            Num::Float(v) if v.is_nan() => Num::Int(0),
            number => number,
        }
    }

    /// As an index or a count: towards zero, and 0 for what is no number.
    pub(super) fn whole(&self) -> i64 {
        match self.number() {
            Num::Int(v) => v,
            other => other.to_f64() as i64,
        }
    }
}

/// `items.join(separator)` of JavaScript.
pub(super) fn join(items: &[Val<'_>], separator: &str) -> String {
    let mut out = String::new();
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push_str(separator);
        }
        if !item.is_nil() {
            out.push_str(&item.js_text());
        }
    }
    out
}
