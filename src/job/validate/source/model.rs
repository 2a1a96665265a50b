//! What is asked of a database: `query`, `query_file`, `table` or `dbt`.

use crate::job::document::Document;
use crate::job::problem::Fault;
use crate::job::raw::RawDbt;
use crate::job::spec::Model;
use std::path::Path;

/// The fields of a source that say it.
pub(super) struct RawModel {
    pub(super) query: Option<String>,
    pub(super) query_file: Option<String>,
    pub(super) table: Option<String>,
    pub(super) dbt: Option<RawDbt>,
}

const FORMS: &str = "one of `query = \"SELECT …\"`, `query_file = \"models/orgs.sql\"`, `table = \"public.orgs\"` and \
                     `dbt = { project = \"…\", model = \"orgs\" }`";

impl RawModel {
    /// `None`: something was reported.
    pub(super) fn check(self, doc: &mut Document<'_>, home: &Path) -> Option<Model> {
        let written = [
            ("query", self.query.is_some()),
            ("query_file", self.query_file.is_some()),
            ("table", self.table.is_some()),
            ("dbt", self.dbt.is_some()),
        ];
        let written: Vec<&str> = written.into_iter().filter(|(_, is_there)| *is_there).map(|(name, _)| name).collect();
        match written.as_slice() {
            [_] => {}
            [] => {
                // In a section with other mistakes, it may be there under a misspelt name.
                if doc.is_sound("source") {
                    doc.report("source", Fault::new("it is not said which rows to read").hint(FORMS));
                }
                return None;
            }
            [first, others @ ..] => {
                for other in others {
                    let fault = Fault::new(format!("`{first}` says already which rows to read")).hint(FORMS);
                    doc.report(&format!("source.{other}"), fault);
                }
                return None;
            }
        }
        if let Some(query) = self.query {
            return filled(doc, "source.query", query).map(Model::Query);
        }
        if let Some(written) = self.query_file {
            let written = filled(doc, "source.query_file", written)?;
            return Some(Model::QueryFile { path: home.join(&written), written });
        }
        if let Some(table) = self.table {
            return doc.accept("source.table", name(&table)).map(|name| Model::Table { name });
        }
        let dbt = self.dbt?;
        let project = filled(doc, "source.dbt.project", dbt.project?);
        let model = filled(doc, "source.dbt.model", dbt.model?);
        let (written, model) = (project?, model?);
        Some(Model::Dbt { project: home.join(&written), written, model })
    }
}

fn filled(doc: &mut Document<'_>, path: &str, text: String) -> Option<String> {
    let is_filled = !text.trim().is_empty();
    if !is_filled {
        doc.report(path, Fault::new("this is empty").hint(FORMS));
    }
    is_filled.then_some(text)
}

/// The parts of a name such as `orgs`, `public.orgs` or `"Sales Data".orgs`: a part in double quotes is taken as it is, and a double quote in
/// it is doubled.
fn name(written: &str) -> Result<Vec<String>, Fault> {
    let wrong = || {
        Fault::new(format!("`{written}` is not the name of a table"))
            .hint("such as `orgs` or `public.orgs`; what has a point or a blank in it stands in double quotes: `public.\"my orgs\"`")
    };
    let (mut parts, mut rest) = (Vec::new(), written.trim());
    loop {
        let (part, after) = match rest.strip_prefix('"') {
            Some(quoted) => unquoted(quoted).ok_or_else(wrong)?,
            None => {
                let end = rest.find('.').unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        let is_plain = rest.starts_with('"') || !part.contains(|c: char| c.is_whitespace() || "\"';()`".contains(c));
        if part.is_empty() || !is_plain || part.contains('\0') {
            return Err(wrong());
        }
        parts.push(part);
        match after.strip_prefix('.') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(parts),
            None => return Err(wrong()),
        }
    }
}

/// A part whose opening quote is behind us, and what follows its closing quote.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let (mut part, mut rest) = (String::new(), text);
    loop {
        let (before, after) = rest.split_once('"')?;
        part.push_str(before);
        match after.strip_prefix('"') {
            Some(next) => {
                part.push('"');
                rest = next;
            }
            None => return Some((part, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tables() {
        let parts = |written: &str| name(written).map_err(|fault| fault.message);
        for (written, expected) in [
            ("orgs", vec!["orgs"]),
            ("public.orgs", vec!["public", "orgs"]),
            ("A.b.C", vec!["A", "b", "C"]),
            ("\"my orgs\"", vec!["my orgs"]),
            ("public.\"a.b\"", vec!["public", "a.b"]),
            ("\"a\"\"b\".c", vec!["a\"b", "c"]),
            (" orgs ", vec!["orgs"]),
        ] {
            assert_eq!(parts(written).as_deref(), Ok(expected.map_owned().as_slice()), "{written}");
        }
        for written in
            ["", ".", "a.", ".a", "a..b", "a b", "\"a", "\"a\"b", "\"\"", "a;b", "a'b", "(SELECT 1)", "a\"b\""]
        {
            assert!(name(written).is_err(), "{written}");
        }
    }

    trait MapOwned {
        fn map_owned(self) -> Vec<String>;
    }

    impl MapOwned for Vec<&str> {
        fn map_owned(self) -> Vec<String> {
            self.into_iter().map(str::to_owned).collect()
        }
    }
}
