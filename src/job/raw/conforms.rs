//! `[payload.conforms_to]` as written: the payload template of the destination's key, field by field.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The payload template of the destination's API key: where it finds each field in the body. Paths have dots and are
/// case-sensitive.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawConformsTo {
    /// A mapping table of the TrailSpark guide; fields that are set besides take the place of the table's.
    pub preset: Option<RawMapping>,
    /// The org's id, such as `groupId`; without a preset it must be set. A text of 1 to 255 bytes, or an integer.
    #[schemars(length(min = 1))]
    pub product_org_id: Option<String>,
    /// The name, a text.
    #[schemars(length(min = 1))]
    pub name: Option<String>,
    /// The plan's id, a text.
    #[schemars(length(min = 1))]
    pub plan_id: Option<String>,
    /// The plan's name, a text.
    #[schemars(length(min = 1))]
    pub plan_name: Option<String>,
    /// Users, an integer of at least 0.
    #[schemars(length(min = 1))]
    pub user_count: Option<String>,
    /// Monthly recurring revenue, an integer of cents.
    #[schemars(length(min = 1))]
    pub mrr: Option<String>,
    /// `active`, `expired` or `converted`.
    #[schemars(length(min = 1))]
    pub trial_status: Option<String>,
    /// A time as RFC 3339 has it.
    #[schemars(length(min = 1))]
    pub last_active_at: Option<String>,
    /// An object.
    #[schemars(length(min = 1))]
    pub feature_flags: Option<String>,
    /// Where it stands when the event happened, a time as RFC 3339 has it.
    #[schemars(length(min = 1))]
    pub timestamp: Option<String>,
    /// Where it stands what the sender calls this update, a text of 1 to 255 characters, or an integer.
    #[schemars(length(min = 1))]
    pub message_id: Option<String>,
    /// Which bodies the key takes, such as `type == "group"`; it ignores others.
    #[schemars(length(min = 1))]
    pub only_if: Option<String>,
    /// Fields of one's own: name = path, such as `projects_count = "metrics.total_projects"`.
    #[serde(default)]
    pub custom: BTreeMap<String, String>,
}

/// A mapping table of the guide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawMapping {
    /// Group calls.
    Segment,
    /// Group calls, as those of Segment, with `originalTimestamp`.
    Rudderstack,
    /// The flat body of the guide's JSON editor.
    Hightouch,
}

impl RawMapping {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            RawMapping::Segment => "segment",
            RawMapping::Rudderstack => "rudderstack",
            RawMapping::Hightouch => "hightouch",
        }
    }
}
