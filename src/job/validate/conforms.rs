//! `[payload.conforms_to]`

use crate::job::document::{Document, join};
use crate::job::problem::Fault;
use crate::job::raw::RawConformsTo;
use crate::mapping::{Condition, Envelope, Field, Path, PayloadTemplate};
use std::collections::BTreeMap;

const AT: &str = "payload.conforms_to";

/// `None` only after a report.
pub(super) fn check(doc: &mut Document<'_>, raw: &RawConformsTo) -> Option<PayloadTemplate> {
    let preset = raw.preset.and_then(|preset| PayloadTemplate::preset(preset.as_str()));
    let (mut fields, mut custom, mut sound) = (BTreeMap::new(), BTreeMap::new(), true);
    let mut id = preset.as_ref().map(|preset| preset.product_org_id.clone());
    let mut envelope = Envelope::default();
    if let Some(preset) = preset {
        (fields, envelope) = (preset.fields, preset.envelope);
    }
    if let Some(written) = &raw.product_org_id {
        id = path(doc, PayloadTemplate::ID, written);
        sound &= id.is_some();
    } else if id.is_none() && doc.is_sound("payload") {
        let fault = Fault::new("`product_org_id` is missing: it says where the org's id stands in the body");
        doc.report(
            AT,
            fault.hint("product_org_id = \"groupId\", or preset = \"segment\", \"rudderstack\" or \"hightouch\""),
        );
    }
    for field in Field::ALL {
        let Some(written) = written(raw, field) else { continue };
        match path(doc, field.as_str(), written) {
            Some(path) => drop(fields.insert(field, path)),
            None => sound = false,
        }
    }
    for (name, written) in &raw.custom {
        let place = join("custom", name);
        if let Err(rule) = PayloadTemplate::custom_name(name) {
            doc.report(&format!("{AT}.{place}"), Fault::new(rule));
            sound = false;
        }
        match path(doc, &place, written) {
            Some(path) => drop(custom.insert(name.clone(), path)),
            None => sound = false,
        }
    }
    sound &= surround(doc, raw, &mut envelope);
    let template = PayloadTemplate::new(id.filter(|_| sound)?, fields, custom, envelope);
    doc.accept(AT, template.map_err(Fault::new))
}

/// What is written of the envelope takes the place of the preset's. `false` only after a report.
fn surround(doc: &mut Document<'_>, raw: &RawConformsTo, envelope: &mut Envelope) -> bool {
    let mut sound = true;
    for (name, written, slot) in [
        (Envelope::TIMESTAMP, &raw.timestamp, &mut envelope.timestamp),
        (Envelope::MESSAGE_ID, &raw.message_id, &mut envelope.message_id),
    ] {
        let Some(written) = written else { continue };
        *slot = path(doc, name, written);
        sound &= slot.is_some();
    }
    if let Some(written) = &raw.only_if {
        let condition =
            Condition::parse(written).map_err(|words| Fault::new(words).hint("only_if = 'type == \"group\"'"));
        envelope.only_if = doc.accept(&format!("{AT}.{}", Envelope::ONLY_IF), condition);
        sound &= envelope.only_if.is_some();
    }
    sound
}

fn path(doc: &mut Document<'_>, place: &str, written: &str) -> Option<Path> {
    let path = Path::parse(written).map_err(|words| Fault::new(words).hint("names with dots, such as \"traits.plan\""));
    doc.accept(&format!("{AT}.{place}"), path)
}

fn written(raw: &RawConformsTo, field: Field) -> Option<&String> {
    match field {
        Field::Name => raw.name.as_ref(),
        Field::PlanId => raw.plan_id.as_ref(),
        Field::PlanName => raw.plan_name.as_ref(),
        Field::UserCount => raw.user_count.as_ref(),
        Field::Mrr => raw.mrr.as_ref(),
        Field::TrialStatus => raw.trial_status.as_ref(),
        Field::LastActiveAt => raw.last_active_at.as_ref(),
        Field::FeatureFlags => raw.feature_flags.as_ref(),
    }
}

#[cfg(test)]
#[path = "conforms_tests.rs"]
mod tests;
