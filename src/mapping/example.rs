//! A payload that a template reads: what the reference guide's "Testing" section sends, at the template's own paths.

use super::{Field, Path, PayloadTemplate};
use serde_json::{Map, Value, json};

impl PayloadTemplate {
    /// An example of a payload. A path that leads through another's value, which no payload can have, is left out; so are the
    /// event's time and message id: who tries values out would be told that it is an old event, or one that was sent before.
    pub fn example(&self) -> Value {
        let fields = Field::ALL.into_iter().filter_map(|field| Some((self.fields.get(&field)?, value(field))));
        let custom = self.custom.values().map(|path| (path, json!("a value")));
        let mut payload = Map::new();
        // First what decides whether the rest is looked at.
        let condition = self.envelope.only_if.as_ref().map(|condition| (&condition.path, json!(condition.equals)));
        let id = std::iter::once((&self.product_org_id, json!("test_ws_001")));
        for (path, value) in condition.into_iter().chain(id).chain(fields).chain(custom) {
            put(&mut payload, path, value);
        }
        Value::Object(payload)
    }
}

fn value(field: Field) -> Value {
    match field {
        Field::Name => json!("Test Workspace"),
        Field::PlanId => json!("pro"),
        Field::PlanName => json!("Pro"),
        Field::UserCount => json!(10),
        Field::Mrr => json!(9900),
        Field::TrialStatus => json!("active"),
        Field::LastActiveAt => json!("2026-01-15T10:30:00Z"),
        Field::FeatureFlags => json!({ "sso": true }),
    }
}

fn put(payload: &mut Map<String, Value>, path: &Path, value: Value) {
    let Some((last, parents)) = path.segments().split_last() else { return };
    let mut object = payload;
    for segment in parents {
        let inner = object.entry(segment.clone()).or_insert_with(|| json!({}));
        let Value::Object(inner) = inner else { return };
        object = inner;
    }
    object.entry(last.clone()).or_insert(value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::extract;

    #[test]
    fn examples_are_read_by_their_own_template() {
        let toml = "product_org_id = \"a.b\"\nname = \"a.c\"\nlast_active_at = \"seen\"\nfeature_flags = \"x.y.z\"\n\
                    timestamp = \"e.t\"\nmessage_id = \"e.i\"\nonly_if = 'e.k == \"a b\"'\n[custom]\nregion = \"x.r\"";
        let own = PayloadTemplate::from_toml_text(toml).expect("valid");
        for template in PayloadTemplate::presets().filter_map(PayloadTemplate::preset).chain([own]) {
            let Value::Object(payload) = template.example() else { panic!("an object") };
            let reading = extract(&template, &payload).unwrap_or_else(|error| panic!("{error}: {payload:?}"));
            let update = reading.update().expect("an update");
            assert_eq!(update.patch.product_org_id, "test_ws_001");
            assert_eq!((update.event_at, update.message_id), (None, None), "it may be sent again");
        }
    }
}
