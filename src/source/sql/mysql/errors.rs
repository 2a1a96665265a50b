//! What the server's errors mean, and what to do.

use crate::source::SourceError;
use crate::source::sql::told::{Told, Words};
use sqlx::mysql::{MySqlConnectOptions, MySqlDatabaseError};
use std::time::Duration;

const WORDS: Words = Words {
    name: "MySQL",
    explain: "EXPLAIN",
    socket: "socket",
    encrypt: "give the server a certificate (ssl_cert, ssl_key); where nobody can listen in between, \
              tls = \"disable\" goes without",
    is_tls: |said| said.contains("certificate"),
    said,
};

/// What errors of this server are told with.
pub(super) fn told(shown: &str, options: &MySqlConnectOptions, timeout: Duration) -> Told {
    let host = match options.get_socket() {
        Some(path) => path.display().to_string(),
        None => format!("{}, port {}", options.get_host(), options.get_port()),
    };
    Told {
        shown: shown.to_owned(),
        user: options.get_username().to_owned(),
        host,
        database: options.get_database().unwrap_or_default().to_owned(),
        timeout,
        words: &WORDS,
    }
}

fn number(error: &sqlx::Error) -> Option<u16> {
    let said = error.as_database_error()?.try_downcast_ref::<MySqlDatabaseError>()?;
    Some(said.number())
}

/// Whether the text of a statement is what is wrong. The SQLSTATE of that is also one of rights which are missing.
pub(super) fn is_syntax(error: &sqlx::Error) -> bool {
    number(error) == Some(1064)
}

/// Whether a table may not be read.
pub(super) fn is_denied(error: &sqlx::Error) -> bool {
    number(error) == Some(1142)
}

/// All tables at once that the user may not read; as they are quoted in SQL, with or without their database.
pub(super) fn forbidden(told: &Told, tables: &[String]) -> SourceError {
    let (user, database) = (&told.user, super::types::quoted(&told.database));
    let full = |table: &String| match table.contains("`.`") {
        true => table.clone(),
        false => format!("{database}.{table}"),
    };
    let tables: Vec<String> = tables.iter().map(full).collect();
    let grants: Vec<String> = tables.iter().map(|table| format!("GRANT SELECT ON {table} TO '{user}'@'%';")).collect();
    told.error(format!("SELECT command denied to user '{user}' for the tables {}", tables.join(", "))).hint(format!(
        "{} (with the host that `{user}` was made with) or mend their names in the query",
        grants.join(" ")
    ))
}

/// By the server's number (MySQL's and MariaDB's manuals, "Server Error Message Reference").
fn said(told: &Told, error: &sqlx::Error, _: Option<&str>) -> Option<SourceError> {
    let said = error.as_database_error()?.try_downcast_ref::<MySqlDatabaseError>()?;
    let error = told.error(said.message());
    let (user, database) = (&told.user, &told.database);
    let grant =
        |on: String| format!("GRANT SELECT ON {on} TO '{user}'@'%'; (with the host that `{user}` was made with)");
    Some(match said.number() {
        // Of MySQL and of MariaDB.
        3024 | 1969 => told.late(),
        1045 | 1698 => error.hint(told.credentials()),
        1044 | 1049 => {
            let grant = grant(format!("`{database}`.*"));
            error.hint(format!("mend the database in source.url, or: {grant}"))
        }
        1142 | 1143 => {
            let on = table(said.message()).map_or_else(|| format!("`{database}`.*"), |table| table.of(database));
            // To whom it may not be shown, the server does not say that it is not there.
            error.hint(format!("{} or mend its name in the query", grant(on)))
        }
        1370 => error.hint(format!("mend the function's name, or GRANT EXECUTE ON FUNCTION … TO '{user}'@'%';")),
        1146 => error.hint("name the table with its database, such as crm.orgs"),
        1064 => error.hint("try the query in the server's own client"),
        1792 | 1290 => error.hint("the query writes; a source only reads"),
        1040 | 1203 | 1226 => error.hint("raise the server's max_connections, or the user's own limit"),
        1053 | 1927 | 1317 | 1080 => error.hint("the server stops, or somebody has ended the query: run the job again"),
        _ => error,
    })
}

/// A table that the server has named.
#[derive(Debug, PartialEq, Eq)]
struct Named<'a> {
    database: Option<&'a str>,
    table: &'a str,
}

impl Named<'_> {
    /// In SQL; `database`: that of the connection.
    fn of(&self, database: &str) -> String {
        let quoted = super::types::quoted;
        format!("{}.{}", quoted(self.database.unwrap_or(database)), quoted(self.table))
    }
}

/// The table in "SELECT command denied to user 'u'@'h' for table `db`.`orgs`", as MariaDB writes it, or 'orgs', as MySQL does.
fn table(message: &str) -> Option<Named<'_>> {
    let (_, named) = message.rsplit_once(" for table ")?;
    let (database, table) = match named.split_once("`.`") {
        Some((database, table)) => (Some(database.trim_matches('`')), table.trim_matches('`')),
        None => (None, named.trim_matches(['`', '\''])),
    };
    (!table.is_empty()).then_some(Named { database, table })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_table_of_a_refusal_is_found() {
        for (message, expected) in [
            ("SELECT command denied to user 'u'@'h' for table `db`.`orgs`", Some("`db`.`orgs`")),
            ("SELECT command denied to user 'u'@'h' for table 'orgs'", Some("`crm`.`orgs`")),
            ("Access denied", None),
        ] {
            assert_eq!(super::table(message).map(|named| named.of("crm")).as_deref(), expected);
        }
    }
}
