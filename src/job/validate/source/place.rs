//! Files at a distance: the address in `path`, and `options`.

use crate::job::document::{Document, join};
use crate::job::problem::{Fault, closest};
use crate::job::raw::RawFiles;
use crate::job::spec::{Part, Remote, Scheme, Templated};
use std::collections::BTreeMap;
use url::Url;

/// The setting that is an address with a user and a password in it.
const PROXY: &str = "proxy_url";

/// Settings of a scheme; true: it is a secret, which may only be referred to.
type Options = &'static [(&'static str, bool)];

const S3: Options = &[
    ("aws_access_key_id", false),
    ("aws_secret_access_key", true),
    ("aws_session_token", true),
    ("aws_region", false),
    ("aws_endpoint", false),
    ("aws_virtual_hosted_style_request", false),
    ("aws_skip_signature", false),
    ("aws_request_payer", false),
    ("aws_role_arn", false),
    ("aws_web_identity_token_file", false),
    (PROXY, false),
];
const GOOGLE: Options = &[
    ("google_service_account", false),
    ("google_service_account_key", true),
    ("google_application_credentials", false),
    ("google_bearer_token", true),
    ("google_base_url", false),
    ("google_skip_signature", false),
    (PROXY, false),
];
const AZURE: Options = &[
    ("azure_storage_account_name", false),
    ("azure_storage_account_key", true),
    ("azure_storage_sas_key", true),
    ("azure_storage_client_id", false),
    ("azure_storage_client_secret", true),
    ("azure_storage_tenant_id", false),
    ("azure_federated_token_file", false),
    ("azure_storage_use_emulator", false),
    ("azure_endpoint", false),
    ("azure_skip_signature", false),
    (PROXY, false),
];
const HTTP: Options = &[("authorization", true), (PROXY, false)];
const SFTP: Options = &[
    ("password", true),
    ("private_key_file", false),
    ("passphrase", true),
    ("known_hosts", false),
    ("host_key", false),
];

/// Settings that are true or false.
const SWITCHES: [&str; 6] = [
    "aws_virtual_hosted_style_request",
    "aws_skip_signature",
    "aws_request_payer",
    "google_skip_signature",
    "azure_storage_use_emulator",
    "azure_skip_signature",
];
/// Settings that are addresses.
const ADDRESSES: [&str; 3] = ["aws_endpoint", "google_base_url", "azure_endpoint"];

const HOW: &str = "write `${NAME}` for an environment variable or `${file:PATH}` for a file";

/// `Some(None)`: the files are on this machine. `None`: something was reported.
pub(super) fn remote(doc: &mut Document<'_>, raw: &mut RawFiles) -> Option<Option<Remote>> {
    let written = raw.options.take();
    let place = match raw.path.as_deref() {
        Some(path) => doc.accept("source.path", scheme(path))?,
        None => return None,
    };
    let Some(scheme) = place else {
        if written.is_some() {
            let fault = Fault::new("files on this machine have no such settings");
            doc.report(
                "source.options",
                fault.hint("remove `options`, or begin `path` with s3://, gs://, az://, https:// or sftp://"),
            );
            return None;
        }
        return Some(None);
    };
    let path = raw.path.as_deref().unwrap_or_default();
    let address = doc.accept("source.path", address(scheme, path));
    let options = options(doc, "source.options", scheme, written.unwrap_or_default());
    Some(Some(Remote { address: address?, scheme, options: options? }))
}

/// A folder of an object store, for [`crate::config`]: `path` and `options` are where the two stand in their file.
pub(crate) fn bucket(
    doc: &mut Document<'_>,
    path: &str,
    written: &str,
    options: (&str, BTreeMap<String, String>),
) -> Option<Remote> {
    let checked = scheme(written).and_then(|scheme| {
        let scheme = scheme.filter(|scheme| matches!(scheme, Scheme::S3 | Scheme::Google | Scheme::Azure));
        let scheme = scheme.ok_or_else(|| {
            Fault::new("is not the address of an object store")
                .hint("s3://bucket/folder, gs://bucket/folder or az://container/folder")
        })?;
        let (_, rest) = written.split_once("://").unwrap_or_default();
        if rest.split('/').next().unwrap_or_default().is_empty() {
            return Err(Fault::new("the address names no bucket").hint("such as `s3://bucket/nightmark`"));
        }
        Ok((scheme, store(written)?))
    });
    let (scheme, address) = doc.accept(path, checked)?;
    let options = self::options(doc, options.0, scheme, options.1)?;
    Some(Remote { address, scheme, options })
}

fn scheme(path: &str) -> Result<Option<Scheme>, Fault> {
    let Some((name, _)) = path.split_once("://") else { return Ok(None) };
    Ok(Some(match name {
        "s3" | "s3a" => Scheme::S3,
        "gs" => Scheme::Google,
        "az" | "abfs" | "abfss" => Scheme::Azure,
        "http" | "https" => Scheme::Http,
        "sftp" => Scheme::Sftp,
        _ => {
            return Err(Fault::new(format!("files cannot be had by `{name}://`"))
                .hint("s3://, gs://, az://, abfss://, https://, sftp://, or a path of this machine"));
        }
    }))
}

/// The address, in which nothing secret is written out.
fn address(scheme: Scheme, written: &str) -> Result<Templated, Fault> {
    let (_, rest) = written.split_once("://").unwrap_or_default();
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if authority.is_empty() {
        return Err(
            Fault::new("the address does not say where the files are").hint("such as `s3://bucket/orgs.parquet`")
        );
    }
    if path.is_empty() {
        return Err(
            Fault::new("the address names no file").hint("add it, such as `/orgs.parquet` or `/orgs_*.parquet`")
        );
    }
    match scheme {
        Scheme::Http => http(written),
        Scheme::Sftp => {
            let templated = Templated::parse(written)?;
            let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
            if user.contains(':') || templated.has_password() {
                return Err(Fault::new("a password must not stand in the address")
                    .hint("write `options = { password = \"${SFTP_PASSWORD}\" }`, or use a key"));
            }
            if user.is_empty() || host.is_empty() {
                return Err(Fault::new("the address says no user")
                    .hint("such as `sftp://nightmark@files.example/out/orgs.csv`"));
            }
            Ok(templated)
        }
        _ => store(written),
    }
}

/// An address of an object store, with no keys in it.
fn store(written: &str) -> Result<Templated, Fault> {
    let address = Templated::parse(written)?;
    if address.has_password() {
        return Err(Fault::new("keys and passwords must not stand in the address")
            .hint(format!("put them into `options`, and there {HOW}")));
    }
    Ok(address)
}

fn no_user() -> Fault {
    Fault::new("a user name or password must not stand in the address")
        .hint("write `options = { authorization = \"Basic ${TOKEN}\" }`")
}

/// An address of HTTP: one file, and no password, token or signature written out.
fn http(written: &str) -> Result<Templated, Fault> {
    let templated = Templated::parse_address(written)?;
    let reference = |part: &Part| match part {
        Part::Literal(text) => text.clone(),
        _ => "reference".to_owned(),
    };
    let address: String = templated.parts.iter().map(reference).collect();
    let url = Url::parse(&address).map_err(|error| Fault::new(format!("is not an address: {error}")))?;
    if url.path().contains(['*', '[']) {
        return Err(Fault::new("over HTTP there is no list of files in which a pattern could be looked for")
            .hint("name one file; `[` as a character is written %5B, `*` %2A"));
    }
    let literals: Vec<&str> = templated
        .parts
        .iter()
        .filter_map(|part| match part {
            Part::Literal(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    if url.password().is_some() || !url.username().is_empty() {
        return Err(no_user());
    }
    let is_secret = |(name, value): &(std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)| {
        const NAMES: [&str; 10] = [
            "key",
            "apikey",
            "token",
            "accesstoken",
            "secret",
            "password",
            "sig",
            "signature",
            "xamzsignature",
            "xgoogsignature",
        ];
        let plain = name.to_ascii_lowercase().replace(['-', '_'], "");
        NAMES.contains(&plain.as_str()) && literals.iter().any(|text| !value.is_empty() && text.contains(&**value))
    };
    match url.query_pairs().find(is_secret) {
        Some((name, _)) => Err(Fault::new(format!("the value of `{name}` in the address is a secret")).hint(HOW)),
        None if templated.has_password() => Err(no_user()),
        None => Ok(templated),
    }
}

/// The settings at `path`.
fn options(
    doc: &mut Document<'_>,
    path: &str,
    scheme: Scheme,
    written: BTreeMap<String, String>,
) -> Option<BTreeMap<String, Templated>> {
    let known = match scheme {
        Scheme::S3 => S3,
        Scheme::Google => GOOGLE,
        Scheme::Azure => AZURE,
        Scheme::Http => HTTP,
        Scheme::Sftp => SFTP,
    };
    let mut sound = true;
    let mut options = BTreeMap::new();
    for (name, text) in written {
        let checked = option(known, &name, &text);
        match doc.accept(&join(path, &name), checked) {
            Some(value) => drop(options.insert(name, value)),
            None => sound = false,
        }
    }
    sound.then_some(options)
}

fn option(known: Options, name: &str, text: &str) -> Result<Templated, Fault> {
    let Some((_, is_secret)) = known.iter().find(|(option, _)| *option == name) else {
        let names = known.iter().map(|(option, _)| *option);
        let near = closest(name, names.clone()).map_or_else(String::new, |near| format!("did you mean `{near}`? "));
        let hint = format!("{near}there are {}", names.collect::<Vec<_>>().join(", "));
        return Err(Fault::new(format!("`{name}` is not a setting of this kind of address")).hint(hint));
    };
    // A proxy's user and password stand in its address, where they are percent-encoded.
    let value = if name == PROXY { Templated::parse_address(text)? } else { Templated::parse(text)? };
    if *is_secret && !value.has_reference() {
        return Err(Fault::new(format!("`{name}` is a secret and must not stand in a job file")).hint(HOW));
    }
    let is_switch = SWITCHES.contains(&name);
    if is_switch && !value.has_reference() && !matches!(text, "true" | "false") {
        return Err(Fault::new(format!("`{text}` is neither yes nor no")).hint("\"true\" or \"false\""));
    }
    let is_address = ADDRESSES.contains(&name) && !value.has_reference();
    if is_address && !["http://", "https://"].iter().any(|scheme| text.starts_with(scheme)) {
        return Err(Fault::new(format!("`{name}` is not an address")).hint("such as `https://s3.example:9000`"));
    }
    if value.has_password() {
        return Err(Fault::new(format!("a password in `{name}` must not stand in a job file")).hint(HOW));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_written_out_in_other_addresses_and_options() {
        for (scheme, written, part) in [
            (Scheme::Sftp, "sftp://u:planted@h/orgs.csv", "a password"),
            (Scheme::Sftp, "sftp://u:plan/planted@h/orgs.csv", "a password"),
            (Scheme::Http, "https://u:planted@h/orgs.csv", "a user name or password"),
            (Scheme::Http, "https://h/orgs.csv?password=planted", "`password`"),
            (Scheme::Http, "https://h/orgs.csv?pwd=planted", "a user name or password"),
        ] {
            let fault = address(scheme, written).unwrap_err();
            assert!(fault.message.contains(part) && fault.hint.is_some(), "{written}: {fault:?}");
            assert!(!format!("{fault:?}").contains("planted"), "{fault:?}");
        }
        for proxy in ["http://u:planted@proxy:3128", "u:planted@proxy:3128", "http://u:plan/planted@proxy:3128"] {
            let fault = option(HTTP, PROXY, proxy).unwrap_err();
            assert!(fault.message.contains("a password in `proxy_url`"), "{fault:?}");
            assert!(!format!("{fault:?}").contains("planted"), "{fault:?}");
        }
        for proxy in ["http://${U}:${P}@proxy:3128", "http://proxy:3128", "${PROXY}"] {
            assert!(option(HTTP, PROXY, proxy).is_ok(), "{proxy}");
        }
    }

    #[test]
    fn no_keys_are_written_out_in_addresses_of_stores() {
        for (scheme, written) in [
            (Scheme::S3, "s3://AKIA:planted@bucket/orgs.parquet"),
            (Scheme::Google, "gs://u:planted@bucket/orgs.parquet"),
            (Scheme::Azure, "az://account:planted${REST}@container/orgs.parquet"),
        ] {
            let fault = address(scheme, written).unwrap_err();
            assert!(fault.message.contains("must not stand in the address") && fault.hint.is_some(), "{fault:?}");
            assert!(!format!("{fault:?}").contains("planted"), "{fault:?}");
        }
        for (scheme, written) in [
            (Scheme::S3, "s3://bucket/a:b@c/orgs.parquet"),
            (Scheme::Azure, "abfss://container@account.dfs.core.windows.net/orgs.parquet"),
            (Scheme::Azure, "abfss://${file:container}@account.dfs.core.windows.net/orgs.parquet"),
        ] {
            assert!(address(scheme, written).is_ok(), "{written}");
        }
    }
}
