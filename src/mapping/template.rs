//! Payload templates: which field of an org stands at which path of the payload.

use super::path::MAX_TEXT;
use super::{Condition, Envelope, Field, Path, json};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;

/// Fields of one template at most; custom ones and those of its [`Envelope`] count.
pub const MAX_FIELDS: usize = 64;
const ID: &str = PayloadTemplate::ID;
const CUSTOM: &str = "custom";

/// A payload template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadTemplate {
    /// Where the org's id stands.
    pub product_org_id: Path,
    /// Where the other fields stand.
    pub fields: BTreeMap<Field, Path>,
    /// Where custom fields stand, by their name.
    pub custom: BTreeMap<String, Path>,
    /// Where the circumstances of an update stand.
    pub envelope: Envelope,
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

impl PayloadTemplate {
    /// What templates call the org's id.
    pub const ID: &str = "product_org_id";

    /// Puts a template together.
    ///
    /// # Errors
    /// More than [`MAX_FIELDS`] fields, in words.
    pub fn new(
        product_org_id: Path,
        fields: BTreeMap<Field, Path>,
        custom: BTreeMap<String, Path>,
        envelope: Envelope,
    ) -> Result<PayloadTemplate, String> {
        let template = PayloadTemplate { product_org_id, fields, custom, envelope };
        match template.paths().count() + template.envelope.paths().count() {
            count if count > MAX_FIELDS => Err(format!("it has {count} fields, at most {MAX_FIELDS} are allowed")),
            _ => Ok(template),
        }
    }

    /// Whether a custom field may be called so.
    ///
    /// # Errors
    /// The rule, in words.
    pub fn custom_name(name: &str) -> Result<(), String> {
        match name.is_empty() || name.len() > MAX_TEXT || name.chars().any(char::is_control) {
            true => Err(format!("a name has 1–{MAX_TEXT} bytes and no control characters")),
            false => Ok(()),
        }
    }

    /// Every field with its path: the id, the others, then the custom ones.
    pub fn paths(&self) -> impl Iterator<Item = (&str, &Path)> {
        let id = std::iter::once((ID, &self.product_org_id));
        let fields = self.fields.iter().map(|(field, path)| (field.as_str(), path));
        id.chain(fields).chain(self.custom.iter().map(|(name, path)| (name.as_str(), path)))
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
        let Envelope { timestamp, message_id, only_if } = &self.envelope;
        let paths = [(Envelope::TIMESTAMP, timestamp), (Envelope::MESSAGE_ID, message_id)];
        object.extend(
            paths.into_iter().filter_map(|(name, path)| Some((name.to_owned(), path.as_ref()?.to_string().into()))),
        );
        object.extend(only_if.iter().map(|condition| (Envelope::ONLY_IF.to_owned(), condition.to_string().into())));
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
    envelope: Envelope,
    problems: Vec<String>,
}

impl Reader {
    fn read(&mut self, name: &str, value: &Value) {
        if name == ID {
            self.id_seen = true;
            self.id = self.path(name, value);
        } else if name == CUSTOM {
            self.read_custom(value);
        } else if name == Envelope::TIMESTAMP {
            self.envelope.timestamp = self.path(name, value);
        } else if name == Envelope::MESSAGE_ID {
            self.envelope.message_id = self.path(name, value);
        } else if name == Envelope::ONLY_IF {
            self.envelope.only_if =
                self.text(name, value, "a condition is a string such as `type == \"group\"`", Condition::parse);
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
            if let Err(rule) = PayloadTemplate::custom_name(name) {
                self.problems.push(format!("custom field {name:?}: {rule}"));
            } else if let Some(path) = self.path(&format!("custom.{name}"), value) {
                self.custom.insert(name.clone(), path);
            }
        }
    }

    fn path(&mut self, name: &str, value: &Value) -> Option<Path> {
        self.text(name, value, "a path is a string such as `traits.plan`", Path::parse)
    }

    /// `rule`: what it must be, if it is no text.
    fn text<T>(&mut self, name: &str, value: &Value, rule: &str, parse: fn(&str) -> Result<T, String>) -> Option<T> {
        let parsed = value.as_str().ok_or_else(|| rule.to_owned()).and_then(parse);
        parsed.map_err(|problem| self.problems.push(format!("{name}: {problem}"))).ok()
    }

    fn finish(mut self) -> Result<PayloadTemplate, TemplateError> {
        if !self.id_seen {
            self.problems.push(format!("`{ID}` is missing; it says where the org's id stands, such as `groupId`"));
        }
        let built = self.id.map(|id| PayloadTemplate::new(id, self.fields, self.custom, self.envelope));
        match built {
            Some(Ok(template)) if self.problems.is_empty() => return Ok(template),
            Some(Err(problem)) => self.problems.push(problem),
            _ => {}
        }
        Err(TemplateError::Problems(self.problems))
    }
}

fn unknown_field(name: &str) -> String {
    let known = Field::ALL.iter().map(|field| field.as_str()).chain(Envelope::NAMES).chain([ID, CUSTOM]);
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
    use crate::mapping::MAX_SEGMENTS;

    #[track_caller]
    fn check_problems(toml: &str, parts: &[&str]) {
        let Err(TemplateError::Problems(problems)) = PayloadTemplate::from_toml_text(toml) else { panic!("{toml}") };
        assert_eq!(problems.len(), parts.len(), "{problems:?}");
        for part in parts {
            assert!(problems.iter().any(|problem| problem.contains(part)), "{part}: {problems:?}");
        }
    }

    #[test]
    fn toml_and_json_read_alike() {
        let toml = "product_org_id = \"org.id\"\nlast_active_at = \"seen\"\ntimestamp = \"at.time\"\nmessage_id = \"id\"\n\
                    only_if = 'kind == \"a \\\" b\"'\n[custom]\nprojects_count = \"metrics.total_projects\"";
        let json = r#"{"custom": {"projects_count": "metrics.total_projects"}, "last_active_at": "seen", "message_id": "id",
                       "only_if": "kind == \"a \\\" b\"", "timestamp": "at.time", "product_org_id": "org.id"}"#;
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
        check_problems(
            "product_org_id = \"id\"\ntimestamp = 5\nmessage_id = \"a.\"\nonly_if = \"type = 'group'\"\nonlyif = \"x\"",
            &[
                "timestamp: a path",
                "message_id: the path",
                "only_if: `type = 'group'` is not of the form",
                "mean `only_if`",
            ],
        );
        check_problems("product_org_id = \"id\"\nonly_if = true", &["only_if: a condition is a string"]);
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
        let envelope = "timestamp = \"t\"\nmessage_id = \"m\"\nonly_if = 'a == \"b\"'\n";
        assert!(PayloadTemplate::from_toml_text(&format!("{envelope}{}", custom(MAX_FIELDS - 3))).is_ok());
        check_problems(&format!("{envelope}{}", custom(MAX_FIELDS - 2)), &["65 fields"]);
        let deep = vec!["a"; MAX_SEGMENTS + 1].join(".");
        check_problems(
            &format!(
                "product_org_id = \"a\"\ntimestamp = \"{deep}\"\nmessage_id = \"{deep}\"\nonly_if = '{deep} == \"a\"'"
            ),
            &["timestamp: the path has 17", "message_id: the path has 17", "only_if: the path has 17"],
        );
    }
}
