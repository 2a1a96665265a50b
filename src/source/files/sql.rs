//! The SQL model: one SELECT over the table `extract`.
//!
//! SQL's floats know infinity and NaN (a division by zero); JSON does not, so the body has null there.

use super::columns::names;
use super::engine;
use crate::job::problem::closest;
use crate::source::SourceError;
use polars::prelude::{DataFrame, IntoLazy};
use polars::sql::SQLContext;

/// The only table there is.
const TABLE: &str = "extract";

/// Runs the model over a frame.
pub fn run(frame: DataFrame, query: &str) -> Result<DataFrame, SourceError> {
    let columns = names(&frame);
    engine::run("the query over `extract` failed", || {
        let mut context = SQLContext::new();
        context.register(TABLE, frame.lazy());
        context.execute(query)?.collect()
    })
    .map_err(|error| reworded(error, &columns))
}

/// Polars speaks to those who call it from a program.
fn reworded(error: SourceError, columns: &[String]) -> SourceError {
    const UNKNOWN: &str = "unable to find column \"";
    if error.message.contains("only one) statement") {
        return SourceError::new("source.query has several statements").hint("write one SELECT (or WITH … SELECT)");
    }
    if let Some((before, after)) = error.message.split_once(". It's possible that multiple expressions") {
        let what = if after.contains(".alias(") { before } else { error.message.as_str() };
        return SourceError::new(what).hint("give each column of the result a name of its own: … AS new_name");
    }
    let unknown = error.message.split_once(UNKNOWN).and_then(|(_, rest)| rest.split_once('"')).map(|(name, _)| name);
    let near = unknown.and_then(|name| closest(name, columns.iter().map(String::as_str)));
    let near = near.map_or_else(String::new, |name| format!("did you mean `{name}`? "));
    let hint = format!("{near}`extract` has the columns: {}", columns.join(", "));
    // The hint has the list.
    let message = error.message.split("; valid columns: ").next().unwrap_or_default().to_owned();
    SourceError::new(message).hint(error.hint.map_or(hint.clone(), |own| format!("{own}; {hint}")))
}

/// Refuses what is no query before any file is read: polars would also take `TRUNCATE` or `SHOW TABLES`. That there is
/// only one statement is checked by its parser.
pub fn only_select(query: &str) -> Result<(), SourceError> {
    let rest = skip_comments(query);
    let word: String = rest.chars().take_while(char::is_ascii_alphabetic).collect();
    if word.eq_ignore_ascii_case("select") || word.eq_ignore_ascii_case("with") {
        return Ok(());
    }
    let start: String = rest.chars().take(20).collect();
    Err(SourceError::new(format!("source.query must be one SELECT (or WITH … SELECT), not \"{start}\""))
        .hint("for example: SELECT * FROM extract WHERE deleted_at IS NULL"))
}

/// The text after leading blanks, opening brackets and comments.
fn skip_comments(query: &str) -> &str {
    let mut rest = query;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '(');
        rest = if rest.starts_with("--") {
            rest.split_once('\n').map_or("", |(_, after)| after)
        } else if rest.starts_with("/*") {
            rest.split_once("*/").map_or("", |(_, after)| after)
        } else {
            return rest;
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_select() {
        for query in ["SELECT 1", " select*from extract", "-- all\n/* of */ (WITH a AS (SELECT 1) SELECT * FROM a)"] {
            assert!(only_select(query).is_ok(), "{query}");
        }
        for query in ["", "-- SELECT", "TRUNCATE TABLE extract", "DELETE FROM extract", "SELECTED", "SHOW TABLES"] {
            assert!(only_select(query).is_err(), "{query}");
        }
    }
}
