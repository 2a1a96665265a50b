//! `[source] kind = "sqlite"`

use super::database::timeout;
use super::model::RawModel;
use crate::job::document::Document;
use crate::job::problem::Fault;
use crate::job::raw::RawSqlite;
use crate::job::spec::SqliteSource;
use std::path::Path;

pub(super) fn sqlite(doc: &mut Document<'_>, raw: RawSqlite, home: &Path) -> Option<SqliteSource> {
    let RawSqlite { path, query, query_file, table, dbt, timeout: limit } = raw;
    let model = RawModel { query, query_file, table, dbt }.check(doc, home);
    let timeout = timeout(doc, limit.as_deref());
    let written = path.and_then(|written| doc.accept("source.path", file(written)));
    let written = written?;
    Some(SqliteSource { path: home.join(&written), written, model: model?, timeout: timeout? })
}

fn file(written: String) -> Result<String, Fault> {
    match written.strip_prefix("sqlite:") {
        Some(path) => Err(Fault::new("this is a path and not an address").hint(format!("write `{path}`"))),
        None if written == ":memory:" => Err(Fault::new("a database in memory has no rows to read")),
        None => Ok(written),
    }
}
