//! `[source] kind = "adbc"`

use super::{Model, Templated};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// `[source] kind = "adbc"`
#[derive(Debug, Clone)]
pub struct AdbcSource {
    /// The driver as written.
    pub driver: String,
    /// Where it is.
    pub library: Library,
    /// The function that initialises it, if it is another than the driver's own default.
    pub entrypoint: Option<String>,
    /// Options of the database, the connection and the statement, by their names.
    pub options: BTreeMap<String, Templated>,
    /// Options of the connection.
    pub connection_options: BTreeMap<String, Templated>,
    /// Options of the statement.
    pub statement_options: BTreeMap<String, Templated>,
    /// What is asked of it.
    pub model: Model,
    /// Text columns that hold JSON, whatever the driver says.
    pub json: Vec<String>,
    /// How long everything may take.
    pub timeout: Duration,
    /// Whether names are quoted by backticks instead of double quotes.
    pub backticks: bool,
    /// How values are bound.
    pub placeholder: Placeholder,
}

/// Where a driver is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Library {
    /// A shared library or a manifest, absolute.
    Path(PathBuf),
    /// The name of an installed driver.
    Name(String),
}

/// How a database writes the places of bound values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placeholder {
    /// `?`
    Question,
    /// `$1`
    Dollar,
    /// `@p1`
    At,
    /// `:1`
    Colon,
}

impl Placeholder {
    /// That of the given number, from 1.
    pub fn of(self, number: usize) -> String {
        match self {
            Placeholder::Question => "?".to_owned(),
            Placeholder::Dollar => format!("${number}"),
            Placeholder::At => format!("@p{number}"),
            Placeholder::Colon => format!(":{number}"),
        }
    }
}
