//! Expressions into values, for one row or batch.

use super::compare;
use super::filters::{Args, LIMIT};
use super::number::Num;
use super::syntax::{Expr, Filtered, Property, Word};
use super::value::{Row, Val};
use crate::row::Schema;
use crate::template::batch::PreparedRow;
use chrono::{DateTime, SecondsFormat, Utc};

/// The most items of a range and the most rounds of all loops of one body.
pub(super) const MOST_ROUNDS: usize = 1_000_000;

/// What a template is rendered for.
#[derive(Clone, Copy)]
pub(in crate::template) enum Subject<'a> {
    Row(Row<'a>),
    Rows(&'a Schema, &'a [PreparedRow]),
}

/// What stands beside the columns.
#[derive(Clone, Copy)]
pub(in crate::template) struct Words<'a> {
    pub(in crate::template) job: &'a str,
    pub(in crate::template) operation: &'a str,
    pub(in crate::template) webhook_id: &'a str,
    pub(in crate::template) at: DateTime<Utc>,
}

/// Why there is no value, and where in the template.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) at: usize,
    pub(super) message: String,
}

/// A loop that is being gone through.
#[derive(Debug, Clone, Copy)]
pub(super) struct Round {
    pub(super) index: usize,
    pub(super) length: usize,
}

/// The state of one rendering.
pub(super) struct State<'a> {
    pub(super) subject: Subject<'a>,
    pub(super) words: Words<'a>,
    pub(super) slots: Vec<Val<'a>>,
    pub(super) counters: Vec<Option<i64>>,
    pub(super) loops: Vec<Round>,
    pub(super) rounds: usize,
}

impl<'a> State<'a> {
    pub(super) fn filtered(&mut self, filtered: &'a Filtered) -> Result<Val<'a>, Failure> {
        let mut value = self.value(&filtered.value, filtered.at)?;
        for call in &filtered.filters {
            let list = call.args.iter().map(|arg| self.value(arg, call.at)).collect::<Result<Vec<_>, _>>()?;
            let allow_false = match &call.allow_false {
                Some(expr) => self.value(expr, call.at)?.is_true(),
                None => false,
            };
            let args = Args { list, allow_false, now: self.words.at };
            value = call.filter.apply(value, &args).map_err(|message| Failure { at: call.at, message })?;
        }
        Ok(value)
    }

    /// `at`: where to say that it cannot be had.
    pub(super) fn value(&mut self, expr: &'a Expr, at: usize) -> Result<Val<'a>, Failure> {
        Ok(match expr {
            Expr::Nil => Val::Undefined,
            Expr::Empty => Val::Empty,
            Expr::Blank => Val::Blank,
            Expr::Bool(v) => Val::Bool(*v),
            Expr::Num(number) => Val::Num(*number),
            Expr::Text(text) => Val::Text((&**text).into()),
            Expr::Row => self.row().map_or(Val::Undefined, Val::Row),
            Expr::Column(column) => self.row().map_or(Val::Undefined, |row| Val::of(row.value(*column))),
            Expr::Rows => match self.subject {
                Subject::Rows(schema, rows) => Val::Rows(schema, rows),
                Subject::Row(_) => Val::Undefined,
            },
            Expr::Meta(word) => self.word(*word),
            Expr::Slot { slot, counter } => self.slot(*slot, *counter),
            Expr::Member { slot, column } => match self.slots.get(*slot) {
                Some(Val::Row(row)) => Val::of(row.value(*column)),
                _ => Val::Undefined,
            },
            Expr::Forloop { depth, property } => self.forloop(*depth, *property),
            Expr::Path(base, keys) => {
                let mut value = self.value(base, at)?;
                for key in keys {
                    value = value.get(&self.value(key, at)?);
                }
                value
            }
            Expr::Range(low, high) => self.range(low, high, at)?,
            Expr::Not(value) => Val::Bool(!self.value(value, at)?.is_true()),
            Expr::Binary(op, a, b) => {
                let (a, b) = (self.value(a, at)?, self.value(b, at)?);
                Val::Bool(compare::apply(*op, &a, &b))
            }
        })
    }

    fn row(&self) -> Option<Row<'a>> {
        match self.subject {
            Subject::Row(row) => Some(row),
            Subject::Rows(..) => None,
        }
    }

    fn word(&self, word: Word) -> Val<'a> {
        match word {
            Word::Job => Val::Text(self.words.job.into()),
            Word::Op => Val::Text(self.words.operation.into()),
            Word::MessageId => Val::Text(self.words.webhook_id.into()),
            Word::RunAt => Val::owned(self.words.at.to_rfc3339_opts(SecondsFormat::Millis, true)),
        }
    }

    fn slot(&self, slot: usize, counter: Option<usize>) -> Val<'a> {
        let value = self.slots.get(slot).cloned().unwrap_or(Val::Undefined);
        match (&value, counter) {
            (Val::Undefined, Some(counter)) => {
                self.counters.get(counter).copied().flatten().map_or(value, |count| Val::Num(Num::Int(count)))
            }
            _ => value,
        }
    }

    fn forloop(&self, depth: usize, property: Property) -> Val<'a> {
        let Some(Round { index, length }) = self.loops.get(depth).copied() else { return Val::Undefined };
        let number = |value: usize| Val::Num(Num::Int(value as i64));
        match property {
            Property::Index => number(index + 1),
            Property::Index0 => number(index),
            Property::Rindex => number(length - index),
            Property::Rindex0 => number(length - index - 1),
            Property::First => Val::Bool(index == 0),
            Property::Last => Val::Bool(index + 1 == length),
            Property::Length => number(length),
        }
    }

    fn range(&mut self, low: &'a Expr, high: &'a Expr, at: usize) -> Result<Val<'a>, Failure> {
        let (low, high) = (self.value(low, at)?.js_number(), self.value(high, at)?.js_number());
        let steps = (high.to_f64() - low.to_f64()).floor();
        if steps >= MOST_ROUNDS as f64 {
            return Err(Failure { at, message: format!("the range has more than {MOST_ROUNDS} numbers") });
        }
        let mut items = Vec::new();
        // Not a number at all, or the wrong way round: no item.
        if steps >= 0.0 {
            items.extend((0..=steps as i64).map(|step| Val::Num(low.plus(Num::Int(step)))));
        }
        self.spend(items.len(), at)?;
        Ok(Val::array(items))
    }

    /// Counts the rounds of all loops, so that one row's long lists cannot hold up the run.
    pub(super) fn spend(&mut self, rounds: usize, at: usize) -> Result<(), Failure> {
        self.rounds += rounds;
        if self.rounds > MOST_ROUNDS {
            return Err(Failure { at, message: format!("the loops take more than {MOST_ROUNDS} rounds") });
        }
        Ok(())
    }
}

/// # Errors
/// When a body or variable outgrows what a template may make.
pub(super) fn room(bytes: usize, at: usize) -> Result<(), Failure> {
    if bytes <= LIMIT { Ok(()) } else { Err(Failure { at, message: format!("makes more than {LIMIT} bytes") }) }
}
