//! Text for HTML and URLs.

use super::{Filter, filter};
use crate::template::liquid::value::Val;
use std::fmt::Write;

pub(super) static FILTERS: [Filter; 7] = [
    filter("escape", 0, 0, |value, _| Ok(Val::owned(escape(&value.text())))),
    filter("escape_once", 0, 0, |value, _| Ok(Val::owned(escape(&unescape(&value.text()))))),
    filter("strip_html", 0, 0, |value, _| Ok(Val::owned(strip_html(&value.text())))),
    filter("url_decode", 0, 0, |value, _| url_decode(&value.text()).map(Val::owned)),
    filter("url_encode", 0, 0, |value, _| Ok(Val::owned(url_encode(&value.text())))),
    filter("xml_escape", 0, 0, |value, _| Ok(Val::owned(escape(&value.text())))),
    filter("base64_encode", 0, 0, |value, _| {
        use base64::{Engine, engine::general_purpose::STANDARD};
        Ok(Val::owned(STANDARD.encode(value.text().as_bytes())))
    }),
];

const ENTITIES: [(char, &str); 5] = [('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('"', "&#34;"), ('\'', "&#39;")];

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match ENTITIES.iter().find(|(plain, _)| *plain == c) {
            Some((_, entity)) => out.push_str(entity),
            None => out.push(c),
        }
    }
    out
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let (plain, length) = ENTITIES
            .iter()
            .find(|(_, entity)| rest.starts_with(entity))
            .map_or(('&', 1), |(plain, entity)| (*plain, entity.len()));
        out.push(plain);
        rest = &rest[length..];
    }
    out.push_str(rest);
    out
}

/// Scripts, styles and comments with what is in them, and tags; what is never closed stays.
fn strip_html(text: &str) -> String {
    const BLOCKS: [(&str, &str); 4] = [("<script", "</script>"), ("<style", "</style>"), ("<!--", "-->"), ("<", ">")];
    let mut out = String::with_capacity(text.len());
    let mut unclosed = [false; BLOCKS.len()];
    let mut rest = text;
    while let Some(open) = rest.find('<') {
        out.push_str(&rest[..open]);
        rest = &rest[open..];
        let mut end = None;
        for (at, (start, close)) in BLOCKS.iter().enumerate().filter(|(_, (start, _))| rest.starts_with(start)) {
            // One that was not closed once is not closed further on: looked for again, it would cost the square.
            end = if unclosed[at] {
                None
            } else {
                rest[start.len()..].find(close).map(|e| start.len() + e + close.len())
            };
            if end.is_some() {
                break;
            }
            unclosed[at] = true;
        }
        match end {
            Some(end) => rest = &rest[end..],
            None => break,
        }
    }
    out.push_str(rest);
    out
}

/// As in a form: a space is a `+`.
fn url_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')' => out.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
    out
}

fn url_decode(text: &str) -> Result<String, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16));
                let (high, low) = digit().zip(digit()).ok_or("needs two hexadecimal digits behind each `%`")?;
                out.push((high * 16 + low) as u8);
            }
            other => out.push(other),
        }
    }
    String::from_utf8(out).map_err(|_| "makes no UTF-8 text of the value".to_owned())
}
