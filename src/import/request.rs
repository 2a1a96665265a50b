//! One request of a sync: where it goes, what it says. Hightouch does not document how Git Sync names these fields; all of
//! the names below are tolerated, none is promised.

use super::Notes;
use super::bag::Bag;
use super::secrets::{Header, read_headers};
use serde_json::Value;

/// A request as far as it is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Request {
    /// A path below the base URL, or a whole URL.
    pub(super) url: Option<String>,
    pub(super) base: Option<String>,
    pub(super) method: Option<String>,
    pub(super) headers: Vec<Header>,
    /// The JSON editor's text.
    pub(super) body: Option<String>,
    /// Whether it is sent as a form.
    pub(super) is_form: bool,
}

impl Request {
    /// What is not said here is as in `other`.
    pub(super) fn or(self, other: &Request) -> Request {
        let mut headers = self.headers;
        let new = |header: &&Header| !headers.iter().any(|known| known.name.eq_ignore_ascii_case(&header.name));
        let more: Vec<Header> = other.headers.iter().filter(new).cloned().collect();
        headers.extend(more);
        Request {
            url: self.url.or_else(|| other.url.clone()),
            base: self.base.or_else(|| other.base.clone()),
            method: self.method.or_else(|| other.method.clone()),
            headers,
            body: self.body.or_else(|| other.body.clone()),
            is_form: self.is_form || other.is_form,
        }
    }

    /// In capital letters; POST if it is not said.
    pub(super) fn method(&self) -> String {
        self.method.as_deref().unwrap_or("POST").to_uppercase()
    }
}

/// Takes a request's fields out of a table.
pub(super) fn take(bag: &mut Bag, notes: &mut Notes) -> Request {
    let mut request = Request {
        base: bag.text(&["baseurl", "host"]),
        url: bag.text(&["url", "path", "endpoint", "endpointpath", "urlpath", "requesturl", "endpointurl"]),
        method: bag.text(&["method", "httpmethod", "requestmethod"]),
        ..Request::default()
    };
    for names in [["headers"], ["httpheaders"], ["customheaders"], ["requestheaders"]] {
        let table = bag.bag(&names).map(|table| Value::Object(table.into_fields()));
        if let Some(headers) = table.or_else(|| bag.list(&names).map(Value::Array)) {
            request.headers.extend(read_headers(&headers));
        }
    }
    let encoding = bag.text(&["contenttype", "bodytype", "payloadtype", "encoding", "format"]);
    request.is_form = encoding.iter().any(|encoding| is_form(encoding, notes));
    request.body = body(bag, &mut request.is_form, notes);
    batches(bag, notes);
    request
}

/// A form is one; what is neither a form nor JSON cannot be sent.
fn is_form(encoding: &str, notes: &mut Notes) -> bool {
    let encoding = encoding.to_lowercase();
    if encoding.contains("form") {
        return true;
    }
    if !encoding.contains("json") && encoding != "none" {
        notes.lost(format!("the body's format `{}`: the job sends JSON", shown(&encoding)));
    }
    false
}

const BODY: [&str; 13] = [
    "body",
    "template",
    "json",
    "jsontemplate",
    "jsonbody",
    "jsonpayload",
    "payload",
    "payloadtemplate",
    "bodytemplate",
    "requestbody",
    "content",
    "value",
    "liquid",
];

/// The body's text: as a text, in a table with its kind, or as the JSON itself.
fn body(bag: &mut Bag, form: &mut bool, notes: &mut Notes) -> Option<String> {
    if let Some(text) = bag.text(&BODY) {
        return Some(text);
    }
    if let Some(mut inner) = bag.bag(&BODY) {
        let is_wrapped = BODY.iter().any(|name| inner.has(name)) && (inner.has("type") || inner.has("contenttype"));
        if is_wrapped {
            let kind = inner.text(&["type", "contenttype", "format"]);
            *form |= kind.iter().any(|kind| is_form(kind, notes));
            let text = body(&mut inner, form, notes);
            inner.tell_rest(notes);
            return text;
        }
        notes.changed("the body is written as fields, not as text: placeholders in it stand in quotes and yield texts");
        return serde_json::to_string_pretty(&Value::Object(inner.into_fields())).ok();
    }
    None
}

fn batches(bag: &mut Bag, notes: &mut Notes) {
    let size = bag.number(&["batchsize", "rowsperrequest", "maxbatchsize"]);
    let is_on = bag.flag(&["batch", "batching", "batchrequests", "batchenabled", "usebatching"]);
    let (mut on, mut size) = (is_on, size);
    if let Some(mut inner) = bag.bag(&["batch", "batching"]) {
        on = inner.flag(&["enabled"]).or(on);
        size = inner.number(&["size", "batchsize", "rows", "quantity"]).or(size);
        inner.tell_rest(notes);
    }
    if on == Some(true) || (on.is_none() && size.is_some_and(|size| size > 1.0)) {
        notes.lost(
            "batches: the job sends one request per row; a template over `rows` has to be rewritten for `row`, and `batch` of \
             [destination] then sends several of them in one list",
        );
    }
}

/// Text of the file that is told: at most 40 characters, and none that could repaint a terminal.
pub(super) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}
