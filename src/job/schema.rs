//! JSON Schemas of what people write: for their editors, and for our own check of a file's shape.

use super::raw::RawJob;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;
use std::sync::LazyLock;

/// The JSON Schema of a job file; schemas/job.schema.json is this, pretty-printed. Made once: each file that is read is held against it.
pub fn job_schema() -> &'static Value {
    static SCHEMA: LazyLock<Value> = LazyLock::new(schema_of::<RawJob>);
    &SCHEMA
}

/// The schema of a type that is read from TOML: draft 7, which every TOML editor plugin knows, and without references,
/// which some of them do not follow.
pub(crate) fn schema_of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft07().with(|s| s.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    fit_toml(&mut schema);
    // What a reader looks for first stands first.
    let Value::Object(mut rest) = schema else { return schema };
    let mut ordered = serde_json::Map::new();
    for key in ["$schema", "title", "description"] {
        if let Some(value) = rest.shift_remove(key) {
            ordered.insert(key.to_owned(), value);
        }
    }
    ordered.append(&mut rest);
    Value::Object(ordered)
}

/// TOML has no null, so an option is a key that may be missing, not a value that may be null. Rust's integer widths say
/// nothing to a person.
fn fit_toml(schema: &mut Value) {
    let Value::Object(object) = schema else {
        schema.as_array_mut().into_iter().flatten().for_each(fit_toml);
        return;
    };
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|t| t != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    for choice in ["enum", "anyOf"] {
        if let Some(Value::Array(branches)) = object.get_mut(choice) {
            branches.retain(|b| !b.is_null() && b.get("type").is_none_or(|t| t != "null"));
        }
    }
    let only = object.get("anyOf").and_then(Value::as_array).filter(|b| b.len() == 1).map(|b| b[0].clone());
    if let Some(Value::Object(only)) = only {
        object.shift_remove("anyOf");
        for (key, value) in only {
            object.entry(key).or_insert(value);
        }
    }
    if object.get("format").is_some_and(Value::is_string) {
        object.shift_remove("format");
    }
    if object.get("default").is_some_and(Value::is_null) {
        object.shift_remove("default");
    }
    object.values_mut().for_each(fit_toml);
}
