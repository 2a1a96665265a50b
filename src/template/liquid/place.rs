//! Where in the JSON each value stands, and whether the template can make anything but JSON at all.
//!
//! The template's own text is followed byte by byte (`grammar`), each printed value being a hole. Inside a string, a value is
//! escaped; outside, it is a whole JSON value. Where the ways through a block end differently, only one question is
//! followed further, inside a string or outside, and the bodies are checked one by one when they are rendered.

use super::grammar::{Json, Side};
use super::parse::Parsed;
use super::reader::Fault;
use super::syntax::{Node, Place};

/// Finds the places of a body's values.
///
/// Returns whether every body is proved to be JSON.
///
/// # Errors
/// Where the template cannot make JSON, or a value has no clear place.
pub(super) fn find(parsed: &mut Parsed, length: usize) -> Result<bool, Vec<Fault>> {
    let mut walk = Walk {
        state: State::Known(Json::new()),
        exits: Vec::new(),
        plain: 0,
        maybe: 0,
        proved: true,
        faults: Vec::new(),
    };
    walk.nodes(&mut parsed.nodes);
    walk.proved &= !matches!(walk.state, State::Side(_));
    if walk.faults.is_empty() {
        let end = match &mut walk.state {
            State::Known(json) => json.end(),
            State::Side(Side::Outside) => Ok(()),
            State::Side(_) => Err("a JSON string is not closed"),
            State::Dead => Ok(()),
        };
        if let Err(why) = end {
            walk.faults.push(Fault::new(length, why).hint("look for a missing quote or bracket in the template"));
        }
    }
    if walk.faults.is_empty() { Ok(walk.proved) } else { Err(walk.faults) }
}

/// Where the text has come at some point of the template.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Known(Json),
    Side(Side),
    /// Nothing gets here: behind a `{% break %}`.
    Dead,
}

impl State {
    fn side(&self) -> Option<Side> {
        match self {
            State::Known(json) => Some(json.side()),
            State::Side(side) => Some(*side),
            State::Dead => None,
        }
    }

    /// What is known where two ways meet; `None` if one is inside of a string and the other is not.
    fn join(self, other: State) -> Option<State> {
        match (self.side(), other.side()) {
            (None, _) => Some(other),
            (_, None) => Some(self),
            _ if self == other => Some(self),
            (Some(a), Some(b)) => (a == b).then_some(State::Side(a)),
        }
    }
}

struct Walk {
    state: State,
    /// Of the loops around: where `{% break %}` and `{% continue %}` leave their bodies.
    exits: Vec<Vec<State>>,
    /// How many `{% capture %}` are around: within, nothing comes out yet.
    plain: usize,
    /// How many blocks are around that a loop may come to in a later round only, from another state than the one known
    /// here: a comma that stands before every item but the first is no mistake.
    maybe: usize,
    proved: bool,
    faults: Vec<Fault>,
}

impl Walk {
    fn nodes(&mut self, nodes: &mut [Node]) {
        for node in nodes {
            self.node(node);
        }
    }

    fn node(&mut self, node: &mut Node) {
        match node {
            Node::Text { text, at } => self.text(text, *at),
            Node::Print { value, place } => *place = self.hole(value.at),
            Node::Count { place, at, .. } | Node::Cycle { place, at, .. } => *place = self.hole(*at),
            Node::If { branches, otherwise } => {
                let (start, at) = (self.state.clone(), branches.first().map_or(0, |branch| branch.at));
                let mut ends = State::Dead;
                for body in branches.iter_mut().map(|branch| &mut branch.body).chain([otherwise]) {
                    self.state = start.clone();
                    self.branch(body);
                    ends = self.meet(ends, "if", at);
                }
                self.state = ends;
            }
            Node::Group(nodes) => self.nodes(nodes),
            Node::Case(case) => self.case(case),
            Node::For(each) => self.each(each),
            Node::Capture { body, .. } => {
                self.plain += 1;
                self.nodes(body);
                self.plain -= 1;
            }
            Node::Assign { .. } => {}
            Node::Break | Node::Continue => {
                if let Some(exits) = self.exits.last_mut() {
                    exits.push(self.state.clone());
                }
                if self.plain == 0 {
                    self.state = State::Dead;
                }
            }
        }
    }

    /// A body that is not always rendered.
    fn branch(&mut self, body: &mut [Node]) {
        let in_loop = usize::from(!self.exits.is_empty());
        self.maybe += in_loop;
        self.nodes(body);
        self.maybe -= in_loop;
    }

    fn each(&mut self, each: &mut super::syntax::For) {
        let start = self.state.clone();
        let in_loop = usize::from(!self.exits.is_empty());
        self.maybe += in_loop;
        self.exits.push(Vec::new());
        self.nodes(&mut each.body);
        self.maybe -= in_loop;
        let mut end = self.meet(start.clone(), "for", each.at);
        for exit in self.exits.pop().unwrap_or_default() {
            self.state = exit;
            end = self.meet(end, "for", each.at);
        }
        self.state = start;
        self.branch(&mut each.otherwise);
        self.state = self.meet(end, "for", each.at);
    }

    fn case(&mut self, case: &mut super::syntax::Case) {
        let start = self.state.clone();
        let mut ends = State::Dead;
        for (_, body) in &mut case.branches {
            // Without `exclusive`, this branch may follow the ones before it.
            if !case.exclusive {
                self.state = start.clone();
                ends = self.meet(ends, "case", case.at);
                self.state = ends.clone();
            } else {
                self.state = start.clone();
            }
            self.branch(body);
            ends = self.meet(ends, "case", case.at);
        }
        self.state = start;
        self.branch(&mut case.otherwise);
        self.state = self.meet(ends, "case", case.at);
    }

    /// Where the present way and another meet.
    fn meet(&mut self, other: State, block: &str, at: usize) -> State {
        let here = std::mem::replace(&mut self.state, State::Dead);
        let fallback = other.clone();
        match here.join(other) {
            Some(state) => {
                self.proved &= !matches!(state, State::Side(_));
                state
            }
            None => {
                let message = format!("the ways through this {block} block end inside and outside of a JSON string");
                self.fault(Fault::new(at, message).hint("open and close each `\"` within the same branch"));
                fallback
            }
        }
    }

    fn fault(&mut self, fault: Fault) {
        // What follows from the first is not told again.
        if self.faults.is_empty() {
            self.faults.push(fault);
        }
    }

    fn text(&mut self, text: &str, at: usize) {
        if self.plain > 0 {
            return;
        }
        match &mut self.state {
            State::Known(json) => {
                let before = json.side();
                if let Err((offset, why)) = json.text(text) {
                    let near: String = text[offset..].trim_end().chars().take(1).collect();
                    let shown = if near.trim().is_empty() { why.to_owned() } else { format!("{why}, at `{near}`") };
                    let fault = Fault::new(at + offset, shown);
                    self.wrong(
                        fault.hint("the template's own text must be JSON around its values"),
                        before.after(text),
                    );
                }
            }
            State::Side(side) => self.state = State::Side(side.after(text)),
            State::Dead => {}
        }
    }

    /// The JSON cannot go on like this; `side`: where the text has come all the same.
    fn wrong(&mut self, fault: Fault, side: Side) {
        self.state = State::Side(side);
        self.proved = false;
        if self.maybe == 0 {
            self.fault(fault);
        }
    }

    fn hole(&mut self, at: usize) -> Place {
        if self.plain > 0 {
            return Place::Plain;
        }
        match self.state.side() {
            Some(Side::Inside) => Place::String,
            Some(Side::Escape) => {
                let fault = Fault::new(at, "a backslash before `{{` would swallow the value's first character");
                self.fault(fault.hint("write `\\\\` for a backslash in JSON"));
                Place::String
            }
            Some(Side::Outside) => {
                if let State::Known(json) = &mut self.state {
                    // A value that is no text is no key: the body has to be looked at.
                    self.proved &= !json.takes_key();
                    if let Err(why) = json.value() {
                        self.wrong(Fault::new(at, why), Side::Outside);
                    }
                }
                Place::Value
            }
            None => Place::Value,
        }
    }
}
