//! Members of the objects in an array: those that match, and what they have.

use super::{Args, Filter, filter};
use crate::template::liquid::compare::equal;
use crate::template::liquid::number::Num;
use crate::template::liquid::value::Val;

pub(super) static FILTERS: [Filter; 7] = [
    filter("find", 1, 2, |value, args| Ok(found(&value, args).map_or(Val::Undefined, |(_, item)| item))),
    filter("find_index", 1, 2, |value, args| {
        Ok(found(&value, args).map_or(Val::Undefined, |(at, _)| Val::Num(Num::Int(at as i64))))
    }),
    filter("has", 1, 2, |value, args| Ok(Val::Bool(found(&value, args).is_some()))),
    filter("map", 1, 1, |value, args| {
        let path = args.text(0);
        Ok(Val::array(value.to_items().iter().map(|item| member(item, &path)).collect()))
    }),
    filter("reject", 1, 2, |value, args| Ok(matching(&value, args, false))),
    filter("sum", 0, 1, |value, args| Ok(sum(&value, args))),
    filter("where", 1, 2, |value, args| Ok(matching(&value, args, true))),
];

/// What stands at a dot path.
pub(super) fn member<'a>(item: &Val<'a>, path: &str) -> Val<'a> {
    path.split('.').fold(item.clone(), |value, key| value.get(&Val::owned(key)))
}

/// Whether an item has the value of the second argument at the path of the first, or without one anything true.
fn matches<'a>(item: &Val<'a>, path: &str, args: &Args<'a>) -> bool {
    let value = member(item, path);
    match args.get(1) {
        Some(expected) => equal(&value, expected),
        None => value.is_true(),
    }
}

fn matching<'a>(value: &Val<'a>, args: &Args<'a>, wanted: bool) -> Val<'a> {
    let path = args.text(0);
    Val::array(value.to_items().iter().filter(|item| matches(item, &path, args) == wanted).cloned().collect())
}

fn found<'a>(value: &Val<'a>, args: &Args<'a>) -> Option<(usize, Val<'a>)> {
    let path = args.text(0);
    let items = value.to_items();
    let at = items.iter().position(|item| matches(item, &path, args))?;
    Some((at, items[at].clone()))
}

fn sum<'a>(value: &Val<'a>, args: &Args<'a>) -> Val<'a> {
    let path = args.get(0).filter(|path| path.is_true()).map(Val::text);
    let numbers = value.to_items();
    let total = numbers.iter().map(|item| path.as_ref().map_or(item.clone(), |path| member(item, path)));
    Val::Num(total.fold(Num::Int(0), |sum, item| sum.plus(item.number())))
}
