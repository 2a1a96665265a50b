//! `preset = "group"`: a group event as Segment and RudderStack take and deliver it.
//!
//! The order is fixed: type, groupId, traits, userId or anonymousId, timestamp, messageId, then context and
//! integrations. The rules are those of the two HTTP APIs (WIRE.md): a group id is a string and never empty, one of
//! userId and anonymousId must stand in the event, a message id is shorter than 100 characters, an event is at most
//! 32 KB. Segment answers 200 to an event that it then drops, so what is wrong must be found here.

use super::tree::Tree;
use super::{Piece, Pieces, Preset};
use crate::row::{Kind, RowRef, Schema, Value};
use crate::template::error::suggest;
use crate::template::event::{EVENT_LIMIT, MESSAGE_ID_LIMIT};
use crate::template::{Meta, Place, RenderError, TemplateError, write};
use chrono::SecondsFormat;

const TOP: [&str; 5] = ["groupId", "userId", "anonymousId", "timestamp", "messageId"];
const NESTED: [&str; 3] = ["traits", "context", "integrations"];

/// A part of the event that is more than a column's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    GroupId { column: usize },
    User { user: Option<usize>, anonymous: Option<usize>, group: usize },
    Timestamp { column: Option<usize> },
    MessageId { column: Option<usize> },
}

/// What the `fields` of a job say.
#[derive(Default)]
struct Fields {
    group: Option<usize>,
    user: Option<usize>,
    anonymous: Option<usize>,
    timestamp: Option<usize>,
    message: Option<usize>,
    traits: Tree,
    rest: Tree,
    used: Vec<usize>,
}

/// Compiles `fields` (dot path ← column).
pub(in crate::template) fn compile(
    fields: &[(String, String)],
    schema: &Schema,
    key: &[String],
    ignore: &[String],
) -> Result<Preset, Vec<TemplateError>> {
    let mut problems = Vec::new();
    let mut parts = Fields::default();
    for (path, column) in fields {
        match schema.index_of(column) {
            Some(index) => problems.extend(parts.set(path, index, schema).err()),
            None => problems.push(TemplateError::no_column(Place::Field(path.clone()), column, schema)),
        }
    }
    let named = fields.iter().any(|(path, _)| path == "groupId");
    let group = parts.group.or_else(|| if named { None } else { only_key(schema, key, &mut problems) });
    let Some(group) = group.filter(|_| problems.is_empty()) else { return Err(problems) };
    if parts.traits.is_empty() {
        for (index, column) in schema.columns.iter().enumerate() {
            let left_out = key.contains(&column.name) || ignore.contains(&column.name);
            if !left_out && index != group && !parts.used.contains(&index) {
                parts.traits.push(&column.name, index);
            }
        }
    }
    Ok(Preset::new(parts.emit(group), Some(EVENT_LIMIT)))
}

/// The single key column: what `groupId` is unless the job says so.
fn only_key(schema: &Schema, key: &[String], problems: &mut Vec<TemplateError>) -> Option<usize> {
    let [only] = key else {
        problems.push(
            TemplateError::field("groupId", "the key has several columns, so none of them is the group id")
                .hint("map it: `groupId = \"COLUMN\"` under [payload.fields]"),
        );
        return None;
    };
    let index = schema.index_of(only);
    if index.is_none() {
        problems.push(TemplateError::no_column(Place::Field("groupId".into()), only, schema));
    }
    index
}

impl Fields {
    fn set(&mut self, path: &str, column: usize, schema: &Schema) -> Result<(), TemplateError> {
        self.used.push(column);
        let segments: Vec<&str> = path.split('.').collect();
        let place = match path {
            "groupId" => &mut self.group,
            "userId" => &mut self.user,
            "anonymousId" => &mut self.anonymous,
            "timestamp" => {
                check_timestamp(schema, column)?;
                &mut self.timestamp
            }
            "messageId" => &mut self.message,
            _ => match segments.split_first() {
                Some((&"traits", rest)) if !rest.is_empty() => return self.traits.insert(path, rest, column),
                Some((&("context" | "integrations"), rest)) if !rest.is_empty() => {
                    return self.rest.insert(path, &segments, column);
                }
                _ => return Err(unknown(path, &segments)),
            },
        };
        match place.replace(column) {
            Some(_) => Err(TemplateError::field(path, "the field is set twice").hint("keep one of the two lines")),
            None => Ok(()),
        }
    }

    fn emit(&self, group: usize) -> Vec<Piece> {
        let mut out = Pieces::default();
        out.literal(r#"{"type":"group","groupId":"#);
        out.push(Piece::Group(Part::GroupId { column: group }));
        out.literal(r#","traits":"#);
        self.traits.emit(&mut out);
        out.literal(",");
        out.push(Piece::Group(Part::User { user: self.user, anonymous: self.anonymous, group }));
        out.literal(r#","timestamp":"#);
        out.push(Piece::Group(Part::Timestamp { column: self.timestamp }));
        out.literal(r#","messageId":"#);
        out.push(Piece::Group(Part::MessageId { column: self.message }));
        if !self.rest.is_empty() {
            out.literal(",");
            self.rest.emit_members(&mut out);
        }
        out.literal("}");
        out.0
    }
}

fn check_timestamp(schema: &Schema, column: usize) -> Result<(), TemplateError> {
    let Some(column) = schema.columns.get(column) else { return Ok(()) };
    match column.kind {
        Kind::Timestamp | Kind::LocalTimestamp | Kind::Date | Kind::Text => Ok(()),
        kind => Err(TemplateError::field("timestamp", format!("column `{}` is {kind}, not a time", column.name))
            .hint("map a timestamp column, or leave the field out: it is then the run's start")),
    }
}

fn unknown(path: &str, segments: &[&str]) -> TemplateError {
    let error = TemplateError::field(path, "a group event has no such field");
    if path == "type" {
        return error.hint("the type is always `group`");
    }
    let first = segments.first().copied().unwrap_or_default();
    if NESTED.contains(&first) {
        return error.hint(format!("name a member of it, such as `{first}.plan`"));
    }
    let near = suggest(first, TOP.into_iter().chain(NESTED));
    match near.filter(|near| !NESTED.contains(near) || segments.len() > 1) {
        Some(near) => {
            let fixed: Vec<&str> = std::iter::once(near).chain(segments.iter().skip(1).copied()).collect();
            error.hint(format!("did you mean `{}`?", fixed.join(".")))
        }
        None => error.hint(format!("an org's own fields are traits: `traits.{path}`")),
    }
}

impl Part {
    pub(super) fn render(&self, row: RowRef<'_>, meta: &Meta<'_>, out: &mut String) -> Result<(), RenderError> {
        match *self {
            Part::GroupId { column } => group_id(row, column, out),
            Part::User { user, anonymous, group } => {
                users(row, user, anonymous, group, out);
                Ok(())
            }
            Part::Timestamp { column } => timestamp(row, column, meta, out),
            Part::MessageId { column } => message_id(row, column, meta, out),
        }
    }
}

fn group_id(row: RowRef<'_>, column: usize, out: &mut String) -> Result<(), RenderError> {
    let start = out.len();
    id(row.value(column), out);
    if out.len() == start + 2 {
        let message = format!("column `{}` is NULL or empty", name(row, column));
        return Err(RenderError::field("groupId", message).hint("every org needs an id: filter such rows in the query"));
    }
    Ok(())
}

/// An id is a string in both systems, whatever the column is.
fn id(value: Value<'_>, out: &mut String) {
    match value {
        Value::Text(text) => write::string(text, out),
        other => write::string(&other.text(), out),
    }
}

/// userId and anonymousId, each where the row has one; one made up from the group id where it has neither, the same
/// on every run, so that the destination does not count a new visitor each night.
fn users(row: RowRef<'_>, user: Option<usize>, anonymous: Option<usize>, group: usize, out: &mut String) {
    let start = out.len();
    for (field, column) in [("\"userId\":", user), ("\"anonymousId\":", anonymous)] {
        let Some(column) = column else { continue };
        let value = row.value(column);
        if matches!(value, Value::Null | Value::Text("")) {
            continue;
        }
        if out.len() > start {
            out.push(',');
        }
        out.push_str(field);
        id(value, out);
    }
    if out.len() == start {
        out.push_str("\"anonymousId\":\"nightmark:");
        write::within_string(row.value(group), out);
        out.push('"');
    }
}

fn timestamp(row: RowRef<'_>, column: Option<usize>, meta: &Meta<'_>, out: &mut String) -> Result<(), RenderError> {
    match column.map_or(Value::Null, |column| row.value(column)) {
        Value::Null => {
            out.push('"');
            out.push_str(&meta.at.to_rfc3339_opts(SecondsFormat::Millis, true));
            out.push('"');
        }
        Value::Text(text) if chrono::DateTime::parse_from_rfc3339(text).is_err() => {
            let column = column.map_or("", |column| name(row, column));
            let message = format!("column `{column}` holds `{}`, which is no ISO 8601 time", excerpt(text));
            return Err(RenderError::field("timestamp", message).hint("write it as 2026-01-15T10:30:00.000Z"));
        }
        value => write::value(value, out),
    }
    Ok(())
}

fn message_id(row: RowRef<'_>, column: Option<usize>, meta: &Meta<'_>, out: &mut String) -> Result<(), RenderError> {
    let Some(column) = column else {
        write::string(meta.webhook_id, out);
        return Ok(());
    };
    let wrong = match row.value(column) {
        Value::Text("") => "is empty",
        Value::Text(text) if text.chars().count() >= MESSAGE_ID_LIMIT => "has 100 characters or more",
        Value::Text(text) => {
            write::string(text, out);
            return Ok(());
        }
        Value::Null => "is NULL",
        _ => "is not text",
    };
    Err(RenderError::field("messageId", format!("column `{}` {wrong}", name(row, column)))
        .hint("map a text of under 100 characters, or leave the field out: it is then stable per version of a row"))
}

fn name<'r>(row: RowRef<'r>, column: usize) -> &'r str {
    row.schema.columns.get(column).map_or("", |c| c.name.as_str())
}

fn excerpt(text: &str) -> String {
    text.chars().take(40).collect()
}
