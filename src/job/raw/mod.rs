//! A job file as written: what serde reads and what schemas/job.schema.json is made of. The comments are what an editor
//! shows. Keys that must be there are options all the same, so that a file that lacks one can still be searched for
//! other mistakes; the schema says that they are required, and that is checked first.

mod adbc;
mod conforms;
mod destination;
mod source;

pub use conforms::{RawConformsTo, RawMapping};
pub use destination::{
    RawAuth, RawBatch, RawBodyFormat, RawDestination, RawHttp, RawMethod, RawMode, RawRegion, RawRetry, RawRoute,
    RawRudderstack, RawSegment, RawSending, RawSigning, RawTrailspark,
};

pub use adbc::{RawAdbc, RawPlaceholder, RawQuotes};
pub use source::{RawDatabase, RawDbt, RawFiles, RawFormat, RawPick, RawSource, RawSqlite, RawTls};

use schemars::JsonSchema;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// One org sync: where rows come from, what is compared, where webhooks go and what they say.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Nightmark job")]
pub struct RawJob {
    /// The version of this format: 1.
    #[schemars(required, extend("const" = 1))]
    pub version: Option<u32>,
    /// The job's name: letters, digits, `-` and `_`, at most 64. Default: the file's name without `.toml`.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,64}$"))]
    pub name: Option<String>,
    /// When to run, as in a crontab: minute, hour, day of month, month, day of week (0 and 7 are Sunday); with a sixth
    /// field in front for seconds; or @hourly, @daily, @weekly, @monthly; or `@every 6h`. Without it the clock begins no run.
    pub schedule: Option<String>,
    /// The IANA time zone of `schedule`, such as `America/New_York`.
    #[serde(default = "utc")]
    pub timezone: String,
    /// What was due while no daemon was there is run once, if it was due no longer ago than this. `0s`: never.
    #[serde(default = "six_hours")]
    pub catch_up: String,
    /// What becomes of a fire while the run before it is still on.
    #[serde(default)]
    pub overlap: RawOverlap,
    /// The job's fires are put off by up to this much, each by the same: jobs of one schedule do not all begin at once.
    pub jitter: Option<String>,
    /// When no run may begin, by the clock of `timezone`: `Mon-Fri 08:00-18:00`, or `23:30-00:30` for every day. What is due then
    /// begins at its end.
    #[serde(default)]
    pub blackout: Vec<String>,
    /// Jobs whose last fire before this one must have been done: it waits for them, for as long as `catch_up`.
    #[serde(default)]
    pub depends_on: Vec<String>,
    /// Of files, how often it is looked for a new extract, such as `1m`: once the files that would be read are not those that the last run
    /// has read, and have been the same at two looks in a row, the job runs.
    pub on_file: Option<String>,
    /// Jobs whose success, each time, begins a run of this one.
    #[serde(default)]
    pub run_after: Vec<String>,
    /// Where rows come from, one per org.
    #[schemars(required)]
    pub source: Option<RawSource>,
    /// What is compared with what the destination is known to have.
    #[schemars(required)]
    pub diff: Option<RawDiff>,
    /// Where webhooks go.
    #[schemars(required)]
    pub destination: Option<RawDestination>,
    /// What a webhook says: a `preset` or a `template`. Of kind `http` it must be there; `trailspark` has the preset `flat`
    /// without it, `segment` and `rudderstack` the preset `group`.
    pub payload: Option<RawPayload>,
    /// When a change set is held back for a person to look at.
    pub guard: Option<RawGuard>,
    /// When somebody is told of this job, besides what `nightmark.toml` says.
    pub alerts: Option<RawJobAlerts>,
}

/// When somebody is told of a job.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawJobAlerts {
    /// The job is to go through at least once in this time, such as `26h` or `8d`. Default: that of `nightmark.toml`.
    pub no_success_for: Option<String>,
    /// Called (GET) after each run of the daemon that went through: a watchdog elsewhere that speaks up when the calls stay away. A reference, `${NAME}` or
    /// `${file:PATH}`.
    pub ping_url: Option<String>,
}

/// What becomes of a fire while the run before it is still on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RawOverlap {
    /// It is left out.
    #[default]
    Skip,
    /// It runs when that has ended; of several, one.
    Queue,
}

pub(super) fn six_hours() -> String {
    "6h".to_owned()
}

pub(super) fn utc() -> String {
    "UTC".to_owned()
}

/// What is compared with what the destination is known to have.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawDiff {
    /// The column that identifies an org, or a list of columns.
    #[schemars(required)]
    pub key: Option<OneOrMany>,
    /// The columns whose change triggers a webhook. Default: every column but the key and those in `ignore`.
    #[schemars(length(min = 1))]
    pub compare: Option<Vec<String>>,
    /// Columns that never trigger a webhook, such as `updated_at`.
    #[serde(default)]
    pub ignore: Vec<String>,
    /// How single columns are compared. What is sent is always the value itself.
    #[serde(default)]
    pub columns: BTreeMap<String, RawForm>,
    /// Which differences are sent. "removed" needs a `template`.
    #[serde(default = "added_and_changed")]
    #[schemars(length(min = 1))]
    pub on: Vec<RawTrigger>,
    /// What the first run does with all orgs.
    #[serde(default)]
    pub first_run: RawBaseline,
    /// What a compared column that was not there before does.
    #[serde(default)]
    pub on_new_column: RawBaseline,
    /// What a null, empty or duplicate key does.
    #[serde(default)]
    pub on_bad_key: RawBadKey,
}

/// How one column is compared. Text: nfc, then case_fold, then trim. Numbers: round, then bucket.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawForm {
    /// Text: without white space at both ends.
    #[serde(default)]
    pub trim: bool,
    /// Text: without regard to upper and lower case (full case folding of Unicode: `STRASSE` is `straße`).
    #[serde(default)]
    pub case_fold: bool,
    /// Text: by normalisation form C of Unicode, so that `é` is one text however it is composed.
    #[serde(default)]
    pub nfc: bool,
    /// Numbers: rounded to so many decimal places, half away from zero; -3 rounds to thousands.
    #[schemars(range(min = -18, max = 18))]
    pub round: Option<i8>,
    /// Numbers: by the bin that they are in. A width, or an ascending list of the lower bounds of bins.
    pub bucket: Option<RawBucket>,
    /// Numbers: what is at most this far from the value that the destination is known to have does not differ from it.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub tolerance: Option<serde_json::Number>,
}

/// Bins of numbers.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RawBucket {
    /// Bins of this width, from 0 upwards and downwards.
    Width(#[schemars(extend("exclusiveMinimum" = 0))] serde_json::Number),
    /// The lower bound of each bin but the first.
    Bounds(#[schemars(length(min = 1))] Vec<serde_json::Number>),
}

fn added_and_changed() -> Vec<RawTrigger> {
    vec![RawTrigger::Added, RawTrigger::Changed]
}

/// One column or several.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One column.
    One(#[schemars(length(min = 1))] String),
    /// Several columns, in order.
    Many(#[schemars(length(min = 1))] Vec<String>),
}

/// A kind of difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawTrigger {
    /// Orgs that the destination does not have.
    Added,
    /// Orgs whose compared columns differ.
    Changed,
    /// Orgs that are gone from the extract.
    Removed,
}

/// Send what is new, or take it as known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawBaseline {
    /// Everything new is sent.
    #[default]
    Send,
    /// It becomes the baseline and nothing is sent.
    Adopt,
}

/// What a bad key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawBadKey {
    /// Nothing is sent; the report names the keys.
    #[default]
    Fail,
    /// Those rows are left out and reported; the others go on.
    Quarantine,
}

/// What a webhook says: a `preset` or a `template`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("not" = { "anyOf": [
    { "required": ["preset", "template"] },
    { "required": ["preset", "batch_template"] },
    { "required": ["template", "batch_template"] },
] }))]
pub struct RawPayload {
    /// A ready-made form.
    pub preset: Option<RawPreset>,
    /// Of a preset: dot path in the body = column, in the order of the body, such as `"traits.employees" = "user_count"`.
    #[serde(default)]
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    pub fields: Option<Fields>,
    /// A Liquid template of the JSON body, such as `{ "id": {{row.workspace_id}} }`.
    #[schemars(length(min = 1))]
    pub template: Option<String>,
    /// Kind `http` with `batch`: a Liquid template of the JSON body of several rows, such as `{ "orgs": {{rows}} }`.
    #[schemars(length(min = 1))]
    pub batch_template: Option<String>,
    /// The payload template of the destination's API key: a body that it would refuse is never sent.
    pub conforms_to: Option<RawConformsTo>,
    /// Kind `http`: what is said of an org that the destination does not have, if that is something else.
    pub added: Option<RawBody>,
    /// Kind `http`: what is said of an org whose compared columns differ, if that is something else.
    pub changed: Option<RawBody>,
    /// Kind `http`: what is said of an org that is gone from the extract, if that is something else.
    pub removed: Option<RawBody>,
}

/// What a webhook says of one kind of difference: a `preset` or a `template`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["preset"] }, { "required": ["template"] }]))]
pub struct RawBody {
    /// A ready-made form.
    pub preset: Option<RawPreset>,
    /// Of a preset: dot path in the body = column, in the order of the body.
    #[serde(default)]
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    pub fields: Option<Fields>,
    /// A Liquid template of the JSON body.
    #[schemars(length(min = 1))]
    pub template: Option<String>,
}

/// A ready-made form of body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawPreset {
    /// A JSON object with a member per column.
    Flat,
    /// A Segment and RudderStack group event.
    Group,
}

/// Dot path ← column, in the order in which they were written.
#[derive(Debug, Default)]
pub struct Fields(pub Vec<(String, String)>);

impl Serialize for Fields {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(path, column)| (path, column)))
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of columns")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    fields.push(entry);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// When a change set is held back for a person to look at.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawGuard {
    /// Fewer rows than this hold the run. Default 1: an empty extract is never taken for the truth.
    #[schemars(range(min = 1))]
    pub min_rows: Option<u64>,
    /// Changed orgs, against the orgs known so far. Default `{ share = 0.5, floor = 1000 }`.
    pub max_changed: Option<RawThreshold>,
    /// Orgs gone from the extract, against the orgs known so far. Default `{ share = 0.2, floor = 100 }`.
    pub max_removed: Option<RawThreshold>,
    /// Rejected rows, against the rows of the extract. Default `{ share = 0.01, floor = 10 }`.
    pub max_rejected: Option<RawThreshold>,
    /// How long a held run can be approved, such as `12h`; then it is discarded. Default `7d`.
    pub hold_expires: Option<String>,
}

/// A run is held when a count is above both `floor` and `share`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = RawThreshold { share: Some(0.1), floor: Some(10) })]
pub struct RawThreshold {
    /// From 0 to 1: 0.2 is 20 %.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub share: Option<f64>,
    /// Counts up to this never hold a run.
    pub floor: Option<u64>,
}
