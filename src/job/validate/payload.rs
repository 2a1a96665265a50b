//! `[payload]`: what is said, by kind of destination and kind of difference.

use super::destination::{is_sent, kind};
use crate::job::document::{Document, join};
use crate::job::problem::Fault;
use crate::job::raw::{
    Fields, OneOrMany, RawBody, RawBodyFormat, RawDestination, RawDiff, RawMethod, RawPayload, RawPreset, RawRoute,
    RawTrigger,
};
use crate::job::spec::{DestinationKind, Payload, PerOperation};

/// What a job says.
pub(super) struct Payloads {
    pub(super) usual: Payload,
    pub(super) own: PerOperation<Option<Payload>>,
}

/// A preset or a template as written.
#[derive(Clone, Copy)]
struct Body<'r> {
    /// Where it stands.
    place: &'static str,
    preset: Option<RawPreset>,
    fields: Option<&'r Fields>,
    template: Option<&'r String>,
}

pub(super) fn check(
    doc: &mut Document<'_>,
    raw: Option<&RawPayload>,
    diff: Option<&RawDiff>,
    destination: Option<&RawDestination>,
) -> Option<Payloads> {
    let kind = destination.map_or(DestinationKind::Http, kind);
    let own = PerOperation {
        added: own(doc, "added", raw.and_then(|raw| raw.added.as_ref()), diff, destination),
        changed: own(doc, "changed", raw.and_then(|raw| raw.changed.as_ref()), diff, destination),
        removed: own(doc, "removed", raw.and_then(|raw| raw.removed.as_ref()), diff, destination),
    };
    let is_used = own.iter().any(|(name, own)| is_sent(diff, name) && matches!(own, Some(None)));
    let usual = usual(doc, raw, destination, diff, is_used);
    no_removals(doc, raw, kind, diff, destination);
    let own = own.try_map(|_, own| own.clone().ok_or(())).ok()?;
    Some(Payloads { usual: usual?, own })
}

/// What is said unless an operation has its own. `is_used`: some has none.
fn usual(
    doc: &mut Document<'_>,
    raw: Option<&RawPayload>,
    destination: Option<&RawDestination>,
    diff: Option<&RawDiff>,
    is_used: bool,
) -> Option<Payload> {
    let kind = destination.map_or(DestinationKind::Http, kind);
    let body = Body {
        place: "payload",
        preset: raw.and_then(|raw| raw.preset),
        fields: raw.and_then(|raw| raw.fields.as_ref()),
        template: raw.and_then(|raw| raw.template.as_ref()),
    };
    if let Some((raw, template)) = raw.and_then(|raw| Some((raw, raw.batch_template.as_ref()?))) {
        return of_batches(doc, template, raw.conforms_to.is_some(), &body, destination);
    }
    let preset = match kind {
        DestinationKind::Trailspark => Some(RawPreset::Flat),
        DestinationKind::Segment | DestinationKind::Rudderstack => Some(RawPreset::Group),
        DestinationKind::Http => None,
    };
    if body.preset == Some(RawPreset::Flat) && kind.takes_events() {
        let fault = Fault::new(format!("`{}` takes group events and nothing else", kind.as_str()));
        doc.report("payload.preset", fault.hint("preset = \"group\", or a `template` of one"));
    }
    if body.preset.or(preset).is_none() && body.template.is_none() {
        let is_empty = raw.is_none() || body.fields.is_none();
        if !is_used && is_empty {
            return Some(Payload::Empty);
        }
        if raw.is_none() && doc.is_sound("payload") {
            let fault = Fault::new("the section is missing");
            doc.report("payload", fault.hint("What a webhook says: a `preset` or a `template`."));
            return None;
        }
    }
    let preset = if body.template.is_some() { None } else { preset };
    self::body(doc, Body { preset: body.preset.or(preset), ..body }, diff)
}

/// A template of whole batches, which only a destination that takes them can have.
fn of_batches(
    doc: &mut Document<'_>,
    template: &str,
    conforms: bool,
    other: &Body<'_>,
    destination: Option<&RawDestination>,
) -> Option<Payload> {
    let place = "payload.batch_template";
    if conforms {
        let fault = Fault::new("a body of several rows cannot conform to a payload template of one org");
        doc.report("payload.conforms_to", fault.hint("remove it, or write a `template` of one row"));
    }
    if other.preset.is_some() || other.template.is_some() {
        let fault = Fault::new("there is a `preset` or `template` as well").hint("keep one of them");
        doc.report(place, fault);
    }
    if other.fields.is_some() {
        let fault = Fault::new("a template takes its columns itself").hint("remove `fields`; write {{rows[0].column}}");
        doc.report("payload.fields", fault);
    }
    if template.trim().is_empty() {
        doc.report(place, Fault::new("the template is empty"));
    }
    let is_possible = match destination {
        Some(RawDestination::Http(http)) => {
            http.batch.is_some() && matches!(http.format, None | Some(RawBodyFormat::Json))
        }
        Some(_) => false,
        // Whatever is wrong with it was reported.
        None => true,
    };
    if !is_possible {
        let fault = Fault::new("only kind = \"http\" with `batch` and JSON has a body of several rows to make");
        doc.report(
            place,
            fault.hint("add `batch = { rows = 100 }` to [destination], or write a `template` of one row"),
        );
    }
    Some(Payload::Rows { template: template.to_owned() })
}

/// What one operation has of its own. `None`: reported. The inner: nothing, the usual goes for it.
fn own(
    doc: &mut Document<'_>,
    name: &'static str,
    raw: Option<&RawBody>,
    diff: Option<&RawDiff>,
    destination: Option<&RawDestination>,
) -> Option<Option<Payload>> {
    let place = match name {
        "added" => "payload.added",
        "removed" => "payload.removed",
        _ => "payload.changed",
    };
    let method = method(destination, name);
    let Some(raw) = raw else {
        let has_body = !matches!(method, Some(RawMethod::Get | RawMethod::Delete));
        return Some(if has_body { None } else { Some(Payload::Empty) });
    };
    if destination.is_some_and(|raw| kind(raw) != DestinationKind::Http) {
        let fault = Fault::new("only `kind = \"http\"` says something else of each operation");
        doc.report(place, fault.hint("a template of [payload] can ask for {{op}}"));
    }
    if !is_sent(diff, name) {
        let fault = Fault::new(format!("no {name} org is sent"));
        doc.report(place, fault.hint(format!("add \"{name}\" to `on` of [diff], or remove this")));
    }
    if method == Some(RawMethod::Get) {
        doc.report(place, Fault::new("a GET has no body").hint("remove this, or take another method"));
    }
    let body = Body { place, preset: raw.preset, fields: raw.fields.as_ref(), template: raw.template.as_ref() };
    self::body(doc, body, diff).map(Some)
}

/// The method of an operation, if the job says one.
fn method(destination: Option<&RawDestination>, name: &str) -> Option<RawMethod> {
    let Some(RawDestination::Http(http)) = destination else { return None };
    route(destination, name).and_then(|own| own.method).or(http.method)
}

fn route<'r>(destination: Option<&'r RawDestination>, name: &str) -> Option<&'r RawRoute> {
    let Some(RawDestination::Http(http)) = destination else { return None };
    match name {
        "added" => http.added.as_ref(),
        "removed" => http.removed.as_ref(),
        _ => http.changed.as_ref(),
    }
}

fn body(doc: &mut Document<'_>, body: Body<'_>, diff: Option<&RawDiff>) -> Option<Payload> {
    let place = body.place;
    let fields = body.fields.map(|fields| fields.0.clone()).unwrap_or_default();
    paths(doc, place, &fields);
    match (body.preset, body.template) {
        (Some(RawPreset::Flat), None) => Some(Payload::Flat { fields }),
        (Some(RawPreset::Group), None) => group(doc, place, fields, diff?),
        (None, Some(template)) => {
            if body.fields.is_some() {
                let fault =
                    Fault::new("a template takes its columns itself").hint("remove `fields`; write {{row.column}}");
                doc.report(&join(place, "fields"), fault);
            }
            if template.trim().is_empty() {
                doc.report(&join(place, "template"), Fault::new("the template is empty"));
            }
            Some(Payload::Liquid { template: template.clone() })
        }
        (Some(_), Some(_)) => {
            let fault = Fault::new("there is a `preset` as well").hint("keep one of the two");
            doc.report(&join(place, "template"), fault);
            None
        }
        (None, None) => {
            if doc.is_sound("payload") {
                let fault = Fault::new("neither `preset` nor `template` is set").hint("preset = \"flat\" or \"group\"");
                doc.report(place, fault);
            }
            None
        }
    }
}

/// A body path must lead somewhere, and nowhere through another path's value.
fn paths(doc: &mut Document<'_>, place: &str, fields: &[(String, String)]) {
    for (path, column) in fields {
        let place = join(&join(place, "fields"), path);
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

/// A preset's body cannot say that an org is gone, unless the request says so: by a method, an address or a body of its own.
/// Segment and RudderStack have no word for it at all.
fn no_removals(
    doc: &mut Document<'_>,
    raw: Option<&RawPayload>,
    kind: DestinationKind,
    diff: Option<&RawDiff>,
    destination: Option<&RawDestination>,
) {
    let removed = diff.and_then(|diff| diff.on.iter().position(|trigger| *trigger == RawTrigger::Removed));
    let Some(i) = removed else { return };
    let place = format!("diff.on[{i}]");
    if kind.takes_events() {
        let fault = Fault::new(format!("`{}` has no way to say that a group is gone", kind.as_str()));
        doc.report(
            &place,
            fault.hint("take \"removed\" out: the org keeps its place in the snapshot, and nothing is sent"),
        );
        return;
    }
    let is_template = |raw: &RawPayload| raw.template.is_some() || raw.batch_template.is_some();
    let says_so = raw.is_some_and(|raw| raw.removed.is_some() || is_template(raw));
    let is_preset = raw.is_some_and(|raw| raw.preset.is_some()) || kind == DestinationKind::Trailspark;
    if is_preset && !says_so && route(destination, "removed").is_none() {
        let fault = Fault::new("a preset's body cannot say that an org is gone")
            .hint("use a `template` that shows {{op}}, or take \"removed\" out");
        doc.report(&place, fault);
    }
}

/// A group event needs a `groupId`. A single key is one; of several key columns the job has to say.
fn group(doc: &mut Document<'_>, place: &str, mut fields: Vec<(String, String)>, diff: &RawDiff) -> Option<Payload> {
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
            doc.report(&join(place, "preset"), fault);
            return None;
        }
    }
    Some(Payload::Group { fields })
}
