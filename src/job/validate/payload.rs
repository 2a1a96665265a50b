//! `[payload]`

use crate::job::document::{Document, join};
use crate::job::problem::Fault;
use crate::job::raw::{OneOrMany, RawDiff, RawPayload, RawPreset, RawTrigger};
use crate::job::spec::Payload;

pub(super) fn check(doc: &mut Document<'_>, raw: &RawPayload, diff: Option<&RawDiff>) -> Option<Payload> {
    let fields = raw.fields.as_ref().map(|fields| fields.0.clone()).unwrap_or_default();
    paths(doc, &fields);
    match (raw.preset, &raw.template) {
        (Some(preset), None) => {
            no_removals(doc, diff);
            match preset {
                RawPreset::Flat => Some(Payload::Flat { fields }),
                RawPreset::Group => group(doc, fields, diff?),
            }
        }
        (None, Some(template)) => {
            if raw.fields.is_some() {
                let fault =
                    Fault::new("a template takes its columns itself").hint("remove `fields`; write {{row.column}}");
                doc.report("payload.fields", fault);
            }
            if template.trim().is_empty() {
                doc.report("payload.template", Fault::new("the template is empty"));
            }
            Some(Payload::Liquid { template: template.clone() })
        }
        (Some(_), Some(_)) => {
            doc.report("payload.template", Fault::new("there is a `preset` as well").hint("keep one of the two"));
            None
        }
        (None, None) => {
            if doc.is_sound("payload") {
                let fault = Fault::new("neither `preset` nor `template` is set").hint("preset = \"flat\" or \"group\"");
                doc.report("payload", fault);
            }
            None
        }
    }
}

/// A body path must lead somewhere, and nowhere through another path's value.
fn paths(doc: &mut Document<'_>, fields: &[(String, String)]) {
    for (path, column) in fields {
        let place = join("payload.fields", path);
        if path.split('.').any(str::is_empty) {
            doc.report(
                &place,
                Fault::new("a path has a name between any two dots").hint("such as \"traits.employees\""),
            );
        }
        if column.is_empty() {
            doc.report(&place, Fault::new("a column has a name"));
        }
        let inside = |other: &str| path.strip_prefix(other).is_some_and(|rest| rest.starts_with('.'));
        if let Some((other, _)) = fields.iter().find(|(other, _)| inside(other)) {
            doc.report(&place, Fault::new(format!("`{other}` is a column already, so nothing can stand inside it")));
        }
    }
}

/// A preset's body cannot say that an org is gone: flat bodies have no word for it, and Segment has no remove for groups.
fn no_removals(doc: &mut Document<'_>, diff: Option<&RawDiff>) {
    let removed = diff.and_then(|diff| diff.on.iter().position(|trigger| *trigger == RawTrigger::Removed));
    if let Some(i) = removed {
        let fault = Fault::new("a preset's body cannot say that an org is gone")
            .hint("use a `template` that shows {{op}}, or take \"removed\" out");
        doc.report(&format!("diff.on[{i}]"), fault);
    }
}

/// A group event needs a `groupId`. A single key is one; of several key columns the job has to say.
fn group(doc: &mut Document<'_>, mut fields: Vec<(String, String)>, diff: &RawDiff) -> Option<Payload> {
    if fields.iter().any(|(path, _)| path == "groupId") {
        return Some(Payload::Group { fields });
    }
    let single = match diff.key.as_ref()? {
        OneOrMany::One(column) => Some(column),
        OneOrMany::Many(columns) => columns.first().filter(|_| columns.len() == 1),
    };
    match single {
        Some(_) if fields.is_empty() => {}
        Some(column) => fields.insert(0, ("groupId".to_owned(), column.clone())),
        None if !doc.is_sound("payload") => return None,
        None => {
            let fault = Fault::new("the key has several columns, so the group's id is not clear")
                .hint("set fields.groupId to one column; a SQL model can join several into one");
            doc.report("payload.preset", fault);
            return None;
        }
    }
    Some(Payload::Group { fields })
}
