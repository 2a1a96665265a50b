//! Nodes into text.

use super::encode;
use super::eval::{Failure, State, Subject, Words, room};
use super::json;
use super::parse::Parsed;
use super::syntax::{Expr, Filtered, Node, Place};
use super::value::Val;
use crate::template::write;
use std::collections::BTreeMap;

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    On,
    Break,
    Continue,
}

/// Where in the template each stretch of the output came from.
pub(super) type Trace = Vec<(usize, usize)>;

pub(super) struct Renderer<'a> {
    pub(super) state: State<'a>,
    pub(super) out: String,
    /// The cycles' next candidates, by group and candidates.
    pub(super) cycles: BTreeMap<String, usize>,
    /// Where loops ended, for `offset: continue`.
    pub(super) ends: Vec<usize>,
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
        cycles: BTreeMap::new(),
        ends: vec![0; parsed.resumes],
        trace: trace.then(Vec::new),
    };
    renderer.nodes(&parsed.nodes)?;
    Ok((renderer.out, renderer.trace.unwrap_or_default()))
}

impl<'a> Renderer<'a> {
    pub(super) fn nodes(&mut self, nodes: &'a [Node]) -> Result<Flow, Failure> {
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
            Node::Capture { slot, body, at } => return self.capture(*slot, body, *at),
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

    /// The variable is set even where a `{% break %}` leaves the body.
    fn capture(&mut self, slot: usize, body: &'a [Node], at: usize) -> Result<Flow, Failure> {
        let (outer, trace) = (std::mem::take(&mut self.out), self.trace.take());
        let flow = self.nodes(body);
        let text = std::mem::replace(&mut self.out, outer);
        self.trace = trace;
        room(text.len(), at)?;
        self.set(slot, Val::owned(text));
        flow
    }

    fn note(&mut self, at: usize) {
        if let Some(trace) = &mut self.trace {
            trace.push((self.out.len(), at));
        }
    }

    pub(super) fn set(&mut self, slot: usize, value: Val<'a>) {
        if let Some(place) = self.state.slots.get_mut(slot) {
            *place = value;
        }
    }

    /// A column that stands alone is written without being looked into.
    fn print(&mut self, value: &'a Filtered, place: Place) -> Result<(), Failure> {
        if let (Expr::Column(column), [], Subject::Row(row)) = (&value.value, &*value.filters, self.state.subject) {
            self.note(value.at);
            let column = row.value(*column);
            match place {
                Place::Value => {
                    let failed = |message: String| Failure { at: value.at, message };
                    return encode::column(column, &mut self.out).map_err(failed);
                }
                Place::String if encode::column_in_string(column, &mut self.out) => return Ok(()),
                _ => {}
            }
        }
        let printed = self.state.filtered(value)?;
        self.emit(&printed, place, value.at)
    }

    pub(super) fn emit(&mut self, value: &Val<'a>, place: Place, at: usize) -> Result<(), Failure> {
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
}
