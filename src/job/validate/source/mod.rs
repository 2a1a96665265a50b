//! `[source]`

mod adbc;
mod choice;
mod database;
mod files;
mod model;
mod place;
mod sqlite;

pub(crate) use place::bucket;

use crate::job::document::Document;
use crate::job::raw::RawSource;
use crate::job::spec::Source;
use std::path::Path;

pub(super) fn check(doc: &mut Document<'_>, raw: RawSource, home: &Path) -> Option<Source> {
    match raw {
        RawSource::Files(raw) => files::files(doc, raw, home).map(Source::Files),
        RawSource::Adbc(raw) => adbc::adbc(doc, raw, home).map(Source::Adbc),
        RawSource::Postgres(raw) => database::database(doc, raw, home, &database::POSTGRES).map(Source::Postgres),
        RawSource::Mysql(raw) => database::database(doc, raw, home, &database::MYSQL).map(Source::Mysql),
        RawSource::Sqlite(raw) => sqlite::sqlite(doc, raw, home).map(Source::Sqlite),
    }
}
