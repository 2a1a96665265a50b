//! What one request carries: one row, or several of the same operation. Pure.
//!
//! In: messages in the order of the change set. Out: [`Parcel`]s, each within the destination's limits.
//! Always holds: a row is in one parcel at a time; a parcel of the same rows in the same order has the same id and the same body, however
//! often it is sent, and one of other rows (its halves, what the next run makes of what is left) has another id: what stays with a row is the
//! row's own id, within its body; the body of a parcel of one row without a frame is that row's, not a copy.

use super::encode::encode;
use super::{Aside, Message, Part};
use crate::job::spec::{Batch, BodyFormat, Destination, PerOperation};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// One request's rows.
#[derive(Debug, Clone)]
pub struct Parcel {
    frame: Frame,
    load: Load,
}

#[derive(Debug, Clone)]
enum Load {
    One(Message),
    /// At least two.
    Several {
        id: String,
        messages: Vec<Message>,
        /// Where a template has made it; otherwise it is put together of the rows'.
        body: Option<Bytes>,
    },
}

/// What stands around the rows of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frame {
    /// Nothing: the body is the row's.
    Bare,
    /// A JSON list.
    List,
    /// NDJSON.
    Lines,
    /// What `/v1/batch` of Segment and RudderStack takes.
    Events,
}

impl Frame {
    fn of(destination: &Destination) -> Frame {
        match (destination.format, destination.batch) {
            (BodyFormat::Ndjson, _) => Frame::Lines,
            (_, None) => Frame::Bare,
            (_, Some(_)) if destination.kind.takes_events() => Frame::Events,
            (_, Some(_)) => Frame::List,
        }
    }

    /// Before the rows, between any two, and behind them.
    fn parts(self) -> [&'static str; 3] {
        match self {
            Frame::Bare => ["", "", ""],
            Frame::List => ["[", ",", "]"],
            Frame::Lines => ["", "\n", "\n"],
            Frame::Events => [r#"{"batch":["#, ",", "]}"],
        }
    }

    /// Bytes besides those of `rows` bodies.
    fn overhead(self, rows: usize) -> usize {
        let [open, between, close] = self.parts();
        open.len() + close.len() + between.len() * rows.saturating_sub(1)
    }
}

impl Parcel {
    /// A row by itself, as it is.
    pub fn single(message: Message) -> Parcel {
        Parcel { frame: Frame::Bare, load: Load::One(message) }
    }

    /// `None` of nothing.
    fn of(frame: Frame, mut messages: Vec<Message>) -> Option<Parcel> {
        let load = match messages.len() {
            0 => return None,
            1 => Load::One(messages.pop()?),
            _ => Load::Several { id: joint_id(&messages), messages, body: None },
        };
        Some(Parcel { frame, load })
    }

    /// Rows whose body a template has made.
    fn rendered(messages: Vec<Message>, rendered: Bytes) -> Option<Parcel> {
        let mut parcel = Parcel::of(Frame::Bare, messages)?;
        match &mut parcel.load {
            Load::One(message) => message.body = rendered,
            Load::Several { body, .. } => *body = Some(rendered),
        }
        Some(parcel)
    }

    /// `webhook-id` and `Idempotency-Key`: a row's own, or one that is derived from those of all rows.
    pub fn id(&self) -> &str {
        match &self.load {
            Load::One(message) => &message.id,
            Load::Several { id, .. } => id,
        }
    }

    /// The rows, at least one.
    pub fn messages(&self) -> &[Message] {
        match &self.load {
            Load::One(message) => std::slice::from_ref(message),
            Load::Several { messages, .. } => messages,
        }
    }

    /// What its only row says outside of its body.
    pub(super) fn aside(&self) -> Option<&Aside> {
        match &self.load {
            Load::One(message) => message.aside.as_deref(),
            Load::Several { .. } => None,
        }
    }

    /// Of all its rows.
    pub fn operation(&self) -> &'static str {
        self.messages().first().map_or("changed", |message| message.operation)
    }

    /// What is sent; empty: the request has no body.
    pub fn body(&self) -> Bytes {
        match &self.load {
            Load::One(message) if self.frame == Frame::Bare || message.body.is_empty() => message.body.clone(),
            Load::Several { body: Some(body), .. } => body.clone(),
            _ => Bytes::from(self.joined()),
        }
    }

    fn joined(&self) -> Vec<u8> {
        let (messages, [open, between, close]) = (self.messages(), self.frame.parts());
        let bodies: usize = messages.iter().map(|message| message.body.len()).sum();
        let mut body = Vec::with_capacity(bodies + self.frame.overhead(messages.len()));
        body.extend_from_slice(open.as_bytes());
        for (at, message) in messages.iter().enumerate() {
            if at > 0 {
                body.extend_from_slice(between.as_bytes());
            }
            body.extend_from_slice(&message.body);
        }
        body.extend_from_slice(close.as_bytes());
        body
    }

    /// Both halves of several rows, in their order; one row comes back whole. `bytes`: what a body may have.
    pub(super) fn split(self, bytes: usize) -> Packed {
        let (frame, mut packed) = (self.frame, Packed::default());
        let [first, second] = halves(self.into_messages().collect());
        packed.add(frame, bytes, first);
        packed.add(frame, bytes, second);
        packed
    }

    /// The rows, taken apart.
    pub(super) fn into_messages(self) -> impl Iterator<Item = Message> {
        let (one, several) = match self.load {
            Load::One(message) => (Some(message), Vec::new()),
            Load::Several { messages, .. } => (None, messages),
        };
        one.into_iter().chain(several)
    }
}

/// Stable over repeats of the same rows, and another for others.
fn joint_id(messages: &[Message]) -> String {
    let mut hash = Sha256::new();
    for message in messages {
        hash.update(message.id.as_bytes());
        hash.update([0]);
    }
    let mut id = "nm_batch_".to_owned();
    for byte in hash.finalize().iter().take(16) {
        // Writing to a string does not fail.
        let _ = write!(id, "{byte:02x}");
    }
    id
}

fn halves(mut messages: Vec<Message>) -> [Vec<Message>; 2] {
    let second = messages.split_off(messages.len().div_ceil(2));
    [messages, second]
}

/// What became of rows.
#[derive(Debug, Default)]
pub(super) struct Packed {
    pub(super) parcels: Vec<Parcel>,
    /// Rows that no request can carry, and why.
    pub(super) unfit: Vec<(Message, String)>,
}

impl Packed {
    /// How much there is.
    pub(super) fn len(&self) -> usize {
        self.parcels.len() + self.unfit.len()
    }

    /// Takes rows in as one parcel; as several, where a template cannot make one body of all of them.
    fn add(&mut self, frame: Frame, bytes: usize, mut messages: Vec<Message>) {
        let problem = match templated(&messages) {
            None => {
                self.parcels.extend(Parcel::of(frame, messages));
                return;
            }
            Some(Ok(body)) if body.len() <= bytes => {
                self.parcels.extend(Parcel::rendered(messages, Bytes::from(body)));
                return;
            }
            Some(Ok(body)) => too_long(body.len(), bytes),
            Some(Err(problem)) => problem,
        };
        if messages.len() > 1 {
            let [first, second] = halves(messages);
            self.add(frame, bytes, first);
            self.add(frame, bytes, second);
        } else {
            self.unfit.extend(messages.pop().map(|message| (message, problem)));
        }
    }
}

/// The body that the template of these rows makes of them; `None`: each has one of its own.
fn templated(messages: &[Message]) -> Option<Result<String, String>> {
    let first = messages.first()?.part.as_deref()?;
    let parts: Vec<&dyn Part> = messages.iter().filter_map(|message| message.part.as_deref()).collect();
    Some(first.join(&parts))
}

fn too_long(length: usize, most: usize) -> String {
    format!("the row has {length} bytes, and a request takes {most} at most")
}

/// Rows of one operation that wait for more of them.
#[derive(Default)]
struct Heap {
    messages: Vec<Message>,
    /// Of their bodies alone.
    bytes: usize,
}

/// Makes parcels of messages.
pub(super) struct Packer {
    frame: Frame,
    format: BodyFormat,
    batch: Option<Batch>,
    heaps: PerOperation<Heap>,
}

impl Packer {
    pub(super) fn new(destination: &Destination) -> Packer {
        let (format, batch) = (destination.format, destination.batch);
        Packer { frame: Frame::of(destination), format, batch, heaps: PerOperation::default() }
    }

    /// Takes a row in, and gives out what is full.
    pub(super) fn put(&mut self, mut message: Message, out: &mut Packed) {
        match encode(self.format, std::mem::take(&mut message.body)) {
            Ok(body) => message.body = body,
            Err(problem) => return out.unfit.push((message, problem)),
        }
        // Several bodies that are nothing are nothing, and several rows cannot have one address each.
        let has_body = !message.body.is_empty() || message.part.is_some();
        let Some(batch) = self.batch.filter(|_| has_body && message.aside.is_none()) else {
            return out.parcels.push(Parcel { frame: self.frame, load: Load::One(message) });
        };
        let length = message.body.len();
        if length + self.frame.overhead(1) > batch.bytes {
            return out.unfit.push((message, too_long(length, batch.bytes)));
        }
        let (frame, heap) = (self.frame, self.heap(message.operation));
        let rows = heap.messages.len();
        if rows >= batch.rows || heap.bytes + length + frame.overhead(rows + 1) > batch.bytes {
            out.add(frame, batch.bytes, heap.take());
        }
        heap.bytes += length;
        heap.messages.push(message);
    }

    /// Gives out what is left when there are no more rows.
    pub(super) fn rest(&mut self, out: &mut Packed) {
        let Some(batch) = self.batch else { return };
        let (frame, heaps) = (self.frame, &mut self.heaps);
        for heap in [&mut heaps.added, &mut heaps.changed, &mut heaps.removed] {
            out.add(frame, batch.bytes, heap.take());
        }
    }

    fn heap(&mut self, operation: &str) -> &mut Heap {
        match operation {
            "added" => &mut self.heaps.added,
            "removed" => &mut self.heaps.removed,
            _ => &mut self.heaps.changed,
        }
    }
}

impl Heap {
    fn take(&mut self) -> Vec<Message> {
        self.bytes = 0;
        std::mem::take(&mut self.messages)
    }
}

#[cfg(test)]
mod tests;
