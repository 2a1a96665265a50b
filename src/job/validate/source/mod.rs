//! `[source]`

mod choice;
mod files;
mod model;
mod place;

use crate::job::document::Document;
use crate::job::raw::RawSource;
use crate::job::spec::Source;
use std::path::Path;

pub(super) fn check(doc: &mut Document<'_>, raw: RawSource, home: &Path) -> Option<Source> {
    match raw {
        RawSource::Files(raw) => files::files(doc, raw, home).map(Source::Files),
    }
}
