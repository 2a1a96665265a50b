//! `${NAME}` and `${file:PATH}` in a string: parsed here, looked up by [`Secrets`](super::Secrets).

use super::problem::Fault;
use super::spec::{Form, Part, Templated};
use std::path::PathBuf;

const FORMS: &str = "references are written ${NAME} (environment) or ${file:PATH}";

impl Templated {
    /// Splits a string into text and references. A `$` that no `{` follows is text.
    pub(crate) fn parse(written: &str) -> Result<Self, Fault> {
        let mut parts = Vec::new();
        let mut rest = written;
        while let Some((before, after)) = rest.split_once("${") {
            // What stands between the braces is not shown: it may be a secret in the wrong place.
            let (inside, behind) =
                after.split_once('}').ok_or_else(|| Fault::new("`${` without a closing `}`").hint(FORMS))?;
            if !before.is_empty() {
                parts.push(Part::Literal(before.to_owned()));
            }
            parts.push(reference(inside)?);
            rest = behind;
        }
        if !rest.is_empty() || parts.is_empty() {
            parts.push(Part::Literal(rest.to_owned()));
        }
        Ok(Templated { written: written.to_owned(), parts, form: Form::Text })
    }

    /// The same for an address.
    pub(crate) fn parse_address(written: &str) -> Result<Self, Fault> {
        Ok(Templated { form: Form::Address, ..Templated::parse(written)? })
    }

    /// Whether the value of part `index` stands in the path, query or fragment of an address: behind a `/`, `?` or `#`
    /// that is written out and not one of the two behind the scheme.
    pub(crate) fn is_behind_origin(&self, index: usize) -> bool {
        let before = self.parts.iter().take(index).filter_map(|part| match part {
            Part::Literal(text) => Some(text.as_str()),
            _ => None,
        });
        before.collect::<String>().replacen("://", "", 1).contains(['/', '?', '#'])
    }

    /// Whether the value of part `index` is a user name or a password of an address, but not both at once: behind `://`
    /// or `:` and before `:` or `@`, all of them written out.
    pub(crate) fn is_in_user_info(&self, index: usize) -> bool {
        let text = |parts: &[Part]| {
            let literal = |part: &Part| match part {
                Part::Literal(text) => text.clone(),
                // Stands for any value; no value of a user name or password has a meaning of its own.
                _ => "x".to_owned(),
            };
            parts.iter().map(literal).collect::<String>()
        };
        let (before, after) = (text(&self.parts[..index]), text(self.parts.get(index + 1..).unwrap_or_default()));
        let Some((_, before)) = before.split_once("://") else { return false };
        let authority = after.split(['/', '?', '#']).next().unwrap_or_default();
        let inside = !before.contains(['/', '?', '#', '@']) && authority.contains('@');
        inside && (before.contains(':') || authority.split('@').next().is_some_and(|user| user.contains(':')))
    }

    /// Whether a row has a say in it: whether there is Liquid in it.
    pub(crate) fn is_template(&self) -> bool {
        self.written.contains("{{") || self.written.contains("{%")
    }

    /// Whether it refers to anything.
    pub(crate) fn has_reference(&self) -> bool {
        self.parts.iter().any(|part| !matches!(part, Part::Literal(_)))
    }

    /// Whether it is made of references and nothing else.
    pub(crate) fn is_reference_only(&self) -> bool {
        !self.parts.iter().any(|part| matches!(part, Part::Literal(_)))
    }
}

/// An address that is a secret as a whole: whoever has it can write to the channel, or pretend that a job is well.
pub(crate) fn secret_address(written: &str) -> Result<Templated, Fault> {
    let address = Templated::parse(written)?;
    match address.is_reference_only() {
        true => Ok(address),
        false => Err(Fault::new("whoever has this address can use it, so it must not stand here")
            .hint("write `${NAME}` (environment) or `${file:PATH}`")),
    }
}

fn reference(inside: &str) -> Result<Part, Fault> {
    if let Some(path) = inside.strip_prefix("file:") {
        return match path {
            "" => Err(Fault::new("`${file:}` names no file").hint(FORMS)),
            path => Ok(Part::File(PathBuf::from(path))),
        };
    }
    let starts_well = inside.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if starts_well && inside.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Ok(Part::Env(inside.to_owned()));
    }
    Err(Fault::new("what stands between `${` and `}` is not the name of an environment variable").hint(FORMS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(written: &str, expected: &[Part]) {
        let parsed = Templated::parse(written).unwrap();
        assert_eq!((parsed.written.as_str(), parsed.parts.as_slice()), (written, expected));
    }

    #[test]
    fn references_and_text() {
        let (literal, env) = (|t: &str| Part::Literal(t.into()), |n: &str| Part::Env(n.into()));
        check("", &[literal("")]);
        check("cost: 5$ {x}", &[literal("cost: 5$ {x}")]);
        check("${A}", &[env("A")]);
        check("${A}${_b2}", &[env("A"), env("_b2")]);
        check("Bearer ${A}.", &[literal("Bearer "), env("A"), literal(".")]);
        check("${file:/run/secrets/key}", &[Part::File("/run/secrets/key".into())]);
    }

    #[test]
    fn references_behind_the_origin() {
        for (written, behind) in [
            ("${URL}", vec![false]),
            ("https://${HOST}:${PORT}", vec![false, false]),
            ("https://h/${KEY}", vec![true]),
            ("https://h?k=${KEY}", vec![true]),
            ("${BASE}/${KEY}", vec![false, true]),
            ("${BASE}${PATH}", vec![false, false]),
            ("${SCHEME}://${HOST}/x?a=${A}&b=${B}", vec![false, false, true, true]),
        ] {
            let parsed = Templated::parse_address(written).unwrap();
            let references = (0..parsed.parts.len()).filter(|i| !matches!(parsed.parts[*i], Part::Literal(_)));
            let found: Vec<bool> = references.map(|i| parsed.is_behind_origin(i)).collect();
            assert_eq!(found, behind, "{written}");
        }
    }

    #[test]
    fn references_that_are_a_user_or_a_password() {
        for (written, inside) in [
            ("http://${USER}:${PASSWORD}@proxy:3128", vec![true, true]),
            ("http://${KEY}:@h/${PATH}", vec![true, false]),
            ("http://u:${PASSWORD}@${HOST}:${PORT}/", vec![true, false, false]),
            ("http://${BOTH}@h/", vec![false]),
            ("http://${HOST}:${PORT}/a@b", vec![false, false]),
            ("${BASE}:${PORT}@x", vec![false, false]),
        ] {
            let parsed = Templated::parse_address(written).unwrap();
            let references = (0..parsed.parts.len()).filter(|i| !matches!(parsed.parts[*i], Part::Literal(_)));
            let found: Vec<bool> = references.map(|i| parsed.is_in_user_info(i)).collect();
            assert_eq!(found, inside, "{written}");
        }
    }

    #[test]
    fn malformed_references_are_faults_that_do_not_repeat_them() {
        for written in ["${", "a ${B", "${}", "${1A}", "${A-B}", "${ A }", "${file:}", "${${A}}"] {
            let fault = Templated::parse(written).unwrap_err();
            assert!(!fault.message.contains("A-B") && fault.hint.is_some(), "{written}: {fault:?}");
        }
    }
}
