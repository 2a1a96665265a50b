//! The names in a template, checked before the first row: columns, variables, filters, tags.

use super::lex::{Piece, PieceKind, Token, TokenKind, line_column, tag_name, tokens};
use crate::row::Schema;
use crate::template::error::suggest;
use crate::template::{Place, TemplateError};
use std::collections::BTreeSet;

/// The names that the row goes by: `record` is what Census calls it.
pub(super) const ROW: [&str; 2] = ["row", "record"];
/// The other variables.
pub(super) const META: [&str; 4] = ["job", "op", "run_at", "message_id"];
const LITERALS: [&str; 6] = ["nil", "null", "true", "false", "empty", "blank"];
const LOOPS: [&str; 1] = ["forloop"];

/// Tags that Liquid has and a payload may not: their output is not made JSON, or they need other files.
const REFUSED: [(&str, &str); 4] = [
    ("cycle", "its output is not made safe for JSON: use {% if %} or {% case %}"),
    ("tablerow", "it makes HTML: use {% for %}"),
    ("include", "there are no other templates: write it out"),
    ("render", "there are no other templates: write it out"),
];

/// What a template refers to.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) problems: Vec<TemplateError>,
    /// Columns that filters, conditions and loops read.
    pub(super) columns: BTreeSet<usize>,
    /// There is a number that the liquid crate's parser panics on.
    pub(super) huge_number: bool,
}

/// What the parser knows.
pub(super) struct Words {
    pub(super) filters: BTreeSet<String>,
    /// Tags, and the ends and inner tags of blocks.
    pub(super) tags: BTreeSet<String>,
}

/// What an expression is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A column alone, perhaps through `json`: it can be written without Liquid's own number types.
    Column { index: usize, json: bool },
    /// Anything else; `json`: its last filter makes it JSON already.
    Other { json: bool },
}

/// Checks every expression and tag.
pub(super) fn check(template: &str, pieces: &[Piece], schema: &Schema, words: &Words) -> Names {
    let mut checker = Checker { template, schema, words, declared: BTreeSet::new(), names: Names::default() };
    for piece in pieces.iter().filter(|p| p.kind == PieceKind::Tag) {
        checker.declare(piece);
    }
    let mut captures = 0_usize;
    for piece in pieces {
        match tag_name(template, piece).as_deref() {
            Some("capture") => captures += 1,
            Some("endcapture") => captures = captures.saturating_sub(1),
            _ => {}
        }
        match piece.kind {
            PieceKind::Expression => checker.expression(piece, captures > 0),
            PieceKind::Tag => checker.tag(piece),
            PieceKind::Text | PieceKind::Comment => {}
        }
    }
    checker.names.problems.sort_by_key(|problem| match problem.place {
        Place::Template { line, column } => (line, column),
        _ => (0, 0),
    });
    checker.names
}

/// What the expression with these tokens is.
pub(super) fn shape(tokens: &[Token<'_>], schema: &Schema) -> Shape {
    use TokenKind::{Close, Dot, Name, Open, Pipe, Text};
    let kinds: Vec<TokenKind<'_>> = tokens.iter().map(|token| token.kind).collect();
    let last_pipe = kinds.iter().rposition(|kind| *kind == Pipe);
    let json = last_pipe.is_some_and(|pipe| kinds.get(pipe + 1) == Some(&Name("json")));
    let path =
        if json && last_pipe == Some(kinds.len().saturating_sub(2)) { &kinds[..kinds.len() - 2] } else { &kinds[..] };
    let column = match path {
        [Name(row), Dot, Name(column)] | [Name(row), Open, Text(column), Close] if ROW.contains(row) => {
            schema.index_of(column)
        }
        _ => None,
    };
    column.map_or(Shape::Other { json }, |index| Shape::Column { index, json })
}

struct Checker<'t> {
    template: &'t str,
    schema: &'t Schema,
    words: &'t Words,
    declared: BTreeSet<&'t str>,
    names: Names,
}

impl<'t> Checker<'t> {
    fn place(&self, at: usize) -> Place {
        let (line, column) = line_column(self.template, at);
        Place::Template { line, column }
    }

    fn problem(&mut self, at: usize, message: String, hint: String) {
        let problem = TemplateError::new(self.place(at), message).hint(hint);
        self.names.problems.push(problem);
    }

    /// Notes the variables that a tag makes.
    fn declare(&mut self, piece: &Piece) {
        let tokens = tokens(self.template, &piece.inner);
        let makes = |tag: &str| ["assign", "capture", "for", "tablerow", "increment", "decrement"].contains(&tag);
        let [Token { kind: TokenKind::Name(tag), .. }, Token { kind: TokenKind::Name(name), at }, ..] = tokens[..]
        else {
            return;
        };
        if !makes(tag) {
            return;
        }
        if ROW.contains(&name) || META.contains(&name) || name == super::context::SLOTS {
            let hint = "choose another name for your variable".to_owned();
            self.problem(at, format!("`{name}` is a name that Nightmark gives"), hint);
        }
        self.declared.insert(name);
    }

    fn expression(&mut self, piece: &Piece, captured: bool) {
        let tokens = tokens(self.template, &piece.inner);
        for (at, token) in tokens.iter().enumerate() {
            let starts_value = match at.checked_sub(1).map(|before| tokens[before].kind) {
                None | Some(TokenKind::Colon | TokenKind::Comma | TokenKind::Open) => true,
                Some(_) => false,
            };
            let keyword = tokens.get(at + 1).is_some_and(|next| next.kind == TokenKind::Colon);
            if let TokenKind::Name(name) = token.kind
                && starts_value
                && !keyword
            {
                self.variable(name, token.at);
            }
        }
        // With `json` it depends on the place, so Liquid gets the column too.
        let direct = !captured && matches!(shape(&tokens, self.schema), Shape::Column { json: false, .. });
        self.references(&tokens, !direct);
    }

    fn tag(&mut self, piece: &Piece) {
        let name = tag_name(self.template, piece).unwrap_or_default();
        if let Some((tag, why)) = REFUSED.iter().find(|(tag, _)| *tag == name) {
            self.problem(piece.span.start, format!("`{{% {tag} %}}` cannot be used in a payload"), (*why).to_owned());
        } else if !name.is_empty() && !self.words.tags.contains(&name) {
            let known =
                self.words.tags.iter().map(String::as_str).filter(|tag| REFUSED.iter().all(|(no, _)| no != tag));
            let hint = match suggest(&name, known.clone()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are: {}", known.collect::<Vec<_>>().join(", ")),
            };
            self.problem(piece.span.start, format!("there is no tag `{name}`"), hint);
        }
        let tokens = tokens(self.template, &piece.inner);
        self.references(&tokens, true);
    }

    fn variable(&mut self, name: &str, at: usize) {
        let known = ROW.into_iter().chain(META).chain(LITERALS).chain(LOOPS);
        if known.clone().any(|k| k == name) || self.declared.contains(name) {
            return;
        }
        let columns = || self.schema.columns.iter().map(|c| c.name.as_str());
        let hint = if columns().any(|column| column == name) {
            format!("did you mean `row.{name}`?")
        } else if let Some(near) = suggest(name, known.chain(self.declared.iter().copied())) {
            format!("did you mean `{near}`?")
        } else if let Some(near) = suggest(name, columns()) {
            format!("did you mean `row.{near}`?")
        } else {
            "columns are written `row.COLUMN`; there are also job, op, run_at and message_id".to_owned()
        };
        self.problem(at, format!("there is no variable `{name}`"), hint);
    }

    /// Columns, filters and numbers. `collect`: the columns are read through Liquid.
    fn references(&mut self, tokens: &[Token<'t>], collect: bool) {
        for (at, token) in tokens.iter().enumerate() {
            let before = at.checked_sub(1).map(|before| tokens[before].kind);
            match token.kind {
                TokenKind::Name(name) if before == Some(TokenKind::Pipe) => self.filter(name, token.at),
                TokenKind::Name(name) if ROW.contains(&name) && before != Some(TokenKind::Dot) => {
                    self.column(&tokens[at + 1..], collect);
                }
                TokenKind::Number(text) if !text.contains('.') && text.parse::<i64>().is_err() => {
                    let hint = "write it with a decimal point, or as text".to_owned();
                    self.names.huge_number = true;
                    self.problem(token.at, format!("the number {text} is too large"), hint);
                }
                _ => {}
            }
        }
    }

    fn filter(&mut self, name: &str, at: usize) {
        let filters = &self.words.filters;
        if filters.contains(name) {
            return;
        }
        let hint = match suggest(name, filters.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are: {}", filters.iter().cloned().collect::<Vec<_>>().join(", ")),
        };
        self.problem(at, format!("there is no filter `{name}`"), hint);
    }

    /// What follows `row`: `.NAME`, `["NAME"]`, or something that only the row's own run can tell.
    fn column(&mut self, rest: &[Token<'t>], collect: bool) {
        let named = match rest {
            [Token { kind: TokenKind::Dot, .. }, Token { kind: TokenKind::Name(name), at }, ..]
            | [
                Token { kind: TokenKind::Open, .. },
                Token { kind: TokenKind::Text(name), at },
                Token { kind: TokenKind::Close, .. },
                ..,
            ] => Some((*name, *at)),
            _ => None,
        };
        match named.map(|(name, at)| (self.schema.index_of(name), name, at)) {
            Some((Some(index), ..)) if collect => drop(self.names.columns.insert(index)),
            Some((Some(_), ..)) => {}
            Some((None, name, at)) => {
                let problem = TemplateError::no_column(self.place(at), name, self.schema);
                self.names.problems.push(problem);
            }
            None => self.names.columns.extend(0..self.schema.columns.len()),
        }
    }
}
