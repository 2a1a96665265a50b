//! `{{last_success}}` and `{{run_date}}` in a query. Pure.
//!
//! Values are bound by the database's own means and never become text of the query, so nothing in them can be taken for SQL.

use super::SourceError;
use chrono::{DateTime, NaiveDate, Utc};

/// What a query may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameters {
    /// `{{last_success}}`: when the newest run started after which the destination had everything; `None`: there was none, and a query gets
    /// the beginning of 1970.
    pub last_success: Option<DateTime<Utc>>,
    /// `{{run_date}}`: tonight's date in the job's time zone.
    pub run_date: NaiveDate,
}

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parameter {
    /// A timestamp with time zone.
    LastSuccess,
    /// A date.
    RunDate,
}

impl Parameters {
    /// `{{last_success}}`, also where there was none.
    pub fn last_success(&self) -> DateTime<Utc> {
        self.last_success.unwrap_or(DateTime::UNIX_EPOCH)
    }
}

impl Parameter {
    const NAMES: [(&str, Parameter); 2] = [("last_success", Parameter::LastSuccess), ("run_date", Parameter::RunDate)];
}

/// A query with the database's own placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// The text.
    pub sql: String,
    /// What is to be bound, placeholder by placeholder.
    pub parameters: Vec<Parameter>,
}

/// Puts placeholders in the place of `{{…}}`. `placeholder`: the one of the given number, counted from 1, such as `$1::timestamptz` or `?`.
///
/// # Errors
/// A name that there is not, braces without an end, and a parameter in a text literal, where a database sees no placeholder.
pub fn bind(sql: &str, placeholder: &dyn Fn(usize, Parameter) -> String) -> Result<Bound, SourceError> {
    let mut bound = Bound { sql: String::with_capacity(sql.len()), parameters: Vec::new() };
    let mut rest = sql;
    while let Some((before, after)) = rest.split_once("{{") {
        bound.sql.push_str(before);
        let (inside, behind) = after
            .split_once("}}")
            .ok_or_else(|| SourceError::new("the query has `{{` without a closing `}}`").hint(FORMS))?;
        let name = inside.trim();
        let found = Parameter::NAMES.iter().find(|(known, _)| *known == name);
        let (_, parameter) = found.ok_or_else(|| {
            SourceError::new(format!("the query asks for `{{{{{name}}}}}`, which there is not")).hint(FORMS)
        })?;
        if is_in_literal(&bound.sql) {
            return Err(SourceError::new(format!("the query has `{{{{{name}}}}}` in quotes"))
                .hint("take the quotes away: it is bound as a value and never pasted as text"));
        }
        bound.parameters.push(*parameter);
        bound.sql.push_str(&placeholder(bound.parameters.len(), *parameter));
        rest = behind;
    }
    bound.sql.push_str(rest);
    Ok(bound)
}

const FORMS: &str = "there are `{{last_success}}` (a timestamp) and `{{run_date}}` (a date)";

/// Whether what follows the text stands in a literal of single quotes. Quotes in comments are not looked for: at worst a query is refused.
fn is_in_literal(before: &str) -> bool {
    before.bytes().filter(|byte| *byte == b'\'').count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(sql: &str) -> Result<Bound, SourceError> {
        bind(sql, &|number, _| format!("${number}"))
    }

    #[test]
    fn placeholders_take_the_place_of_names() {
        let bound =
            numbered("SELECT '{}' WHERE a > {{last_success}} AND b = {{ run_date }} OR a < {{last_success}}").unwrap();
        assert_eq!(bound.sql, "SELECT '{}' WHERE a > $1 AND b = $2 OR a < $3");
        assert_eq!(bound.parameters, [Parameter::LastSuccess, Parameter::RunDate, Parameter::LastSuccess]);
        let plain = "SELECT '{\"a\": {\"b\": 1}}'::json";
        assert_eq!(numbered(plain).unwrap(), Bound { sql: plain.into(), parameters: Vec::new() });
    }

    #[test]
    fn what_cannot_be_bound_is_an_error() {
        for (sql, part) in [
            ("SELECT {{last_succes}}", "`{{last_succes}}`"),
            ("SELECT {{last_success", "without a closing"),
            ("SELECT '{{run_date}}'", "in quotes"),
            ("SELECT {{}}", "`{{}}`"),
        ] {
            let error = numbered(sql).unwrap_err();
            assert!(error.message.contains(part) && error.hint.is_some(), "{error:?}");
        }
    }

    #[test]
    fn a_job_that_never_succeeded_asks_from_the_beginning() {
        let parameters = Parameters { last_success: None, run_date: NaiveDate::MIN };
        assert_eq!(parameters.last_success().timestamp(), 0);
    }
}
