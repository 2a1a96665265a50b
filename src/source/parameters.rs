//! `{{last_success}}` and `{{run_date}}` in a query. Pure.
//!
//! Values are bound by the database's own means and never become text of the query, so nothing in them can be taken for SQL.

use super::SourceError;
use crate::job::lexis::{self, Kind};
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

    fn named(name: &str) -> Option<Parameter> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, parameter)| *parameter)
    }
}

/// A query with the database's own placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// The text.
    pub sql: String,
    /// What is to be bound, placeholder by placeholder.
    pub parameters: Vec<Parameter>,
}

/// Puts placeholders in the place of `{{…}}`, but for those in comments, and those in quotes that name no parameter (`'{{1,2}}'::int[]`). `placeholder`:
/// the one of the given number, counted from 1, such as `$1::timestamptz` or `?`.
///
/// # Errors
/// A name that there is not, braces without an end, and a parameter in quotes, where a database sees no placeholder.
pub fn bind(sql: &str, placeholder: &dyn Fn(usize, Parameter) -> String) -> Result<Bound, SourceError> {
    let mut bound = Bound { sql: String::with_capacity(sql.len()), parameters: Vec::new() };
    for (kind, range) in lexis::parts(sql) {
        let part = &sql[range];
        match kind {
            Kind::Comment => bound.sql.push_str(part),
            Kind::Quoted => {
                not_quoted(part)?;
                bound.sql.push_str(part);
            }
            Kind::Code => bound.code(part, placeholder)?,
        }
    }
    Ok(bound)
}

impl Bound {
    /// Whether the answer has only the orgs that have changed since the last success.
    pub fn is_partial(&self) -> bool {
        self.parameters.contains(&Parameter::LastSuccess)
    }

    fn code(&mut self, mut rest: &str, placeholder: &dyn Fn(usize, Parameter) -> String) -> Result<(), SourceError> {
        while let Some((before, after)) = rest.split_once("{{") {
            self.sql.push_str(before);
            let (inside, behind) = after
                .split_once("}}")
                .ok_or_else(|| SourceError::new("the query has `{{` without a closing `}}`").hint(FORMS))?;
            let name = inside.trim();
            let parameter = Parameter::named(name).ok_or_else(|| {
                SourceError::new(format!("the query asks for `{{{{{name}}}}}`, which there is not")).hint(FORMS)
            })?;
            self.parameters.push(parameter);
            self.sql.push_str(&placeholder(self.parameters.len(), parameter));
            rest = behind;
        }
        self.sql.push_str(rest);
        Ok(())
    }
}

/// A parameter in quotes would be text.
fn not_quoted(part: &str) -> Result<(), SourceError> {
    let mut names = part.split("{{").skip(1).filter_map(|after| after.split_once("}}")).map(|(name, _)| name.trim());
    match names.find(|name| Parameter::named(name).is_some()) {
        Some(name) => Err(SourceError::new(format!("the query has `{{{{{name}}}}}` in quotes"))
            .hint("take the quotes away: it is bound as a value and never pasted as text")),
        None => Ok(()),
    }
}

const FORMS: &str = "there are `{{last_success}}` (a timestamp) and `{{run_date}}` (a date)";

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
    fn comments_and_texts_are_left_alone() {
        let sql =
            "SELECT '{{1,2},{3,4}}'::int[] -- don't ask {{last_week}}\n/* nor {{run_date}} */ WHERE a > {{run_date}}";
        let bound = numbered(sql).unwrap();
        assert_eq!(bound.sql, sql.replace("a > {{run_date}}", "a > $1"));
        assert_eq!(bound.parameters, [Parameter::RunDate]);
    }

    #[test]
    fn what_cannot_be_bound_is_an_error() {
        for (sql, part) in [
            ("SELECT {{last_succes}}", "`{{last_succes}}`"),
            ("SELECT {{last_success", "without a closing"),
            ("SELECT '{{run_date}}'", "in quotes"),
            ("SELECT \"{{ last_success }}\"", "in quotes"),
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
