//! What is asked of a driver, with everything put in that the job file only refers to.

use crate::job::redact::{Redactor, secret_parts};
use crate::job::spec::{AdbcSource, Library, Templated};
use crate::source::model::Quotes;
use crate::source::{Bound, Environment, Parameters, SourceError, bind};
use adbc_core::error::{Error, Status};
use arrow::error::ArrowError;
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;

/// Everything that a session needs.
pub(super) struct Request {
    /// The driver as the job names it.
    pub(super) driver: String,
    pub(super) library: Library,
    pub(super) entrypoint: Option<String>,
    pub(super) options: Vec<(String, SecretString)>,
    pub(super) connection_options: Vec<(String, SecretString)>,
    pub(super) statement_options: Vec<(String, SecretString)>,
    pub(super) bound: Bound,
    pub(super) parameters: Parameters,
    /// At most so many rows.
    pub(super) limit: Option<usize>,
    redactor: Redactor,
}

/// What was being done when a driver failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The database's options.
    Options,
    Connecting,
    Preparing,
    Binding,
    Querying,
}

impl Request {
    pub(super) fn new(spec: &AdbcSource, environment: &Environment, limit: Option<usize>) -> Result<Self, SourceError> {
        let quotes = if spec.backticks { Quotes::Backtick } else { Quotes::Double };
        let sql = environment.query(&spec.model, quotes)?;
        let mut found = Vec::new();
        let mut resolved = |field: &str, options: &BTreeMap<String, Templated>| {
            let resolve = |(name, template): (&String, &Templated)| {
                let secret = environment.secrets.resolve(&format!("source.{field}.{name}"), template);
                let secret = secret.map_err(|error| SourceError::new(error.to_string()))?;
                found.extend(secret_parts(template, secret.expose_secret()));
                Ok((name.clone(), secret))
            };
            options.iter().map(resolve).collect::<Result<Vec<_>, SourceError>>()
        };
        let options = resolved("options", &spec.options)?;
        let connection_options = resolved("connection_options", &spec.connection_options)?;
        let statement_options = resolved("statement_options", &spec.statement_options)?;
        Ok(Request {
            driver: spec.driver.clone(),
            library: spec.library.clone(),
            entrypoint: spec.entrypoint.clone(),
            options,
            connection_options,
            statement_options,
            bound: bind(&sql, &|number, _| spec.placeholder.of(number))?,
            parameters: environment.parameters,
            limit,
            redactor: Redactor::new(&found, Vec::new(), &[]),
        })
    }

    /// An error with this message, which begins with the driver's name, without secrets.
    pub(super) fn error(&self, message: &str) -> SourceError {
        SourceError::new(format!("{}: {}", shown(&self.driver), self.redactor.clean(message)))
    }

    /// What a driver's error means.
    pub(super) fn failed(&self, stage: Stage, error: &Error) -> SourceError {
        if stage == Stage::Binding && error.status == Status::NotImplemented {
            return self.error("the driver cannot bind values, and the query asks for `{{…}}`").hint(
                "take `{{last_success}}` and `{{run_date}}` out of the query; most databases have `current_date` or the like",
            );
        }
        let doing = match stage {
            Stage::Options => "the database's options",
            Stage::Connecting => "connecting",
            Stage::Preparing => "preparing the query",
            Stage::Binding => "binding the query's values",
            Stage::Querying => "the query failed",
        };
        let said = tidy(&error.message);
        let message = self.error(&format!("{doing}: {said}{}", sqlstate(error)));
        // Some drivers connect only when there is something to ask.
        let is_unreached = ["connection error", "connection refused", "name resolver"];
        let is_unreached = is_unreached.iter().any(|words| said.to_ascii_lowercase().contains(words));
        match hint(if is_unreached { Stage::Connecting } else { stage }, error.status) {
            Some(hint) => message.hint(hint),
            None => message,
        }
    }

    /// What an error of a driver's stream means: what the driver says, or what is wrong with what it handed over.
    pub(super) fn broke_off(&self, error: &ArrowError) -> SourceError {
        let text = error.to_string();
        let text = text.strip_prefix("C Data interface error: ").unwrap_or(&text);
        if !text.starts_with("Cannot get next batch") {
            return self.invalid(text);
        }
        let said = text.split_once("Producer error: ").map_or(text, |(_, said)| said);
        self.error(&format!("reading the rows failed: {}", said.trim()))
            .hint("nothing of this extract was used; a run reads it anew from its beginning")
    }

    /// An error about something that is not as the interface says.
    pub(super) fn invalid(&self, what: &str) -> SourceError {
        self.error(&format!("what the driver handed over is not valid: {what}")).hint(INVALID)
    }
}

/// How a driver reads in messages: where it lies is in the job file.
pub(super) fn shown(driver: &str) -> &str {
    driver.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or(driver)
}

/// What a driver says in one line, without the query, which is in the job file, and the marks under it.
fn tidy(said: &str) -> String {
    let is_mark = |line: &str| !line.is_empty() && line.chars().all(|c| matches!(c, '^' | '-' | '~' | ' '));
    let lines =
        said.lines().map(str::trim).take_while(|line| !line.starts_with("Query was:") && !line.starts_with("query:"));
    lines.filter(|line| !line.is_empty() && !is_mark(line)).collect::<Vec<_>>().join(" ")
}

/// What helps against a driver's faults.
pub(super) const INVALID: &str = "this is a fault of the driver: update it, or report it to its makers";

fn sqlstate(error: &Error) -> String {
    let state: String = error.sqlstate.iter().map(|c| char::from(*c as u8)).collect();
    let is_set = state.bytes().all(|b| b.is_ascii_alphanumeric()) && state != "00000";
    if is_set && !error.message.contains(&state) { format!(" (SQLSTATE {state})") } else { String::new() }
}

fn hint(stage: Stage, status: Status) -> Option<&'static str> {
    match (stage, status) {
        (_, Status::Unauthenticated) => Some("check the user, password, token or key in [source.options]"),
        (_, Status::Unauthorized) => Some("docs/sources/ says what to grant"),
        (Stage::Options, _) => {
            Some("check the names and values in [source.options] against the driver's documentation")
        }
        (Stage::Connecting, _) => {
            Some("check the address and the credentials in [source.options], and that the server runs")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_is_shown_by_its_name_and_speaks_in_one_line() {
        assert_eq!(shown("/opt/adbc/libduckdb.so"), "libduckdb.so");
        assert_eq!(shown("snowflake"), "snowflake");
        let duckdb = "Catalog Error: Table orgz does not exist!\n\nLINE 1: SELECT * FROM orgz\n                      ^";
        assert_eq!(tidy(duckdb), "Catalog Error: Table orgz does not exist! LINE 1: SELECT * FROM orgz");
        assert_eq!(tidy("no such table: orgz\nquery: SELECT * FROM orgz"), "no such table: orgz");
        assert_eq!(tidy(" ERROR:  x\nLINE 1: a\n  ^\n\nQuery was: SELECT 'a'\nFROM b"), "ERROR:  x LINE 1: a");
    }
}
