//! Options of a driver, in which no secret is written out.

use crate::job::problem::Fault;
use crate::job::spec::{Part, Templated};

const HOW: &str = "put it into an environment variable or a file, and write ${NAME} or ${file:PATH}";

/// Stands for a reference while a value is looked at.
const REFERENCE: char = '\u{fffc}';

/// An option's value. In an address, references are percent-encoded where they stand.
pub(super) fn option(name: &str, written: &str) -> Result<Templated, Fault> {
    if name.is_empty() || name.contains('\0') || written.contains('\0') {
        return Err(Fault::new("an option has a name, and no zero byte in it"));
    }
    let templated = match written.contains("://") {
        true => Templated::parse_address(written)?,
        false => Templated::parse(written)?,
    };
    let part = |part: &Part| match part {
        Part::Literal(text) => text.clone(),
        _ => REFERENCE.to_string(),
    };
    let shape: String = templated.parts.iter().map(part).collect();
    let password = || templated.has_password().then_some("a password");
    match literal_secret(name, &shape).or_else(password) {
        Some(what) => Err(Fault::new(format!("{what} must not stand in a job file")).hint(HOW)),
        None => Ok(templated),
    }
}

/// What of the value is a secret that is written out. `shape`: the value with [`REFERENCE`] for each reference.
fn literal_secret(name: &str, shape: &str) -> Option<&'static str> {
    match naming(name) {
        Naming::Secret if is_literal(shape) => return Some("a password, token or key"),
        // Drivers take the path of a key's file, or the key itself.
        Naming::File if is_literal(shape) && !is_path(shape) => return Some("a key"),
        Naming::File => return None,
        _ => {}
    }
    if shape.contains("PRIVATE KEY-----") || shape.contains("\"private_key\"") {
        return Some("a private key");
    }
    // `…?password=x&…` of an address, `…;token=x` of Spark, `password=x …` of libpq.
    let pairs = shape.split(['?', '&', ';', ' ', '\t', '\n', ',']).filter_map(|pair| pair.split_once('='));
    let is_secret = |(name, value): (&str, &str)| naming(name.trim()) == Naming::Secret && is_literal(value.trim());
    pairs.into_iter().any(is_secret).then_some("a password, token or key")
}

fn is_literal(text: &str) -> bool {
    // `Bearer ${TOKEN}`: what is secret is referred to.
    let scheme = text.strip_suffix(REFERENCE).filter(|before| before.ends_with(' '));
    let has_scheme = scheme.is_some_and(|scheme| scheme.trim_end().bytes().all(|b| b.is_ascii_alphabetic()));
    !has_scheme && text.contains(|c: char| c != REFERENCE && !c.is_whitespace())
}

fn is_path(text: &str) -> bool {
    const FILES: [&str; 8] = [".pem", ".p8", ".p12", ".key", ".der", ".json", ".crt", ".cer"];
    let text = text.trim();
    let begins = ["/", "./", "../", "~/"].iter().any(|begin| text.starts_with(begin));
    // The signs of base64 that no path needs.
    !text.contains(['\n', '{', '+', '=']) && text.len() < 512 && (begins || FILES.iter().any(|end| text.ends_with(end)))
}

#[derive(Debug, PartialEq, Eq)]
enum Naming {
    /// The value is secret.
    Secret,
    /// The value is a secret or the file that has it.
    File,
    Open,
}

/// `accessToken` and `access-token` as `access_token`.
fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut was_lower = false;
    for c in name.chars() {
        if c.is_ascii_uppercase() && was_lower {
            out.push('_');
        }
        was_lower = c.is_ascii_lowercase() || c.is_ascii_digit();
        out.push(if c == '-' { '_' } else { c.to_ascii_lowercase() });
    }
    out
}

/// What an option's name says of its value.
fn naming(name: &str) -> Naming {
    const SECRET: [&str; 17] = [
        "accesskey",
        "accountkey",
        "sharedkey",
        "authtoken",
        "password",
        "passwd",
        "pwd",
        "pass",
        "passphrase",
        "passcode",
        "token",
        "secret",
        "apikey",
        "authorization",
        "signature",
        "sas",
        "cookie",
    ];
    const FILE: [&str; 3] = ["credential", "credentials", "privatekey"];
    /// `token_url`, `auth_type`, `secret_name`: about a secret, and not one.
    const ABOUT: [&str; 20] = [
        "id",
        "url",
        "uri",
        "type",
        "path",
        "file",
        "enabled",
        "scope",
        "host",
        "port",
        "timeout",
        "endpoint",
        "audience",
        "name",
        "provider",
        "cache",
        "expiry",
        "expiration",
        "ttl",
        "middleware",
    ];
    let mut lower = snake(name);
    for word in ["private", "api", "account", "access", "shared"] {
        lower = lower.replace(&format!("{word}_key"), &format!("{word}key"));
    }
    let words: Vec<&str> = lower.split(['.', '_', ' ']).collect();
    let says = |list: &[&str]| words.iter().any(|word| list.contains(word));
    match words.last() {
        Some(last) if ABOUT.contains(last) => Naming::Open,
        // `store_…`, `cache_mfa_token`, `request_…`: switches.
        _ if says(&["cache", "store"]) => Naming::Open,
        _ if says(&SECRET) => Naming::Secret,
        Some(&"value") if says(&FILE) => Naming::Secret,
        _ if says(&FILE) => Naming::File,
        _ => Naming::Open,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::spec::Form;

    #[test]
    fn secrets_that_are_written_out_are_faults_and_not_repeated() {
        for (name, value) in [
            ("password", "hunter2"),
            ("adbc.snowflake.sql.client_option.auth_token", "abc"),
            ("adbc.bigquery.sql.auth.client_secret", "abc"),
            ("adbc.bigquery.sql.auth_credentials", "{\"type\": \"service_account\"}"),
            ("adbc.snowflake.sql.client_option.jwt_private_key_pkcs8_value", "-----BEGIN"),
            ("adbc.snowflake.sql.client_option.jwt_private_key_pkcs8_password", "abc"),
            ("adbc.flight.sql.authorization_header", "Bearer abc"),
            ("uri", "postgresql://me:hunter2@db/x"),
            ("uri", "postgresql://me@db/x?password=hunter2"),
            ("uri", "host=db password=hunter2"),
            ("uri", "me:hunter2@account/db"),
            ("uri", "me:hunt/hunter2@tcp(db:3306)/x"),
            ("uri", "postgresql://me:hunt/hunter2@db/x"),
            ("accessToken", "abc"),
            ("adbc.flight.sql.rpc.call_header.x-api-key", "abc"),
            ("adbc.flight.sql.rpc.call_header.cookie", "session=abc"),
            ("azure_account_key", "abc+/def=="),
            ("aws_secret_access_key", "abc/def"),
            (
                "adbc.snowflake.sql.client_option.jwt_private_key",
                "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC/BKcwggSjAgEAAoIBAQC",
            ),
            ("uri", "sc://h:443/;token=abc"),
            ("uri", "databricks://token:abc@h:443/sql"),
            ("password", "half${REST}"),
            ("anything", "-----BEGIN PRIVATE KEY-----\nabc"),
        ] {
            let fault = option(name, value).unwrap_err();
            assert!(fault.message.contains("must not stand in a job file"), "{name}: {fault:?}");
            assert!(!format!("{fault:?}").contains("hunter2") && fault.hint.is_some(), "{name}: {fault:?}");
        }
    }

    #[test]
    fn references_and_what_is_no_secret_may_stand_there() {
        for (name, value) in [
            ("password", "${PASSWORD}"),
            ("adbc.flight.sql.authorization_header", "Bearer ${TOKEN}"),
            ("adbc.bigquery.sql.auth_credentials", "/run/secrets/key.json"),
            ("adbc.snowflake.sql.client_option.jwt_private_key", "/run/secrets/rsa_key.p8"),
            ("adbc.snowflake.sql.client_option.cache_mfa_token", "true"),
            ("adbc.snowflake.sql.auth_type", "auth_jwt"),
            ("token_url", "https://login.example/token"),
            ("uri", "postgresql://me:${PASSWORD}@db/x?sslmode=require"),
            ("uri", "sc://h:443/;token=${TOKEN};user_id=me"),
            ("uri", "me:${PASSWORD}@account/db?warehouse=w"),
            ("uri", "grpc+tls://h:443"),
            ("uri", "host=db password=${PASSWORD}"),
            ("uri", ":memory:"),
            ("path", "/data/orgs.duckdb"),
            ("compass", "north"),
            ("adbc.flight.sql.rpc.call_header.x-api-version", "2"),
            ("adbc.flight.sql.rpc.with_cookie_middleware", "true"),
            ("aws_access_key_id", "AKIA123"),
            ("adbc.snowflake.sql.client_option.jwt_private_key", "keys/rsa_key.p8"),
        ] {
            assert!(option(name, value).is_ok(), "{name} = {value}");
        }
        assert_eq!(option("uri", "postgresql://me:${P}@db").unwrap().form, Form::Address);
        assert_eq!(option("password", "${P}").unwrap().form, Form::Text);
    }
}
