//! `template = '''…'''`: JSON written by hand with Liquid in it.
//!
//! In: the template and a schema. Out: bodies.
//! Always holds: the output of an expression takes the form of its place, a JSON value or the inside of a JSON string
//! (`context`), so that no value can end the string it stands in; what comes out is exactly one JSON value or an error.
//! A column that stands alone is written by us with all its digits; only what goes through filters, conditions and
//! loops becomes a Liquid value (`view`).
//! Deliberately absent: other templates (`include`, `render`), the clock, HTML.
//!
//! Variables: `row.COLUMN` (also `record.COLUMN`), `job`, `op`, `run_at`, `message_id`.

mod context;
mod filters;
mod lex;
mod names;
mod view;

use super::{Meta, Place, RenderError, TemplateError, write};
use crate::row::{RowRef, Schema};
use chrono::SecondsFormat;
use context::Slot;
use liquid::model::Value;
use liquid::reflection::ParserReflection;
use std::panic::{AssertUnwindSafe, catch_unwind};
use view::Node;

/// Characters of a body that an error may show.
const EXCERPT: usize = 60;
/// What the liquid crate says of a tag that it does not know, or not there.
const UNKNOWN_TAG: &str = "Unknown tag.";

/// A compiled template.
pub(super) struct Liquid {
    template: liquid::Template,
    slots: Vec<Slot>,
    /// Positions of the columns that Liquid itself reads, with their names.
    columns: Vec<(usize, String)>,
    /// Whether the template says `record`.
    record: bool,
}

impl Liquid {
    pub(super) fn compile(template: &str, schema: &Schema) -> Result<Liquid, Vec<TemplateError>> {
        let parser = liquid::ParserBuilder::with_stdlib()
            .filter(filters::Encode::Json)
            .filter(filters::Encode::Outside)
            .filter(filters::Encode::Inside)
            .filter(filters::ParseDate)
            .build()
            .map_err(|error| vec![syntax_error(template, &error.to_string())])?;
        let pieces = lex::pieces(template);
        let names = names::check(template, &pieces, schema, &words(&parser));
        let rewritten = context::rewrite(template, &pieces, schema);
        let mut problems = names.problems;
        if names.huge_number {
            return Err(problems);
        }
        // The text as written is parsed first, so that a syntax error has the place that its author sees.
        match parse(&parser, template) {
            Err(_) if let Some(at) = lex::unclosed(template, &pieces) => problems.push(unclosed(template, at)),
            Err(error) if !is_told(&error, &problems) => problems.push(syntax_error(template, &error)),
            _ => problems.extend(rewritten.problems),
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let compiled = parse(&parser, &rewritten.text).map_err(|error| vec![syntax_error(template, &error)])?;
        let columns = names.columns.into_iter().map(|index| (index, schema.columns[index].name.clone())).collect();
        Ok(Liquid { template: compiled, slots: rewritten.slots, columns, record: template.contains("record") })
    }

    pub(super) fn render(&self, row: RowRef<'_>, meta: &Meta<'_>) -> Result<String, RenderError> {
        let globals = self.globals(row, meta);
        // The liquid crate panics on a few inputs that it ought to refuse (an overflow in `abs` and `divided_by`).
        // That must be this row's error and not the end of the run.
        let rendered = catch_unwind(AssertUnwindSafe(|| self.template.render(&globals)));
        let rendered = match rendered {
            Ok(Ok(text)) => text,
            Ok(Err(error)) => return Err(failed(&error.to_string())),
            Err(_) => return Err(failed("liquid: a filter cannot take this row's values")),
        };
        let body = rendered.trim_matches([' ', '\t', '\r', '\n']);
        match serde_json::from_str::<serde_json::Value>(body) {
            Ok(_) => Ok(if body.len() == rendered.len() { rendered } else { body.to_owned() }),
            Err(error) => Err(not_json(body, &error)),
        }
    }

    fn globals(&self, row: RowRef<'_>, meta: &Meta<'_>) -> Node {
        let columns = self.columns.iter().map(|(index, name)| (name.clone(), Node::of(row.value(*index))));
        let members = Node::Object(columns.collect());
        let slots = self.slots.iter().map(|slot| {
            let mut text = String::new();
            match slot.quoted {
                true => write::within_string(row.value(slot.column), &mut text),
                false => write::value(row.value(slot.column), &mut text),
            }
            Node::Scalar(Value::scalar(text))
        });
        let mut globals = vec![
            (context::SLOTS.to_owned(), Node::Array(slots.collect())),
            ("job".to_owned(), Node::text(meta.job)),
            ("op".to_owned(), Node::text(meta.operation)),
            ("run_at".to_owned(), Node::text(meta.at.to_rfc3339_opts(SecondsFormat::Millis, true))),
            ("message_id".to_owned(), Node::text(meta.webhook_id)),
        ];
        if self.record {
            globals.push(("record".to_owned(), members.clone()));
        }
        globals.push(("row".to_owned(), members));
        Node::Object(globals)
    }
}

/// What a template may say.
fn words(parser: &liquid::Parser) -> names::Words {
    /// What stands inside of blocks; the parser does not tell.
    const INNER: [&str; 3] = ["else", "elsif", "when"];
    let private = [context::TO_JSON, context::TO_TEXT];
    let filters = parser.filters().map(|filter| filter.name()).filter(|name| !private.contains(name));
    let blocks = parser.blocks().flat_map(|block| [block.start_tag(), block.end_tag()]);
    let tags = parser.tags().map(|tag| tag.tag()).chain(blocks).chain(INNER);
    names::Words { filters: filters.map(str::to_owned).collect(), tags: tags.map(str::to_owned).collect() }
}

/// Parses; a panic of the parser is an error too.
fn parse(parser: &liquid::Parser, text: &str) -> Result<liquid::Template, String> {
    match catch_unwind(AssertUnwindSafe(|| parser.parse(text))) {
        Ok(parsed) => parsed.map_err(|error| error.to_string()),
        Err(_) => Err("liquid: the template cannot be parsed".to_owned()),
    }
}

fn unclosed(template: &str, at: usize) -> TemplateError {
    let (line, column) = lex::line_column(template, at);
    let open = template.get(at..at + 2).unwrap_or_default();
    TemplateError::new(Place::Template { line, column }, format!("`{open}` is never closed"))
        .hint(format!("a `{}` or a closing quote is missing", if open == "{{" { "}}" } else { "%}" }))
}

/// Whether the check of the names, which says more, has found the same.
fn is_told(error: &str, problems: &[TemplateError]) -> bool {
    error.contains("Unknown filter") || (error.contains(UNKNOWN_TAG) && !problems.is_empty())
}

/// The liquid crate has no structured errors: place and cause are read from its message.
fn syntax_error(template: &str, error: &str) -> TemplateError {
    let place = error.lines().find_map(|line| {
        let (line, column) = line.trim().rsplit_once("--> ")?.1.split_once(':')?;
        Some(Place::Template { line: line.parse().ok()?, column: column.parse().ok()? })
    });
    let filter = error.lines().find_map(|line| line.trim().strip_prefix("filter="));
    let place = place.or_else(|| {
        let (line, column) = lex::line_column(template, template.find(filter?)?);
        Some(Place::Template { line, column })
    });
    let cause = error.lines().find_map(|line| line.trim().strip_prefix("= "));
    let tag = error.lines().find_map(|line| line.trim().strip_prefix("requested="));
    let cause = match (cause, tag) {
        // One that exists, or the check of the names had said so.
        (Some(UNKNOWN_TAG), Some(tag)) => Some(format!("`{{% {tag} %}}` stands outside of its block")),
        (cause, _) => cause.map(str::to_owned),
    };
    TemplateError::new(place.unwrap_or(Place::Payload), cause.unwrap_or_else(|| summary(error)))
}

fn failed(error: &str) -> RenderError {
    RenderError::new(Place::Payload, format!("the template failed on this row: {}", summary(error)))
        .hint("guard the expression with `default` or {% if %}, or take such rows out in the query")
}

/// The message and the parts of its context that hold no values.
fn summary(error: &str) -> String {
    let mut lines = error.lines();
    let first = lines.next().unwrap_or_default();
    let mut out = first.strip_prefix("liquid: ").unwrap_or(first).to_owned();
    for line in lines.map(str::trim) {
        let shown = ["cause=", "argument=", "filter=", "variable=", "requested index=", "requested variable="];
        if shown.iter().any(|key| line.starts_with(key)) {
            out.push_str(", ");
            out.extend(line.replacen('=', " ", 1).chars().take(EXCERPT));
        }
    }
    out.chars().take(3 * EXCERPT).collect()
}

fn not_json(body: &str, error: &serde_json::Error) -> RenderError {
    let (line, column) = (error.line(), error.column());
    let message = error.to_string();
    let cause = message.split(" at line ").next().unwrap_or_default();
    let before: Vec<char> = body.lines().nth(line.saturating_sub(1)).unwrap_or_default().chars().collect();
    // serde_json counts bytes; a character more or less does not matter for an excerpt.
    let start = column.saturating_sub(EXCERPT / 2).min(before.len());
    let excerpt: String = before[start..].iter().take(EXCERPT).collect();
    let message =
        format!("the rendered body is not JSON at its line {line}, column {column}: {cause}, near `{excerpt}`");
    RenderError::new(Place::Payload, message)
        .hint("`nightmark preview` shows the bodies; look for a comma too many or a missing quote in the template")
}
