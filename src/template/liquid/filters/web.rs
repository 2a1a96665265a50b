//! Text for HTML and URLs, in base64, and its hashes.

use super::{Filter, filter};
use crate::template::liquid::value::Val;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine, alphabet};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use std::fmt::Write;

pub(super) static FILTERS: [Filter; 11] = [
    filter("base64_decode", 0, 0, |value, _| base64_decode(&value.text()).map(Val::owned)),
    filter("base64_encode", 0, 0, |value, _| Ok(Val::owned(STANDARD.encode(value.text().as_bytes())))),
    filter("cgi_escape", 0, 0, |value, _| Ok(Val::owned(encode(&value.text(), "-_.~")))),
    filter("escape", 0, 0, |value, _| Ok(Val::owned(escape(&value.text())))),
    filter("escape_once", 0, 0, |value, _| Ok(Val::owned(escape(&unescape(&value.text()))))),
    filter("hmac_sha256", 1, 1, |value, args| hmac_sha256(&value.text(), &args.text(0)).map(Val::owned)),
    filter("sha256", 0, 0, |value, _| Ok(Val::owned(hex(&Sha256::digest(value.text().as_bytes()))))),
    filter("strip_html", 0, 0, |value, _| Ok(Val::owned(strip_html(&value.text())))),
    filter("url_decode", 0, 0, |value, _| url_decode(&value.text()).map(Val::owned)),
    filter("url_encode", 0, 0, |value, _| Ok(Val::owned(encode(&value.text(), "-_.!~*'()")))),
    filter("xml_escape", 0, 0, |value, _| Ok(Val::owned(escape(&value.text())))),
];

/// Base64 with or without its `=`, white space between.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// As in JavaScript, what is no UTF-8 becomes U+FFFD.
fn base64_decode(text: &str) -> Result<String, String> {
    let text: String = text.chars().filter(|c| !matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{c}')).collect();
    let bytes = LENIENT.decode(text).map_err(|_| "needs base64".to_owned())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn hmac_sha256(text: &str, key: &str) -> Result<String, String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).map_err(|_| "cannot use the key".to_owned())?;
    mac.update(text.as_bytes());
    Ok(hex(&mac.finalize().into_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

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

/// As in a form: a space is a `+`; `plain`: the signs that stay as they are.
fn encode(text: &str, plain: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            _ if byte.is_ascii_alphanumeric() || plain.as_bytes().contains(&byte) => out.push(char::from(byte)),
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
