//! Branches by value, loops, counters and cycles.

use super::compare;
use super::eval::{Failure, Round, room};
use super::render::{Flow, Renderer};
use super::syntax::{Case, Expr, Filtered, For, Offset, Place};
use super::value::Val;
use std::rc::Rc;

impl<'a> Renderer<'a> {
    /// LiquidJS takes every branch that matches, and the last one where none does.
    pub(super) fn case(&mut self, case: &'a Case) -> Result<Flow, Failure> {
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

    pub(super) fn each(&mut self, each: &'a For) -> Result<Flow, Failure> {
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
            self.state.loops.push(Round { index, length: items.len() });
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

    pub(super) fn count(&mut self, counter: usize, down: bool) -> Val<'a> {
        let Some(count) = self.state.counters.get_mut(counter) else { return Val::Undefined };
        let before = count.unwrap_or(0);
        let after = if down { before - 1 } else { before + 1 };
        *count = Some(after);
        Val::Num(super::number::Num::Int(if down { after } else { before }))
    }

    pub(super) fn cycle(
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
