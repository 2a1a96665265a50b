//! `{% for %}`.

use super::parse::{End, Parser};
use super::reader::{Fault, Reader};
use super::syntax::{Expr, For, Node, Offset};
use crate::template::error::suggest;

const MODIFIERS: [&str; 3] = ["limit", "offset", "reversed"];

impl<'t> Parser<'t> {
    pub(super) fn each(&mut self, at: usize, mut rest: Reader<'t>) -> Option<Node> {
        let head = self.loop_head(at, &mut rest);
        let head = self.noted(head);
        let (name, collection) = match &head {
            Some((name, head)) => (name.as_str(), &head.collection),
            None => ("", &Expr::Nil),
        };
        let (slot, depth) = self.scope.enter(name, collection);
        let (body, mut tag) = self.body(&["else", "endfor"]);
        self.scope.leave();
        let mut otherwise = Vec::new();
        if let Some(End { word: "else", rest, .. }) = &mut tag {
            self.bare(rest);
            (otherwise, tag) = self.body(&["endfor"]);
        }
        match &mut tag {
            Some(end) => self.bare(&mut end.rest),
            None => self.unclosed("for", at),
        }
        let (_, head) = head?;
        Some(Node::For(Box::new(For { slot, depth, body, otherwise, ..head })))
    }

    /// `ITEM in COLLECTION limit: … offset: … reversed`
    fn loop_head(&mut self, at: usize, rest: &mut Reader<'t>) -> Result<(String, For), Fault> {
        let name = self.new_name(rest)?;
        if !rest.take_word("in") {
            return Err(Fault::new(rest.at, "`in` is missing: `{% for item in row.items %}`"));
        }
        rest.skip();
        let from = rest.at;
        let collection = self.value(rest)?;
        let key = format!("{name}-{}", rest.between(from));
        let resume = self.resumes.iter().position(|known| *known == key).unwrap_or(self.resumes.len());
        if resume == self.resumes.len() {
            self.resumes.push(key);
        }
        let (body, otherwise) = (Vec::new(), Vec::new());
        let (limit, offset, reversed) = (None, None, false);
        let mut each = For { slot: 0, depth: 0, collection, offset, limit, reversed, resume, body, otherwise, at };
        while rest.peek().is_some() && self.modifier(&mut each, rest)? {}
        Ok((name, each))
    }

    /// Reads what is not the loop's variable and collection; false where there is no more that can be read.
    fn modifier(&mut self, each: &mut For, rest: &mut Reader<'t>) -> Result<bool, Fault> {
        rest.take(",");
        rest.skip();
        let at = rest.at;
        match rest.word() {
            "reversed" => each.reversed = true,
            "limit" if rest.take(":") => each.limit = Some(self.value(rest)?),
            "offset" if rest.take(":") => {
                let resumes = rest.take_word("continue");
                each.offset = Some(if resumes { Offset::Continue } else { Offset::By(self.value(rest)?) });
            }
            word => {
                let hint = match suggest(word, MODIFIERS.into_iter()) {
                    Some(near) if near != word => format!("did you mean `{near}`?"),
                    _ => "a loop takes `limit: N`, `offset: N` and `reversed`".to_owned(),
                };
                let sign = rest.peek().filter(|_| word.is_empty());
                let shown = sign.map_or_else(|| word.to_owned(), String::from);
                // Noted only, so that the loop's variable is known in its body.
                self.problem(Fault::new(at, format!("`{shown}` is not expected in a loop")).hint(hint));
                return Ok(false);
            }
        }
        Ok(true)
    }
}
