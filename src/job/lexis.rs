//! The parts of a SQL text: code, what stands in quotes, comments. Pure.
//!
//! As all databases have them: `'…'` and `"…"` and `` `…` `` (a doubled quote is one of its own), `-- …` to the end of the line, `/* … */`. What single
//! databases have besides (backslashes before quotes, `$$ … $$`, `#`) is taken for what it looks like.

use std::ops::Range;

/// What a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Anything else.
    Code,
    /// In quotes, these included.
    Quoted,
    /// A comment, with its line break.
    Comment,
}

/// The parts, without a gap, in order.
pub(crate) fn parts(sql: &str) -> Vec<(Kind, Range<usize>)> {
    let mut parts: Vec<(Kind, Range<usize>)> = Vec::new();
    let mut at = 0;
    while at < sql.len() {
        let rest = &sql[at..];
        let (kind, length) = match rest.as_bytes() {
            [quote @ (b'\'' | b'"' | b'`'), ..] => (Kind::Quoted, end(rest, 1, char::from(*quote))),
            [b'-', b'-', ..] => (Kind::Comment, rest.find('\n').map_or(rest.len(), |end| end + 1)),
            [b'/', b'*', ..] => (Kind::Comment, rest[2..].find("*/").map_or(rest.len(), |end| end + 4)),
            _ => (Kind::Code, rest.chars().next().map_or(1, char::len_utf8)),
        };
        match parts.last_mut() {
            // Two quoted parts side by side are one with a quote in it.
            Some((last, range)) if *last == kind && kind != Kind::Comment => range.end = at + length,
            _ => parts.push((kind, at..at + length)),
        }
        at += length;
    }
    parts
}

/// The length up to and including the closing quote.
fn end(text: &str, from: usize, quote: char) -> usize {
    text[from..].find(quote).map_or(text.len(), |end| from + end + 1)
}

/// The statement without semicolons at its end, whatever comments follow them, and without a byte order mark before it.
pub(crate) fn statement(sql: &str) -> String {
    let sql = sql.trim_start_matches('\u{feff}').trim();
    let mut statement = sql.to_owned();
    for (kind, range) in parts(sql).into_iter().rev() {
        let part = &sql[range.clone()];
        match kind {
            Kind::Comment => {}
            Kind::Quoted => break,
            Kind::Code => {
                let kept = part.trim_end_matches(|c: char| c == ';' || c.is_whitespace());
                let dropped = &part[kept.len()..];
                statement.replace_range(range.start + kept.len()..range.end, &dropped.replace(';', ""));
                if !kept.is_empty() {
                    break;
                }
            }
        }
    }
    statement.trim_end().to_owned()
}

/// Whether there is nothing but comments.
pub(crate) fn is_empty(sql: &str) -> bool {
    parts(sql).into_iter().all(|(kind, range)| kind == Kind::Comment || sql[range].trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sql: &str, expected: &[(Kind, &str)]) {
        let found: Vec<_> = parts(sql).into_iter().map(|(kind, range)| (kind, &sql[range])).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn code_quotes_and_comments_are_told_apart() {
        use Kind::{Code, Comment, Quoted};
        check("SELECT 'a''b', \"c\"", &[(Code, "SELECT "), (Quoted, "'a''b'"), (Code, ", "), (Quoted, "\"c\"")]);
        check("a -- don't\nb", &[(Code, "a "), (Comment, "-- don't\n"), (Code, "b")]);
        check("a/* ' */b", &[(Code, "a"), (Comment, "/* ' */"), (Code, "b")]);
        check("'-- no' - - 1", &[(Quoted, "'-- no'"), (Code, " - - 1")]);
        check("'open", &[(Quoted, "'open")]);
        check("ä/* open", &[(Code, "ä"), (Comment, "/* open")]);
        check("", &[]);
    }

    #[test]
    fn a_statement_has_no_semicolon_at_its_end() {
        for (sql, expected) in [
            ("SELECT 1;", "SELECT 1"),
            ("\u{feff}SELECT 1 ; ;\n", "SELECT 1"),
            ("SELECT 1; -- the end;\n", "SELECT 1 -- the end;"),
            ("SELECT 1 /* ; */ ; -- a\n ; -- b", "SELECT 1 /* ; */  -- a\n  -- b"),
            ("SELECT ';'", "SELECT ';'"),
            ("SELECT 1; SELECT 2;", "SELECT 1; SELECT 2"),
            (" ; -- nothing\n;", "-- nothing"),
        ] {
            assert_eq!(statement(sql).trim_start(), expected, "{sql:?}");
        }
        assert!(is_empty(&statement("; -- nothing\n;")) && is_empty("/* a */") && !is_empty("''"));
    }
}
