//! What one request carries: one row, or several of the same operation. Pure.
//!
//! In: messages in the order of the change set. Out: [`Parcel`]s, each within the destination's limits.
//! Always holds: a row is in one parcel at a time; a parcel of the same rows in the same order has the same id and the same body, however
//! often it is sent, and one of other rows (its halves, what the next run makes of what is left) has another id: what stays with a row is the
//! row's own id, within its body; the body of a parcel of one row without a frame is that row's, not a copy.

use super::encode::encode;
use super::{Aside, Message};
use crate::job::spec::{Batch, BodyFormat, Destination, PerOperation};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// One request's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parcel {
    frame: Frame,
    load: Load,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Load {
    One(Message),
    /// At least two.
    Several {
        id: String,
        messages: Vec<Message>,
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
            _ => Load::Several { id: joint_id(&messages), messages },
        };
        Some(Parcel { frame, load })
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

    /// Both halves of several rows, in their order; one row comes back whole.
    pub(super) fn split(self) -> impl Iterator<Item = Parcel> {
        let frame = self.frame;
        let mut first: Vec<Message> = self.into_messages().collect();
        let second = first.split_off(first.len().div_ceil(2));
        [first, second].into_iter().filter_map(move |half| Parcel::of(frame, half))
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

/// A row that no request can carry.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unfit {
    pub(super) seq: u64,
    pub(super) key: String,
    pub(super) problem: String,
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
    ///
    /// # Errors
    /// A body that cannot be written in the destination's format, or that no request has room for.
    pub(super) fn put(&mut self, mut message: Message) -> Result<Option<Parcel>, Unfit> {
        match encode(self.format, message.body) {
            Ok(body) => message.body = body,
            Err(problem) => return Err(Unfit { seq: message.seq, key: message.key, problem }),
        }
        // Several bodies that are nothing are nothing, and several rows cannot have one address each.
        let goes_alone = message.body.is_empty() || message.aside.is_some();
        let Some(batch) = self.batch.filter(|_| !goes_alone) else {
            return Ok(Some(Parcel { frame: self.frame, load: Load::One(message) }));
        };
        let length = message.body.len();
        if length + self.frame.overhead(1) > batch.bytes {
            let problem = format!("the row has {length} bytes, and a request takes {} at most", batch.bytes);
            return Err(Unfit { seq: message.seq, key: message.key, problem });
        }
        let (frame, heap) = (self.frame, self.heap(message.operation));
        let rows = heap.messages.len();
        let full = rows >= batch.rows || heap.bytes + length + frame.overhead(rows + 1) > batch.bytes;
        let parcel = if full { heap.take(frame) } else { None };
        heap.bytes += length;
        heap.messages.push(message);
        Ok(parcel)
    }

    /// What is left when there are no more rows.
    pub(super) fn rest(&mut self) -> Vec<Parcel> {
        let (frame, heaps) = (self.frame, &mut self.heaps);
        [&mut heaps.added, &mut heaps.changed, &mut heaps.removed]
            .into_iter()
            .filter_map(|heap| heap.take(frame))
            .collect()
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
    fn take(&mut self, frame: Frame) -> Option<Parcel> {
        self.bytes = 0;
        Parcel::of(frame, std::mem::take(&mut self.messages))
    }
}

#[cfg(test)]
mod tests;
