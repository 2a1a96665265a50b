//! Nodes into text.

use super::eval::{Failure, State, Subject, Words, room};
use super::json;
use super::parse::Parsed;
use super::syntax::{Case, Expr, Filtered, For, Node, Offset, Place};
use super::value::Val;
use super::{compare, encode};
use crate::template::write;
use std::collections::HashMap;
use std::rc::Rc;

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    On,
    Break,
    Continue,
}

/// Where in the template each stretch of the output came from.
pub(super) type Trace = Vec<(usize, usize)>;

struct Renderer<'a> {
    state: State<'a>,
    out: String,
    /// The cycles' next candidates, by group and candidates.
    cycles: HashMap<String, usize>,
    /// Where loops ended, for `offset: continue`.
    ends: Vec<usize>,
    trace: Option<Trace>,
}

/// Renders; with `trace`, also notes where the output came from.
pub(super) fn render<'a>(
    parsed: &'a Parsed,
    subject: Subject<'a>,
    words: Words<'a>,
    capacity: usize,
    trace: bool,
) -> Result<(String, Trace), Failure> {
    let state = State {
        subject,
        words,
        slots: vec![Val::Undefined; parsed.slots],
        counters: vec![None; parsed.counters],
        loops: Vec::new(),
        rounds: 0,
    };
    let mut renderer = Renderer {
        state,
        out: String::with_capacity(capacity),
        cycles: HashMap::new(),
        ends: vec![0; parsed.resumes],
        trace: trace.then(Vec::new),
    };
    renderer.nodes(&parsed.nodes)?;
    Ok((renderer.out, renderer.trace.unwrap_or_default()))
}

impl<'a> Renderer<'a> {
    fn nodes(&mut self, nodes: &'a [Node]) -> Result<Flow, Failure> {
        for node in nodes {
            let flow = self.node(node)?;
            if flow != Flow::On {
                return Ok(flow);
            }
        }
        Ok(Flow::On)
    }

    fn node(&mut self, node: &'a Node) -> Result<Flow, Failure> {
        match node {
            Node::Text { text, at } => {
                self.note(*at);
                self.out.push_str(text);
            }
            Node::Print { value, place } => self.print(value, *place)?,
            Node::If { branches, otherwise } => {
                for branch in branches {
                    if self.state.filtered(&branch.condition)?.is_true() == branch.wanted {
                        return self.nodes(&branch.body);
                    }
                }
                return self.nodes(otherwise);
            }
            Node::Group(nodes) => return self.nodes(nodes),
            Node::Case(case) => return self.case(case),
            Node::For(each) => return self.each(each),
            Node::Assign { slot, value } => {
                let value = self.state.filtered(value)?;
                self.set(*slot, value);
            }
            Node::Capture { slot, body, at } => {
                let (outer, trace) = (std::mem::take(&mut self.out), self.trace.take());
                let flow = self.nodes(body);
                let text = std::mem::replace(&mut self.out, outer);
                self.trace = trace;
                room(text.len(), *at)?;
                self.set(*slot, Val::owned(text));
                return flow;
            }
            Node::Count { counter, down, place, at } => {
                let value = self.count(*counter, *down);
                self.emit(&value, *place, *at)?;
            }
            Node::Cycle { group, name, candidates, place, at } => {
                self.cycle((group.as_ref(), name), candidates, *place, *at)?
            }
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    fn note(&mut self, at: usize) {
        if let Some(trace) = &mut self.trace {
            trace.push((self.out.len(), at));
        }
    }

    fn set(&mut self, slot: usize, value: Val<'a>) {
        if let Some(place) = self.state.slots.get_mut(slot) {
            *place = value;
        }
    }

    /// A column that stands alone is written without being looked into.
    fn print(&mut self, value: &'a Filtered, place: Place) -> Result<(), Failure> {
        if let (Expr::Column(column), [], Subject::Row(row)) = (&value.value, &*value.filters, self.state.subject) {
            match place {
                Place::Value => {
                    self.note(value.at);
                    let failed = |message: String| Failure { at: value.at, message };
                    return encode::column(row.value(*column), &mut self.out).map_err(failed);
                }
                Place::String if let crate::row::Value::Text(text) = row.value(*column) => {
                    self.note(value.at);
                    write::escaped(text, &mut self.out);
                    return Ok(());
                }
                _ => {}
            }
        }
        let printed = self.state.filtered(value)?;
        self.emit(&printed, place, value.at)
    }

    fn emit(&mut self, value: &Val<'a>, place: Place, at: usize) -> Result<(), Failure> {
        self.note(at);
        let failed = |message: String| Failure { at, message };
        match place {
            Place::Value => json::write(value, &mut self.out).map_err(failed)?,
            Place::String => encode::plain(value, |text| write::escaped(text, &mut self.out)).map_err(failed)?,
            Place::Plain => encode::plain(value, |text| self.out.push_str(text)).map_err(failed)?,
            Place::Path => encode::path(value, &mut self.out).map_err(failed)?,
            Place::Query => encode::query(value, &mut self.out).map_err(failed)?,
            Place::Header => encode::header(value, &mut self.out).map_err(failed)?,
        }
        room(self.out.len(), at)
    }

    /// LiquidJS takes every branch that matches, and the last one where none does.
    fn case(&mut self, case: &'a Case) -> Result<Flow, Failure> {
        let value = self.state.filtered(&case.value)?;
        let mut hit = false;
        for (wanted, body) in &case.branches {
            let mut matches = false;
            for wanted in wanted {
                matches = matches || compare::equal(&value, &self.state.value(wanted, case.at)?);
            }
            if matches {
                hit = true;
                let flow = self.nodes(body)?;
                if flow != Flow::On {
                    return Ok(flow);
                }
            }
        }
        if hit { Ok(Flow::On) } else { self.nodes(&case.otherwise) }
    }

    fn each(&mut self, each: &'a For) -> Result<Flow, Failure> {
        let all = self.state.value(&each.collection, each.at)?.to_enumerable();
        if all.is_empty() {
            return self.nodes(&each.otherwise);
        }
        let items = self.stretch(each, &all)?;
        self.state.spend(items.len(), each.at)?;
        let depth = each.depth.min(self.state.loops.len());
        for (index, item) in items.iter().enumerate() {
            self.set(each.slot, item.clone());
            self.state.loops.truncate(depth);
            self.state.loops.push(super::eval::Round { index, length: items.len() });
            if self.nodes(&each.body)? == Flow::Break {
                break;
            }
            room(self.out.len(), each.at)?;
        }
        self.state.loops.truncate(depth);
        Ok(Flow::On)
    }

    /// What `offset`, `limit` and `reversed` leave, in this order whatever theirs is in the tag.
    fn stretch(&mut self, each: &'a For, all: &Rc<Vec<Val<'a>>>) -> Result<Vec<Val<'a>>, Failure> {
        let count = |value: Val<'a>, size: usize| match usize::try_from(value.whole()) {
            Ok(count) => count.min(size),
            // As `slice` counts in JavaScript: from the end.
            Err(_) => size.saturating_sub(usize::try_from(value.whole().unsigned_abs()).unwrap_or(size)),
        };
        let from = match &each.offset {
            None => 0,
            Some(Offset::Continue) => self.ends.get(each.resume).copied().unwrap_or(0).min(all.len()),
            Some(Offset::By(offset)) => match self.state.value(offset, each.at)? {
                Val::Undefined => 0,
                offset => count(offset, all.len()),
            },
        };
        let rest = all.len() - from;
        let size = match &each.limit {
            None => rest,
            Some(limit) => match self.state.value(limit, each.at)? {
                Val::Undefined => rest,
                limit => count(limit, rest),
            },
        };
        if let Some(end) = self.ends.get_mut(each.resume) {
            *end = from + size;
        }
        let mut items = all[from..from + size].to_vec();
        if each.reversed {
            items.reverse();
        }
        Ok(items)
    }

    fn count(&mut self, counter: usize, down: bool) -> Val<'a> {
        let Some(count) = self.state.counters.get_mut(counter) else { return Val::Undefined };
        let before = count.unwrap_or(0);
        let after = if down { before - 1 } else { before + 1 };
        *count = Some(after);
        Val::Num(super::number::Num::Int(if down { after } else { before }))
    }

    fn cycle(
        &mut self,
        (group, name): (Option<&'a Expr>, &'a str),
        candidates: &'a [Filtered],
        place: Place,
        at: usize,
    ) -> Result<(), Failure> {
        let group = match group {
            Some(group) => self.state.value(group, at)?.js_text(),
            None => "".into(),
        };
        let next = self.cycles.entry(format!("{group}:{name}")).or_insert(0);
        let candidate = *next;
        *next = (candidate + 1) % candidates.len().max(1);
        let Some(candidate) = candidates.get(candidate) else { return Ok(()) };
        let value = self.state.filtered(candidate)?;
        self.emit(&value, place, at)
    }
}
