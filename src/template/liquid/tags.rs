//! Which tags there are, and those that print nothing: comments, and `{% liquid %}`, which has others in it.

use super::lex::{Piece, PieceKind, word};
use super::parse::Parser;
use super::reader::{Fault, Reader};
use super::syntax::Node;
use crate::template::error::suggest;

/// Tags that stand alone, and the ends and inner tags of blocks.
const TAGS: [&str; 24] = [
    "#",
    "assign",
    "break",
    "capture",
    "case",
    "comment",
    "continue",
    "cycle",
    "decrement",
    "echo",
    "else",
    "elsif",
    "endcapture",
    "endcase",
    "endcomment",
    "endfor",
    "endif",
    "endunless",
    "for",
    "if",
    "increment",
    "liquid",
    "raw",
    "unless",
];
/// Known too, but not suggested first.
const MORE: [&str; 2] = ["endraw", "when"];

/// Tags that LiquidJS has and a payload may not.
const REFUSED: [(&str, &str); 5] = [
    ("tablerow", "it makes HTML: use {% for %}"),
    ("include", "there are no other templates: write it out"),
    ("render", "there are no other templates: write it out"),
    ("layout", "there are no other templates: write it out"),
    ("block", "there are no other templates: write it out"),
];

impl<'t> Parser<'t> {
    /// Every line of a comment within a tag begins with `#`.
    pub(super) fn remark(&mut self, at: usize, mut rest: Reader<'t>) -> Option<Node> {
        let from = rest.at;
        rest.skip_all();
        let wrong =
            rest.between(from).lines().skip(1).map(str::trim_start).any(|l| !l.is_empty() && !l.starts_with('#'));
        if wrong {
            self.problem(Fault::new(at, "every line of a `{% # … %}` must begin with `#`"));
        }
        None
    }

    pub(super) fn comment(&mut self, at: usize) -> Option<Node> {
        while let Some(piece) = self.pieces.get(self.next) {
            self.next += 1;
            if word(self.template, piece) == Some("endcomment") {
                return None;
            }
        }
        self.unclosed("comment", at);
        None
    }

    /// `{% liquid %}`: a tag on each line.
    pub(super) fn liquid(&mut self, rest: &Reader<'t>) -> Option<Node> {
        let mut lines = Vec::new();
        let mut end = rest.clone();
        end.skip_all();
        let mut from = rest.at;
        for line in end.between(rest.at).split_inclusive('\n') {
            let start = from + line.len() - line.trim_start().len();
            if !line.trim().is_empty() {
                let inner = start..start + line.trim().len();
                lines.push(Piece { kind: PieceKind::Tag, at: start, inner });
            }
            from += line.len();
        }
        if let Some(raw) = lines.iter().find(|line| word(self.template, line) == Some("raw")) {
            self.problem(Fault::new(raw.at, "`raw` cannot stand within {% liquid %}"));
        }
        let outer = (std::mem::replace(&mut self.pieces, lines), std::mem::replace(&mut self.next, 0));
        let body = self.top();
        (self.pieces, self.next) = outer;
        Some(Node::Group(body))
    }

    pub(super) fn unknown_tag(&mut self, name: &str, at: usize) {
        self.lost = true;
        if let Some((tag, why)) = REFUSED.iter().find(|(tag, _)| *tag == name) {
            self.problem(Fault::new(at, format!("`{{% {tag} %}}` cannot be used in a payload")).hint(*why));
            return;
        }
        if name.is_empty() {
            self.problem(Fault::new(at, "the tag has no name"));
            return;
        }
        let known = TAGS.into_iter().chain(MORE);
        let hint = match suggest(name, known.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are: {}", known.collect::<Vec<_>>().join(", ")),
        };
        self.problem(Fault::new(at, format!("there is no tag `{name}`")).hint(hint));
    }
}

/// Whether a tag only stands within a block, or ends one.
pub(super) fn is_inner(name: &str) -> bool {
    name.starts_with("end") && (TAGS.contains(&name) || MORE.contains(&name))
        || ["else", "elsif", "when"].contains(&name)
}
