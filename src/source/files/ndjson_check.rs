//! Which lines of an NDJSON file are at fault. Looked for only after polars has refused the file, as it names no line.

use super::engine;
use super::ndjson::parse_line;
use super::typed::REMEDY;
use crate::row::Schema;
use crate::source::SourceError;
use polars::prelude::{DataType, Schema as PolarsSchema};
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;

/// So many faulty lines are shown; all are counted.
const SHOWN: usize = 20;

/// Looks for the faulty lines of one file.
pub struct Diagnosis<'a> {
    path: &'a Path,
    schema: Option<(&'a PolarsSchema, Option<&'a Schema>)>,
}

impl<'a> Diagnosis<'a> {
    /// Of a file whose types are not known yet.
    pub fn new(path: &'a Path) -> Self {
        Diagnosis { path, schema: None }
    }

    /// With the types that the lines must fit, and those of them that are pinned.
    #[must_use]
    pub fn schema(self, schema: &'a PolarsSchema, pinned: Option<&'a Schema>) -> Self {
        Diagnosis { schema: Some((schema, pinned)), ..self }
    }

    /// The error that names the faulty lines of `bytes`, whose first line is number `first`; `None` if no line is at
    /// fault by itself.
    pub fn of(&self, bytes: &[u8], first: u64) -> Option<SourceError> {
        let (mut shown, mut total) = (Vec::new(), 0_u64);
        for (number, line) in (first..).zip(bytes.split(|&b| b == b'\n')) {
            let Some(fault) = self.fault(line) else { continue };
            total += 1;
            if shown.len() < SHOWN {
                shown.push(format!("line {number}: {fault}"));
            }
        }
        if let (0, None, Some(conflict)) = (total, self.schema, conflict(bytes, first)) {
            shown.push(conflict);
        }
        let path = self.path.display();
        let message = match shown.as_slice() {
            [] => return None,
            [one] => format!("{path}, {one}"),
            lines => format!("{path} has {total} faulty lines:\n  {}", lines.join("\n  ")),
        };
        let hint = match self.schema {
            Some((_, Some(_))) => REMEDY,
            Some((_, None)) => "write a field's values as the same JSON type on every line",
            None => "NDJSON has one complete JSON object on each line; the file may be cut off",
        };
        Some(SourceError::new(message).hint(hint))
    }

    fn fault(&self, line: &[u8]) -> Option<String> {
        let Ok(text) = std::str::from_utf8(line) else { return Some("not valid UTF-8".to_owned()) };
        if text.trim().is_empty() {
            return None;
        }
        let value: Value = match serde_json::from_str(text) {
            Ok(value) => value,
            Err(e) => {
                let (column, text) = (e.column(), e.to_string());
                let what = text.split(" at line ").next().unwrap_or(&text);
                return Some(format!("not valid JSON: {what} (column {column})"));
            }
        };
        let Value::Object(object) = &value else {
            return Some(format!("not a JSON object but {}", type_name(&value)));
        };
        if let Some((name, number)) = object.iter().find_map(|(name, value)| Some((name, oversized(value)?))) {
            return Some(format!("`{name}`: {number} does not fit a signed 64-bit integer (write it as a string)"));
        }
        if self.schema.is_none() {
            return engine::run("not readable", || parse_line(line, None)).err().map(|error| error.message);
        }
        self.misfit(line, object)
    }

    /// The first column whose value does not fit its type.
    fn misfit(&self, line: &[u8], object: &serde_json::Map<String, Value>) -> Option<String> {
        let (schema, _) = self.schema?;
        schema.iter().find_map(|(name, dtype)| {
            let one: PolarsSchema = [(name.clone(), dtype.clone())].into_iter().collect();
            engine::run("", || parse_line(line, Some(&one))).err()?;
            let value = object.get(name.as_str()).map_or_else(String::new, Value::to_string);
            let short: String = value.chars().take(60).collect();
            Some(format!("column `{name}` is {}, found {short}", plain_name(dtype)))
        })
    }
}

fn plain_name(dtype: &DataType) -> String {
    match dtype {
        DataType::Boolean => "bool".to_owned(),
        DataType::Int64 => "int".to_owned(),
        DataType::Float64 => "float".to_owned(),
        DataType::String => "text".to_owned(),
        other => other.to_string(),
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a bool",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// A field that is an array on one line and something else on another, which have no type in common.
fn conflict(bytes: &[u8], first: u64) -> Option<String> {
    let mut seen: HashMap<String, (u64, &'static str)> = HashMap::new();
    for (number, line) in (first..).zip(bytes.split(|&b| b == b'\n')) {
        let Ok(Value::Object(object)) = serde_json::from_slice(line) else { continue };
        for (name, value) in object.into_iter().filter(|(_, value)| !value.is_null()) {
            let here = type_name(&value);
            match seen.get(&name) {
                Some((line, there)) if value.is_array() != (*there == type_name(&Value::Array(Vec::new()))) => {
                    return Some(format!("line {number}: `{name}` is {here}, but {there} in line {line}"));
                }
                Some(_) => {}
                None => drop(seen.insert(name, (number, here))),
            }
        }
    }
    None
}

/// An integer that is too large for 64 bits with a sign, anywhere in a value.
fn oversized(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) if !number.is_i64() => number.as_u64(),
        Value::Array(values) => values.iter().find_map(oversized),
        Value::Object(values) => values.values().find_map(oversized),
        _ => None,
    }
}
