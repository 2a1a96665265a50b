//! What went wrong, in words, and what to do.

use crate::source::SourceError;
use crate::source::sql::place;
use sqlx::postgres::{PgConnectOptions, PgDatabaseError, PgErrorPosition};
use std::io::ErrorKind;
use std::time::Duration;

/// What an error is told with.
#[derive(Debug, Clone)]
pub(super) struct Told {
    /// The address as the job has it.
    pub(super) shown: String,
    user: String,
    host: String,
    database: String,
    timeout: Duration,
}

impl Told {
    pub(super) fn new(shown: &str, options: &PgConnectOptions, timeout: Duration) -> Self {
        let host =
            options.get_socket().map_or_else(|| options.get_host().to_owned(), |path| path.display().to_string());
        Told {
            shown: shown.to_owned(),
            user: options.get_username().to_owned(),
            host: format!("{host}, port {}", options.get_port()),
            database: options.get_database().unwrap_or_default().to_owned(),
            timeout,
        }
    }

    /// The server has not answered in time, though it was told when to stop.
    pub(super) fn late(&self) -> SourceError {
        SourceError::new(format!("{}: the query has taken longer than {:?}", self.shown, self.timeout))
            .hint("raise `timeout` in [source], or make the query quicker: EXPLAIN ANALYZE shows where its time goes")
    }

    /// The server has not been reached in time.
    pub(super) fn silent(&self, waited: Duration) -> SourceError {
        self.error(format!("the server does not answer within {} s ({})", waited.as_secs(), self.host))
            .hint("mend host and port in source.url; a firewall that says nothing looks like this")
    }

    /// An error before there was a connection.
    pub(super) fn connecting(&self, error: sqlx::Error) -> SourceError {
        match &error {
            sqlx::Error::Io(io) if is_certificate(&io.to_string()) => self.tls(&io.to_string()),
            sqlx::Error::Io(io) => self.unreachable(io),
            sqlx::Error::Tls(tls) => self.tls(&tls.to_string()),
            _ => self.failed(error, None),
        }
    }

    fn unreachable(&self, io: &std::io::Error) -> SourceError {
        let host = &self.host;
        let said = io.to_string();
        match io.kind() {
            ErrorKind::ConnectionRefused => self
                .error(format!("nothing listens there ({host})"))
                .hint("start the server, or mend host and port in source.url"),
            ErrorKind::NotFound => self
                .error(format!("there is no such socket ({host})"))
                .hint("mend `host` in source.url, or start the server"),
            _ if said.contains("lookup") || said.contains("resolve") => {
                self.error(format!("the host is not known ({host})")).hint("mend the host in source.url")
            }
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset => self
                .error(format!("the server has closed the connection before it answered ({host})"))
                .hint("see the server's log; is it Postgres that listens there?"),
            _ => self.error(format!("the server cannot be reached ({host}): {said}")),
        }
    }

    fn tls(&self, said: &str) -> SourceError {
        if said.contains("does not support TLS") {
            return self.error("the server does not encrypt connections, and `tls` asks for that").hint(
                "switch on `ssl` at the server; where nobody can listen in between, tls = \"disable\" goes without",
            );
        }
        let certificate = format!("the connection cannot be encrypted: {said}");
        self.error(certificate).hint(
            "set `tls_ca` to the certificate (PEM) of the authority that has issued the server's; \
             \"verify-ca\" does not look at the host's name, \"require\" not at the certificate",
        )
    }

    /// An error of the running session. `sql`: the query as it was sent, if the error may be about its text.
    pub(super) fn failed(&self, error: sqlx::Error, sql: Option<&str>) -> SourceError {
        let of_server = error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
        if let Some(said) = of_server {
            return self.said(said, sql);
        }
        match error {
            sqlx::Error::Io(io) => self
                .error(format!("the connection to the server was lost: {io}"))
                .hint("nothing was sent; see the server's log, and run the job again"),
            // It may quote what was given to it.
            sqlx::Error::Configuration(_) => self.error("the connection's settings cannot be used"),
            other => self.error(other.to_string()),
        }
    }

    fn said(&self, said: &PgDatabaseError, sql: Option<&str>) -> SourceError {
        let code = said.code();
        if code == "57014" && said.message().contains("timeout") {
            return self.late();
        }
        // Only the primary message: details show values.
        let mut message = said.message().to_owned();
        if let (Some(PgErrorPosition::Original(position)), Some(sql)) = (said.position(), sql) {
            let (line, column) = place(sql, position);
            message = format!("{message} (line {line}, column {column} of the query)");
        }
        let error = self.error(message);
        match self.remedy(code, said.message()) {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }

    /// What to do about an error, by its SQLSTATE (Postgres's manual, appendix "PostgreSQL Error Codes").
    fn remedy(&self, code: &str, message: &str) -> Option<String> {
        let user = super::types::quoted(&self.user);
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
            "28P01" => "mend user and password in source.url (the password percent-encoded), or in pgpass".to_owned(),
            "28000" => format!("let {user} log in from here: pg_hba.conf of the server, and LOGIN of the role"),
            "3D000" => format!("mend the database in source.url, or CREATE DATABASE {};", self.database),
            "42P01" => "name the table with its schema, such as public.orgs".to_owned(),
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

    pub(super) fn error(&self, what: impl AsRef<str>) -> SourceError {
        SourceError::new(format!("{}: {}", self.shown, what.as_ref()))
    }
}

/// A handshake that fails comes as an error of the connection too.
fn is_certificate(said: &str) -> bool {
    ["certificate", "TLS", "tls", "handshake"].iter().any(|word| said.contains(word))
}
