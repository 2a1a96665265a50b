//! `[diff.columns.NAME]`

use crate::job::document::{Document, join};
use crate::job::problem::Fault;
use crate::job::raw::{RawBucket, RawForm};
use crate::row::{Bucket, Form, Number};
use std::collections::BTreeMap;

/// The lists of `[diff]`, which say what a column is for.
pub(super) struct Lists<'a> {
    pub(super) key: &'a [String],
    pub(super) compare: Option<&'a [String]>,
    pub(super) ignore: &'a [String],
}

pub(super) fn check(
    doc: &mut Document<'_>,
    raw: BTreeMap<String, RawForm>,
    lists: &Lists<'_>,
) -> BTreeMap<String, Form> {
    let mut forms = BTreeMap::new();
    for (name, raw) in raw {
        let path = join("diff.columns", &name);
        if let Some(fault) = misplaced(&name, lists) {
            doc.report(&path, fault);
        }
        let form = form(doc, &path, &raw);
        // What does not fit the schema was reported, and may be all that the table says.
        if form.is_plain() && doc.is_sound("diff") && raw.bucket.is_none() && raw.tolerance.is_none() {
            let fault = Fault::new("nothing is set, so that it is compared as any other column");
            doc.report(
                &path,
                fault.hint("set one of `trim`, `case_fold`, `nfc`, `round`, `bucket`, `tolerance`, or remove it"),
            );
        }
        if let Some((option, fault)) = contradiction(&form) {
            doc.report(&join(&path, option), fault);
        }
        forms.insert(name, form);
    }
    forms
}

/// Only a compared column has a form.
fn misplaced(name: &str, lists: &Lists<'_>) -> Option<Fault> {
    let is_in = |list: &[String]| list.iter().any(|column| column == name);
    if name.is_empty() {
        Some(Fault::new("a column has a name"))
    } else if is_in(lists.key) {
        Some(
            Fault::new(format!("`{name}` is a key column"))
                .hint("a key is always compared as it is: remove this table"),
        )
    } else if is_in(lists.ignore) {
        Some(Fault::new(format!("`{name}` is ignored")).hint("remove it from `ignore`, or remove this table"))
    } else if lists.compare.is_some_and(|compare| !is_in(compare)) {
        Some(Fault::new(format!("`{name}` is not compared")).hint("add it to `compare`, or remove this table"))
    } else {
        None
    }
}

fn form(doc: &mut Document<'_>, path: &str, raw: &RawForm) -> Form {
    let bucket = match &raw.bucket {
        Some(RawBucket::Width(width)) => {
            doc.accept(&join(path, "bucket"), positive("the width of a bucket", width)).map(Bucket::Width)
        }
        Some(RawBucket::Bounds(bounds)) => bounds_of(doc, &join(path, "bucket"), bounds).map(Bucket::Bounds),
        None => None,
    };
    let tolerance = raw.tolerance.as_ref();
    let tolerance =
        tolerance.and_then(|tolerance| doc.accept(&join(path, "tolerance"), positive("a tolerance", tolerance)));
    Form { trim: raw.trim, case_fold: raw.case_fold, nfc: raw.nfc, round: raw.round, bucket, tolerance }
}

/// A TOML float is the number that its shortest text spells, so that 0.1 is a tenth.
fn number(raw: &serde_json::Number) -> Result<Number, Fault> {
    let number = raw.as_i64().map(Number::from).or_else(|| Number::from_f64(raw.as_f64()?));
    number.ok_or_else(|| Fault::new(format!("`{raw}` is not a number that can be compared with")))
}

fn positive(what: &str, raw: &serde_json::Number) -> Result<Number, Fault> {
    let number = number(raw)?;
    match number.is_positive() {
        true => Ok(number),
        false => Err(Fault::new(format!("{what} is above 0, found {number}"))),
    }
}

fn bounds_of(doc: &mut Document<'_>, path: &str, raw: &[serde_json::Number]) -> Option<Vec<Number>> {
    let mut bounds: Vec<Number> = Vec::new();
    for (i, raw) in raw.iter().enumerate() {
        let bound = doc.accept(&format!("{path}[{i}]"), number(raw))?;
        if let Some(last) = bounds.last().filter(|last| **last >= bound) {
            let fault = Fault::new(format!("{bound} follows {last}"));
            doc.report(&format!("{path}[{i}]"), fault.hint("the lower bounds of buckets ascend, each once"));
            return None;
        }
        bounds.push(bound);
    }
    Some(bounds)
}

/// Options that mean nothing together, and the one to take away.
fn contradiction(form: &Form) -> Option<(&'static str, Fault)> {
    if let (Some(text), Some(number)) = (form.text_options().next(), form.number_options().next()) {
        let fault = Fault::new(format!("`{text}` compares text and `{number}` compares numbers"));
        return Some((number, fault.hint("a column is one of the two: keep one")));
    }
    let other = form.number_options().find(|option| *option != "tolerance");
    let (Some(other), Some(_)) = (other, form.tolerance) else { return None };
    let fault = Fault::new(format!("`tolerance` and `{other}` are two ways of not minding a small difference"));
    let hint = "keep one: `tolerance` measures from the value that the destination has, wherever that lies";
    Some(("tolerance", fault.hint(hint)))
}

#[cfg(test)]
#[path = "columns_tests.rs"]
mod tests;
