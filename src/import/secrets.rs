//! Addresses and headers, with what is or looks like a secret taken out to `${NAME}`.
//!
//! What is taken out is never shown: a note says where it stood. A value that only looks like a secret is taken out too,
//! since the other mistake cannot be taken back.

use super::Notes;
use crate::job::spec::RESERVED_HEADERS;
use serde_json::Value;

/// The webhook of TrailSpark, and of our own receiver.
pub(super) const TRAILSPARK: &str = "/api/product-orgs/webhook/";

/// A header as it was read. `value`: `None` if Hightouch keeps it to itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) name: String,
    pub(super) value: Option<String>,
    /// Whether Hightouch was told that it is a secret.
    pub(super) is_secret: bool,
}

/// Headers as a job has them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Headers {
    /// `destination.secret`
    pub(super) api_secret: Option<String>,
    pub(super) others: Vec<(String, String)>,
}

/// A table of names and values, or a list of tables with both.
pub(super) fn read_headers(value: &Value) -> Vec<Header> {
    let text = |value: &Value, names: &[&str]| names.iter().find_map(|name| value[*name].as_str()).map(str::to_owned);
    let is_secret = |value: &Value| ["secret", "isSecret", "encrypted"].iter().any(|name| value[*name] == true);
    match value {
        Value::Object(headers) => headers
            .iter()
            .map(|(name, value)| match value {
                Value::String(text) => Header { name: name.clone(), value: Some(text.clone()), is_secret: false },
                other => Header {
                    name: name.clone(),
                    value: text(other, &["value"]),
                    is_secret: is_secret(other) || other["value"].is_null(),
                },
            })
            .collect(),
        Value::Array(headers) => headers
            .iter()
            .map(|header| match (text(header, &["name", "key", "header"]), header.as_object().map(|h| h.iter())) {
                (Some(name), _) => Header { name, value: text(header, &["value"]), is_secret: is_secret(header) },
                // `{"X-Tenant": "acme"}`
                (None, Some(mut one)) if one.len() == 1 && text(header, &["value"]).is_none() => {
                    let (name, value) = one.next().map_or((String::new(), None), |(n, v)| (n.clone(), v.as_str()));
                    Header { name, value: value.map(str::to_owned), is_secret: value.is_none() }
                }
                // Told as lost.
                (None, _) => {
                    Header { name: String::new(), value: text(header, &["value"]), is_secret: is_secret(header) }
                }
            })
            .collect(),
        _ => Vec::new(),
    }
}

pub(super) fn headers(found: Vec<Header>, notes: &mut Notes) -> Headers {
    let mut headers = Headers::default();
    for header in found {
        let lower = header.name.to_ascii_lowercase();
        let name = &header.name;
        if name.is_empty() {
            notes.lost("a header whose name was not found");
        } else if lower == "x-api-secret" {
            let what = "the secret of the API key, sent as X-Api-Secret";
            headers.api_secret = Some(reference(notes, "TRAILSPARK_API_SECRET", what));
        } else if lower == "content-type" || lower == "content-length" || lower == "host" {
            if header.value.as_ref().is_some_and(|value| lower == "content-type" && !value.contains("json")) {
                notes.lost(format!("header {name}: bodies are sent as JSON"));
            }
        } else if RESERVED_HEADERS.contains(&lower.as_str()) {
            notes.lost(format!("header {name}: Nightmark writes it itself"));
        } else if header.value.as_ref().is_some_and(|value| is_liquid(value)) && may_be_secret(&header, &lower) {
            notes.lost(format!(
                "header {name}: a template with what may be a secret; write it anew with `${{NAME}}` in it"
            ));
        } else {
            headers.others.push((header.name.clone(), header_value(&header, &lower, notes)));
        }
    }
    headers
}

/// Whether a header with this name and value may hold a secret, apart from what its Liquid yields.
fn may_be_secret(header: &Header, lower: &str) -> bool {
    let written = header.value.as_deref().map(|value| without_liquid(value).0);
    header.is_secret || is_secret_name(lower) || written.is_none_or(|written| looks_secret(&written))
}

fn header_value(header: &Header, lower: &str, notes: &mut Notes) -> String {
    let name = format!("DESTINATION_{}", environment_name(lower));
    let what = format!("the value of the header {}", header.name);
    let Some(value) = &header.value else { return reference(notes, &name, &what) };
    let is_plain = value.is_ascii() && !value.chars().any(char::is_control) && !value.contains("${");
    if is_plain && !may_be_secret(header, lower) {
        return value.clone();
    }
    // `Bearer TOKEN`: what is no secret stays to be read.
    match value.split_once(' ').filter(|(scheme, _)| ["Bearer", "Basic", "Token"].contains(scheme)) {
        Some((scheme, _)) => {
            let what = format!("what stands behind `{scheme} ` in the header {}", header.name);
            format!("{scheme} {}", reference(notes, &name, &what))
        }
        None => reference(notes, &name, &what),
    }
}

fn reference(notes: &mut Notes, name: &str, what: &str) -> String {
    format!("${{{}}}", notes.environment(name, what))
}

/// The address of a request: the destination's base URL and the sync's path, Liquid in it as it is.
pub(super) fn address(base: Option<&str>, path: Option<&str>, notes: &mut Notes) -> String {
    let (path, liquid) = without_liquid(path.unwrap_or_default().trim());
    let address = plain_address(base, &path, notes);
    let put_back = |address: String, (i, text): (usize, &String)| address.replace(&mark(i), text);
    liquid.iter().enumerate().fold(address, put_back)
}

/// Stands for a piece of Liquid while an address is taken apart: slashes and question marks in it are its own.
fn mark(i: usize) -> String {
    format!("{MARK}{i}{MARK}")
}

const MARK: char = '\u{1}';

fn without_liquid(text: &str) -> (String, Vec<String>) {
    let (mut out, mut liquid, mut rest) = (String::new(), Vec::new(), text);
    let opening =
        |rest: &str| [("{{", "}}"), ("{%", "%}")].into_iter().filter_map(|(o, c)| Some((rest.find(o)?, c))).min();
    while let Some((at, close)) = opening(rest) {
        let Some(end) = rest[at..].find(close).map(|end| at + end + close.len()) else { break };
        out.push_str(&rest[..at]);
        out.push_str(&mark(liquid.len()));
        liquid.push(rest[at..end].to_owned());
        rest = &rest[end..];
    }
    out.push_str(rest);
    (out, liquid)
}

fn plain_address(base: Option<&str>, path: &str, notes: &mut Notes) -> String {
    let is_whole = path.starts_with("http://") || path.starts_with("https://");
    let base = base.map(|base| base.trim().trim_end_matches('/')).filter(|base| !base.is_empty() && !is_whole);
    let (origin, rest) = match base {
        Some(base) => split(base, path),
        None if is_whole => split(path, ""),
        None => {
            let what = "the base URL of the Hightouch destination, such as https://acme.trailspark.ai";
            (reference(notes, "DESTINATION_BASE_URL", what), with_slash(path))
        }
    };
    format!("{}{}", authority(&origin, notes), behind(&rest, notes))
}

/// The origin, and everything behind it.
fn split(base: &str, path: &str) -> (String, String) {
    let authority = base.find("://").map_or(0, |at| at + 3);
    let end = base[authority..].find(['/', '?', '#']).map_or(base.len(), |at| authority + at);
    (base[..end].to_owned(), format!("{}{}", &base[end..], with_slash(path)))
}

fn with_slash(path: &str) -> String {
    match path.is_empty() || path.starts_with(['/', '?', '#']) {
        true => path.to_owned(),
        false => format!("/{path}"),
    }
}

fn authority(origin: &str, notes: &mut Notes) -> String {
    let origin = placeholders(origin, notes);
    let Some((scheme, rest)) = origin.split_once("://") else { return origin };
    let Some((_, host)) = rest.rsplit_once('@') else { return origin };
    let user = reference(notes, "DESTINATION_USER", "the user name in the base URL");
    let password = reference(notes, "DESTINATION_PASSWORD", "the password in the base URL; empty if it has none");
    format!("{scheme}://{user}:{password}@{host}")
}

/// Path and query.
fn behind(rest: &str, notes: &mut Notes) -> String {
    let rest = rest.split('#').next().unwrap_or_default();
    let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
    let is_trailspark = path.contains(TRAILSPARK);
    let mut after_webhook = false;
    let segments: Vec<String> = path
        .split('/')
        .enumerate()
        .map(|(at, segment)| {
            let follows = std::mem::replace(&mut after_webhook, segment == "webhook");
            let is_key = follows && !segment.is_empty() && !segment.contains('\u{1}');
            match is_key && is_trailspark {
                true => reference(notes, "TRAILSPARK_API_KEY", "the API key that stands in the sync's endpoint path"),
                false => {
                    let what = format!("part {at} of the sync's endpoint path, which looks like a key");
                    let is_secret = |piece: &str| is_key || looks_secret(piece);
                    around_liquid(segment, &is_secret, "DESTINATION_PATH_KEY", &what, notes)
                }
            }
        })
        .collect();
    let query = query.map(|query| query.split('&').map(|pair| parameter(pair, notes)).collect::<Vec<_>>().join("&"));
    match query {
        Some(query) => format!("{}?{query}", segments.join("/")),
        None => segments.join("/"),
    }
}

fn parameter(pair: &str, notes: &mut Notes) -> String {
    let Some((name, value)) = pair.split_once('=') else { return placeholders(pair, notes) };
    let is_named = is_secret_name(&name.to_lowercase());
    let is_secret = |piece: &str| is_named || looks_secret(piece);
    let what = format!("the value of `{name}` in the sync's URL");
    let value = around_liquid(value, &is_secret, &format!("DESTINATION_{}", environment_name(name)), &what, notes);
    format!("{}={value}", placeholders(name, notes))
}

/// A part of an address, without what is secret in it. Its Liquid stays: that is the rows' and not a secret of anybody's.
fn around_liquid(
    text: &str,
    is_secret: &dyn Fn(&str) -> bool,
    variable: &str,
    what: &str,
    notes: &mut Notes,
) -> String {
    let mut taken = 0;
    let mut piece = |(at, piece): (usize, &str)| {
        if at % 2 == 1 {
            return format!("{MARK}{piece}{MARK}");
        }
        if piece.is_empty() || !is_secret(piece) {
            return placeholders(piece, notes);
        }
        taken += 1;
        match taken {
            1 => reference(notes, variable, what),
            more => reference(notes, variable, &format!("{what}, piece {more}")),
        }
    };
    text.split(MARK).enumerate().map(&mut piece).collect()
}

/// `{subdomain}` and the like, which guides write for what is to be filled in.
fn placeholders(text: &str, notes: &mut Notes) -> String {
    let (Some(open), false) = (text.find('{'), text.contains("${")) else { return text.to_owned() };
    let Some(close) = text[open..].find('}').map(|at| open + at) else { return text.to_owned() };
    let inside = &text[open + 1..close];
    let what = format!("what stands for {{{inside}}} in the sync's URL");
    let name = reference(notes, &format!("DESTINATION_{}", environment_name(inside)), &what);
    format!("{}{name}{}", &text[..open], placeholders(&text[close + 1..], notes))
}

/// Whether a body has a text written out that looks like a key. Names of columns and of members are no such text.
pub(super) fn holds_secret(body: &str) -> bool {
    let (written, _) = without_liquid(body);
    written.split('"').skip(1).step_by(2).any(looks_secret)
}

fn is_liquid(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}

fn is_secret_name(lower: &str) -> bool {
    ["authorization", "token", "secret", "key", "password", "cookie", "signature", "auth", "credential"]
        .iter()
        .any(|word| lower.contains(word))
        || lower.starts_with("x-api-")
}

/// Whether any run of letters, digits, `-` and `_` is as long and mixed as keys are.
fn looks_secret(text: &str) -> bool {
    let runs = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-');
    runs.into_iter().any(|run| {
        let mixed = run.contains(|c: char| c.is_ascii_digit()) && run.contains(|c: char| c.is_ascii_alphabetic());
        (run.len() >= 20 && mixed)
            || run.len() >= 32
            || (run.len() >= 12 && (run.contains("sk_") || run.contains("sk-")))
    })
}

/// `apiKey` and `api-key` are `API_KEY`.
fn environment_name(text: &str) -> String {
    let mut name = String::new();
    let mut before_is_small = false;
    for c in text.chars() {
        if c.is_ascii_uppercase() && before_is_small {
            name.push('_');
        }
        name.push(if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
        before_is_small = c.is_ascii_lowercase() || c.is_ascii_digit();
    }
    name.trim_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(base: Option<&str>, path: Option<&str>, expected: &str, names: &[&str]) {
        let mut notes = Notes::default();
        assert_eq!(address(base, path, &mut notes), expected);
        let set: Vec<&str> = notes.environment.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(set, names, "{expected}");
    }

    #[test]
    fn keys_are_taken_out_of_addresses() {
        let url = "https://acme.trailspark.ai/api/product-orgs/webhook/${TRAILSPARK_API_KEY}";
        let base = Some("https://acme.trailspark.ai/");
        check(base, Some("/api/product-orgs/webhook/sk_live_abcdef0123456789"), url, &["TRAILSPARK_API_KEY"]);
        check(base, Some("api/product-orgs/webhook/{apiKey}"), url, &["TRAILSPARK_API_KEY"]);
        check(
            Some("https://h"),
            Some("/webhook/abc"),
            "https://h/webhook/${DESTINATION_PATH_KEY}",
            &["DESTINATION_PATH_KEY"],
        );
        check(
            Some("https://user:pw@h:8443/v1"),
            Some("/orgs?api_key=x&page=2"),
            "https://${DESTINATION_USER}:${DESTINATION_PASSWORD}@h:8443/v1/orgs?api_key=${DESTINATION_API_KEY}&page=2",
            &["DESTINATION_USER", "DESTINATION_PASSWORD", "DESTINATION_API_KEY"],
        );
        check(None, Some("/orgs"), "${DESTINATION_BASE_URL}/orgs", &["DESTINATION_BASE_URL"]);
        check(None, Some("https://h.example/orgs/acme"), "https://h.example/orgs/acme", &[]);
        check(
            Some("https://{subdomain}.trailspark.ai"),
            None,
            "https://${DESTINATION_SUBDOMAIN}.trailspark.ai",
            &["DESTINATION_SUBDOMAIN"],
        );
        let two = Some("/a/k3y0000000000000000000/b/k4y0000000000000000000");
        let names = ["DESTINATION_PATH_KEY", "DESTINATION_PATH_KEY_2"];
        check(Some("https://h"), two, "https://h/a/${DESTINATION_PATH_KEY}/b/${DESTINATION_PATH_KEY_2}", &names);
    }

    #[test]
    fn liquid_in_an_address_stays_as_it_is() {
        let path = Some(
            "/orgs/{{ row.id | default: 'a/b?c' }}/k3y0000000000000000000?plan={{row.plan}}&api_key=x&{% if row.a %}a=1{% endif %}",
        );
        let url = "https://h/orgs/{{ row.id | default: 'a/b?c' }}/${DESTINATION_PATH_KEY}?plan={{row.plan}}\
                   &api_key=${DESTINATION_API_KEY}&{% if row.a %}a=1{% endif %}";
        check(Some("https://h"), path, url, &["DESTINATION_PATH_KEY", "DESTINATION_API_KEY"]);
        check(Some("https://h"), Some("/{{unclosed"), "https://h/{{unclosed", &[]);
        // Beside a secret, and where only the name looks like one.
        check(
            Some("https://h"),
            Some("/sk_live_0123456789ab-{{row.id}}/{{row.id}}?workspace_key={{row.id}}&token=abc{{row.t}}"),
            "https://h/${DESTINATION_PATH_KEY}{{row.id}}/{{row.id}}?workspace_key={{row.id}}&token=${DESTINATION_TOKEN}{{row.t}}",
            &["DESTINATION_PATH_KEY", "DESTINATION_TOKEN"],
        );
    }

    #[test]
    fn headers_keep_only_what_cannot_be_a_secret() {
        let mut notes = Notes::default();
        let read = read_headers(&json!({
            "X-Api-Secret": "ss_0123456789abcdef",
            "Authorization": "Bearer abc",
            "X-Tenant": "acme",
            "X-Hidden": {"secret": true},
            "X-Trace": "0123456789abcdef0123456789abcdef",
            "Content-Type": "application/json",
            "Idempotency-Key": "{{row.id}}",
            "X-Org": "{{row.id}}",
            "X-Row-Token": "{{row.id}}",
            "X-Mixed": "0123456789abcdef0123 {{row.id}}",
        }));
        let headers = headers(read, &mut notes);
        assert_eq!(headers.api_secret.as_deref(), Some("${TRAILSPARK_API_SECRET}"));
        let others: Vec<(&str, &str)> = headers.others.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(
            others,
            [
                ("Authorization", "Bearer ${DESTINATION_AUTHORIZATION}"),
                ("X-Tenant", "acme"),
                ("X-Hidden", "${DESTINATION_X_HIDDEN}"),
                ("X-Trace", "${DESTINATION_X_TRACE}"),
                ("X-Org", "{{row.id}}"),
            ]
        );
        assert!(notes.lost[0] == "header Idempotency-Key: Nightmark writes it itself", "{:?}", notes.lost);
        assert!(
            notes.lost[1].starts_with("header X-Row-Token: a template") && notes.lost.len() == 3,
            "{:?}",
            notes.lost
        );
        let listed = read_headers(&json!([
            {"key": "X-A", "value": "b", "isSecret": true}, {"X-B": "c"}, {"value": "nameless", "type": "x"},
        ]));
        let plain = |name: &str, value: &str| Header { name: name.into(), value: Some(value.into()), is_secret: false };
        assert_eq!(listed[0], Header { name: "X-A".into(), value: Some("b".into()), is_secret: true });
        assert_eq!(listed[1..], [plain("X-B", "c"), plain("", "nameless")]);
        let mut notes = Notes::default();
        super::headers(vec![plain("", "nameless")], &mut notes);
        assert_eq!(notes.lost, ["a header whose name was not found"]);
    }

    #[test]
    fn keys_in_bodies_are_found() {
        assert!(holds_secret("{\"id\": {{row.id}}, \"auth\": \"sk_live_0123456789ab\"}"));
        assert!(!holds_secret("{\"id\": \"{{ row.a_long_column_name_1 | default: 'x' }}\", \"plan\": \"pro\"}"));
    }

    #[test]
    fn names_of_variables() {
        for (text, name) in [("apiKey", "API_KEY"), ("x-api-key", "X_API_KEY"), ("API_KEY", "API_KEY"), ("a.b", "A_B")]
        {
            assert_eq!(environment_name(text), name);
        }
    }
}
