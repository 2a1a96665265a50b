//! Whether an address has a password that is written out. Pure; the one place that decides it.
//!
//! In: a [`Templated`], perhaps no address at all. Out: yes or no.
//! Always holds: references count as nothing, wherever they stand; a password that is written out in part is written out.
//! Deliberately absent: tokens and keys, which go by the names of settings; whether an address may have a user or a password at all.

use super::spec::{Part, Templated};
use url::form_urlencoded;

/// Stands for a reference.
const REFERENCE: char = '\0';

/// Their path is a name, so an `@` behind a `/` can only be that of a password with a slash in it.
const DATABASES: [&str; 6] = ["postgres", "postgresql", "mysql", "mariadb", "redshift", "cockroachdb"];

/// What a password is called behind the `?` of an address.
const NAMES: [&str; 5] = ["password", "passwd", "passphrase", "pwd", "sslpassword"];

impl Templated {
    /// Whether a password, or a part of one, is written out: in `user:password@host`, with or without a scheme before it, or in
    /// `?password=…`.
    ///
    /// People paste passwords as they are, with `@`, `/`, `?` or `#` in them. Where a text can be read in two ways, it counts as a password, unless
    /// the other reading is an ordinary one: `s3://bucket/a:b@c` is a file.
    pub(crate) fn has_password(&self) -> bool {
        let shape = self.shape();
        let after = shape.split_once("://").map(|(scheme, after)| (Some(scheme), after));
        // `jdbc:postgresql://…` is read from both ends.
        let whole = (!after.is_some_and(|(scheme, _)| scheme.is_some_and(is_scheme))).then_some((None, shape.as_str()));
        let mut readings = after.into_iter().chain(whole);
        readings.any(|(scheme, text)| in_user_info(scheme, text)) || in_query(&shape)
    }

    /// The text with [`REFERENCE`] for each reference.
    fn shape(&self) -> String {
        let part = |part: &Part| match part {
            Part::Literal(text) => text.replace(REFERENCE, "x"),
            Part::Env(_) | Part::File(_) => REFERENCE.to_string(),
        };
        self.parts.iter().map(part).collect()
    }
}

fn is_scheme(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | REFERENCE))
}

fn is_written(password: &str) -> bool {
    password.chars().any(|c| c != REFERENCE)
}

/// `text`: what follows `://`, or everything where there is no scheme.
fn in_user_info(scheme: Option<&str>, text: &str) -> bool {
    let authority = text.split(['/', '?', '#']).next().unwrap_or_default();
    if written_before_at(authority) {
        return true;
    }
    if is_of_database(scheme, text) && written_before_at(text.split('?').next().unwrap_or_default()) {
        return true;
    }
    // No host has such a port: it is the beginning of a password with a slash or the like in it.
    let rest = authority.strip_prefix('[').and_then(|host| host.split_once(']')).map_or(authority, |(_, port)| port);
    let is_port = |port: &str| port.chars().all(|c| c.is_ascii_digit() || c == REFERENCE);
    let begins = !authority.contains('@') && rest.split_once(':').is_some_and(|(_, port)| !is_port(port));
    let behind = &text[authority.len()..];
    begins && if scheme.is_some() { behind.contains('@') } else { has_protocol(behind) }
}

/// `user:password@`, of which at least a part of the password is written out. The last `@` counts.
fn written_before_at(text: &str) -> bool {
    let user_info = text.rsplit_once('@').map(|(user_info, _)| user_info);
    user_info.and_then(|info| info.split_once(':')).is_some_and(|(_, password)| is_written(password))
}

/// Also where a reference says what it is of.
fn is_of_database(scheme: Option<&str>, text: &str) -> bool {
    match scheme {
        Some(scheme) => {
            let scheme = scheme.to_ascii_lowercase();
            scheme.contains(REFERENCE) || scheme.split([':', '+']).any(|part| DATABASES.contains(&part))
        }
        None => text.starts_with(REFERENCE),
    }
}

/// `…@tcp(host:3306)/database`, as drivers written in Go have it.
fn has_protocol(text: &str) -> bool {
    let protocol = |after: &str| {
        let rest = after.trim_start_matches(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        rest.len() < after.len() && rest.starts_with('(')
    };
    text.split('@').skip(1).any(protocol)
}

/// `?password=…`, `&password=…`, `;password=…`; names may be percent-encoded.
fn in_query(shape: &str) -> bool {
    let pairs = shape.split(['?', '&', ';']).skip(1).filter_map(|pair| pair.split_once('='));
    let is_password = |name: &str| {
        let decoded = form_urlencoded::parse(name.trim().as_bytes()).next();
        decoded.is_some_and(|(name, _)| NAMES.contains(&name.to_ascii_lowercase().as_str()))
    };
    pairs.into_iter().any(|(name, value)| is_password(name) && is_written(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(is_written: bool, addresses: &[&str]) {
        for address in addresses {
            assert_eq!(Templated::parse(address).unwrap().has_password(), is_written, "{address}");
        }
    }

    #[test]
    fn a_user_and_a_password() {
        check(
            true,
            &[
                "postgres://u:planted@h:5432/d",
                "mysql://u:planted@h/d",
                "http://u:planted@proxy.example",
                "http://:planted@proxy.example",
                "s3://AKIA:planted@bucket/orgs.parquet",
                "u:planted@account/db",
                "u:planted@tcp(h:3306)/d",
                "jdbc:postgresql://u:planted@h/d",
                "postgresql+psycopg://u:planted@h/d",
                "databricks://token:planted@h:443/sql",
                // Nothing says that it has to be a good one.
                "postgres://u: @h/d",
                "postgres://u:%70lanted@h/d",
                "postgres://u:plan%40ted@h/d",
            ],
        );
        check(
            false,
            &[
                "",
                "planted",
                ":memory:",
                "postgres://u@h:5432/d",
                "postgres://h:5432/d",
                "postgres://u:@h/d",
                "http://proxy.example:3128",
                "http://[::1]:3128/a@b",
                "https://[fe80::1]/a@b",
                // A user's name may have a colon in it, if it is encoded.
                "postgres://u%3Ax@h/d",
                "abfss://container@account.dfs.core.windows.net/orgs.parquet",
                "arn:aws:iam::123456789012:role/nightmark@crm.example",
                "SHA256:abc/def= root@h",
            ],
        );
    }

    #[test]
    fn references_are_nothing_and_what_stands_beside_them_is_something() {
        check(
            false,
            &[
                "${DATABASE_URL}",
                "${PROXY}",
                "postgres://${USER}:${file:/run/secrets/a}@${HOST}:${PORT}/d",
                "postgres://${USER}:${A}${file:b}@h/d",
                "${SCHEME}://u:${PASSWORD}@h/d",
                "postgres://${HOST}/d",
                "http://${HOST}:${PORT}/a@b",
                "abfss://${file:container}@account.dfs.core.windows.net/orgs.parquet",
                "postgres://u@h/d?password=${PASSWORD}",
                "u:${PASSWORD}@unix(/run/mysql.sock)/d",
            ],
        );
        check(
            true,
            &[
                "postgres://u:planted${REST}@h/d",
                "postgres://u:${BEGINNING}planted@h/d",
                "postgres://u:${A}p${B}@h/d",
                "az://account:planted${REST}@container/orgs.parquet",
                "${SCHEME}://u:planted@h/d",
                "${USER}:planted@h/d",
                "postgres://u@h/d?password=planted${REST}",
                // A reference is not what a zero byte stands for.
                "postgres://u:\0@h/d",
            ],
        );
    }

    #[test]
    fn passwords_that_should_have_been_encoded() {
        check(
            true,
            &[
                "postgres://u:plan@ted@h/d",
                "postgres://u:${PASSWORD}@ted@h/d",
                "postgres://u:plan/ted@h/d",
                "postgres://u:/planted@h/d",
                "postgres://u:12/34@h/d",
                "postgres://u:${A}/ted@h/d",
                "${URL}/u:planted@h",
                "postgres://u:plan?ted@h/d",
                "postgres://u:plan#ted@h/d",
                "mysql://u:a/b?c#d@e@h/d",
                "http://u:plan/ted@proxy.example",
                "https://u:plan?ted@h/orgs.csv",
                "u:plan/ted@tcp(h:3306)/d",
                "jdbc:mysql://u:12/34@h/d",
            ],
        );
        check(
            false,
            &[
                "s3://bucket/a:b@c/orgs.parquet",
                "https://h:8443/a:b@c/orgs.csv",
                "https://h/orgs.csv?user=a:b@c",
                "sftp://u@h:2222/a:b@c/orgs.csv",
                "grpc+tls://h:443/a@b",
                "sc://h:443/;user_id=me@crm.example",
                "postgres://u:${PASSWORD}@h/d?user=a:b@c",
            ],
        );
    }

    #[test]
    fn sockets_and_queries() {
        check(
            true,
            &[
                "postgres://u:planted@%2Frun%2Fpostgresql/d",
                "mysql://u:planted@/d?socket=/run/mysql.sock",
                "u:planted@unix(/run/mysql.sock)/d",
                "postgres://u@h/d?password=planted",
                "postgres://u@h/d?sslmode=require&PassWord=planted",
                "postgres://u@h/d?p%61ssword=planted",
                "postgres://u@h/d?sslpassword=planted",
                "postgres:///d?host=/run&user=u&password=planted",
                "jdbc:sqlserver://h:1433;user=u;password=planted",
                "${URL}?password=planted",
            ],
        );
        check(
            false,
            &[
                "postgres:///d?host=/var/run/postgresql&user=u",
                "postgres://u@%2Frun%2Fpostgresql/d",
                "mysql://u:${P}@/d?socket=/run/mysql.sock",
                "postgres://u@h/d?password=",
                "postgres://u@h/d?password_file=/run/a",
                "s3://bucket/orgs_?.parquet",
            ],
        );
    }
}
