//! The tags with arguments or a body of their own.

use super::parse::{End, Parser};
use super::reader::{Fault, Reader};
use super::scope::Scope;
use super::syntax::{Branch, Case, Expr, Node, Place};

impl<'t> Parser<'t> {
    /// `{% if %}` and `{% unless %}`.
    pub(super) fn conditional(&mut self, at: usize, mut rest: Reader<'t>, wanted: bool) -> Option<Node> {
        let name = if wanted { "if" } else { "unless" };
        let end = format!("end{name}");
        let (mut branches, mut otherwise, mut in_else) = (Vec::new(), Vec::new(), false);
        let (start, mut at, mut wanted) = (at, at, wanted);
        let first = self.whole(&mut rest);
        let mut condition = self.noted(first);
        loop {
            let (body, tag) = self.body(&["elsif", "else", &end]);
            if in_else {
                otherwise = body;
            } else if let Some(condition) = condition.take() {
                branches.push(Branch { condition, wanted, body, at });
            }
            let Some(End { word, at: tag_at, mut rest }) = tag else {
                self.unclosed(name, start);
                return None;
            };
            (at, wanted) = (tag_at, true);
            match word {
                "elsif" if !in_else => {
                    let next = self.whole(&mut rest);
                    condition = self.noted(next);
                }
                "else" if !in_else => {
                    in_else = true;
                    self.bare(&mut rest);
                }
                "elsif" | "else" => {
                    self.problem(Fault::new(tag_at, format!("`{{% {word} %}}` stands behind `{{% else %}}`")));
                }
                _ => {
                    self.bare(&mut rest);
                    return Some(Node::If { branches, otherwise });
                }
            }
        }
    }

    /// A tag without arguments.
    pub(super) fn bare(&mut self, rest: &mut Reader<'t>) {
        let end = self.end(rest);
        self.noted(end);
    }

    pub(super) fn case(&mut self, at: usize, mut rest: Reader<'t>) -> Option<Node> {
        let value = self.whole(&mut rest);
        let value = self.noted(value);
        let ends = ["when", "else", "endcase"];
        // What stands before the first {% when %} never comes out.
        let (_, mut tag) = self.body(&ends);
        let (mut branches, mut otherwise) = (Vec::new(), None);
        loop {
            let Some(End { word, at: tag_at, mut rest }) = tag else {
                self.unclosed("case", at);
                return None;
            };
            if word == "endcase" {
                let exclusive = are_distinct(branches.iter().flat_map(|(values, _): &(Vec<Expr>, _)| values));
                let otherwise = otherwise.unwrap_or_default();
                return Some(Node::Case(Box::new(Case { value: value?, branches, otherwise, exclusive, at })));
            }
            let values = if word == "when" { self.when(&mut rest) } else { Ok(Vec::new()) };
            let values = self.noted(values).unwrap_or_default();
            if otherwise.is_some() {
                self.problem(Fault::new(tag_at, format!("`{{% {word} %}}` stands behind `{{% else %}}`")));
            }
            let (body, next) = self.body(&ends);
            match word {
                "when" => branches.push((values, body)),
                _ => otherwise = Some(body),
            }
            tag = next;
        }
    }

    /// Values, joined by `,` or `or`.
    fn when(&mut self, rest: &mut Reader<'t>) -> Result<Vec<Expr>, Fault> {
        let mut values = vec![self.value(rest)?];
        while rest.take(",") || rest.take_word("or") {
            values.push(self.value(rest)?);
        }
        self.end(rest)?;
        Ok(values)
    }

    /// The name of a variable that the template sets.
    pub(super) fn new_name(&mut self, rest: &mut Reader<'t>) -> Result<String, Fault> {
        rest.skip();
        let at = rest.at;
        let name = match rest.word() {
            "" => rest.quoted()?.unwrap_or_default(),
            word => word.to_owned(),
        };
        if name.is_empty() {
            return Err(Fault::new(at, "the variable's name is missing"));
        }
        if Scope::is_given(&name) {
            return Err(Fault::new(at, format!("`{name}` is a name that Nightmark gives"))
                .hint("choose another name for your variable"));
        }
        Ok(name)
    }

    pub(super) fn capture(&mut self, at: usize, mut rest: Reader<'t>) -> Option<Node> {
        let name = self.new_name(&mut rest).and_then(|name| self.end(&mut rest).map(|()| name));
        let name = self.noted(name);
        let (body, end) = self.body(&["endcapture"]);
        match end {
            Some(mut end) => self.bare(&mut end.rest),
            None => self.unclosed("capture", at),
        }
        Some(Node::Capture { slot: self.scope.assigned(&name?), body, at })
    }

    pub(super) fn assign(&mut self, rest: &mut Reader<'t>) -> Option<Node> {
        let assigned = self.new_name(rest).and_then(|name| {
            if !rest.take("=") {
                return Err(Fault::new(rest.at, "`=` is missing: `{% assign name = value %}`"));
            }
            Ok((name, self.whole(rest)?))
        });
        let (name, value) = self.noted(assigned)?;
        Some(Node::Assign { slot: self.scope.assigned(&name), value })
    }

    pub(super) fn count(&mut self, at: usize, mut rest: Reader<'t>, down: bool) -> Option<Node> {
        let name = self.new_name(&mut rest).and_then(|name| self.end(&mut rest).map(|()| name));
        let name = self.noted(name)?;
        Some(Node::Count { counter: self.scope.counter(&name), down, place: Place::Plain, at })
    }

    /// `{% cycle "a", "b" %}` or `{% cycle GROUP: "a", "b" %}`
    pub(super) fn cycle(&mut self, at: usize, mut rest: Reader<'t>) -> Option<Node> {
        let mut ahead = rest.clone();
        let problems = self.problems.len();
        let group = self.value(&mut ahead).ok().filter(|_| ahead.take(":"));
        match group {
            Some(_) => rest = ahead,
            // Read again below, as a candidate.
            None => self.problems.truncate(problems),
        }
        rest.skip();
        let from = rest.at;
        let mut candidates = Vec::new();
        loop {
            let candidate = self.filtered(&mut rest);
            candidates.push(self.noted(candidate)?);
            if !rest.take(",") {
                break;
            }
        }
        self.bare(&mut rest);
        let name = rest.between(from).into();
        Some(Node::Cycle { group, name, candidates, place: Place::Plain, at })
    }
}

/// Whether all are literals and no two of them equal.
fn are_distinct<'e>(values: impl Iterator<Item = &'e Expr>) -> bool {
    let mut seen = std::collections::BTreeSet::new();
    for value in values {
        let key = match value {
            Expr::Text(text) => format!("\"{text}"),
            Expr::Num(number) => {
                let mut out = String::new();
                number.write(&mut out);
                out
            }
            Expr::Bool(v) => v.to_string(),
            Expr::Nil => "nil".to_owned(),
            _ => return false,
        };
        if !seen.insert(key) {
            return false;
        }
    }
    true
}
