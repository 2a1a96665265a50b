//! What a row says outside of its body: in the address and the headers of its request.
//!
//! Always holds: no value can leave its place (`template`), and no value can ask for a secret: secrets come into the text of the
//! templates, never into what a row has said.

use crate::deliver::Aside;
use crate::job::secrets::{SecretError, Secrets};
use crate::job::spec::{Job, PerOperation, Route, Templated};
use crate::row::{RowRef, Schema};
use crate::template::{Meta, RenderError, TemplateError, TextKind, TextTemplate};
use secrecy::ExposeSecret as _;

/// The templates of a job's addresses and headers, compiled against one schema.
#[derive(Debug)]
pub(super) struct Asides {
    urls: PerOperation<Option<Text>>,
    /// By name.
    headers: Vec<(String, Text)>,
}

/// The template of a field of the job file.
#[derive(Debug)]
struct Text {
    field: String,
    template: TextTemplate,
}

impl Text {
    fn render(&self, row: RowRef<'_>, meta: &Meta<'_>) -> Result<String, RenderError> {
        self.template.render(row, meta).map_err(|error| error.of(&self.field))
    }
}

impl Asides {
    /// `None`: no address and no header differs by row.
    ///
    /// # Errors
    /// The problems of all templates, each with the field that it stands in.
    pub(super) fn compile(job: &Job, schema: &Schema) -> Result<Option<Asides>, Vec<TemplateError>> {
        let mut problems = Vec::new();
        let mut told: Vec<String> = Vec::new();
        let mut compile = |field: String, text: &Templated, kind: TextKind| {
            if !text.is_template() {
                return None;
            }
            match TextTemplate::compile(&text.written, schema, kind) {
                Ok(template) => Some(Text { field, template }),
                // One address may go for several operations.
                Err(_) if told.contains(&field) => None,
                Err(found) => {
                    problems.extend(found.into_iter().map(|problem| problem.of(&field)));
                    told.push(field);
                    None
                }
            }
        };
        let destination = &job.destination;
        let urls = destination.routes.map(|name, route| {
            let (field, url) = address(job, name, route);
            compile(field.to_owned(), url, TextKind::Url)
        });
        let headers = destination.headers.iter().filter_map(|(name, text)| {
            Some((name.clone(), compile(format!("destination.headers.{name}"), text, TextKind::Header)?))
        });
        let headers: Vec<_> = headers.collect();
        if !problems.is_empty() {
            return Err(problems);
        }
        let is_any = !headers.is_empty() || urls.iter().any(|(_, url)| url.is_some());
        Ok(is_any.then_some(Asides { urls, headers }))
    }

    /// Puts the secrets in.
    pub(super) fn fill(&mut self, secrets: &Secrets) -> Result<(), SecretError> {
        let PerOperation { added, changed, removed } = &mut self.urls;
        for Text { field, template } in [added, changed, removed].into_iter().flatten() {
            template.map_text(|text| url_text(secrets, field, text))?;
        }
        for (_, Text { field, template }) in &mut self.headers {
            template.map_text(|text| resolved(secrets, field, text, Templated::parse))?;
        }
        Ok(())
    }

    /// What a row says.
    pub(super) fn render(&self, row: RowRef<'_>, meta: &Meta<'_>) -> Result<Aside, RenderError> {
        let url = self.urls.get(meta.operation).as_ref().map(|text| text.render(row, meta)).transpose()?;
        let headers = self.headers.iter().map(|(name, text)| Ok((name.clone(), text.render(row, meta)?)));
        Ok(Aside { url, headers: headers.collect::<Result<_, RenderError>>()? })
    }
}

/// The address of an operation, and where it stands in the job file.
fn address<'j>(job: &'j Job, name: &str, route: &'j Route) -> (&'static str, &'j Templated) {
    match &route.url {
        Some(url) => (Route::url_field(name), url),
        None => (job.destination.url_field, &job.destination.url),
    }
}

/// A piece of an address that is written out. Behind the origin, which stands in one piece, values are percent-encoded.
fn url_text(secrets: &Secrets, field: &str, text: &str) -> Result<String, SecretError> {
    const ORIGIN: &str = "http://h/";
    if text.contains("://") {
        return resolved(secrets, field, text, Templated::parse_address);
    }
    let filled = resolved(secrets, field, &format!("{ORIGIN}{text}"), Templated::parse_address)?;
    Ok(filled.strip_prefix(ORIGIN).unwrap_or(&filled).to_owned())
}

fn resolved<F>(
    secrets: &Secrets,
    field: &str,
    text: &str,
    parse: impl Fn(&str) -> Result<Templated, F>,
) -> Result<String, SecretError> {
    match parse(text) {
        Ok(templated) => Ok(secrets.resolve(field, &templated)?.expose_secret().to_owned()),
        // A reference is never cut in two: the job was checked as a whole, and its pieces end at `{{` and `{%`.
        Err(_) => Ok(text.to_owned()),
    }
}
