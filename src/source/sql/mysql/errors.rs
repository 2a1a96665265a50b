//! What went wrong, in words, and what to do.

use crate::source::SourceError;
use sqlx::mysql::{MySqlConnectOptions, MySqlDatabaseError};
use std::io::ErrorKind;
use std::time::Duration;

/// What an error is told with.
#[derive(Debug, Clone)]
pub(super) struct Told {
    shown: String,
    user: String,
    host: String,
    database: String,
    timeout: Duration,
}

impl Told {
    pub(super) fn new(shown: &str, options: &MySqlConnectOptions, timeout: Duration) -> Self {
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
        }
    }

    pub(super) fn late(&self) -> SourceError {
        self.error(format!("the query has taken longer than {:?}", self.timeout))
            .hint("raise `timeout` in [source], or make the query quicker: EXPLAIN shows where its time goes")
    }

    pub(super) fn silent(&self, waited: Duration) -> SourceError {
        self.error(format!("the server does not answer within {} s ({})", waited.as_secs(), self.host))
            .hint("mend host and port in source.url; a firewall that says nothing looks like this")
    }

    /// An error before there was a connection.
    pub(super) fn connecting(&self, error: sqlx::Error) -> SourceError {
        match &error {
            sqlx::Error::Io(io) if io.to_string().contains("certificate") => self.tls(&io.to_string()),
            sqlx::Error::Io(io) => self.unreachable(io),
            sqlx::Error::Tls(tls) => self.tls(&tls.to_string()),
            _ => self.failed(error),
        }
    }

    fn unreachable(&self, io: &std::io::Error) -> SourceError {
        let (host, said) = (&self.host, io.to_string());
        match io.kind() {
            ErrorKind::ConnectionRefused => self
                .error(format!("nothing listens there ({host})"))
                .hint("start the server, or mend host and port in source.url"),
            ErrorKind::NotFound => self
                .error(format!("there is no such socket ({host})"))
                .hint("mend `socket` in source.url, or start the server"),
            _ if said.contains("lookup") || said.contains("resolve") => {
                self.error(format!("the host is not known ({host})")).hint("mend the host in source.url")
            }
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset => self
                .error(format!("the server has closed the connection before it answered ({host})"))
                .hint("see the server's log; is it MySQL that listens there?"),
            _ => self.error(format!("the server cannot be reached ({host}): {said}")),
        }
    }

    fn tls(&self, said: &str) -> SourceError {
        if said.contains("does not support TLS") {
            return self.error("the server does not encrypt connections, and `tls` asks for that").hint(
                "give the server a certificate (ssl_cert, ssl_key); where nobody can listen in between, \
                 tls = \"disable\" goes without",
            );
        }
        self.error(format!("the connection cannot be encrypted: {said}")).hint(
            "set `tls_ca` to the certificate (PEM) of the authority that has issued the server's; \
             \"verify-ca\" does not look at the host's name, \"require\" not at the certificate",
        )
    }

    /// An error of the running session.
    pub(super) fn failed(&self, error: sqlx::Error) -> SourceError {
        let of_server = error.as_database_error().and_then(|error| error.try_downcast_ref::<MySqlDatabaseError>());
        if let Some(said) = of_server {
            return self.said(said);
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

    /// By the server's number (MySQL's and MariaDB's manuals, "Server Error Message Reference").
    fn said(&self, said: &MySqlDatabaseError) -> SourceError {
        let error = self.error(said.message());
        let (user, database) = (&self.user, &self.database);
        let grant =
            |on: String| format!("GRANT SELECT ON {on} TO '{user}'@'%'; (with the host that `{user}` was made with)");
        match said.number() {
            // Of MySQL and of MariaDB.
            3024 | 1969 => self.late(),
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
            1053 | 1927 | 1317 | 1080 => {
                error.hint("the server stops, or somebody has ended the query: run the job again")
            }
            _ => error,
        }
    }

    pub(super) fn error(&self, what: impl AsRef<str>) -> SourceError {
        SourceError::new(format!("{}: {}", self.shown, what.as_ref()))
    }
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
