//! Looks up what a [`Templated`] refers to.

use super::percent;
use super::redact::secret_parts;
use super::spec::{Form, Part, Remote, Templated};
use crate::config::Home;
use secrecy::{ExposeSecret as _, SecretString};
use std::collections::BTreeMap;
use std::env::VarError;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A secret longer than this is a wrong file.
const LONGEST: u64 = 64 * 1024;

type Lookup = dyn Fn(&str) -> Result<String, VarError> + Send + Sync;

/// Environment and files, as the place that secrets come from.
pub struct Secrets {
    home: PathBuf,
    env: Box<Lookup>,
}

/// A [`Remote`] with its values, secrets included. Never printed: it has no `Debug`.
pub struct ResolvedRemote {
    /// The address.
    pub address: String,
    /// Its settings by name.
    pub settings: BTreeMap<String, String>,
    /// What must not be shown: the values of settings with references.
    pub secrets: Vec<String>,
}

/// A secret that cannot be had. Names the field and the reference, never a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// No such environment variable.
    #[error("{field}: the environment variable {name} is not set (set it where nightmark is started)")]
    NoVariable {
        /// The field, such as `destination.url`.
        field: String,
        /// The variable.
        name: String,
    },
    /// The file cannot be read.
    #[error("{field}: the secret's file {} cannot be read: {reason}", path.display())]
    NoFile {
        /// The field.
        field: String,
        /// The file, absolute.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The value cannot be used.
    #[error("{field}: the value of {reference} {reason}")]
    Unusable {
        /// The field.
        field: String,
        /// `${NAME}` or `${file:PATH}`.
        reference: String,
        /// Why, such as `is empty`.
        reason: &'static str,
    },
}

impl Secrets {
    /// The process's environment, and files relative to `home`.
    pub fn new(home: &Home) -> Self {
        Secrets::with_env(home, |name| std::env::var(name))
    }

    /// The same with another environment.
    pub fn with_env(home: &Home, env: impl Fn(&str) -> Result<String, VarError> + Send + Sync + 'static) -> Self {
        Secrets { home: home.dir().to_owned(), env: Box::new(env) }
    }

    /// Puts the values into an address and its settings. `address` and `options` are the fields that they stand in.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub fn remote(&self, remote: &Remote, address: &str, options: &str) -> Result<ResolvedRemote, SecretError> {
        let resolved = self.resolve(address, &remote.address)?;
        let mut found = ResolvedRemote {
            address: resolved.expose_secret().to_owned(),
            settings: BTreeMap::new(),
            secrets: Vec::new(),
        };
        for (name, written) in &remote.options {
            let value = self.resolve(&format!("{options}.{name}"), written)?;
            if written.has_reference() {
                found.secrets.push(value.expose_secret().to_owned());
                found.secrets.extend(secret_parts(written, value.expose_secret()));
            }
            found.settings.insert(name.clone(), value.expose_secret().to_owned());
        }
        Ok(found)
    }

    /// Puts the values in, percent-encoded where they stand in an address's path or query or are its user name or
    /// password. `field` is where the string stands, such as `destination.url`, for messages.
    ///
    /// # Errors
    /// A variable or file that is not there, is empty, or holds control characters (a line break in a header's value
    /// would start another header).
    pub fn resolve(&self, field: &str, templated: &Templated) -> Result<SecretString, SecretError> {
        let mut resolved = String::new();
        for (index, part) in templated.parts.iter().enumerate() {
            let value = self.value(field, part)?;
            let (value, is_literal) = (value.expose_secret(), matches!(part, Part::Literal(_)));
            let is_encoded = templated.form == Form::Address
                && (templated.is_behind_origin(index) || templated.is_in_user_info(index));
            match !is_literal && is_encoded {
                true => resolved.push_str(&percent::encoded(value)),
                false => resolved.push_str(value),
            }
        }
        Ok(SecretString::from(resolved))
    }

    /// Everything that keeps the values from being put in, each reference once.
    pub fn problems(&self, field: &str, templated: &Templated) -> Vec<SecretError> {
        let mut problems: Vec<SecretError> = Vec::new();
        for error in templated.parts.iter().filter_map(|part| self.value(field, part).err()) {
            if !problems.contains(&error) {
                problems.push(error);
            }
        }
        problems
    }

    fn value(&self, field: &str, part: &Part) -> Result<SecretString, SecretError> {
        let (value, reference) = match part {
            Part::Literal(text) => return Ok(SecretString::from(text.as_str())),
            Part::Env(name) => (self.variable(field, name)?, format!("${{{name}}}")),
            Part::File(path) => (self.file(field, path)?, format!("${{file:{}}}", path.display())),
        };
        usable(field, reference, value.expose_secret())?;
        Ok(value)
    }

    fn variable(&self, field: &str, name: &str) -> Result<SecretString, SecretError> {
        (self.env)(name).map(SecretString::from).map_err(|error| match error {
            VarError::NotPresent => SecretError::NoVariable { field: field.to_owned(), name: name.to_owned() },
            VarError::NotUnicode(_) => unusable(field, format!("${{{name}}}"), "is not UTF-8 text"),
        })
    }

    /// The content without its last line break, which every editor adds.
    fn file(&self, field: &str, path: &Path) -> Result<SecretString, SecretError> {
        let path = self.home.join(path);
        let mut text = String::new();
        let read = std::fs::File::open(&path).and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text));
        let failed = |reason: String| SecretError::NoFile { field: field.to_owned(), path: path.clone(), reason };
        read.map_err(|error| failed(error.to_string()))?;
        if text.len() as u64 > LONGEST {
            return Err(failed(format!("it is longer than {LONGEST} bytes")));
        }
        let line = text.strip_suffix('\n').unwrap_or(&text);
        Ok(SecretString::from(line.strip_suffix('\r').unwrap_or(line)))
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets").field("home", &self.home).finish_non_exhaustive()
    }
}

fn usable(field: &str, reference: String, value: &str) -> Result<(), SecretError> {
    if value.is_empty() {
        return Err(unusable(field, reference, "is empty"));
    }
    if value.chars().any(char::is_control) {
        return Err(unusable(field, reference, "holds a line break or another control character"));
    }
    Ok(())
}

fn unusable(field: &str, reference: String, reason: &'static str) -> SecretError {
    SecretError::Unusable { field: field.to_owned(), reference, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &str = "made-up-value";

    fn check(written: &str, expected: Result<&str, &str>) {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in [("lf", "from-file\n"), ("crlf", "from-file\r\n"), ("two", "a\nb\n"), ("empty", "\n")] {
            std::fs::write(dir.path().join(name), content).unwrap();
        }
        let secrets = Secrets::with_env(&Home::new(dir.path()).unwrap(), |name| match name {
            "SET" => Ok(VALUE.to_owned()),
            "EMPTY" => Ok(String::new()),
            "BROKEN" => Ok(format!("{VALUE}\r\nX-Evil: 1")),
            _ => Err(VarError::NotPresent),
        });
        let resolved = secrets.resolve("destination.url", &Templated::parse(written).unwrap());
        match (resolved, expected) {
            (Ok(value), Ok(expected)) => assert_eq!(value.expose_secret(), expected),
            (Err(error), Err(expected)) => {
                let message = error.to_string();
                assert!(message.contains(expected) && message.starts_with("destination.url: "), "{message}");
                assert!(!message.contains(VALUE), "{message}");
            }
            (resolved, expected) => panic!("{written}: {resolved:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn values_are_put_in() {
        check("plain", Ok("plain"));
        check("https://h/${SET}/x", Ok("https://h/made-up-value/x"));
        check("${file:lf}${file:crlf}", Ok("from-filefrom-file"));
    }

    #[test]
    fn a_value_in_an_address_cannot_leave_its_place() {
        let secrets = Secrets::with_env(&Home::new(Path::new("/")).unwrap(), |name| match name {
            "KEY" => Ok("a/b?c#d e%f".to_owned()),
            "BASE" => Ok("http://h:1/in".to_owned()),
            _ => Err(VarError::NotPresent),
        });
        for (written, expected) in [
            ("https://h/${KEY}/x", "https://h/a%2Fb%3Fc%23d%20e%25f/x"),
            ("https://h/?k=${KEY}", "https://h/?k=a%2Fb%3Fc%23d%20e%25f"),
            ("${BASE}/${KEY}", "http://h:1/in/a%2Fb%3Fc%23d%20e%25f"),
            ("${BASE}", "http://h:1/in"),
            ("http://u:${KEY}@h/", "http://u:a%2Fb%3Fc%23d%20e%25f@h/"),
        ] {
            let resolved = secrets.resolve("destination.url", &Templated::parse_address(written).unwrap());
            assert_eq!(resolved.unwrap().expose_secret(), expected, "{written}");
        }
        let header = secrets.resolve("destination.secret", &Templated::parse("${KEY}").unwrap()).unwrap();
        assert_eq!(header.expose_secret(), "a/b?c#d e%f", "elsewhere it stays as it is");
    }

    #[test]
    fn what_is_missing_is_named_and_never_shown() {
        check("${SET}${GONE}", Err("GONE is not set"));
        check("${EMPTY}", Err("${EMPTY} is empty"));
        check("${BROKEN}", Err("control character"));
        check("${file:two}", Err("${file:two} holds a line break"));
        let secrets = Secrets::with_env(&Home::new(Path::new("/")).unwrap(), |_| Err(VarError::NotPresent));
        let problems = secrets.problems("source.url", &Templated::parse("x://${USER}:${PASS}@h/${USER}").unwrap());
        let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(said.len() == 2 && said[0].contains("USER is not") && said[1].contains("PASS is not"), "{said:?}");
        check("${file:empty}", Err("is empty"));
        check("${file:none}", Err("none cannot be read"));
        check("${file:/dev/zero}", Err("longer than"));
    }
}
