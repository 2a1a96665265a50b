//! Templates of URLs and header values: Liquid as in a body, with values that cannot leave their place.

use super::liquid::{About, Liquid, Makes, Row, Subject};
use super::{Meta, RenderError, TemplateError};
use crate::row::{RowRef, Schema};

/// What a [`TextTemplate`] makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextKind {
    /// A URL: each value is percent-encoded, so that it stays one segment of the path or one value of the query. Scheme and
    /// host are written out. A value that a filter `url_encode` has encoded is not encoded again.
    Url,
    /// A header's value: a control character in it is an error, a line break above all.
    Header,
}

/// A template of one line of text, compiled against one schema. Shared between threads.
///
/// Its variables are those of a body: `row`, `job`, `op`, `run_at`, `message_id`. `${…}` has no meaning here: see
/// [`TextTemplate::map_text`].
pub struct TextTemplate(Liquid);

impl TextTemplate {
    /// Compiles a template for rows of `schema`.
    ///
    /// # Errors
    /// All problems, each with its line and column in the text.
    pub fn compile(text: &str, schema: &Schema, kind: TextKind) -> Result<TextTemplate, Vec<TemplateError>> {
        let makes = match kind {
            TextKind::Url => Makes::Url,
            TextKind::Header => Makes::Header,
        };
        Liquid::compile(text, schema, About::Row, makes).map(TextTemplate)
    }

    /// Rewrites the template's own text piece by piece: so secrets come into it, once it is compiled. What a row says is not
    /// looked at, so no row can ask for one; nor can a secret say anything in Liquid.
    ///
    /// # Errors
    /// The first that `map` returns.
    pub fn map_text<E>(&mut self, map: impl FnMut(&str) -> Result<String, E>) -> Result<(), E> {
        self.0.map_text(map)
    }

    /// Whether a text is a template at all, or the same for every row.
    pub fn is_template(text: &str) -> bool {
        text.contains("{{") || text.contains("{%")
    }

    /// The text for one row, whose schema is the one that the template was compiled for.
    ///
    /// # Errors
    /// When this row's values cannot stand there: NULL in a URL's path, a line break in a header.
    pub fn render(&self, row: RowRef<'_>, meta: &Meta<'_>) -> Result<String, RenderError> {
        self.0.render(Subject::Row(Row::Arrow(row)), meta.words())
    }
}

/// Without its text, which may hold secrets.
impl std::fmt::Debug for TextTemplate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TextTemplate")
    }
}
