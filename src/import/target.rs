//! `[destination]` and `[payload]`: where requests go and what they say, for all triggers or for each.

use super::model::Model;
use super::request::{Request, shown};
use super::secrets::{self, TRAILSPARK};
use super::sync::{Sync, Trigger};
use super::toml::{block, comment, quoted};
use super::{Notes, Wishes};
use std::fmt::Write as _;

const METHODS: [&str; 5] = ["POST", "PUT", "PATCH", "DELETE", "GET"];

/// What one trigger sends.
struct Sent {
    trigger: Trigger,
    method: String,
    /// As it stands in the job file.
    url: String,
    /// `None`: it has none.
    body: Option<String>,
}

impl Sent {
    fn of(trigger: Trigger, request: &Request, wishes: &Wishes, notes: &mut Notes) -> Sent {
        let name = trigger.as_str();
        let mut method = request.method();
        if !METHODS.contains(&method.as_str()) {
            notes.lost(format!("rows {name}: the method {}; the job sends POST", shown(&method)));
            method = "POST".to_owned();
        }
        let base = wishes.base_url.as_deref().or(request.base.as_deref());
        let path = request.url.as_deref();
        let url = secrets::address(base, path, notes);
        let mut body = request.body.as_ref().map(|body| body.trim_end().to_owned());
        if method == "GET" && body.take().is_some() {
            notes.lost(format!("rows {name}: the body, since a GET has none"));
        }
        Sent { trigger, method, url, body }
    }

    /// Whether the body of [payload] is sent: a DELETE has only one of its own.
    fn takes_usual(&self) -> bool {
        !matches!(self.method.as_str(), "GET" | "DELETE")
    }
}

/// Writes both sections.
pub(super) fn write(model: &Model, sync: &Sync, wishes: &Wishes, notes: &mut Notes, out: &mut String) {
    let triggers: Vec<Trigger> = match sync.requests.is_empty() {
        true => vec![Trigger::Added, Trigger::Changed],
        false => sync.requests.keys().copied().collect(),
    };
    let request = |trigger: &Trigger| sync.requests.get(trigger).cloned().unwrap_or_default().or(&sync.common);
    let requests: Vec<Request> = triggers.iter().map(request).collect();
    if requests.iter().all(|request| request.url.is_none()) {
        notes.todo("the sync's endpoint path was not found: complete the address");
    }
    let each = triggers.iter().zip(&requests);
    let sent: Vec<Sent> = each.map(|(trigger, request)| Sent::of(*trigger, request, wishes, notes)).collect();
    // What most rows are is what holds for all; a trigger that differs has tables of its own.
    let order = [Trigger::Changed, Trigger::Added, Trigger::Removed];
    let find =
        |fits: &dyn Fn(&Sent) -> bool| order.iter().find_map(|of| sent.iter().find(|s| s.trigger == *of && fits(s)));
    let Some(usual) = find(&|s| s.takes_usual()).or_else(|| find(&|_| true)) else { return };
    let is_form = requests.iter().any(|request| request.is_form);
    if requests.windows(2).any(|pair| pair[0].headers != pair[1].headers) {
        notes.todo("the triggers have headers of their own, and a job has the same for all: look through [destination.headers]");
    }
    let headers = requests.into_iter().fold(Request::default(), |all, request| all.or(&request)).headers;
    let headers = secrets::headers(headers, notes);
    let uniform = sent.iter().all(|s| s.method == "POST" && s.url == usual.url && s.body == usual.body);
    let trailspark = trailspark_base(&usual.url).filter(|_| uniform && !is_form);
    let _ = writeln!(out, "\n[destination]");
    match &trailspark {
        Some(base) => trailspark_kind(base, out),
        None => http_kind(usual, is_form, out),
    }
    if let Some(secret) = &headers.api_secret {
        let _ = writeln!(out, "secret = {}", quoted(secret));
    }
    limits(sync, out);
    if !headers.others.is_empty() {
        let _ = writeln!(out, "\n[destination.headers]");
        headers.others.iter().for_each(|(name, value)| {
            let _ = writeln!(out, "{} = {}", quoted(name), quoted(value));
        });
    }
    if headers.api_secret.is_none() && headers.others.is_empty() {
        let told = "if the API key has a secret, or Hightouch's destination has headers, add `secret` or `[destination.headers]`";
        notes.todo(told);
    }
    sent.iter().for_each(|own| route(own, usual, out));
    payload(model, sync, &sent, usual, notes, out);
    if usual.url.contains(TRAILSPARK) {
        conforms_to(notes, out);
    }
}

/// What stands before the webhook's path, if the address is TrailSpark's or speaks like it.
fn trailspark_base(url: &str) -> Option<String> {
    let base = url.strip_suffix("${TRAILSPARK_API_KEY}")?.strip_suffix(TRAILSPARK)?;
    Some(base.to_owned())
}

fn trailspark_kind(base: &str, out: &mut String) {
    let _ = writeln!(out, "kind = \"trailspark\"");
    let label = base.strip_prefix("https://").and_then(|host| host.strip_suffix(".trailspark.ai"));
    let _ = match label.filter(|label| !label.is_empty() && !label.contains('.')) {
        Some(label) => writeln!(out, "subdomain = {}", quoted(label)),
        None => writeln!(out, "base_url = {}", quoted(base)),
    };
    let _ = writeln!(out, "key = \"${{TRAILSPARK_API_KEY}}\"");
}

fn http_kind(usual: &Sent, is_form: bool, out: &mut String) {
    let _ = writeln!(out, "kind = \"http\"\nurl = {}", quoted(&usual.url));
    if usual.method != "POST" {
        let _ = writeln!(out, "method = {}", quoted(&usual.method));
    }
    if is_form {
        let _ = writeln!(out, "format = \"form\"");
    }
}

/// The method and address of a trigger, where they are others.
fn route(own: &Sent, usual: &Sent, out: &mut String) {
    let url = Some(&own.url).filter(|url| **url != usual.url);
    if own.method == usual.method && url.is_none() {
        return;
    }
    let _ = writeln!(out, "\n[destination.{}]", own.trigger.as_str());
    if own.method != usual.method {
        let _ = writeln!(out, "method = {}", quoted(&own.method));
    }
    if let Some(url) = url {
        let _ = writeln!(out, "url = {}", quoted(url));
    }
}

fn limits(sync: &Sync, out: &mut String) {
    if let Some(rate) = &sync.rate {
        let _ = writeln!(out, "rate = {}", quoted(rate));
    }
    if let Some(concurrency) = sync.concurrency {
        let _ = writeln!(out, "concurrency = {concurrency}");
    }
    if let Some(retries) = sync.retries {
        let _ = writeln!(out, "retry = {{ attempts = {} }}", retries + 1);
    }
    if let Some(seconds) = sync.timeout {
        let millis = (seconds * 1000.0).clamp(1.0, 86_400_000.0) as u64;
        let timeout = if millis.is_multiple_of(1000) { format!("{}s", millis / 1000) } else { format!("{millis}ms") };
        let _ = writeln!(out, "timeout = {}", quoted(&timeout));
    }
}

fn payload(model: &Model, sync: &Sync, sent: &[Sent], usual: &Sent, notes: &mut Notes, out: &mut String) {
    let takes_usual = |s: &Sent| s.takes_usual() && (s.body.is_none() || s.body == usual.body);
    if sent.iter().any(takes_usual) {
        let _ = writeln!(out, "\n[payload]");
        match &usual.body {
            Some(body) => {
                let _ = writeln!(out, "template = {}", block(body));
            }
            None => preset(model, sync, sent, notes, out),
        }
    }
    if sent.iter().filter_map(|s| s.body.as_deref()).any(secrets::holds_secret) {
        notes.todo("the template holds a text that looks like a key: take it out, or keep the job file as secret as the key is");
    }
    for own in sent.iter().filter(|s| s.method != "GET" && !takes_usual(s)) {
        if let Some(body) = &own.body {
            let _ = writeln!(out, "\n[payload.{}]\ntemplate = {}", own.trigger.as_str(), block(body));
        }
    }
}

/// A body for a sync that maps columns, or whose template was not found.
fn preset(model: &Model, sync: &Sync, sent: &[Sent], notes: &mut Notes, out: &mut String) {
    if sync.mappings.is_empty() {
        notes.todo("the JSON template was not found: the body has every column under its own name; see `payload`");
    }
    // A preset cannot say that an org is gone, unless the request does.
    let usual = sent.first();
    let by_body = sent.iter().any(|s| {
        let has_route = usual.is_some_and(|usual| usual.method != s.method || usual.url != s.url);
        s.trigger == Trigger::Removed && s.takes_usual() && !has_route
    });
    if by_body {
        notes.todo("rows removed: the body says so by `op`; make of it what the destination understands");
        let mut fields: Vec<(String, String)> = sync.mappings.clone();
        if fields.is_empty() {
            fields = model.key.iter().map(|column| (column.clone(), column.clone())).collect();
        }
        let members = fields.iter().map(|(to, from)| format!("  {}: {{{{row.{from}}}}}", serde_json::json!(to)));
        let members: Vec<String> = members.chain(["  \"op\": {{op}}".to_owned()]).collect();
        let _ = writeln!(out, "template = {}", block(&format!("{{\n{}\n}}", members.join(",\n"))));
        return;
    }
    let _ = writeln!(out, "preset = \"flat\"");
    if !sync.mappings.is_empty() {
        let _ = writeln!(out, "\n[payload.fields]");
        sync.mappings.iter().for_each(|(to, from)| {
            let _ = writeln!(out, "{} = {}", quoted(to), quoted(from));
        });
    }
}

fn conforms_to(notes: &mut Notes, out: &mut String) {
    notes.todo("[payload.conforms_to]: say what the payload template of the API key is, and no body that it would refuse is sent");
    out.push('\n');
    comment("What the payload template of the API key says; with it, bodies are checked before they are sent:", out);
    let _ = writeln!(out, "# [payload.conforms_to]\n# preset = \"hightouch\"");
}
