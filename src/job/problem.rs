//! A mistake in a file that a person wrote: where it is, what is wrong, what to do.

use std::fmt;
use std::path::PathBuf;

/// One mistake in a job or settings file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file as it is shown; relative to the home folder if it lies there.
    pub file: PathBuf,
    /// From 1; 0: nowhere in particular, as for a section that is missing.
    pub line: usize,
    /// From 1, in characters; 0 where `line` is.
    pub column: usize,
    /// The field, such as `diff.key[1]`; empty for the file as a whole.
    pub path: String,
    /// What is wrong. Never contains a value that may be a secret.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: ", self.file.display())?,
            line => write!(f, "{}:{line}:{}: ", self.file.display(), self.column)?,
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n    hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// All mistakes of one file, in the file's order; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// The file as it is shown.
    pub file: PathBuf,
    /// The mistakes.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "{problem}")?;
        }
        let count = self.problems.len();
        write!(f, "{count} problem{} in {}", if count == 1 { "" } else { "s" }, self.file.display())
    }
}

impl std::error::Error for Invalid {}

/// What is wrong with a value, before it is known where the value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Fault {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Fault { message: message.into(), hint: None }
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The candidate that `word` most likely was meant to be, if one is near.
pub(crate) fn closest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let word = word.to_lowercase();
    let limit = (word.chars().count() / 3).max(1);
    let distance = |c: &str| strsim::damerau_levenshtein(&word, &c.to_lowercase());
    candidates
        .into_iter()
        .map(|c| (distance(c), c))
        .filter(|(d, _)| *d <= limit)
        .min_by_key(|(d, _)| *d)
        .map(|(_, c)| c)
}

/// ` (did you mean …?)`, or nothing.
pub(crate) fn did_you_mean<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> String {
    closest(word, candidates).map(|c| format!(" (did you mean `{c}`?)")).unwrap_or_default()
}
