//! From a [`Model`] to the text of a query. Files are read each time, since they may change from night to night; a run reads them once
//! ([`Environment::query`](super::Environment)).

mod dbt;
mod writes;

use super::SourceError;
use crate::job::lexis;
use crate::job::spec::Model;
use std::io::ErrorKind;
use std::path::Path;

/// How a database quotes names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quotes {
    /// `"name"`, as the standard has it.
    Double,
    /// `` `name` ``: MySQL, BigQuery, Spark.
    Backtick,
}

impl Quotes {
    fn quoted(self, name: &str) -> String {
        let quote = match self {
            Quotes::Double => '"',
            Quotes::Backtick => '`',
        };
        let doubled: String =
            name.chars().flat_map(|c| std::iter::repeat_n(c, if c == quote { 2 } else { 1 })).collect();
        format!("{quote}{doubled}{quote}")
    }
}

/// The query, without a semicolon at its end.
///
/// # Errors
/// A file that cannot be read, an empty query, one that changes something, a model that dbt does not know or has not compiled.
pub fn query(model: &Model, quotes: Quotes) -> Result<String, SourceError> {
    let text = match model {
        Model::Query(query) => query.clone(),
        Model::QueryFile { written, path } => read(written, path)?,
        Model::Table { name } => {
            let parts: Vec<String> = name.iter().map(|part| quotes.quoted(part)).collect();
            format!("SELECT * FROM {}", parts.join("."))
        }
        Model::Dbt { written, project, model } => dbt::compiled(written, project, model)?,
    };
    let statement = lexis::statement(&text);
    if lexis::is_empty(&statement) {
        return Err(SourceError::new(format!("{} has no query in it", describe(model))).hint(ONE));
    }
    if let Some(word) = writes::word(&statement) {
        let message = format!("{} has {word} in it, which changes something; a source only reads", describe(model));
        return Err(SourceError::new(message).hint(ONE));
    }
    Ok(statement)
}

/// What a query has to be.
pub(super) const ONE: &str = "write one SELECT, with one row per org";

/// How a model reads in messages.
pub fn describe(model: &Model) -> String {
    match model {
        Model::Query(_) => "query".to_owned(),
        Model::QueryFile { written, .. } => written.clone(),
        Model::Table { name } => format!("table {}", name.join(".")),
        Model::Dbt { written, model, .. } => format!("dbt model {model} of {written}"),
    }
}

fn read(written: &str, path: &Path) -> Result<String, SourceError> {
    std::fs::read_to_string(path).map_err(|error| {
        let hint = match error.kind() {
            ErrorKind::NotFound => "relative paths start at the home folder (--home)",
            ErrorKind::InvalidData => "it has to be text in UTF-8",
            ErrorKind::IsADirectory => "name a file with a query",
            _ => "the user that nightmark runs as has to read it",
        };
        SourceError::new(format!("source.query_file: {written} cannot be read ({}): {error}", path.display()))
            .hint(hint)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_so_that_nothing_in_them_is_sql() {
        let table = Model::Table { name: vec!["a\"b".into(), "c`d".into()] };
        assert_eq!(query(&table, Quotes::Double).unwrap(), "SELECT * FROM \"a\"\"b\".\"c`d\"");
        assert_eq!(query(&table, Quotes::Backtick).unwrap(), "SELECT * FROM `a\"b`.`c``d`");
    }

    #[test]
    fn a_query_has_no_semicolon_at_its_end_and_is_not_empty() {
        let of = |text: &str| query(&Model::Query(text.into()), Quotes::Double);
        assert_eq!(of(" SELECT 1 ;\n; ").unwrap(), "SELECT 1");
        assert!(of(" ;").unwrap_err().message.contains("no query"));
        let error = of("DELETE FROM orgs RETURNING id").unwrap_err();
        assert!(error.message.contains("query has DELETE in it") && error.hint.is_some(), "{error:?}");
    }

    #[test]
    fn files_are_read_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("orgs.sql");
        let model = Model::QueryFile { written: "models/orgs.sql".into(), path: path.clone() };
        let error = query(&model, Quotes::Double).unwrap_err();
        assert!(error.message.contains("models/orgs.sql cannot be read") && error.hint.is_some(), "{error:?}");
        std::fs::write(&path, b"SELECT '\xff'").unwrap();
        assert!(query(&model, Quotes::Double).unwrap_err().hint.unwrap().contains("UTF-8"));
        for text in ["SELECT 1", "SELECT 2"] {
            std::fs::write(&path, format!("{text};\n")).unwrap();
            assert_eq!(query(&model, Quotes::Double).unwrap(), text);
        }
    }
}
