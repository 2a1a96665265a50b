//! The ways in which a text may come back in another text: as it is, percent-encoded, as the inside of a JSON string, in
//! HTML, each sign in a way of its own, or in base64. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use std::fmt::Write as _;

/// How the beginning of a text compares with a needle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spelled {
    /// So many bytes of the text spell the needle.
    Whole(usize),
    /// The text ends after so many signs of the needle.
    Begun(usize),
    /// Something else.
    Not,
}

/// Compares the beginning of `text` with `needle`.
pub(crate) fn spelled(text: &str, needle: &str) -> Spelled {
    if text.starts_with(needle) {
        return Spelled::Whole(needle.len());
    }
    let mut at = 0;
    for (count, sign) in needle.chars().enumerate() {
        let rest = &text[at..];
        match one(rest, sign) {
            Some(length) => at += length,
            None if is_cut(rest) => return Spelled::Begun(count),
            None => return Spelled::Not,
        }
    }
    Spelled::Whole(at)
}

/// How many bytes at the beginning of `text` stand for `sign`. The longer forms first: `%25` is one sign, not three.
fn one(text: &str, sign: char) -> Option<usize> {
    let escaped = match text.as_bytes().first()? {
        b'%' => percent(text, sign),
        b'\\' => json(text, sign),
        b'&' => html(text, sign),
        b'+' if sign == ' ' => Some(1),
        _ => None,
    };
    escaped.or_else(|| text.starts_with(sign).then(|| sign.len_utf8()))
}

fn percent(text: &str, sign: char) -> Option<usize> {
    let mut utf8 = [0; 4];
    let bytes = sign.encode_utf8(&mut utf8).as_bytes();
    let is = |(triple, byte): (&[u8], &u8)| triple[0] == b'%' && hex(&triple[1..]) == Some(u32::from(*byte));
    let triples = text.as_bytes().get(..bytes.len() * 3)?.chunks(3);
    triples.zip(bytes).all(is).then_some(bytes.len() * 3)
}

/// `\"`, `\\`, `\/` and `\u0022`; beyond 16 bits two of these.
fn json(text: &str, sign: char) -> Option<usize> {
    if matches!(sign, '"' | '\\' | '/') && text[1..].starts_with(sign) {
        return Some(2);
    }
    let mut utf16 = [0; 2];
    let units = sign.encode_utf16(&mut utf16);
    let is = |(six, unit): (&[u8], &u16)| six.starts_with(b"\\u") && hex(&six[2..]) == Some(u32::from(*unit));
    let sixes = text.as_bytes().get(..units.len() * 6)?.chunks(6);
    sixes.zip(units.iter()).all(is).then_some(units.len() * 6)
}

/// `&amp;` and its kind, `&#38;`, `&#x26;`.
fn html(text: &str, sign: char) -> Option<usize> {
    // The longest of interest is `&#x10FFFF;`: a text full of `&` must not be searched to its end for each.
    let end = text.bytes().take(10).position(|b| b == b';')?;
    let name = &text[1..end];
    let stands_for = match name.strip_prefix('#') {
        Some(number) => match number.strip_prefix(['x', 'X']) {
            Some(digits) => hex(digits.as_bytes()),
            None => number.parse().ok(),
        },
        None => match name {
            "amp" => Some(u32::from('&')),
            "lt" => Some(u32::from('<')),
            "gt" => Some(u32::from('>')),
            "quot" => Some(u32::from('"')),
            "apos" => Some(u32::from('\'')),
            _ => None,
        },
    };
    (stands_for == Some(u32::from(sign))).then_some(name.len() + 2)
}

fn hex(digits: &[u8]) -> Option<u32> {
    let is_hex = !digits.is_empty() && digits.len() <= 8 && digits.iter().all(u8::is_ascii_hexdigit);
    std::str::from_utf8(digits).ok().filter(|_| is_hex).and_then(|digits| u32::from_str_radix(digits, 16).ok())
}

/// Whether the text ends here, perhaps within an escaped sign.
fn is_cut(rest: &str) -> bool {
    rest.is_empty() || (rest.len() < 12 && rest.starts_with(['%', '\\']))
}

/// What of the base64 form of a longer text shows that `text` stands in it, at any of the three offsets and in both
/// alphabets.
pub(crate) fn in_base64(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    for offset in 0..3 {
        let bytes = [&vec![0; offset], text.as_bytes()].concat();
        // Characters that hold bits of what stands before or behind are not known.
        let (first, end) = ((offset * 8).div_ceil(6), bytes.len() * 8 / 6);
        for alphabet in [STANDARD, URL_SAFE] {
            all.push(alphabet.encode(&bytes)[first..end.max(first)].to_owned());
        }
    }
    all
}

/// With every sign percent-encoded but letters and digits.
pub(crate) fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => out.push(char::from(byte)),
            // Writing to a string does not fail.
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_needle_in_every_spelling() {
        for (text, needle, expected) in [
            ("abc", "abc", Spelled::Whole(3)),
            ("abcd", "abc", Spelled::Whole(3)),
            ("abd", "abc", Spelled::Not),
            ("ab", "abc", Spelled::Begun(2)),
            ("a%2Fb", "a/b", Spelled::Whole(5)),
            ("a%2fb", "a/b", Spelled::Whole(5)),
            ("a%2", "a/b", Spelled::Begun(1)),
            ("%61%62c", "abc", Spelled::Whole(7)),
            ("%C3%a4", "ä", Spelled::Whole(6)),
            ("a%25b", "a%b", Spelled::Whole(5)),
            ("a%25b", "a%25b", Spelled::Whole(5)),
            ("a%zzb", "a%zzb", Spelled::Whole(5)),
            ("a+b", "a b", Spelled::Whole(3)),
            (r#"a\"b"#, "a\"b", Spelled::Whole(4)),
            (r"a\\b", r"a\b", Spelled::Whole(4)),
            (r"a\/b", "a/b", Spelled::Whole(4)),
            (r"a\u002Fb", "a/b", Spelled::Whole(8)),
            (r"\ud83d\ude00!", "😀", Spelled::Whole(12)),
            (r"a\u00", "a/b", Spelled::Begun(1)),
            ("a&amp;&lt;&gt;&quot;&#39;&#x2F;", "a&<>\"'/", Spelled::Whole(31)),
            ("a&b", "a&b", Spelled::Whole(3)),
            ("a%2F&amp;\\\"", "a/&\"", Spelled::Whole(11)),
            ("a+ä", "a%2Bä", Spelled::Not),
            ("%+1 and more text", "\u{1}", Spelled::Not),
        ] {
            assert_eq!(spelled(text, needle), expected, "{text} {needle}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_compared_without_a_panic(text in any::<String>(), needle in any::<String>()) {
            let _ = spelled(&text, &needle);
            for form in [needle.clone(), percent_encoded(&needle), serde_json::Value::from(needle.as_str()).to_string()] {
                let inside = form.strip_prefix('"').and_then(|f| f.strip_suffix('"')).filter(|_| form != needle);
                let inside = inside.unwrap_or(&form);
                // JSON has short forms for control signs; those never get as far as this.
                if !needle.chars().any(char::is_control) {
                    let spelled = spelled(&format!("{inside}{text}"), &needle);
                    prop_assert!(matches!(spelled, Spelled::Whole(length) if length <= inside.len()), "{inside}: {spelled:?}");
                }
            }
        }
    }
}
