//! `[source] kind = "postgres"` and `"mysql"`

use super::model::RawModel;
use crate::job::document::Document;
use crate::job::problem::Fault;
use crate::job::raw::{RawDatabase, RawTls};
use crate::job::spec::{DatabaseSource, Part, Templated, Tls};
use crate::job::units;
use std::path::Path;
use std::time::Duration;

/// What the two differ in.
pub(super) struct Engine {
    schemes: &'static [&'static str],
    form: &'static str,
    /// What may stand behind the `?` of the address.
    parameters: &'static [&'static str],
}

pub(super) const POSTGRES: Engine = Engine {
    schemes: &["postgres", "postgresql"],
    form: "such as `postgres://nightmark:${PG_PASSWORD}@db.example:5432/crm`",
    parameters: &["host", "port", "user"],
};

pub(super) const MYSQL: Engine = Engine {
    schemes: &["mysql", "mariadb"],
    form: "such as `mysql://nightmark:${MYSQL_PASSWORD}@db.example:3306/crm`",
    parameters: &["socket"],
};

/// Without `timeout`.
const TIMEOUT: Duration = Duration::from_secs(30 * 60);

pub(super) fn database(
    doc: &mut Document<'_>,
    raw: RawDatabase,
    home: &Path,
    engine: &Engine,
) -> Option<DatabaseSource> {
    let RawDatabase { url, query, query_file, table, dbt, tls, tls_ca, timeout: limit } = raw;
    let model = RawModel { query, query_file, table, dbt }.check(doc, home);
    let timeout = timeout(doc, limit.as_deref());
    let tls = tls.map(mode);
    if let (Some(_), Some(Tls::Disable | Tls::Prefer | Tls::Require)) = (&tls_ca, tls) {
        let fault = Fault::new("`tls` says that the certificate is not looked at");
        doc.report("source.tls_ca", fault.hint("set `tls` to \"verify-ca\" or \"verify-full\", or leave it out"));
    }
    let url = url.and_then(|written| doc.accept("source.url", address(&written, engine)));
    let tls_ca = tls_ca.map(|path| home.join(path));
    Some(DatabaseSource { url: url?, model: model?, tls, tls_ca, timeout: timeout? })
}

pub(super) fn timeout(doc: &mut Document<'_>, written: Option<&str>) -> Option<Duration> {
    written.map_or(Some(TIMEOUT), |text| doc.accept("source.timeout", units::duration(text)))
}

fn mode(raw: RawTls) -> Tls {
    match raw {
        RawTls::Disable => Tls::Disable,
        RawTls::Prefer => Tls::Prefer,
        RawTls::Require => Tls::Require,
        RawTls::VerifyCa => Tls::VerifyCa,
        RawTls::VerifyFull => Tls::VerifyFull,
    }
}

/// Stands for a reference. No address has it.
const REFERENCE: char = '\0';

/// An address in which no password is written out. What is wrong with it is said without its text.
fn address(written: &str, engine: &Engine) -> Result<Templated, Fault> {
    let templated = Templated::parse_address(written)?;
    if templated.has_password() {
        return Err(Fault::new("a password must not stand in a job file")
            .hint("put it into an environment variable and write ${NAME}, or into a file and write ${file:PATH}"));
    }
    let literal = |part: &Part| match part {
        Part::Literal(text) => text.clone(),
        Part::Env(_) | Part::File(_) => REFERENCE.to_string(),
    };
    let text: String = templated.parts.iter().map(literal).collect();
    if text.starts_with(REFERENCE) {
        // It begins with a reference, which is looked up when the source is opened.
        return Ok(templated);
    }
    let wrong = |why: &str| Err(Fault::new(why.to_owned()).hint(engine.form));
    let Some((scheme, rest)) = text.split_once("://") else { return wrong("is not the address of a database") };
    if !engine.schemes.contains(&scheme) {
        return wrong("is the address of something else than this kind of database");
    }
    let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
    let name = |pair: &str| pair.split('=').next().unwrap_or_default().to_owned();
    if let Some(other) =
        query.split('&').map(name).find(|name| !name.is_empty() && !engine.parameters.contains(&name.as_str()))
    {
        let fault = match other.as_str() {
            "sslmode" | "ssl-mode" => {
                Fault::new("how the connection is encrypted does not stand in the address").hint("set `tls`")
            }
            "sslrootcert" | "ssl-ca" => Fault::new("the certificates do not stand in the address").hint("set `tls_ca`"),
            _ => Fault::new("the address has a parameter that is not known")
                .hint(format!("there are {}", engine.parameters.join(", "))),
        };
        return Err(fault);
    }
    let database = before.split_once('/').map_or("", |(_, database)| database);
    if database.is_empty() { wrong("the address names no database") } else { Ok(templated) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_without_a_password_in_them() {
        for good in [
            "postgres://u:${P}@h:5432/d",
            "postgresql://u@h/d",
            "postgres://${USER}:${file:/run/p}@${HOST}:${PORT}/d",
            "postgres:///d?host=/var/run/postgresql&user=u",
            "${DATABASE_URL}",
            "postgres://${HOST}/d",
        ] {
            assert!(address(good, &POSTGRES).is_ok(), "{good}");
        }
        assert!(address("mysql://u:${P}@h/d", &MYSQL).is_ok() && address("mariadb://u@h/d", &MYSQL).is_ok());
        for (bad, part) in [
            ("postgres://u:planted@h/d", "password must not stand"),
            ("postgres://u:planted${A}@h/d", "password must not stand"),
            ("postgres://u:plan/ted@h/d", "password must not stand"),
            ("postgres://u:plan@ted@h/d", "password must not stand"),
            ("${SCHEME}://u:planted@h/d", "password must not stand"),
            ("postgres://u@h/d?password=planted", "password must not stand"),
            ("postgres://u@h/d?sslmode=require", "encrypted"),
            ("postgres://u@h/d?options=planted", "parameter"),
            ("postgres://u@h", "no database"),
            ("mysql://u@h/d", "something else"),
            ("planted", "not the address"),
        ] {
            let fault = address(bad, &POSTGRES).unwrap_err();
            assert!(fault.message.contains(part) && fault.hint.is_some(), "{bad}: {fault:?}");
            assert!(!format!("{fault:?}").contains("planted"), "{fault:?}");
        }
    }
}
