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
        1045 | 1698 => error.hint("mend user and password in source.url (the password percent-encoded)"),
        1044 | 1049 => {
            let grant = grant(format!("`{database}`.*"));
            error.hint(format!("mend the database in source.url, or: {grant}"))
        }
        1142 | 1143 => error.hint(grant(match table(said.message()) {
            Some(table) => format!("{}.{}", super::types::quoted(database), super::types::quoted(table)),
            None => format!("`{database}`.*"),
        })),
        1146 => error.hint("name the table with its database, such as crm.orgs"),
        1064 => error.hint("try the query in the server's own client"),
        1792 | 1290 => error.hint("the query writes; a source only reads"),
        1040 | 1203 | 1226 => error.hint("raise the server's max_connections, or the user's own limit"),
        1053 | 1927 | 1317 | 1080 => error.hint("the server stops, or somebody has ended the query: run the job again"),
        _ => error,
    })
}

/// The table in "SELECT command denied to user 'u'@'h' for table `db`.`orgs`", as MariaDB writes it, or 'orgs', as MySQL does.
fn table(message: &str) -> Option<&str> {
    let (_, named) = message.rsplit_once(" for table ")?;
    let last = named.rsplit_once('.').map_or(named, |(_, last)| last);
    Some(last.trim_matches(['`', '\''])).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_table_of_a_refusal_is_found() {
        for (message, expected) in [
            ("SELECT command denied to user 'u'@'h' for table `db`.`orgs`", Some("orgs")),
            ("SELECT command denied to user 'u'@'h' for table 'orgs'", Some("orgs")),
            ("Access denied", None),
        ] {
            assert_eq!(super::table(message), expected);
        }
    }
}
