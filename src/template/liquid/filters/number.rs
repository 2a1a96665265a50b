//! Arithmetic. What is no number counts as 0.

use super::{Args, Filter, filter};
use crate::template::liquid::number::Num;
use crate::template::liquid::value::Val;
use std::cmp::Ordering;

pub(super) static FILTERS: [Filter; 12] = [
    filter("abs", 0, 0, |value, _| Ok(Val::Num(value.number().abs()))),
    filter("at_least", 1, 1, |value, args| Ok(bound(&value, args, Ordering::Less))),
    filter("at_most", 1, 1, |value, args| Ok(bound(&value, args, Ordering::Greater))),
    filter("ceil", 0, 0, |value, _| Ok(Val::Num(value.number().ceil()))),
    filter("divided_by", 1, 2, |value, args| Ok(divided_by(&value, args))),
    filter("floor", 0, 0, |value, _| Ok(Val::Num(value.number().floor()))),
    filter("minus", 1, 1, |value, args| Ok(Val::Num(value.number().minus(args.number(0))))),
    filter("modulo", 1, 1, |value, args| Ok(Val::Num(value.number().modulo(args.number(0))))),
    filter("plus", 1, 1, |value, args| Ok(Val::Num(value.number().plus(args.number(0))))),
    filter("round", 0, 1, |value, args| Ok(Val::Num(value.number().round(places(args))))),
    filter("times", 1, 1, |value, args| Ok(Val::Num(value.number().times(args.number(0))))),
    filter("to_integer", 0, 0, |value, _| Ok(Val::Num(value.js_number()))),
];

/// The argument where the value is on this side of it.
fn bound<'a>(value: &Val<'a>, args: &Args<'a>, side: Ordering) -> Val<'a> {
    let (value, limit) = (value.number(), args.number(0));
    Val::Num(if value.order(limit) == Some(side) { limit } else { value })
}

/// A true second argument asks for a whole number, rounded down.
fn divided_by<'a>(value: &Val<'a>, args: &Args<'a>) -> Val<'a> {
    let whole = args.number(1).order(Num::Int(0)) != Some(Ordering::Equal);
    let quotient = value.number().divided_by(args.number(0));
    Val::Num(if whole { quotient.floor() } else { quotient })
}

/// More than a double has makes no difference.
fn places(args: &Args<'_>) -> i32 {
    args.get(0).map_or(0, Val::whole).clamp(-400, 400) as i32
}
