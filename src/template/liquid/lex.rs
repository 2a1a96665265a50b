//! A Liquid template as pieces of text, expressions and tags, and an expression as tokens.
//!
//! This follows the grammar of the `liquid` crate where braces, quotes and whitespace marks are concerned; what it
//! cannot read it leaves as text, since that crate's own parser then reports it.

use std::ops::Range;

/// A stretch of the template. Spans are byte offsets; together they cover the whole text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) kind: PieceKind,
    /// All of it, delimiters included.
    pub(super) span: Range<usize>,
    /// What stands between the delimiters, without whitespace marks.
    pub(super) inner: Range<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PieceKind {
    /// Comes out as it is; also the body of `{% raw %}`.
    Text,
    /// `{{ … }}`
    Expression,
    /// `{% … %}`
    Tag,
    /// The body of `{% comment %}`.
    Comment,
}

/// Cuts a template into pieces.
pub(super) fn pieces(template: &str) -> Vec<Piece> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < template.len() {
        let start = next_open(template, at);
        push_text(&mut out, at..start);
        let Some(piece) = delimited(template, start) else {
            push_text(&mut out, start..template.len());
            break;
        };
        at = piece.span.end;
        let name = tag_name(template, &piece);
        out.push(piece);
        let body_end = match name.as_deref() {
            Some("raw") => block_end(template, at, "raw", false),
            Some("comment") => block_end(template, at, "comment", true),
            _ => at,
        };
        if name.as_deref() == Some("comment") && body_end > at {
            out.push(Piece { kind: PieceKind::Comment, span: at..body_end, inner: at..body_end });
        } else {
            push_text(&mut out, at..body_end);
        }
        at = body_end;
    }
    out
}

/// The first word of a tag.
pub(super) fn tag_name(template: &str, piece: &Piece) -> Option<String> {
    if piece.kind != PieceKind::Tag {
        return None;
    }
    let word = template[piece.inner.clone()].split_whitespace().next()?;
    Some(word.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next()?.to_owned())
}

/// Where a `{{` or `{%` stands that nothing closes.
pub(super) fn unclosed(template: &str, pieces: &[Piece]) -> Option<usize> {
    let (last, before) = pieces.split_last()?;
    let raw = before.last().is_some_and(|piece| tag_name(template, piece).as_deref() == Some("raw"));
    let text = &template[last.span.clone()];
    let open = last.kind == PieceKind::Text && (text.starts_with("{{") || text.starts_with("{%"));
    (open && !raw).then_some(last.span.start)
}

fn push_text(out: &mut Vec<Piece>, span: Range<usize>) {
    if !span.is_empty() {
        out.push(Piece { kind: PieceKind::Text, span: span.clone(), inner: span });
    }
}

fn next_open(template: &str, from: usize) -> usize {
    let rest = &template[from..];
    let open = [rest.find("{{"), rest.find("{%")].into_iter().flatten().min();
    open.map_or(template.len(), |at| from + at)
}

/// The expression or tag that opens at `start`; `None` if it never closes.
fn delimited(template: &str, start: usize) -> Option<Piece> {
    let (kind, close) =
        if template[start..].starts_with("{{") { (PieceKind::Expression, b"}}") } else { (PieceKind::Tag, b"%}") };
    let bytes = template.as_bytes();
    let inner_start = start + 2 + usize::from(bytes.get(start + 2) == Some(&b'-'));
    let mut quote = None;
    let mut at = inner_start;
    loop {
        let byte = *bytes.get(at)?;
        match quote {
            Some(open) if byte == open => quote = None,
            Some(_) => {}
            None if byte == b'"' || byte == b'\'' => quote = Some(byte),
            None if bytes[at..].starts_with(close) => break,
            None => {}
        }
        at += 1;
    }
    let dash = at > inner_start && bytes[at - 1] == b'-';
    Some(Piece { kind, span: start..at + 2, inner: inner_start..at - usize::from(dash) })
}

/// Where the `{% endNAME %}` of a block begins whose body begins at `from`; the end of the text if there is none.
fn block_end(template: &str, from: usize, name: &str, nests: bool) -> usize {
    let end = format!("end{name}");
    let (mut depth, mut at) = (1, from);
    while let Some(open) = template[at..].find("{%").map(|found| at + found) {
        let Some(piece) = delimited(template, open) else { break };
        match tag_name(template, &piece) {
            Some(tag) if tag == end => depth -= 1,
            Some(tag) if nests && tag == name => depth += 1,
            _ => {}
        }
        if depth == 0 {
            return open;
        }
        at = open + 2;
    }
    template.len()
}

/// A word or sign of an expression, with its byte offset in the template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'t> {
    pub(super) kind: TokenKind<'t>,
    pub(super) at: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind<'t> {
    Name(&'t str),
    /// Without its quotes; Liquid knows no escapes.
    Text(&'t str),
    Number(&'t str),
    Dot,
    Open,
    Close,
    Pipe,
    Colon,
    Comma,
    Other,
}

/// The tokens of what stands between delimiters.
pub(super) fn tokens<'t>(template: &'t str, inner: &Range<usize>) -> Vec<Token<'t>> {
    let text = &template[inner.clone()];
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(next) = text[at..].chars().next() {
        let rest = &text[at..];
        let (kind, length) = match next {
            c if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            '"' | '\'' => match rest[1..].find(next) {
                Some(end) => (TokenKind::Text(&rest[1..=end]), end + 2),
                None => (TokenKind::Other, 1),
            },
            c if c.is_ascii_digit() || (c == '-' && starts_with_digit(&rest[1..])) => {
                let length = number_length(rest);
                (TokenKind::Number(&rest[..length]), length)
            }
            c if c.is_ascii_alphabetic() || c == '_' || c == '-' => {
                let ends = |c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-');
                let length = rest.find(ends).unwrap_or(rest.len());
                (TokenKind::Name(&rest[..length]), length)
            }
            c => (sign(c), c.len_utf8()),
        };
        out.push(Token { kind, at: inner.start + at });
        at += length;
    }
    out
}

fn sign(c: char) -> TokenKind<'static> {
    match c {
        '.' => TokenKind::Dot,
        '[' => TokenKind::Open,
        ']' => TokenKind::Close,
        '|' => TokenKind::Pipe,
        ':' => TokenKind::Colon,
        ',' => TokenKind::Comma,
        _ => TokenKind::Other,
    }
}

fn starts_with_digit(text: &str) -> bool {
    text.bytes().next().is_some_and(|b| b.is_ascii_digit())
}

fn number_length(text: &str) -> usize {
    let digits = |from: usize| text[from..].find(|c: char| !c.is_ascii_digit()).map_or(text.len(), |end| from + end);
    let whole = digits(1);
    match text[whole..].strip_prefix('.') {
        Some(part) if starts_with_digit(part) => digits(whole + 1),
        _ => whole,
    }
}

/// Line and column of a byte offset, both from 1, the column in characters.
pub(super) fn line_column(template: &str, offset: usize) -> (usize, usize) {
    let before = template.get(..offset).unwrap_or(template);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `t` text, `e` expression, `g` tag, `c` comment.
    fn check(template: &str, expected: &[(char, &str)]) {
        let pieces = pieces(template);
        let actual: Vec<_> = pieces
            .iter()
            .map(|piece| {
                let kind = match piece.kind {
                    PieceKind::Text => 't',
                    PieceKind::Expression => 'e',
                    PieceKind::Tag => 'g',
                    PieceKind::Comment => 'c',
                };
                (kind, &template[piece.inner.clone()])
            })
            .collect();
        assert_eq!(actual, expected, "{template}");
        let whole: String = pieces.iter().map(|piece| &template[piece.span.clone()]).collect();
        assert_eq!(whole, template, "the pieces cover the template");
    }

    #[test]
    fn templates_are_cut_at_their_braces() {
        check("", &[]);
        check("a{{ x }}b", &[('t', "a"), ('e', " x "), ('t', "b")]);
        check("{{- x -}}", &[('e', " x ")]);
        check("{{a-}}{%- b -%}", &[('e', "a"), ('g', " b ")]);
        check(r#"{{ x | d: "}}" }}"#, &[('e', r#" x | d: "}}" "#)]);
        check("{{ x | d: '|\"}}' }}é", &[('e', " x | d: '|\"}}' "), ('t', "é")]);
        check("{{ x", &[('t', "{{ x")]);
        check("{% raw %}{{ a }}{% endraw %}b", &[('g', " raw "), ('t', "{{ a }}"), ('g', " endraw "), ('t', "b")]);
        check(
            "{% comment %}{{ a }}{%comment%}{%endcomment%}{% endcomment %}",
            &[('g', " comment "), ('c', "{{ a }}{%comment%}{%endcomment%}"), ('g', " endcomment ")],
        );
        check("{% raw %}{{ a", &[('g', " raw "), ('t', "{{ a")]);
    }
}
