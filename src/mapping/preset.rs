//! The presets: what the guide's tables say (<https://docs.trailspark.ai/docs/cdp-product-org-setup>), and for group calls
//! besides what Segment and RudderStack put around them.

use super::PayloadTemplate;

const PRESETS: [(&str, &str); 3] = [
    (
        "flat",
        r#"{"product_org_id": "workspace_id", "name": "workspace_name", "plan_id": "plan_id", "plan_name": "plan_name",
            "user_count": "user_count", "mrr": "mrr", "trial_status": "trial_status"}"#,
    ),
    (
        "segment",
        r#"{"product_org_id": "groupId", "name": "traits.name", "plan_id": "traits.plan", "plan_name": "traits.plan_name",
            "user_count": "traits.employees", "mrr": "traits.mrr", "trial_status": "traits.trial_status",
            "timestamp": "timestamp", "message_id": "messageId", "only_if": "type == \"group\""}"#,
    ),
    // Its webhook destination delivers the time as the event's sender wrote it under another name.
    (
        "rudderstack",
        r#"{"product_org_id": "groupId", "name": "traits.name", "plan_id": "traits.plan", "plan_name": "traits.plan_name",
            "user_count": "traits.employees", "mrr": "traits.mrr", "trial_status": "traits.trial_status",
            "timestamp": "originalTimestamp", "message_id": "messageId", "only_if": "type == \"group\""}"#,
    ),
];

/// Another name of a preset: that of the guide's section.
const ALIASES: [(&str, &str); 1] = [("hightouch", "flat")];

impl PayloadTemplate {
    /// `flat` or `hightouch` (what Hightouch sends), `segment`, `rudderstack` (group calls). `None`: no such preset.
    pub fn preset(name: &str) -> Option<PayloadTemplate> {
        let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, preset)| *preset);
        let (_, text) = PRESETS.iter().find(|(preset, _)| *preset == name)?;
        Self::from_json_text(text).ok()
    }

    /// The names of the presets.
    pub fn presets() -> impl Iterator<Item = &'static str> {
        PRESETS.iter().map(|(name, _)| *name)
    }

    /// The preset that this is, if it is one.
    pub fn preset_name(&self) -> Option<&'static str> {
        Self::presets().find(|name| Self::preset(name).as_ref() == Some(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_valid_and_survive_the_store() {
        for name in PayloadTemplate::presets() {
            let template = PayloadTemplate::preset(name).expect(name);
            assert_eq!((template.fields.len(), template.preset_name()), (6, Some(name)));
            assert_eq!(PayloadTemplate::from_json_text(&template.to_json_text()), Ok(template));
        }
        assert_eq!(PayloadTemplate::preset("hightouch"), PayloadTemplate::preset("flat"));
        assert_eq!(PayloadTemplate::preset("hubspot"), None);
    }

    #[test]
    fn what_stands_around_the_fields() {
        let around = |name: &str| {
            let template = PayloadTemplate::preset(name).expect(name);
            let condition = template.envelope.only_if.as_ref().map(ToString::to_string);
            (template.envelope.paths().map(|(_, path)| path.to_string()).collect::<Vec<_>>().join(" "), condition)
        };
        let group = Some("type == \"group\"".to_owned());
        assert_eq!(around("flat"), (String::new(), None));
        assert_eq!(around("segment"), ("timestamp messageId type".to_owned(), group.clone()));
        assert_eq!(around("rudderstack"), ("originalTimestamp messageId type".to_owned(), group));
    }
}
