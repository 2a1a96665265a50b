//! `[store]`: where the state is kept.

use crate::job::document::Document;
use crate::job::problem::Fault;
use crate::job::spec::{Part, Templated};
use schemars::JsonSchema;
use serde::Deserialize;

/// `[store]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreSettings {
    /// `sqlite:PATH` or a Postgres database's address, in which secrets are references: showing it as written shows none.
    pub url: Templated,
    /// The schema of the Postgres database.
    pub schema: String,
}

/// As written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStore {
    url: String,
    schema: String,
}

pub(super) fn check(doc: &mut Document<'_>, raw: &RawStore) -> Option<StoreSettings> {
    let url = doc.accept("store.url", url(&raw.url));
    let schema = doc.accept("store.schema", schema(&raw.schema));
    Some(StoreSettings { url: url?, schema: schema? })
}

/// A name that needs no quotes (`store::postgres` refuses any other once more, because it stands in a statement).
fn schema(name: &str) -> Result<String, Fault> {
    let is_name = name.len() <= 63
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && !name.starts_with("pg_");
    let wrong = || Fault::new(format!("`{name}` is not the name of a schema"));
    is_name
        .then(|| name.to_owned())
        .ok_or_else(|| wrong().hint("1–63 lower-case letters, digits and `_`, with a letter first, and not `pg_…`"))
}

/// Stands for a reference. No address has it.
const REFERENCE: char = '\0';

fn url(written: &str) -> Result<Templated, Fault> {
    let url = Templated::parse_address(written)?;
    if url.has_password() {
        return Err(Fault::new("a password stands in this file").hint(
            "write `${NAME}` for an environment variable, or `${file:PATH}`, or leave it to PGPASSWORD or pgpass",
        ));
    }
    let text: String = url
        .parts
        .iter()
        .map(|part| match part {
            Part::Literal(text) => text.clone(),
            Part::Env(_) | Part::File(_) => REFERENCE.to_string(),
        })
        .collect();
    match text.split_once("://") {
        Some(("postgres" | "postgresql", _)) => Ok(url),
        // All of it may be a reference, which is looked up when the store is opened.
        None if text.strip_prefix("sqlite:").is_some_and(|path| !path.is_empty()) || text.starts_with(REFERENCE) => {
            Ok(url)
        }
        _ => Err(Fault::new("is neither a file nor a Postgres database")
            .hint("`sqlite:nightmark.db` (in the home folder), or `postgres://user:${PASSWORD}@host:5432/database`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_a_reference_or_elsewhere() {
        for good in [
            "sqlite:nightmark.db",
            "sqlite:/var/lib/nightmark.db",
            "postgres://host/db",
            "postgresql://user@host:5432/db?sslmode=verify-full",
            "postgres://user:${PASSWORD}@host/db",
            "postgres://${USER}:${file:/run/secrets/a}${B}@host/db",
            "postgres:///db?host=/var/run/postgresql&user=u",
            "${DATABASE_URL}",
        ] {
            assert_eq!(url(good).map(|url| url.written).map_err(|fault| fault.message), Ok(good.to_owned()));
        }
        for (bad, part) in [
            ("", "neither"),
            ("sqlite:", "neither"),
            ("nightmark.db", "neither"),
            ("mysql://planted@h/d", "neither"),
            ("postgres://user:planted@host/db", "a password stands in this file"),
            ("postgres://user:planted${A}@host/db", "a password stands in this file"),
            ("postgres://user:plan@ted@host/db", "a password stands in this file"),
            ("postgres://user:plan/ted@host/db", "a password stands in this file"),
            ("postgres://user@host/db?password=planted", "a password stands in this file"),
            ("${URL}?password=planted", "a password stands in this file"),
            ("${SCHEME}://user:planted@host/db", "a password stands in this file"),
            ("postgres://user:${A-B}@host/db", "environment variable"),
        ] {
            let fault = url(bad).expect_err(bad);
            assert!(fault.message.contains(part) && fault.hint.is_some(), "{bad}: {fault:?}");
            assert!(!format!("{fault:?}").contains("planted"), "{fault:?}");
        }
    }

    #[test]
    fn a_schema_has_a_name_without_quotes() {
        for (name, good) in [
            ("nightmark", true),
            ("n_2", true),
            ("", false),
            ("2n", false),
            ("Night", false),
            ("a\"b", false),
            ("pg_x", false),
        ] {
            assert_eq!(schema(name).is_ok(), good, "{name}");
        }
    }
}
