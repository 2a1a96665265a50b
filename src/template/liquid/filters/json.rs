//! `json` and `default`: what becomes of a value as a whole.

use super::{Args, Filter, filter};
use crate::template::liquid::json;
use crate::template::liquid::value::Val;
use std::borrow::Cow;

pub(super) static FILTERS: [Filter; 4] = [
    filter("default", 0, 1, |value, args| Ok(default(value, args))),
    filter("json", 0, 1, |value, _| as_json(&value)),
    filter("jsonify", 0, 1, |value, _| as_json(&value)),
    filter("raw", 0, 0, |value, _| Ok(value)),
];

/// The value as JSON text. An indentation is taken and ignored.
fn as_json<'a>(value: &Val<'a>) -> Result<Val<'a>, String> {
    let mut out = String::new();
    match value {
        // `JSON.stringify` makes nothing of it.
        Val::Undefined => return Ok(Val::Undefined),
        // A second `json` makes a string of what the first made.
        Val::Json(text) => crate::template::write::string(text, &mut out),
        other => json::write(other, &mut out).map_err(|why| format!("cannot take the value: {why}"))?,
    }
    Ok(Val::Json(Cow::Owned(out)))
}

/// The argument, where the value is NULL, `false`, or an empty text or array.
fn default<'a>(value: Val<'a>, args: &Args<'a>) -> Val<'a> {
    let missing = match &value {
        Val::Text(text) | Val::Json(text) => text.is_empty(),
        Val::Empty | Val::Blank => true,
        Val::Bool(false) => !args.allow_false,
        other if other.is_array() => other.to_items().is_empty(),
        other => other.is_nil(),
    };
    if missing { args.get(0).cloned().unwrap_or(Val::Undefined) } else { value }
}
