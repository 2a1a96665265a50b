//! Which of the files that match are the extract: `pick`, `latest_by`, `done_marker`, `settled`, `max_age`, `hive`.

use crate::job::document::Document;
use crate::job::problem::Fault;
use crate::job::raw::{OneOrMany, RawFiles, RawPick};
use crate::job::spec::{Choice, Latest};
use crate::job::units;

/// `None`: something was reported.
pub(super) fn choice(doc: &mut Document<'_>, raw: &mut RawFiles) -> Option<Choice> {
    let hive = raw.hive.unwrap_or(false);
    let latest = latest(doc, raw, hive);
    let marker = match raw.done_marker.take() {
        Some(written) => doc.accept("source.done_marker", marker(written)).map(Some),
        None => Some(None),
    };
    let mut age = |field: &str, written: Option<&str>| match written {
        Some(text) => doc.accept(field, units::age(text)).map(Some),
        None => Some(None),
    };
    let settled = age("source.settled", raw.settled.as_deref());
    let max_age = age("source.max_age", raw.max_age.as_deref());
    Some(Choice { latest: latest?, done_marker: marker?, settled: settled?, max_age: max_age?, hive })
}

fn latest(doc: &mut Document<'_>, raw: &mut RawFiles, hive: bool) -> Option<Option<Latest>> {
    let by = raw.latest_by.take();
    if raw.pick != Some(RawPick::Latest) {
        // In a section with other mistakes, `pick` may be there under a misspelt name.
        if by.is_some() && doc.is_sound("source") {
            let fault = Fault::new("all files that match are read, whichever is the latest");
            doc.report("source.latest_by", fault.hint("add `pick = \"latest\"`, or remove `latest_by`"));
            return None;
        }
        return Some(None);
    }
    let columns = match by {
        None if hive => Vec::new(),
        None => return Some(Some(Latest::Modified)),
        Some(OneOrMany::One(by)) if by == "modified" => return Some(Some(Latest::Modified)),
        Some(OneOrMany::One(by)) if by == "name" => return Some(Some(Latest::Name)),
        Some(OneOrMany::One(column)) => vec![column],
        Some(OneOrMany::Many(columns)) => columns,
    };
    if !hive {
        let fault = Fault::new("without `hive = true` there are no partition columns");
        doc.report("source.latest_by", fault.hint("\"modified\" or \"name\"; or set `hive = true`"));
        return None;
    }
    Some(Some(Latest::Partition(columns)))
}

fn marker(written: String) -> Result<String, Fault> {
    const FORMS: &str = "a name such as `_SUCCESS`, or one with `{name}` in it such as `{name}.done`";
    let parts: Vec<&str> = written.split('/').collect();
    if parts.iter().any(|part| part.is_empty() || matches!(*part, "." | ".." | "{name}")) {
        return Err(
            Fault::new(format!("`{written}` is not the name of a marker file in the extract's folder")).hint(FORMS)
        );
    }
    let braces = written.replace("{name}", "");
    if braces.contains(['{', '}', '*', '?', '[']) {
        return Err(Fault::new(format!("`{written}`: only `{{name}}` has a meaning in a marker's name")).hint(FORMS));
    }
    Ok(written)
}
