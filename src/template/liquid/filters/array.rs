//! Arrays as wholes. A value that is no array is an array of itself, NULL an empty one.

use super::{Args, Filter, filter, room};
use crate::template::liquid::compare::{equal, same, sort_order};
use crate::template::liquid::convert::join;
use crate::template::liquid::text;
use crate::template::liquid::value::Val;
use std::cmp::Ordering;

pub(super) static FILTERS: [Filter; 11] = [
    filter("compact", 0, 0, |value, _| {
        Ok(Val::array(value.to_items().iter().filter(|item| !item.is_nil()).cloned().collect()))
    }),
    filter("concat", 1, 1, |value, args| Ok(concat(&value, args))),
    filter("first", 0, 0, |value, _| Ok(end(&value, true))),
    filter("join", 0, 1, |value, args| joined(&value, args)),
    filter("last", 0, 0, |value, _| Ok(end(&value, false))),
    filter("pop", 0, 0, |value, _| {
        let items = value.to_items();
        Ok(Val::array(items[..items.len().saturating_sub(1)].to_vec()))
    }),
    filter("reverse", 0, 0, |value, _| Ok(Val::array(value.to_items().iter().rev().cloned().collect()))),
    filter("shift", 0, 0, |value, _| Ok(Val::array(value.to_items().iter().skip(1).cloned().collect()))),
    filter("sort", 0, 1, |value, args| Ok(sort(&value, args, sort_order))),
    filter("sort_natural", 0, 1, |value, args| Ok(sort(&value, args, natural_order))),
    filter("uniq", 0, 0, |value, _| Ok(uniq(&value))),
];

fn concat<'a>(value: &Val<'a>, args: &Args<'a>) -> Val<'a> {
    let more = args.get(0).map(Val::to_items).unwrap_or_default();
    // Of the second array, LiquidJS takes arrays in it apart once more.
    Val::array(value.to_items().iter().chain(more.iter()).cloned().collect())
}

/// The first or last item, or character of a text.
fn end<'a>(value: &Val<'a>, first: bool) -> Val<'a> {
    match value {
        Val::Text(text) | Val::Json(text) => {
            let c = if first { text.chars().next() } else { text.chars().next_back() };
            Val::owned(c.map(String::from).unwrap_or_default())
        }
        other => match other.items() {
            Some(items) => (if first { items.first() } else { items.last() }).cloned().unwrap_or(Val::Undefined),
            None => Val::owned(""),
        },
    }
}

fn joined<'a>(value: &Val<'a>, args: &Args<'a>) -> Result<Val<'a>, String> {
    let separator = args.get(0).filter(|value| !value.is_nil()).map_or(" ".into(), Val::text);
    let items = value.to_items();
    room(items.len().saturating_mul(separator.len()))?;
    Ok(Val::owned(join(&items, &separator)))
}

/// Without repeats. Objects and arrays are told apart by identity, as JavaScript does.
fn uniq<'a>(value: &Val<'a>) -> Val<'a> {
    let mut kept: Vec<Val<'a>> = Vec::new();
    let mut texts = std::collections::BTreeSet::new();
    for item in value.to_items().iter() {
        let known = match item {
            Val::Text(text) | Val::Json(text) => !texts.insert(text.clone()),
            other => kept.iter().any(|known| same(known, other)),
        };
        if !known {
            kept.push(item.clone());
        }
    }
    Val::array(kept)
}

/// Without regard to case.
fn natural_order(a: &Val<'_>, b: &Val<'_>) -> Ordering {
    match (a.is_nil(), b.is_nil()) {
        (false, false) => text::order(&a.js_text().to_lowercase(), &b.js_text().to_lowercase()),
        _ => sort_order(a, b),
    }
}

/// By the items, or by a member of theirs.
fn sort<'a>(value: &Val<'a>, args: &Args<'a>, order: fn(&Val<'_>, &Val<'_>) -> Ordering) -> Val<'a> {
    let member = args.get(0).filter(|name| name.is_true() && !equal(name, &Val::Empty)).map(Val::text);
    let items = value.to_items();
    let keyed = items.iter().map(|item| {
        let by = member.as_ref().map_or(item.clone(), |path| super::pick::member(item, path));
        (item.clone(), by)
    });
    Val::array(merge_sort(keyed.collect(), &|a, b| order(a, b)).into_iter().map(|(item, _)| item).collect())
}

type Keyed<'a> = (Val<'a>, Val<'a>);

/// Stable, and without trouble where values of several kinds have no order among them: the standard library's sort may
/// panic on an order that contradicts itself.
fn merge_sort<'a>(mut items: Vec<Keyed<'a>>, order: &dyn Fn(&Val<'_>, &Val<'_>) -> Ordering) -> Vec<Keyed<'a>> {
    if items.len() < 2 {
        return items;
    }
    let right = items.split_off(items.len() / 2);
    let mut left = merge_sort(items, order).into_iter().peekable();
    let mut right = merge_sort(right, order).into_iter().peekable();
    let mut out = Vec::with_capacity(left.len() + right.len());
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        let from_right = order(&b.1, &a.1) == Ordering::Less;
        out.extend(if from_right { right.next() } else { left.next() });
    }
    out.extend(left);
    out.extend(right);
    out
}
