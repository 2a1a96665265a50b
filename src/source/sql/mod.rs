//! Databases that are asked by SQL, through sqlx: PostgreSQL and what speaks its protocol, MySQL and MariaDB, SQLite.
//!
//! In: an address or a file, a model, parameters, a time-out. Out: a [`Stream`](super::Stream) with declared types.
//!
//! The way of a row: a thread of the extract's own (`feed`) asks the database and packs what comes into `tuples`, bytes as
//! the protocol has them, up to a MiB at a time; the pipeline's threads make Arrow columns of them (`cells` of each engine).
//! What servers have in common stands here: `address`, `dialogue` (connect, read, cancel) and `told` (errors in words).
//!
//! Always holds:
//! - The rows are those of one read-only transaction that sees one state of the database.
//! - Complete or an error: a lost connection, a time-out, a value that does not fit its column end the extract.
//! - Dropping the rows ends the query at the server (`Feed::drop`), also one that has not yielded a row yet.
//! - Memory: a few pieces of about a MiB (or one row, if that is longer), whatever the extract's size.
//! - Parameters are bound; names are quoted. No error quotes an address, and a driver's text is only shown where it is the
//!   server's own words.
//!
//! Deliberately absent: writing, connection pools (an extract has one connection), incremental cursors.

mod address;
mod dialogue;
mod feed;
mod mysql;
mod postgres;
mod rows;
mod sqlite;
mod told;
mod tuples;

pub use mysql::Mysql;
pub use postgres::Postgres;
pub use sqlite::Sqlite;

use super::SourceError;
use arrow::datatypes::{Field, Schema, SchemaRef};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// A column that cannot be carried, and the expression to write for it.
struct Refused {
    column: String,
    data_type: String,
    cast: String,
}

/// Names all of them at once. `all`: every column of the query.
fn refused<'a>(columns: &[Refused], all: impl IntoIterator<Item = &'a str>) -> SourceError {
    let named: Vec<String> = columns.iter().map(|c| format!("`{}` is {}", c.column, c.data_type)).collect();
    let casts: Vec<&str> = columns.iter().map(|c| c.cast.as_str()).collect();
    SourceError::new(format!("these columns have types that cannot be sent: {}", named.join(", ")))
        .hint(format!("write in the query, or leave the columns out: {}", casts.join(", ")))
        .of_columns(all)
}

/// The schema of nullable columns with these names.
///
/// # Errors
/// Two columns of one name.
fn schema(fields: Vec<Field>) -> Result<SchemaRef, SourceError> {
    let mut seen = HashSet::new();
    let twice: Vec<&str> =
        fields.iter().map(|field| field.name().as_str()).filter(|name| !seen.insert(name.to_owned())).collect();
    if twice.is_empty() {
        return Ok(Arc::new(Schema::new(fields)));
    }
    Err(SourceError::new(format!("the query has several columns of the name `{}`", twice.join("`, `")))
        .hint("name each column once, with AS"))
}

/// The metadata of a text column that holds JSON.
fn json() -> HashMap<String, String> {
    HashMap::from([(super::KIND_KEY.to_owned(), super::KIND_JSON.to_owned())])
}

/// Line and column, from 1, of a position in a text, which is counted in characters from 1.
fn place(text: &str, position: usize) -> (usize, usize) {
    let before: Vec<char> = text.chars().take(position.saturating_sub(1)).collect();
    let line = before.iter().filter(|c| **c == '\n').count() + 1;
    (line, before.iter().rev().take_while(|c| **c != '\n').count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::DataType;

    #[test]
    fn places_are_counted_in_characters() {
        for (text, position, expected) in
            [("SELECT", 1, (1, 1)), ("a\nbc", 4, (2, 2)), ("ä\nö x", 5, (2, 3)), ("", 1, (1, 1)), ("a", 99, (1, 2))]
        {
            assert_eq!(place(text, position), expected, "{text:?} {position}");
        }
    }

    #[test]
    fn names_are_there_once() {
        let fields = |names: &[&str]| names.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect();
        assert!(schema(fields(&["a", "A"])).is_ok());
        let error = schema(fields(&["a", "b", "a"])).unwrap_err();
        assert!(error.message.contains("`a`") && error.hint.is_some(), "{error:?}");
    }

    #[test]
    fn all_that_cannot_be_carried_is_named_at_once() {
        let of = |column: &str, data_type: &str, cast: &str| Refused {
            column: column.into(),
            data_type: data_type.into(),
            cast: cast.into(),
        };
        let error = refused(&[of("a", "bytea", "encode(a, 'hex')"), of("b", "point", "b::text")], ["a", "b", "c"]);
        assert!(error.message.ends_with("`a` is bytea, `b` is point"), "{error:?}");
        assert!(error.hint.unwrap().ends_with("encode(a, 'hex'), b::text"));
        assert_eq!(error.columns, ["a", "b", "c"]);
    }
}
