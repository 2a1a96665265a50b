//! What JavaScript means by white space, by the length of a string and by its order.

use std::cmp::Ordering;

/// White space and line ends of JavaScript: Unicode's, without U+0085, with the byte order mark.
pub(super) fn is_space(c: char) -> bool {
    (c.is_whitespace() && c != '\u{85}') || c == '\u{feff}'
}

pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// Length in UTF-16 units.
pub(super) fn length(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().map(char::len_utf16).sum() }
}

/// Order by UTF-16 units.
pub(super) fn order(a: &str, b: &str) -> Ordering {
    a.encode_utf16().cmp(b.encode_utf16())
}

/// The first `count` characters and the rest.
pub(super) fn split_at_char(text: &str, count: usize) -> (&str, &str) {
    let at = text.char_indices().nth(count).map_or(text.len(), |(at, _)| at);
    text.split_at(at)
}

/// The pieces between runs of white space, also the empty ones at the ends (`text.split(/\s+/)`).
pub(super) fn split_spaces(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(is_space) {
        out.push(&rest[..at]);
        rest = rest[at..].trim_start_matches(is_space);
    }
    out.push(rest);
    out
}
