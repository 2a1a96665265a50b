//! Liquid with the semantics of LiquidJS, which is what Hightouch renders with (docs/TEMPLATES.md has the exceptions).
//!
//! In: a template and a schema; then rows, or a batch of them. Out: JSON bodies, URLs, header values.
//! Always holds: a value takes the form of its place (`place`): a JSON value, the inside of a JSON string, a piece of a URL, a
//! header; so no value can end what it stands in. A JSON body is exactly one JSON value: proved when the template is
//! compiled, or else checked for each body. Unknown columns, variables, filters and tags are problems of the template, all
//! told at once. Rendering is bounded: 1,000,000 rounds of loops, 8 MiB of text.
//! Deliberately absent: other templates (`include`, `render`), the clock (`"now"` is the start of the run), locales.
//!
//! From text to body: `lex` cuts the template into pieces, `parse`, `blocks` and `loops` make nodes of them, `expr` expressions,
//! `scope` says what names stand for, `place` finds the place of each value; then `render`, `eval` and `filters` for a row.

mod blocks;
mod compare;
mod convert;
mod encode;
mod eval;
mod expr;
mod filters;
mod flow;
mod grammar;
mod json;
mod lex;
mod loops;
mod number;
mod parse;
mod place;
mod reader;
mod render;
mod scan;
mod scope;
mod syntax;
mod tags;
mod text;
mod url;
mod value;

pub(super) use eval::{Subject, Words};
pub(super) use scope::About;
pub(super) use value::Row;

use super::{Place, RenderError, TemplateError};
use crate::row::Schema;
use eval::Failure;
use parse::Parsed;
use syntax::Node;

/// What a row of a batch says of itself besides its columns, where no column has the name.
pub(super) const ABOUT_ROW: [&str; 2] = ["message_id", "op"];
/// Characters of a body that an error may show.
const EXCERPT: usize = 60;
/// What JSON takes for white space.
const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// What a template makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Makes {
    Json,
    Url,
    Header,
}

/// A compiled template.
#[derive(Debug)]
pub(super) struct Liquid {
    template: Box<str>,
    parsed: Parsed,
    makes: Makes,
    /// Every body is JSON, whatever the row.
    proved: bool,
    /// A guess at the length of what it makes.
    capacity: usize,
}

impl Liquid {
    pub(super) fn compile(
        template: &str,
        schema: &Schema,
        about: About,
        makes: Makes,
    ) -> Result<Liquid, Vec<TemplateError>> {
        let mut parsed = parse::parse(template, lex::pieces(template), schema, about)?;
        let places = match makes {
            Makes::Json => place::find(&mut parsed, template.len()),
            Makes::Url => url::find(&mut parsed.nodes).map(|()| true),
            Makes::Header => {
                url::header(&mut parsed.nodes);
                Ok(true)
            }
        };
        let proved = places.map_err(|faults| {
            let problem = |fault: reader::Fault| {
                let mut problem = TemplateError::new(at(template, fault.at), fault.message);
                problem.hint = fault.hint;
                problem
            };
            faults.into_iter().map(problem).collect::<Vec<_>>()
        })?;
        if makes == Makes::Json
            && let Some(Node::Text { text, at }) = parsed.nodes.first_mut()
        {
            let kept = text.trim_start_matches(SPACE);
            *at += text.len() - kept.len();
            *text = kept.into();
        }
        let capacity = template.len() + template.matches("{{").count() * 16;
        Ok(Liquid { template: template.into(), parsed, makes, proved, capacity })
    }

    pub(super) fn render<'a>(&'a self, subject: Subject<'a>, words: Words<'a>) -> Result<String, RenderError> {
        let failed = |failure: Failure| self.failed(failure);
        let (mut out, _) = render::render(&self.parsed, subject, words, self.capacity, false).map_err(failed)?;
        match self.makes {
            Makes::Json => {
                let body = out.trim_end_matches(SPACE).len();
                out.truncate(body);
                if out.starts_with(SPACE) {
                    out = out.trim_start_matches(SPACE).to_owned();
                }
                if !self.proved && !json::is_valid(&out) {
                    return Err(self.not_json(subject, words, &out));
                }
            }
            Makes::Url => url::check(&out).map_err(|why| RenderError::new(at(&self.template, 0), why))?,
            Makes::Header => encode::line(&out).map_err(|why| RenderError::new(at(&self.template, 0), why))?,
        }
        Ok(out)
    }

    /// Rewrites the template's own text.
    pub(super) fn map_text<E>(&mut self, mut map: impl FnMut(&str) -> Result<String, E>) -> Result<(), E> {
        syntax::texts(&mut self.parsed.nodes, &mut |text| {
            *text = map(text)?.into();
            Ok(())
        })
    }

    fn failed(&self, failure: Failure) -> RenderError {
        RenderError::new(at(&self.template, failure.at), failure.message)
            .hint("guard the expression with `default` or {% if %}, or take such rows out in the query")
    }

    /// Renders once more, to say where in the template the JSON goes wrong.
    fn not_json(&self, subject: Subject<'_>, words: Words<'_>, body: &str) -> RenderError {
        let mut json = grammar::Json::new();
        let (offset, cause) = match json.text(body).and_then(|()| json.end().map_err(|why| (body.len(), why))) {
            Err(wrong) => wrong,
            // Not what serde_json read.
            Ok(()) => (0, "it cannot be read"),
        };
        let traced = render::render(&self.parsed, subject, words, self.capacity, true);
        let place = traced.ok().and_then(|(out, trace)| {
            let offset = offset + (out.len() - out.trim_start_matches(SPACE).len());
            let (from, source) = trace.iter().rev().find(|(from, _)| *from <= offset)?;
            let own = self.own_text(*source).unwrap_or(0);
            Some(at(&self.template, source + (offset - from).min(own)))
        });
        let excerpt: String = body[offset..].chars().take(EXCERPT / 2).collect();
        RenderError::new(place.unwrap_or(Place::Payload), format!("the body is not JSON: {cause}, near `{excerpt}`"))
            .hint("`nightmark preview` shows the bodies; look for a comma too many or a missing quote in the template")
    }

    /// How much of the template's own text begins at `source`, if it does not print a value.
    fn own_text(&self, source: usize) -> Option<usize> {
        let text = &self.template[source..];
        let opens = source >= 2 && self.template[..source].trim_end().ends_with("{{");
        (!opens).then(|| text.find("{{").into_iter().chain(text.find("{%")).min().unwrap_or(text.len()))
    }
}

fn at(template: &str, offset: usize) -> Place {
    let (line, column) = lex::line_column(template, offset);
    Place::Template { line, column }
}
