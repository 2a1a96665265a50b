//! A compiled template: nodes, and the expressions in them. Offsets (`at`) are bytes of the template.

use super::compare::Op;
use super::filters::Filter;
use super::number::Num;

#[derive(Debug)]
pub(super) enum Node {
    /// Comes out as it is.
    Text {
        text: Box<str>,
        at: usize,
    },
    Print {
        value: Filtered,
        place: Place,
    },
    /// Branches of `{% if %}` and `{% unless %}`; the first whose condition is as wanted is taken.
    If {
        branches: Vec<Branch>,
        otherwise: Vec<Node>,
    },
    /// The lines of `{% liquid %}`.
    Group(Vec<Node>),
    Case(Box<Case>),
    For(Box<For>),
    Assign {
        slot: usize,
        value: Filtered,
    },
    Capture {
        slot: usize,
        body: Vec<Node>,
        at: usize,
    },
    /// `{% increment %}` prints and then adds, `{% decrement %}` subtracts and then prints.
    Count {
        counter: usize,
        down: bool,
        place: Place,
        at: usize,
    },
    Cycle {
        group: Option<Expr>,
        /// The candidates as written: cycles with the same group and candidates are one.
        name: Box<str>,
        candidates: Vec<Filtered>,
        place: Place,
        at: usize,
    },
    Break,
    Continue,
}

#[derive(Debug)]
pub(super) struct Branch {
    pub(super) condition: Filtered,
    pub(super) wanted: bool,
    pub(super) body: Vec<Node>,
    pub(super) at: usize,
}

#[derive(Debug)]
pub(super) struct Case {
    pub(super) value: Filtered,
    pub(super) branches: Vec<(Vec<Expr>, Vec<Node>)>,
    pub(super) otherwise: Vec<Node>,
    /// No two branches can match the same value: LiquidJS takes every branch that does.
    pub(super) exclusive: bool,
    pub(super) at: usize,
}

#[derive(Debug)]
pub(super) struct For {
    /// Where the item is kept.
    pub(super) slot: usize,
    /// Which `forloop` is this one's: the number of loops around it.
    pub(super) depth: usize,
    pub(super) collection: Expr,
    pub(super) offset: Option<Offset>,
    pub(super) limit: Option<Expr>,
    pub(super) reversed: bool,
    /// Where the end of this loop is noted for `offset: continue`.
    pub(super) resume: usize,
    pub(super) body: Vec<Node>,
    pub(super) otherwise: Vec<Node>,
    pub(super) at: usize,
}

#[derive(Debug)]
pub(super) enum Offset {
    By(Expr),
    Continue,
}

/// Where a value is printed, which decides how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Where JSON has a value: as one.
    Value,
    /// Inside a JSON string: escaped.
    String,
    /// Within `{% capture %}`, and where a filter has encoded the value: as it is.
    Plain,
    /// In the path of a URL: percent-encoded, never empty.
    Path,
    /// Behind the `?` or `#` of a URL: percent-encoded.
    Query,
    /// In a header: without control characters.
    Header,
}

/// An expression and what it goes through.
#[derive(Debug)]
pub(super) struct Filtered {
    pub(super) value: Expr,
    pub(super) filters: Vec<Call>,
    pub(super) at: usize,
}

#[derive(Debug)]
pub(super) struct Call {
    pub(super) filter: &'static Filter,
    pub(super) args: Vec<Expr>,
    /// `allow_false` of `default`.
    pub(super) allow_false: Option<Expr>,
    pub(super) at: usize,
}

#[derive(Debug)]
pub(super) enum Expr {
    Nil,
    Empty,
    Blank,
    Bool(bool),
    Num(Num),
    Text(Box<str>),
    Row,
    Column(usize),
    Rows,
    Meta(Word),
    /// A variable of the template, and the counter of the same name that stands in until it is set.
    Slot {
        slot: usize,
        counter: Option<usize>,
    },
    /// A column of the row that a loop over `rows` is at.
    Member {
        slot: usize,
        column: usize,
    },
    Forloop {
        depth: usize,
        property: Property,
    },
    Path(Box<Expr>, Vec<Expr>),
    Range(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    Binary(Op, Box<Expr>, Box<Expr>),
}

/// What a template may say besides the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Job,
    Op,
    RunAt,
    MessageId,
}

/// What `forloop` knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Property {
    Index,
    Index0,
    Rindex,
    Rindex0,
    First,
    Last,
    Length,
}

/// Visits the template's own text, wherever it is.
///
/// # Errors
/// The first of `visit`.
pub(super) fn texts<E>(nodes: &mut [Node], visit: &mut dyn FnMut(&mut Box<str>) -> Result<(), E>) -> Result<(), E> {
    for node in nodes {
        match node {
            Node::Text { text, .. } => visit(text)?,
            Node::If { branches, otherwise } => {
                for branch in branches {
                    texts(&mut branch.body, visit)?;
                }
                texts(otherwise, visit)?;
            }
            Node::Group(body) | Node::Capture { body, .. } => texts(body, visit)?,
            Node::Case(case) => {
                for (_, body) in &mut case.branches {
                    texts(body, visit)?;
                }
                texts(&mut case.otherwise, visit)?;
            }
            Node::For(each) => {
                texts(&mut each.body, visit)?;
                texts(&mut each.otherwise, visit)?;
            }
            _ => {}
        }
    }
    Ok(())
}
