//! A template as pieces: text, outputs `{{ … }}` and tags `{% … %}`, with white space taken away where a `-` asks for it.
//!
//! Follows LiquidJS: a quoted `}}` does not end an output, a quoted `%}` does end a tag, and a `-` takes all white space up
//! to the next other character, line ends included.

use super::text::is_space;
use std::ops::Range;

/// A stretch of the template. Offsets are in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) kind: PieceKind,
    /// Where it begins, with its delimiter.
    pub(super) at: usize,
    /// The text that comes out, or what stands between the delimiters without dashes and white space.
    pub(super) inner: Range<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PieceKind {
    /// Comes out as it is; also the body of `{% raw %}`.
    Text,
    Output,
    Tag,
}

/// The pieces, and where a `{{`, `{%` or `{% raw %}` stands that nothing closes; the pieces end before it.
pub(super) fn pieces(template: &str) -> (Vec<Piece>, Option<usize>) {
    let mut lexer = Lexer { template, out: Vec::new(), trim: false };
    let mut at = 0;
    while at < template.len() {
        let open = next_open(template, at);
        lexer.text(at..open);
        if open == template.len() {
            break;
        }
        at = match lexer.delimited(open) {
            Some(end) => end,
            None => return (lexer.out, Some(open)),
        };
        if lexer.out.last().is_some_and(|piece| word(template, piece) == Some("raw")) {
            match end_of_raw(template, at) {
                Some((body, end)) => {
                    lexer.trim = template[body..end].ends_with("-%}");
                    lexer.out.push(Piece { kind: PieceKind::Text, at, inner: at..body });
                    at = end;
                }
                None => return (lexer.out, Some(open)),
            }
        }
    }
    (lexer.out, None)
}

/// The name of a tag; `#` for a comment.
pub(super) fn word<'t>(template: &'t str, piece: &Piece) -> Option<&'t str> {
    let inner = &template[piece.inner.clone()];
    match piece.kind {
        PieceKind::Tag if inner.starts_with('#') => Some("#"),
        PieceKind::Tag => Some(&inner[..inner.find(|c| !is_word(c)).unwrap_or(inner.len())]),
        _ => None,
    }
}

/// Whether names can have the character.
pub(super) fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '?') || (!c.is_ascii() && !is_space(c) && !"“”".contains(c))
}

/// Line and column of a byte offset, both from 1, the column in characters.
pub(super) fn line_column(template: &str, offset: usize) -> (usize, usize) {
    let before = template.get(..offset).unwrap_or(template);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

struct Lexer<'t> {
    template: &'t str,
    out: Vec<Piece>,
    /// The last delimiter takes the white space that follows.
    trim: bool,
}

impl Lexer<'_> {
    fn text(&mut self, span: Range<usize>) {
        let text = &self.template[span.clone()];
        let from = if self.trim { span.end - text.trim_start_matches(is_space).len() } else { span.start };
        self.trim = false;
        if from < span.end {
            self.out.push(Piece { kind: PieceKind::Text, at: from, inner: from..span.end });
        }
    }

    /// Reads the output or tag that opens at `open` and says where it ends; `None` if it never does.
    fn delimited(&mut self, open: usize) -> Option<usize> {
        let output = self.template[open..].starts_with("{{");
        let close = close_of(self.template, open + 2, output)?;
        let inside = &self.template[open + 2..close];
        let left = inside.starts_with('-');
        let right = inside.len() > usize::from(left) && inside.ends_with('-');
        let inner = &inside[usize::from(left)..inside.len() - usize::from(right)];
        let start = open + 2 + usize::from(left) + (inner.len() - inner.trim_start_matches(is_space).len());
        let inner = start..start + inner.trim_matches(is_space).len();
        if left && let Some(last) = self.out.last_mut().filter(|piece| piece.kind == PieceKind::Text) {
            let kept = self.template[last.inner.clone()].trim_end_matches(is_space).len();
            last.inner.end = last.inner.start + kept;
        }
        let kind = if output { PieceKind::Output } else { PieceKind::Tag };
        self.trim = right;
        self.out.push(Piece { kind, at: open, inner });
        Some(close + 2)
    }
}

fn next_open(template: &str, from: usize) -> usize {
    let found = memchr::memchr_iter(b'{', &template.as_bytes()[from..])
        .map(|at| from + at)
        .find(|at| matches!(template.as_bytes().get(at + 1), Some(b'{' | b'%')));
    found.unwrap_or(template.len())
}

/// Where the closing delimiter begins.
fn close_of(template: &str, from: usize, output: bool) -> Option<usize> {
    let bytes = template.as_bytes();
    let (mut at, mut quote) = (from, None);
    while at < bytes.len() {
        match (quote, bytes[at]) {
            (Some(_), b'\\') => at += 1,
            (Some(open), byte) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, byte @ (b'"' | b'\'')) if output => quote = Some(byte),
            (None, b'}') if output && bytes.get(at + 1) == Some(&b'}') => return Some(at),
            (None, b'%') if !output && bytes.get(at + 1) == Some(&b'}') => return Some(at),
            (None, _) => {}
        }
        at += 1;
    }
    None
}

/// Where the body of `{% raw %}` ends, and where its end tag does.
fn end_of_raw(template: &str, from: usize) -> Option<(usize, usize)> {
    let mut at = from;
    loop {
        let open = at + template[at..].find("{%")?;
        let inside = template[open + 2..].trim_start_matches('-').trim_start_matches(is_space);
        if let Some(rest) = inside.strip_prefix("endraw")
            && !rest.starts_with(|c: char| is_word(c) && c != '-')
        {
            return Some((open, template.len() - rest.len() + rest.find("%}")? + 2));
        }
        at = open + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `t` text, `o` output, `g` tag; what nothing closes is `!`.
    fn check(template: &str, expected: &[(char, &str)]) {
        let (pieces, unclosed) = pieces(template);
        let shown = pieces.iter().map(|piece| {
            let kind = match piece.kind {
                PieceKind::Text => 't',
                PieceKind::Output => 'o',
                PieceKind::Tag => 'g',
            };
            (kind, &template[piece.inner.clone()])
        });
        let all: Vec<_> = shown.chain(unclosed.map(|at| ('!', &template[at..at + 2]))).collect();
        assert_eq!(all, expected, "{template}");
    }

    #[test]
    fn templates_are_cut_at_their_braces() {
        check("", &[]);
        check("a{{ x }}b", &[('t', "a"), ('o', "x"), ('t', "b")]);
        check(r#"{{ x | d: "}}" }}"#, &[('o', r#"x | d: "}}""#)]);
        check(r#"{{ x | d: '\'}}' }}é"#, &[('o', r"x | d: '\'}}'"), ('t', "é")]);
        check("{% # don't %}", &[('g', "# don't")]);
        check("{ {{a}}}", &[('t', "{ "), ('o', "a"), ('t', "}")]);
        check("a{{ x", &[('t', "a"), ('!', "{{")]);
        check("{{ a }}{% x }}", &[('o', "a"), ('!', "{%")]);
    }

    #[test]
    fn dashes_take_white_space() {
        check(" \n {{- x -}} \n a ", &[('t', ""), ('o', "x"), ('t', "a ")]);
        check("a {{-1-}} b", &[('t', "a"), ('o', "1"), ('t', "b")]);
        check("{{a -}} {{- b}}", &[('o', "a"), ('o', "b")]);
    }

    #[test]
    fn raw_is_text() {
        check("{% raw %}{{ a }}{% endraw %}b", &[('g', "raw"), ('t', "{{ a }}"), ('t', "b")]);
        check("{% raw -%} {{ {%- endraw -%} b", &[('g', "raw"), ('t', " {{ "), ('t', "b")]);
        check("{% raw %}{{ a", &[('g', "raw"), ('!', "{%")]);
    }
}
