//! Checks the shape of a TOML file against the JSON Schema of its raw types: unknown and missing keys, types, choices and
//! bounds. It knows the part of JSON Schema that `schemars` writes for those types, not all of it.

use super::document::join;
use super::problem::{Fault, did_you_mean};
use serde_json::{Map, Number, Value};
use std::collections::{BTreeSet, HashMap};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Whether keys that the schema requires may be missing (they may in a file that only overrides defaults).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Required {
    Enforced,
    Waived,
}

/// What a file looks like once checked.
pub(crate) struct Structure {
    /// The entries that fit, tables in the order in which they were written.
    pub(crate) value: Value,
    /// Where each value starts, in bytes, by path.
    pub(crate) places: HashMap<String, usize>,
    /// Top-level keys with a problem in or at them.
    pub(crate) broken: BTreeSet<String>,
    /// The problems.
    pub(crate) found: Vec<Found>,
}

/// A problem and where it starts, in bytes; `None`: nowhere, because it is about something that is not there.
pub(crate) struct Found {
    pub(crate) at: Option<usize>,
    pub(crate) path: String,
    pub(crate) fault: Fault,
}

/// Checks a whole file.
pub(crate) fn check(schema: &Value, table: &Spanned<DeTable<'_>>, required: Required) -> Structure {
    let out = Structure { value: Value::Null, places: HashMap::new(), broken: BTreeSet::new(), found: Vec::new() };
    let mut walk = Walk { root: schema, required, out };
    walk.out.value = walk.table(schema, table.get_ref(), table.span().start, "");
    walk.out
}

struct Walk<'s> {
    root: &'s Value,
    required: Required,
    out: Structure,
}

impl<'s> Walk<'s> {
    fn found(&mut self, at: Option<usize>, path: &str, fault: Fault) {
        let section = path.split(['.', '[']).next().unwrap_or_default();
        self.out.broken.insert(section.to_owned());
        self.out.found.push(Found { at, path: path.to_owned(), fault });
    }

    /// The value as JSON if it fits, otherwise `None` after a report.
    fn value(&mut self, schema: &'s Value, item: &Spanned<DeValue<'_>>, path: &str) -> Option<Value> {
        let at = item.span().start;
        self.out.places.insert(path.to_owned(), at);
        let Some(schema) = alternatives(schema).into_iter().find(|s| fits(s, item.get_ref())) else {
            self.found(Some(at), path, mismatch(schema, item.get_ref()));
            return None;
        };
        let fault = match item.get_ref() {
            DeValue::Table(table) => return Some(self.table(schema, table, at, path)),
            DeValue::Array(items) => {
                let of = &schema["items"];
                let kept = items.iter().enumerate().filter_map(|(i, v)| self.value(of, v, &format!("{path}[{i}]")));
                let kept: Vec<Value> = kept.collect();
                match too_few(schema, "minItems", items.len()) {
                    Some(fault) => fault,
                    None => return Some(Value::Array(kept)),
                }
            }
            scalar => match plain(schema, scalar) {
                Ok(value) => return Some(value),
                Err(fault) => fault,
            },
        };
        self.found(Some(at), path, fault);
        None
    }

    fn table(&mut self, schema: &'s Value, table: &DeTable<'_>, at: usize, path: &str) -> Value {
        let Some(schema) = self.variant(schema, table, path) else { return Value::Null };
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let mut kept = Map::new();
        for (key, item) in entries {
            let name = key.get_ref().as_ref();
            let below = join(path, name);
            let of =
                schema["properties"].get(name).or_else(|| schema.get("additionalProperties").filter(|s| s.is_object()));
            match of {
                Some(of) => {
                    if let Some(value) = self.value(of, item, &below) {
                        kept.insert(name.to_owned(), value);
                    }
                }
                None => {
                    let fault = self.unknown(schema, name, path);
                    self.found(Some(key.span().start), &below, fault);
                }
            }
        }
        if self.required == Required::Enforced {
            self.missing(schema, table, at, path);
        }
        // The discriminating key of the only alternative, if it was reported: the rest can still be read.
        for (name, of) in schema["properties"].as_object().into_iter().flatten() {
            if let Some(only) = of.get("const").filter(|_| !kept.contains_key(name)) {
                kept.insert(name.clone(), only.clone());
            }
        }
        Value::Object(kept)
    }

    /// Of a table with a discriminating key such as `kind`, the alternative that it names. With only one alternative
    /// a wrong name does not keep the rest from being checked.
    fn variant(&mut self, schema: &'s Value, table: &DeTable<'_>, path: &str) -> Option<&'s Value> {
        let Some(variants) =
            schema.get("oneOf").and_then(Value::as_array).filter(|_| schema.get("properties").is_none())
        else {
            return Some(schema);
        };
        let tag = variants.first()?["properties"].as_object()?.iter().find(|(_, s)| s.get("const").is_some())?.0;
        let names: Vec<&str> = variants.iter().filter_map(|v| v["properties"][tag]["const"].as_str()).collect();
        let only = variants.first().filter(|_| variants.len() == 1);
        let Some(named) = table.get(tag.as_str()) else {
            if only.is_none() {
                let at = self.out.places.get(path).copied();
                let fault = Fault::new("the key is missing").hint(format!("one of {}", quoted(&names)));
                self.found(at, &join(path, tag), fault);
            }
            return only;
        };
        let name = named.get_ref().as_str().unwrap_or_default();
        match variants.iter().find(|v| v["properties"][tag]["const"] == name) {
            Some(variant) => Some(variant),
            None if only.is_some() => only,
            None => {
                self.found(Some(named.span().start), &join(path, tag), not_one_of(name, &names));
                None
            }
        }
    }

    fn unknown(&self, schema: &Value, name: &str, path: &str) -> Fault {
        let known: Vec<&str> =
            schema["properties"].as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
        let suggestion = did_you_mean(name, known.iter().copied());
        let fault = Fault::new(format!("unknown field{suggestion}"));
        if !suggestion.is_empty() {
            return fault;
        }
        let homes = self.homes_of(name);
        // Where this section has it with another kind, that it has not with this one is what helps.
        match homes.is_empty() || homes.contains(&path) {
            false => {
                let homes: Vec<String> = homes.iter().map(|section| format!("[{section}]")).collect();
                fault.hint(format!("`{name}` belongs in {}", homes.join(" or ")))
            }
            true => fault.hint(format!("known here: {}", quoted(&known))),
        }
    }

    /// The sections that have a field of this name: a line before its section's header is a common slip.
    fn homes_of(&self, name: &str) -> Vec<&'s str> {
        let sections = self.root["properties"].as_object().into_iter().flatten();
        let has = |schema: &Value| {
            let variants = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
            std::iter::once(schema).chain(variants).any(|s| s["properties"].get(name).is_some())
        };
        sections.filter(|(_, schema)| has(schema)).map(|(section, _)| section.as_str()).collect()
    }

    fn missing(&mut self, schema: &Value, table: &DeTable<'_>, at: usize, path: &str) {
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if table.contains_key(name) {
                continue;
            }
            let of = &schema["properties"][name];
            let is_table = alternatives(of).iter().any(|s| s["type"] == "object" || s.get("oneOf").is_some());
            let what = if path.is_empty() && is_table { "the section" } else { "the key" };
            let mut fault = Fault::new(format!("{what} is missing"));
            if let Some(only) = of.get("const") {
                fault = fault.hint(format!("{name} = {only}"));
            } else if let Some(about) = of.get("description").and_then(Value::as_str) {
                fault = fault.hint(gist(about));
            }
            // The file as a whole has no place that is better than another.
            self.found(Some(at).filter(|_| !path.is_empty()), &join(path, name), fault);
        }
    }
}

/// The schemas of which a value must fit one.
fn alternatives(schema: &Value) -> Vec<&Value> {
    match schema.get("anyOf").and_then(Value::as_array) {
        Some(branches) => branches.iter().collect(),
        None => vec![schema],
    }
}

fn fits(schema: &Value, value: &DeValue<'_>) -> bool {
    match (schema["type"].as_str(), value) {
        (Some("string"), DeValue::String(_))
        | (Some("integer" | "number"), DeValue::Integer(_))
        | (Some("number"), DeValue::Float(_))
        | (Some("boolean"), DeValue::Boolean(_))
        | (Some("array"), DeValue::Array(_))
        | (Some("object"), DeValue::Table(_)) => true,
        // A choice of strings, or of tables told apart by a key.
        (None, DeValue::String(_)) => !choices(schema).is_empty(),
        (None, DeValue::Table(_)) => schema.get("oneOf").is_some() && choices(schema).is_empty(),
        _ => false,
    }
}

fn mismatch(schema: &Value, value: &DeValue<'_>) -> Fault {
    let expected: Vec<String> = alternatives(schema).into_iter().map(expectation).collect();
    let found = match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    let fault = Fault::new(format!("expected {}, found {found}", expected.join(" or ")));
    match value {
        DeValue::Table(table) if expected == ["a string"] => {
            let inner = table.keys().next().map_or("name", |key| key.get_ref().as_ref());
            fault.hint(format!("a path with dots is one key and stands in quotes: \"….{inner}\" = \"column\""))
        }
        _ => match schema["examples"].get(0) {
            Some(example) => fault.hint(format!("such as {}", inline(example))),
            None => fault,
        },
    }
}

/// A value of the schema as it would be written in TOML.
fn inline(example: &Value) -> String {
    match example {
        Value::Object(entries) => {
            let entries: Vec<String> =
                entries.iter().map(|(key, value)| format!("{key} = {}", inline(value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        other => other.to_string(),
    }
}

fn expectation(schema: &Value) -> String {
    let of = match schema["type"].as_str() {
        Some("string") | None if !choices(schema).is_empty() => return format!("one of {}", quoted(&choices(schema))),
        Some("string") => "a string",
        Some("integer") => "an integer",
        Some("number") => "a number",
        Some("boolean") => "true or false",
        Some("array") => return format!("a list of {}", plural(&expectation(&schema["items"]))),
        _ => "a table",
    };
    of.to_owned()
}

fn plural(expectation: &str) -> String {
    match expectation.split_once(' ') {
        Some(("a" | "an", noun)) => format!("{noun}s"),
        _ => expectation.to_owned(),
    }
}

/// The strings that a schema allows; empty if it allows any.
fn choices(schema: &Value) -> Vec<&str> {
    let listed = schema.get("enum").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let tagged = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    let single = schema.get("const").and_then(Value::as_str);
    let nested = tagged.flat_map(|branch| choices(branch));
    listed.chain(single).chain(nested).collect()
}

fn plain(schema: &Value, scalar: &DeValue<'_>) -> Result<Value, Fault> {
    match scalar {
        DeValue::String(text) => {
            let allowed = choices(schema);
            if !allowed.is_empty() && !allowed.contains(&text.as_ref()) {
                return Err(not_one_of(text, &allowed));
            }
            match too_few(schema, "minLength", text.len()) {
                Some(fault) => Err(fault),
                None => Ok(Value::from(text.as_ref())),
            }
        }
        DeValue::Integer(digits) => {
            let number = i64::from_str_radix(digits.as_str(), digits.radix());
            let number = number.map_err(|_| Fault::new("the integer does not fit into 64 bits"))?;
            bounded(schema, number as f64).map(|()| Value::from(number))
        }
        DeValue::Float(digits) => {
            let number = digits.as_str().parse::<f64>().ok().filter(|n| n.is_finite());
            let number = number.ok_or_else(|| Fault::new("expected a finite number"))?;
            bounded(schema, number)?;
            Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
        }
        DeValue::Boolean(flag) => Ok(Value::Bool(*flag)),
        other => Err(mismatch(schema, other)),
    }
}

fn bounded(schema: &Value, number: f64) -> Result<(), Fault> {
    let (low, high) = (schema["minimum"].as_f64(), schema["maximum"].as_f64());
    if low.is_none_or(|low| number >= low) && high.is_none_or(|high| number <= high) {
        return Ok(());
    }
    let range = match (low, high) {
        (Some(low), Some(high)) => format!("between {low} and {high}"),
        (Some(low), None) => format!("at least {low}"),
        (None, high) => format!("at most {}", high.unwrap_or_default()),
    };
    let fault = Fault::new(format!("must be {range}, found {number}"));
    // The only bound of 1 from 0 is a share, which people like to write in percent.
    match (low, high) {
        (Some(0.0), Some(1.0)) if number <= 100.0 => Err(fault.hint(format!("{number} % is {}", number / 100.0))),
        _ => Err(fault),
    }
}

fn too_few(schema: &Value, bound: &str, length: usize) -> Option<Fault> {
    let least = schema.get(bound).and_then(Value::as_u64)?;
    ((length as u64) < least).then(|| Fault::new("must not be empty"))
}

fn not_one_of(found: &str, allowed: &[&str]) -> Fault {
    let suggestion = did_you_mean(found, allowed.iter().copied());
    Fault::new(format!("unknown value `{found}`{suggestion}")).hint(format!("one of {}", quoted(allowed)))
}

fn quoted(names: &[&str]) -> String {
    let quoted = |name: &&str| if name.contains('`') { format!("\"{name}\"") } else { format!("`{name}`") };
    names.iter().map(quoted).collect::<Vec<_>>().join(", ")
}

/// What a description begins with: its first sentence, or that up to a semicolon, in one line.
fn gist(description: &str) -> String {
    let paragraph = description.split("\n\n").next().unwrap_or_default();
    let line = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    let end = [". ", "; "].iter().filter_map(|end| line.find(end)).min().unwrap_or(line.len());
    format!("{}.", line[..end].trim_end_matches('.'))
}
