//! A table of an imported file. Fields are taken out by name; what nobody took is told at the end.
//!
//! Names are compared without case and marks, so that Git Sync's `primaryKey` and the REST API's `primary_key` are one.

use super::{ImportError, Notes};
use serde_json::{Map, Value};

pub(super) struct Bag {
    /// Where the table stands, such as `sync: config`.
    path: String,
    fields: Map<String, Value>,
}

fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

impl Bag {
    pub(super) fn of(what: &'static str, value: Value) -> Result<Bag, ImportError> {
        match value {
            Value::Object(fields) => Ok(Bag { path: what.to_owned(), fields }),
            _ => Err(ImportError::NoTable { of: what }),
        }
    }

    /// The name as it is written of the first of these fields that is there. A null is not there.
    fn find(&self, names: &[&str], fits: impl Fn(&Value) -> bool) -> Option<String> {
        let is_named = |key: &str, name: &str| plain(key) == name;
        let field = |name: &&str| self.fields.iter().find(|(key, value)| is_named(key, name) && fits(value));
        names.iter().find_map(field).map(|(key, _)| key.clone())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.find(&[name], |value| !value.is_null()).is_some()
    }

    fn take_if(&mut self, names: &[&str], fits: impl Fn(&Value) -> bool) -> Option<Value> {
        let key = self.find(names, fits)?;
        self.fields.shift_remove(&key)
    }

    /// Takes the first of these fields that is there, whatever it is.
    pub(super) fn take(&mut self, names: &[&str]) -> Option<Value> {
        self.take_if(names, |value| !value.is_null())
    }

    /// The same for a text that is not empty; a number is its text.
    pub(super) fn text(&mut self, names: &[&str]) -> Option<String> {
        let fits = |value: &Value| value.is_number() || value.as_str().is_some_and(|text| !text.trim().is_empty());
        match self.take_if(names, fits)? {
            Value::String(text) => Some(text),
            other => Some(other.to_string()),
        }
    }

    /// The same for true and false.
    pub(super) fn flag(&mut self, names: &[&str]) -> Option<bool> {
        self.take_if(names, Value::is_boolean)?.as_bool()
    }

    /// The same for a number, which may be written as text.
    pub(super) fn number(&mut self, names: &[&str]) -> Option<f64> {
        let number = |value: &Value| match value {
            Value::String(text) => text.trim().parse().ok(),
            other => other.as_f64(),
        };
        let fits = |value: &Value| number(value).is_some_and(f64::is_finite);
        number(&self.take_if(names, fits)?)
    }

    /// The same for a table.
    pub(super) fn bag(&mut self, names: &[&str]) -> Option<Bag> {
        let key = self.find(names, Value::is_object)?;
        match self.fields.shift_remove(&key)? {
            Value::Object(fields) => Some(Bag { path: self.below(&key), fields }),
            _ => None,
        }
    }

    /// The same for a list.
    pub(super) fn list(&mut self, names: &[&str]) -> Option<Vec<Value>> {
        match self.take_if(names, Value::is_array)? {
            Value::Array(items) => Some(items),
            _ => None,
        }
    }

    /// Where a field stands.
    pub(super) fn below(&self, name: &str) -> String {
        match self.path.contains(':') {
            true => format!("{}.{name}", self.path),
            false => format!("{}: {name}", self.path),
        }
    }

    /// Takes fields out that mean nothing to a job, such as ids and dates.
    pub(super) fn pass_over(&mut self, names: &[&str]) {
        self.fields.retain(|key, value| !names.contains(&plain(key).as_str()) && !value.is_null());
    }

    /// Tells the fields that are left, by their names alone.
    pub(super) fn tell_rest(self, notes: &mut Notes) {
        for name in self.fields.keys() {
            notes.lost(format!("{}: not known to this importer, nothing was made of it", self.below(name)));
        }
    }

    /// What is left, by name.
    pub(super) fn into_fields(self) -> Map<String, Value> {
        self.fields
    }
}
