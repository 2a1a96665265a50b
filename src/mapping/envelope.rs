//! What stands around the fields of an org in a payload: when it happened, what its sender calls it, and whether it says
//! anything about an org at all.

use super::Path;
use serde_json::Value;
use std::fmt;

/// Where the circumstances of an update stand. Each may be left out of a template.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Envelope {
    /// `timestamp`: when it happened, RFC 3339.
    pub timestamp: Option<Path>,
    /// `message_id`: what the sender calls this update; a repeat has the same.
    pub message_id: Option<Path>,
    /// `only_if`: which payloads say something about an org.
    pub only_if: Option<Condition>,
}

impl Envelope {
    /// What templates call the three.
    pub const NAMES: [&str; 3] = [Envelope::TIMESTAMP, Envelope::MESSAGE_ID, Envelope::ONLY_IF];
    /// `timestamp`
    pub const TIMESTAMP: &str = "timestamp";
    /// `message_id`
    pub const MESSAGE_ID: &str = "message_id";
    /// `only_if`
    pub const ONLY_IF: &str = "only_if";

    /// What it has, with the paths, in the order of [`NAMES`](Self::NAMES).
    pub fn paths(&self) -> impl Iterator<Item = (&str, &Path)> {
        let paths = [&self.timestamp, &self.message_id].map(Option::as_ref);
        let only_if = self.only_if.as_ref().map(|condition| &condition.path);
        Self::NAMES.into_iter().zip(paths.into_iter().chain([only_if])).filter_map(|(name, path)| Some((name, path?)))
    }
}

/// One path and the text that must stand there: `type == "group"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Where to look.
    pub path: Path,
    /// What must stand there, case-sensitive.
    pub equals: String,
}

impl Condition {
    /// Reads a condition.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Condition, String> {
        let form = || format!("`{text}` is not of the form `type == \"group\"`: a path, `==`, a text in double quotes");
        let (path, equals) = text.split_once("==").ok_or_else(form)?;
        let equals = serde_json::from_str(equals.trim()).map_err(|_| form())?;
        Ok(Condition { path: Path::parse(path.trim())?, equals })
    }

    /// Whether a payload with this at the path says something about an org. One with nothing there does: passing it over
    /// would lose it in silence.
    pub(super) fn holds(&self, found: Option<&Value>) -> bool {
        match found {
            None | Some(Value::Null) => true,
            Some(Value::String(text)) => *text == self.equals,
            Some(_) => false,
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} == {}", self.path, Value::from(self.equals.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read_and_written() {
        for (text, path, equals, written) in [
            ("type == \"group\"", "type", "group", "type == \"group\""),
            ("a.b==\"\"", "a.b", "", "a.b == \"\""),
            ("  é b  ==  \"=\\\"==\"  ", "é b", "=\"==", "é b == \"=\\\"==\""),
        ] {
            let condition = Condition::parse(text).expect(text);
            assert_eq!((condition.path.to_string().as_str(), condition.equals.as_str()), (path, equals));
            assert_eq!(condition.to_string(), written);
            assert_eq!(Condition::parse(written), Ok(condition));
        }
    }

    #[test]
    fn what_is_no_condition_says_the_form() {
        for text in ["", "type", "type = \"group\"", "type == group", "type == 'group'", "type == 5", "type == \"a\" x"]
        {
            let problem = Condition::parse(text).expect_err(text);
            assert!(problem.contains("`type == \"group\"`"), "{problem}");
        }
        assert!(Condition::parse(" == \"a\"").is_err_and(|problem| problem.contains("empty segment")));
        let deep = format!("{} == \"a\"", ["a"; 17].join("."));
        assert!(Condition::parse(&deep).is_err_and(|problem| problem.contains("17 segments")));
    }
}
