//! What the server's errors mean, and what to do.

use crate::source::SourceError;
use crate::source::model::ONE;
use crate::source::sql::place;
use crate::source::sql::told::{Told, Words};
use sqlx::postgres::{PgConnectOptions, PgDatabaseError, PgErrorPosition};
use std::time::Duration;

const WORDS: Words = Words {
    name: "Postgres",
    explain: "EXPLAIN ANALYZE",
    socket: "host",
    encrypt: "switch on `ssl` at the server; where nobody can listen in between, tls = \"disable\" goes without",
    is_tls,
    said,
};

/// What errors of this server are told with.
pub(super) fn told(shown: &str, options: &PgConnectOptions, timeout: Duration) -> Told {
    let host = options.get_socket().map_or_else(|| options.get_host().to_owned(), |path| path.display().to_string());
    Told {
        shown: shown.to_owned(),
        user: options.get_username().to_owned(),
        host: format!("{host}, port {}", options.get_port()),
        database: options.get_database().unwrap_or_default().to_owned(),
        timeout,
        words: &WORDS,
    }
}

fn said(told: &Told, error: &sqlx::Error, sql: Option<&str>) -> Option<SourceError> {
    let said = error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()?;
    let code = said.code();
    if code == "57014" && said.message().contains("timeout") {
        return Some(told.late());
    }
    // Only the primary message: details show values.
    let mut message = said.message().to_owned();
    if let (Some(PgErrorPosition::Original(position)), Some(sql)) = (said.position(), sql) {
        let (line, column) = place(sql, position);
        message = format!("{message} (line {line}, column {column} of the query)");
    }
    let error = told.error(message);
    Some(match remedy(told, code, said.message()) {
        Some(hint) => error.hint(hint),
        None => error,
    })
}

/// All tables at once that the user may not read; as they are quoted in SQL.
pub(super) fn forbidden(told: &Told, tables: &[String]) -> SourceError {
    let (names, user) = (tables.join(", "), super::types::quoted(&told.user));
    let noun = if tables.len() == 1 { "table" } else { "tables" };
    told.error(format!("permission denied for {noun} {names}")).hint(format!("GRANT SELECT ON {names} TO {user};"))
}

/// What to do about an error, by its SQLSTATE (Postgres's manual, appendix "PostgreSQL Error Codes").
fn remedy(told: &Told, code: &str, message: &str) -> Option<String> {
    let user = super::types::quoted(&told.user);
    Some(match code {
        "42501" => match message.strip_prefix("permission denied for ").and_then(|of| of.split_once(' ')) {
            Some(("schema", name)) => format!("GRANT USAGE ON SCHEMA {name} TO {user};"),
            Some(("table" | "view" | "relation" | "materialized", name)) => {
                format!("GRANT SELECT ON {} TO {user};", name.trim_start_matches("view "))
            }
            Some(("database", name)) => format!("GRANT CONNECT ON DATABASE {name} TO {user};"),
            Some(("function", name)) => format!("GRANT EXECUTE ON FUNCTION {name} TO {user};"),
            _ => format!("GRANT what the query needs TO {user};"),
        },
        "28P01" => format!("{}, or in pgpass", told.credentials()),
        "28000" => format!("let {user} log in from here: pg_hba.conf of the server, and LOGIN of the role"),
        "3D000" => format!("mend the database in source.url, or CREATE DATABASE {};", told.database),
        "42P01" => "name the table with its schema, such as public.orgs".to_owned(),
        "42601" if message.contains("multiple commands") => ONE.to_owned(),
        "42601" => "try the query in psql".to_owned(),
        "25006" => "the query writes; a source only reads".to_owned(),
        "40001" => {
            "a standby has cancelled the query: set hot_standby_feedback there, or read from the primary".to_owned()
        }
        "53300" => "raise the server's max_connections, or give the user a share of its own".to_owned(),
        "57P01" | "57P02" | "57P03" => "the server stops or starts: run the job again".to_owned(),
        "22P02" | "22003" | "22007" | "22008" | "22012" => "mend the expression in the query".to_owned(),
        _ => return None,
    })
}

/// A handshake that fails comes as an error of the connection too.
fn is_tls(said: &str) -> bool {
    ["certificate", "TLS", "tls", "handshake"].iter().any(|word| said.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_driver_are_told_in_words() {
        let options = PgConnectOptions::new_without_pgpass().host("db.example").username("me");
        let told = told("postgres://me@db.example/crm", &options, Duration::from_secs(1));
        let io = |kind: std::io::ErrorKind| sqlx::Error::Io(kind.into());
        for (error, expected) in [
            (
                sqlx::Error::Tls("invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))".into()),
                "an authority (CA:TRUE) as its own",
            ),
            (
                sqlx::Error::Protocol("unexpected response from SSLRequest: 0x64".into()),
                "does not speak Postgres's protocol",
            ),
            (io(std::io::ErrorKind::NotFound), "the server cannot be reached (db.example, port 5432)"),
            (io(std::io::ErrorKind::ConnectionRefused), "nothing listens there (db.example, port 5432)"),
        ] {
            let error = told.connecting(error);
            assert!(error.message.contains(expected) && error.hint.is_some(), "{error:?}");
            assert!(!error.message.contains("0x64") && !error.message.contains("OtherError"), "{error:?}");
        }
    }
}
