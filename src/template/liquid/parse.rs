//! Tags and blocks: pieces into nodes, with every problem noted.

use super::lex::{Piece, PieceKind, line_column, word};
use super::reader::{Fault, Reader};
use super::scope::{About, Scope};
use super::syntax::{Filtered, Node, Place};
use super::tags::is_inner;
use crate::row::Schema;
use crate::template::TemplateError;

/// How deep blocks and expressions may stand in each other.
pub(super) const MAX_DEPTH: usize = 100;

/// What a template is made of, once it has no problems.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) nodes: Vec<Node>,
    pub(super) slots: usize,
    pub(super) counters: usize,
    /// How many loops note their end for `offset: continue`.
    pub(super) resumes: usize,
}

pub(super) struct Parser<'t> {
    pub(super) template: &'t str,
    pub(super) scope: Scope<'t>,
    pub(super) problems: Vec<(usize, TemplateError)>,
    /// Loops by variable and collection, for `offset: continue`.
    pub(super) resumes: Vec<String>,
    pub(super) pieces: Vec<Piece>,
    pub(super) next: usize,
    /// A tag was not understood, so that what is missing to the blocks says nothing.
    pub(super) lost: bool,
    pub(super) depth: usize,
}

/// A tag that has been begun, such as one that ends a stretch of nodes.
pub(super) struct End<'t> {
    pub(super) word: &'t str,
    pub(super) at: usize,
    /// Behind the tag's name.
    pub(super) rest: Reader<'t>,
}

/// Parses the pieces of a template.
///
/// # Errors
/// All problems, in the order of the template.
pub(super) fn parse(
    template: &str,
    (pieces, unclosed): (Vec<Piece>, Option<usize>),
    schema: &Schema,
    about: About,
) -> Result<Parsed, Vec<TemplateError>> {
    let scope = Scope::new(template, &pieces, schema, about);
    let (problems, resumes, lost) = (Vec::new(), Vec::new(), unclosed.is_some());
    let mut parser = Parser { template, scope, problems, resumes, pieces, next: 0, lost, depth: 0 };
    let nodes = parser.top();
    if let Some(at) = unclosed {
        let open = if template[at..].starts_with("{{") { "{{" } else { "{%" };
        let hint = match (open, template[at + 2..].trim_start_matches(['-', ' ']).starts_with("raw")) {
            ("{{", _) => "a `}}` or a closing quote is missing",
            (_, true) => "an `{% endraw %}` or a `%}` is missing",
            _ => "a `%}` is missing",
        };
        parser.problem(Fault::new(at, format!("`{open}` is never closed")).hint(hint));
    }
    if parser.problems.is_empty() {
        let (slots, counters) = (parser.scope.slots, parser.scope.counters());
        return Ok(Parsed { nodes, slots, counters, resumes: parser.resumes.len() });
    }
    parser.problems.sort_by_key(|(at, _)| *at);
    Err(parser.problems.into_iter().map(|(_, problem)| problem).collect())
}

impl<'t> Parser<'t> {
    pub(super) fn place(&self, at: usize) -> crate::template::Place {
        let (line, column) = line_column(self.template, at);
        crate::template::Place::Template { line, column }
    }

    pub(super) fn problem(&mut self, fault: Fault) {
        let mut problem = TemplateError::new(self.place(fault.at), fault.message);
        problem.hint = fault.hint;
        self.problems.push((fault.at, problem));
    }

    /// The value, or none if it cannot be read, which is noted.
    pub(super) fn noted<T>(&mut self, result: Result<T, Fault>) -> Option<T> {
        result.map_err(|fault| self.problem(fault)).ok()
    }

    /// Everything, with what ends no block noted.
    pub(super) fn top(&mut self) -> Vec<Node> {
        self.body(&[]).0
    }

    /// Nodes up to one of the tags `ends`, or to the end of the template.
    pub(super) fn body(&mut self, ends: &[&str]) -> (Vec<Node>, Option<End<'t>>) {
        if self.depth >= MAX_DEPTH {
            let at = self.pieces.get(self.next).map_or(self.template.len(), |piece| piece.at);
            self.problem(Fault::new(at, format!("blocks stand more than {MAX_DEPTH} deep in each other")));
            (self.lost, self.next) = (true, self.pieces.len());
            return (Vec::new(), None);
        }
        self.depth += 1;
        let body = self.until(ends);
        self.depth -= 1;
        body
    }

    fn until(&mut self, ends: &[&str]) -> (Vec<Node>, Option<End<'t>>) {
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.get(self.next).cloned() {
            self.next += 1;
            let mut reader = Reader::new(self.template, piece.inner.clone());
            match piece.kind {
                PieceKind::Text if piece.inner.is_empty() => {}
                PieceKind::Text => {
                    nodes.push(Node::Text { text: self.template[piece.inner].into(), at: piece.at });
                }
                PieceKind::Output => {
                    let value = self.whole(&mut reader);
                    nodes.extend(self.noted(value).map(print));
                }
                PieceKind::Tag => {
                    let word = word(self.template, &piece).unwrap_or_default();
                    reader.at += word.len();
                    let tag = End { word, at: piece.at, rest: reader };
                    match word {
                        _ if ends.contains(&word) => return (nodes, Some(tag)),
                        _ if is_inner(word) => self.stray(&tag),
                        _ => nodes.extend(self.tag(tag)),
                    }
                }
            }
        }
        (nodes, None)
    }

    fn tag(&mut self, tag: End<'t>) -> Option<Node> {
        let End { word, at, mut rest } = tag;
        match word {
            "if" => self.conditional(at, rest, true),
            "unless" => self.conditional(at, rest, false),
            "case" => self.case(at, rest),
            "for" => self.each(at, rest),
            "capture" => self.capture(at, rest),
            "comment" => self.comment(at),
            "assign" => self.assign(&mut rest),
            "increment" | "decrement" => self.count(at, rest, word == "decrement"),
            "cycle" => self.cycle(at, rest),
            "echo" if rest.peek().is_none() => None,
            "echo" => {
                let value = self.whole(&mut rest);
                self.noted(value).map(print)
            }
            "break" | "continue" => {
                if !self.scope.in_loop() {
                    self.problem(Fault::new(at, format!("`{{% {word} %}}` stands outside of a loop")));
                }
                Some(if word == "break" { Node::Break } else { Node::Continue })
            }
            "liquid" => self.liquid(&rest),
            "#" => self.remark(at, rest),
            // Its text follows as a piece of its own.
            "raw" => None,
            _ => {
                self.unknown_tag(word, at);
                None
            }
        }
    }

    /// An inner or end tag without its block.
    pub(super) fn stray(&mut self, end: &End<'t>) {
        let message = format!("`{{% {} %}}` stands outside of its block", end.word);
        let at = end.rest.at - end.word.len();
        self.problem(Fault::new(at, message));
        self.lost = true;
    }

    pub(super) fn unclosed(&mut self, name: &str, at: usize) {
        if !self.lost {
            let hint = format!("an `{{% end{name} %}}` is missing");
            self.problem(Fault::new(at, format!("`{{% {name} %}}` is never closed")).hint(hint));
        }
    }
}

/// The place is found later, when all of the template is known.
pub(super) fn print(value: Filtered) -> Node {
    Node::Print { value, place: Place::Plain }
}
