//! The operators, by JavaScript's rules: `==` converts nothing, `<` and its kin convert to numbers unless both are text.

use super::text;
use super::value::Val;
use std::cmp::Ordering;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Contains,
    And,
    Or,
}

pub(super) fn apply(op: Op, a: &Val<'_>, b: &Val<'_>) -> bool {
    match op {
        Op::Equal => equal(a, b),
        Op::Unequal => !equal(a, b),
        Op::Less => order(a, b) == Some(Ordering::Less),
        Op::LessOrEqual => matches!(order(a, b), Some(Ordering::Less | Ordering::Equal)),
        Op::Greater => order(a, b) == Some(Ordering::Greater),
        Op::GreaterOrEqual => matches!(order(a, b), Some(Ordering::Greater | Ordering::Equal)),
        Op::Contains => contains(a, b),
        Op::And => a.is_true() && b.is_true(),
        Op::Or => a.is_true() || b.is_true(),
    }
}

pub(super) fn equal(a: &Val<'_>, b: &Val<'_>) -> bool {
    match (a, b) {
        (Val::Empty | Val::Blank, Val::Empty | Val::Blank) => false,
        (Val::Empty, other) | (other, Val::Empty) => is_empty(other),
        (Val::Blank, other) | (other, Val::Blank) => is_blank(other),
        (Val::Undefined | Val::Nil, Val::Undefined | Val::Nil) => true,
        (Val::Bool(a), Val::Bool(b)) => a == b,
        (Val::Num(a), Val::Num(b)) => a.order(*b) == Some(Ordering::Equal),
        (Val::Text(a) | Val::Json(a), Val::Text(b) | Val::Json(b)) => a == b,
        _ if a.is_array() && b.is_array() => {
            let (a, b) = (a.to_items(), b.to_items());
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| equal(a, b))
        }
        _ => identical(a, b),
    }
}

/// As `uniq` tells values apart: arrays and objects by identity, as JavaScript does.
pub(super) fn same(a: &Val<'_>, b: &Val<'_>) -> bool {
    if a.is_array() || b.is_array() { identical(a, b) } else { equal(a, b) }
}

fn identical(a: &Val<'_>, b: &Val<'_>) -> bool {
    match (a, b) {
        (Val::Container(a), Val::Container(b)) => std::ptr::eq(*a, *b),
        (Val::Array(a), Val::Array(b)) => std::rc::Rc::ptr_eq(a, b),
        _ => false,
    }
}

fn is_empty(value: &Val<'_>) -> bool {
    match value {
        Val::Text(text) | Val::Json(text) => text.is_empty(),
        Val::Array(items) => items.is_empty(),
        Val::Rows(_, rows) => rows.is_empty(),
        Val::Container(raw) => raw[1..].trim_start().len() == 1,
        _ => false,
    }
}

fn is_blank(value: &Val<'_>) -> bool {
    match value {
        Val::Undefined | Val::Nil | Val::Bool(false) => true,
        Val::Text(text) | Val::Json(text) => text.chars().all(text::is_space),
        other => is_empty(other),
    }
}

/// `None` where nothing is greater or less, as with NaN and with the word `nil`.
fn order(a: &Val<'_>, b: &Val<'_>) -> Option<Ordering> {
    if [a, b].iter().any(|value| matches!(value, Val::Undefined | Val::Empty | Val::Blank)) {
        return None;
    }
    match (primitive(a), primitive(b)) {
        (Some(a), Some(b)) => Some(text::order(&a, &b)),
        _ => a.js_number().order(b.js_number()),
    }
}

/// The text that a value is compared as, if it is compared as one.
fn primitive<'a>(value: &Val<'a>) -> Option<std::borrow::Cow<'a, str>> {
    match value {
        Val::Nil | Val::Bool(_) | Val::Num(_) | Val::Undefined => None,
        other => Some(other.js_text()),
    }
}

/// How `sort` orders: NULL last, and equal what cannot be compared.
pub(super) fn sort_order(a: &Val<'_>, b: &Val<'_>) -> Ordering {
    match (a.is_nil(), b.is_nil()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => order(a, b).unwrap_or(Ordering::Equal),
    }
}

fn contains(a: &Val<'_>, b: &Val<'_>) -> bool {
    match a {
        Val::Text(text) | Val::Json(text) => text.contains(&*b.js_text()),
        _ => a.items().is_some_and(|items| items.iter().any(|item| equal(item, b))),
    }
}
