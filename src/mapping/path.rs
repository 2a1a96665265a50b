//! Dot paths into payloads.

use serde_json::{Map, Value};
use std::fmt;

/// Segments of one path at most.
pub const MAX_SEGMENTS: usize = 16;
/// Bytes of a path or of a custom field's name at most.
pub(super) const MAX_TEXT: usize = 255;

/// A dot path into a payload, case-sensitive. Each segment names a field of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    segments: Vec<String>,
}

impl Path {
    /// Reads a path such as `traits.plan`.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Path, String> {
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
