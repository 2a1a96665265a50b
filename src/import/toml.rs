//! TOML as a person writes it.

use std::fmt::Write as _;

/// Comments are cut so that the file reads well beside code.
const WIDTH: usize = 110;

/// A TOML string.
pub(crate) fn quoted(text: &str) -> String {
    ::toml::Value::from(text).to_string()
}

/// A TOML string of several lines, as it is written; with escapes only where it has to.
pub(super) fn block(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let plain = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    match text.contains("'''") || text.ends_with('\'') || !text.chars().all(plain) {
        true => quoted(&text),
        false => format!("'''\n{text}\n'''"),
    }
}

/// A comment of as many lines as it needs.
pub(crate) fn comment(text: &str, out: &mut String) {
    let mut line = "#".to_owned();
    for word in text.split_whitespace() {
        if line.len() > 1 && line.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(out, "{line}");
            line = "#  ".to_owned();
        }
        let _ = write!(line, " {word}");
    }
    let _ = writeln!(out, "{line}");
}

pub(super) fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// Whether `word` stands in `text`, and not as a part of a longer name.
pub(super) fn has_word(text: &str, word: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let (before, after) = (text[..at].chars().next_back(), text[at + word.len()..].chars().next());
        !before.is_some_and(inside) && !after.is_some_and(inside)
    })
}
