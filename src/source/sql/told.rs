//! What goes wrong with a server, in words, and what to do: what is the same for every kind of server.

use crate::source::SourceError;
use std::io::ErrorKind;
use std::time::Duration;

/// What an error is told with.
#[derive(Debug, Clone)]
pub(super) struct Told {
    /// The address as the job has it.
    pub(super) shown: String,
    pub(super) user: String,
    /// Host and port, or the socket.
    pub(super) host: String,
    pub(super) database: String,
    pub(super) timeout: Duration,
    pub(super) words: &'static Words,
}

/// What differs by the kind of server.
#[derive(Debug)]
pub(super) struct Words {
    /// Its name.
    pub(super) name: &'static str,
    /// What shows where a query's time goes.
    pub(super) explain: &'static str,
    /// The field of the address that a socket stands in.
    pub(super) socket: &'static str,
    /// What to do about a server that does not encrypt.
    pub(super) encrypt: &'static str,
    /// Whether an error of the connection is one of its encryption, by its text.
    pub(super) is_tls: fn(&str) -> bool,
    /// What the server itself has said; `None`: the error is not its own. The query as it was sent, if the error may be about its text.
    pub(super) said: fn(&Told, &sqlx::Error, Option<&str>) -> Option<SourceError>,
}

impl Told {
    /// The server has not answered in time, though it was told when to stop.
    pub(super) fn late(&self) -> SourceError {
        let explain = self.words.explain;
        self.error(format!("the query has taken longer than {:?}", self.timeout)).hint(format!(
            "raise `timeout` in [source], or make the query quicker: {explain} shows where its time goes"
        ))
    }

    /// The server has not been reached in time.
    pub(super) fn silent(&self, waited: Duration) -> SourceError {
        self.error(format!("the server does not answer within {} s ({})", waited.as_secs(), self.host))
            .hint("mend host and port in source.url; a firewall that says nothing looks like this")
    }

    /// An error before there was a connection.
    pub(super) fn connecting(&self, error: sqlx::Error) -> SourceError {
        match &error {
            sqlx::Error::Io(io) if (self.words.is_tls)(&io.to_string()) => self.tls(&io.to_string()),
            sqlx::Error::Io(io) => self.unreachable(io),
            sqlx::Error::Tls(tls) => self.tls(&tls.to_string()),
            sqlx::Error::Protocol(_) => {
                let Words { name, .. } = self.words;
                self.error(format!("what listens there does not speak {name}'s protocol ({})", self.host))
                    .hint("mend host and port in source.url, or `kind`")
            }
            _ => self.failed(error, None),
        }
    }

    fn unreachable(&self, io: &std::io::Error) -> SourceError {
        let (host, said, Words { name, socket, .. }) = (&self.host, io.to_string(), self.words);
        match io.kind() {
            ErrorKind::ConnectionRefused => self
                .error(format!("nothing listens there ({host})"))
                .hint("start the server, or mend host and port in source.url"),
            ErrorKind::NotFound if host.starts_with('/') => self
                .error(format!("there is no such socket ({host})"))
                .hint(format!("mend `{socket}` in source.url, or start the server")),
            _ if said.contains("lookup") || said.contains("resolve") => {
                self.error(format!("the host is not known ({host})")).hint("mend the host in source.url")
            }
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset => self
                .error(format!("the server has closed the connection before it answered ({host})"))
                .hint(format!("see the server's log; is it {name} that listens there?")),
            _ => self
                .error(format!("the server cannot be reached ({host}): {said}"))
                .hint("mend host and port in source.url"),
        }
    }

    /// What to do about a user or password that the server does not take.
    pub(super) fn credentials(&self) -> &'static str {
        // A password that is referred to within an address is percent-encoded by us.
        match self.shown.contains("://") {
            true => "mend user and password in source.url",
            false => "mend user and password in source.url (the password percent-encoded)",
        }
    }

    fn tls(&self, said: &str) -> SourceError {
        if said.contains("does not support TLS") {
            return self
                .error("the server does not encrypt connections, and `tls` asks for that")
                .hint(self.words.encrypt);
        }
        if said.contains("CaUsedAsEndEntity") {
            return self.error("the server shows the certificate of an authority (CA:TRUE) as its own").hint(
                "give the server a certificate of its own (CA:FALSE), and set `tls_ca` to that of its authority; \
                 \"require\" does not look at the certificate",
            );
        }
        self.error(format!("the connection cannot be encrypted: {said}")).hint(
            "set `tls_ca` to the certificate (PEM) of the authority that has issued the server's; \
             \"verify-ca\" does not look at the host's name, \"require\" not at the certificate",
        )
    }

    /// An error of the running session. `sql`: the query as it was sent, if the error may be about its text.
    pub(super) fn failed(&self, error: sqlx::Error, sql: Option<&str>) -> SourceError {
        if let Some(said) = (self.words.said)(self, &error, sql) {
            return said;
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

    pub(super) fn error(&self, what: impl AsRef<str>) -> SourceError {
        SourceError::new(format!("{}: {}", self.shown, what.as_ref()))
    }
}
