//! Payload templates: which field of an org stands at which path of the payload.

use super::json;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;

/// Fields of one template at most, custom ones included.
pub const MAX_FIELDS: usize = 64;
/// Segments of one path at most.
pub const MAX_SEGMENTS: usize = 16;
/// Bytes of a path or of a custom field's name at most.
const MAX_TEXT: usize = 255;

/// The fields that every org has, but for its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// Text.
    Name,
    /// Text.
    PlanId,
    /// Text.
    PlanName,
    /// An integer of at least 0.
    UserCount,
    /// An integer, in cents.
    Mrr,
    /// `active`, `expired` or `converted`.
    TrialStatus,
    /// RFC 3339.
    LastActiveAt,
    /// An object.
    FeatureFlags,
}

impl Field {
    /// Every field.
    pub const ALL: [Field; 8] = [
        Field::Name,
        Field::PlanId,
        Field::PlanName,
        Field::UserCount,
        Field::Mrr,
        Field::TrialStatus,
        Field::LastActiveAt,
        Field::FeatureFlags,
    ];

    /// As it is called in template files.
    pub fn as_str(self) -> &'static str {
        match self {
            Field::Name => "name",
            Field::PlanId => "plan_id",
            Field::PlanName => "plan_name",
            Field::UserCount => "user_count",
            Field::Mrr => "mrr",
            Field::TrialStatus => "trial_status",
            Field::LastActiveAt => "last_active_at",
            Field::FeatureFlags => "feature_flags",
        }
    }
}

const ID: &str = "product_org_id";
const CUSTOM: &str = "custom";

/// A dot path into a payload, case-sensitive. Each segment names a field of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    segments: Vec<String>,
}

impl Path {
    fn parse(text: &str) -> Result<Path, String> {
        let segments: Vec<String> = text.split('.').map(str::to_owned).collect();
        if segments.iter().any(String::is_empty) {
            return Err(format!("the path `{text}` has an empty segment; a path is like `traits.plan`"));
        }
        if segments.len() > MAX_SEGMENTS {
            return Err(format!("the path has {} segments, at most {MAX_SEGMENTS} are allowed", segments.len()));
        }
        if text.len() > MAX_TEXT || text.chars().any(char::is_control) {
            return Err(format!("a path has at most {MAX_TEXT} bytes and no control characters"));
        }
        Ok(Path { segments })
    }

    /// The names that lead there; at least one.
    pub(super) fn segments(&self) -> &[String] {
        &self.segments
    }

    /// What stands there; `None` if nothing does. A null is something.
    pub fn find<'a>(&self, payload: &'a Map<String, Value>) -> Option<&'a Value> {
        let (last, parents) = self.segments.split_last()?;
        parents.iter().try_fold(payload, |object, segment| object.get(segment)?.as_object())?.get(last)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.segments.join("."))
    }
}

/// A payload template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadTemplate {
    /// Where the org's id stands.
    pub product_org_id: Path,
    /// Where the other fields stand.
    pub fields: BTreeMap<Field, Path>,
    /// Where custom fields stand, by their name.
    pub custom: BTreeMap<String, Path>,
}

/// A template that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplateError {
    /// It is not even the format that it should be.
    Syntax {
        /// `JSON` or `TOML`.
        format: &'static str,
        /// Why.
        reason: String,
    },
    /// Every problem that it has; at least one.
    Problems(Vec<String>),
}

impl TemplateError {
    /// In words, about `what`, such as a file's name.
    pub fn about(&self, what: &str) -> String {
        match self {
            TemplateError::Syntax { format, reason } => format!("{what} is not valid {format}: {reason}"),
            TemplateError::Problems(problems) => {
                let lines: Vec<String> = problems.iter().map(|problem| format!("\n  {problem}")).collect();
                format!("{what} is not a payload template:{}", lines.concat())
            }
        }
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.about("the payload template"))
    }
}

impl std::error::Error for TemplateError {}

/// The presets: what the guide's tables say (<https://docs.trailspark.ai/docs/cdp-product-org-setup>).
const PRESETS: [(&str, &str); 2] = [
    (
        "flat",
        r#"{"product_org_id": "workspace_id", "name": "workspace_name", "plan_id": "plan_id", "plan_name": "plan_name",
            "user_count": "user_count", "mrr": "mrr", "trial_status": "trial_status"}"#,
    ),
    (
        "segment",
        r#"{"product_org_id": "groupId", "name": "traits.name", "plan_id": "traits.plan", "plan_name": "traits.plan_name",
            "user_count": "traits.employees", "mrr": "traits.mrr", "trial_status": "traits.trial_status"}"#,
    ),
];

impl PayloadTemplate {
    /// `flat` (what Hightouch sends) or `segment` (Segment and RudderStack group calls). `None`: no such preset.
    pub fn preset(name: &str) -> Option<PayloadTemplate> {
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

    /// Reads a template file in TOML.
    ///
    /// # Errors
    /// Every problem that it has.
    pub fn from_toml_text(text: &str) -> Result<PayloadTemplate, TemplateError> {
        let syntax = |error: toml::de::Error| {
            let before = text.get(..error.span().map_or(0, |span| span.start)).unwrap_or_default();
            let reason = format!("{} (line {})", error.message(), before.matches('\n').count() + 1);
            TemplateError::Syntax { format: "TOML", reason }
        };
        let value: Value = toml::from_str(text).map_err(syntax)?;
        Self::from_value(&value)
    }

    /// Reads a template in JSON: a file's, or the store's.
    ///
    /// # Errors
    /// Every problem that it has.
    pub fn from_json_text(text: &str) -> Result<PayloadTemplate, TemplateError> {
        let syntax = |error: serde_json::Error| TemplateError::Syntax { format: "JSON", reason: error.to_string() };
        let value = json::read(text.as_bytes()).map_err(syntax)?;
        Self::from_value(&value)
    }

    fn from_value(value: &Value) -> Result<PayloadTemplate, TemplateError> {
        let Some(object) = value.as_object() else {
            return Err(TemplateError::Problems(vec!["it must be an object of `\"field\": \"path\"`".to_owned()]));
        };
        let mut reader = Reader::default();
        for (name, value) in object {
            reader.read(name, value);
        }
        reader.finish()
    }

    /// The form that [`from_json_text`](Self::from_json_text) reads back.
    pub fn to_json_text(&self) -> String {
        let mut object = Map::new();
        object.insert(ID.to_owned(), self.product_org_id.to_string().into());
        object.extend(self.fields.iter().map(|(field, path)| (field.as_str().to_owned(), path.to_string().into())));
        if !self.custom.is_empty() {
            let custom = self.custom.iter().map(|(name, path)| (name.clone(), path.to_string().into())).collect();
            object.insert(CUSTOM.to_owned(), Value::Object(custom));
        }
        Value::Object(object).to_string()
    }
}

/// Gathers fields and problems, so that all problems are reported at once.
#[derive(Default)]
struct Reader {
    id: Option<Path>,
    /// An id that has a problem of its own is not missing as well.
    id_seen: bool,
    fields: BTreeMap<Field, Path>,
    custom: BTreeMap<String, Path>,
    problems: Vec<String>,
}

impl Reader {
    fn read(&mut self, name: &str, value: &Value) {
        if name == ID {
            self.id_seen = true;
            self.id = self.path(name, value);
        } else if name == CUSTOM {
            self.read_custom(value);
        } else if let Some(field) = Field::ALL.into_iter().find(|field| field.as_str() == name) {
            if let Some(path) = self.path(name, value) {
                self.fields.insert(field, path);
            }
        } else {
            self.problems.push(unknown_field(name));
        }
    }

    fn read_custom(&mut self, value: &Value) {
        let Some(object) = value.as_object() else {
            return self.problems.push("`custom` must be a table of `name = \"path\"`".to_owned());
        };
        for (name, value) in object {
            if name.is_empty() || name.len() > MAX_TEXT || name.chars().any(char::is_control) {
                self.problems
                    .push(format!("custom field {name:?}: a name has 1–{MAX_TEXT} bytes and no control characters"));
            } else if let Some(path) = self.path(&format!("custom.{name}"), value) {
                self.custom.insert(name.clone(), path);
            }
        }
    }

    fn path(&mut self, name: &str, value: &Value) -> Option<Path> {
        let parsed = match value {
            Value::String(text) => Path::parse(text),
            _ => Err("a path is a string such as `traits.plan`".to_owned()),
        };
        parsed.map_err(|problem| self.problems.push(format!("{name}: {problem}"))).ok()
    }

    fn finish(mut self) -> Result<PayloadTemplate, TemplateError> {
        let count = usize::from(self.id.is_some()) + self.fields.len() + self.custom.len();
        if count > MAX_FIELDS {
            self.problems.push(format!("it has {count} fields, at most {MAX_FIELDS} are allowed"));
        }
        if !self.id_seen {
            self.problems.push(format!("`{ID}` is missing; it says where the org's id stands, such as `groupId`"));
        }
        match self.id {
            Some(product_org_id) if self.problems.is_empty() => {
                Ok(PayloadTemplate { product_org_id, fields: self.fields, custom: self.custom })
            }
            _ => Err(TemplateError::Problems(self.problems)),
        }
    }
}

fn unknown_field(name: &str) -> String {
    let known = Field::ALL.iter().map(|field| field.as_str()).chain([ID, CUSTOM]);
    let nearest = known
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .min()
        .filter(|(distance, known)| *distance <= 1 + known.len() / 4);
    match nearest {
        Some((_, known)) => format!("there is no field `{name}`; did you mean `{known}`?"),
        None => format!("there is no field `{name}`; fields of your own stand in the table `custom`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_problems(toml: &str, parts: &[&str]) {
        let Err(TemplateError::Problems(problems)) = PayloadTemplate::from_toml_text(toml) else { panic!("{toml}") };
        assert_eq!(problems.len(), parts.len(), "{problems:?}");
        for part in parts {
            assert!(problems.iter().any(|problem| problem.contains(part)), "{part}: {problems:?}");
        }
    }

    #[test]
    fn presets_are_valid_and_survive_the_store() {
        for name in PayloadTemplate::presets() {
            let template = PayloadTemplate::preset(name).expect(name);
            assert_eq!((template.fields.len(), template.preset_name()), (6, Some(name)));
            assert_eq!(PayloadTemplate::from_json_text(&template.to_json_text()), Ok(template));
        }
        assert_eq!(PayloadTemplate::preset("hubspot"), None);
    }

    #[test]
    fn toml_and_json_read_alike() {
        let toml = "product_org_id = \"org.id\"\nlast_active_at = \"seen\"\n[custom]\nprojects_count = \"metrics.total_projects\"";
        let json = r#"{"custom": {"projects_count": "metrics.total_projects"}, "last_active_at": "seen", "product_org_id": "org.id"}"#;
        let template = PayloadTemplate::from_toml_text(toml).expect("valid");
        assert_eq!(PayloadTemplate::from_json_text(json).as_ref(), Ok(&template));
        assert_eq!(PayloadTemplate::from_json_text(&template.to_json_text()), Ok(template));
    }

    #[test]
    fn all_problems_are_reported_at_once() {
        check_problems("", &["`product_org_id` is missing"]);
        check_problems(
            "productorgid = \"a\"\nplan_nme = \"b\"\nzebra = \"c\"",
            &["did you mean `product_org_id`", "did you mean `plan_name`", "table `custom`", "is missing"],
        );
        check_problems(
            "product_org_id = 5\nname = \"a..b\"\ncustom = 1",
            &["product_org_id: a path", "empty segment", "`custom` must"],
        );
        let twice = PayloadTemplate::from_toml_text("product_org_id = \"a\"\nproduct_org_id = \"b\"").unwrap_err();
        assert_eq!(twice.about("t.toml"), "t.toml is not valid TOML: duplicate key (line 2)");
        assert!(PayloadTemplate::from_json_text(r#"{"product_org_id": "a", "product_org_id": "b"}"#).is_err());
        assert!(PayloadTemplate::from_json_text("[]").is_err());
    }

    #[test]
    fn limits() {
        let path = |segments: usize| format!("product_org_id = \"{}\"", vec!["a"; segments].join("."));
        assert!(PayloadTemplate::from_toml_text(&path(MAX_SEGMENTS)).is_ok());
        check_problems(&path(MAX_SEGMENTS + 1), &["17 segments"]);
        let custom = |fields: usize| {
            let lines: Vec<String> = (1..fields).map(|i| format!("c{i} = \"c{i}\"")).collect();
            format!("product_org_id = \"id\"\n[custom]\n{}", lines.join("\n"))
        };
        assert!(PayloadTemplate::from_toml_text(&custom(MAX_FIELDS)).is_ok());
        check_problems(&custom(MAX_FIELDS + 1), &["65 fields"]);
    }
}
