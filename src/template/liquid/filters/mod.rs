//! Filters, each with LiquidJS's behaviour.
//!
//! In: the value, its arguments, and the start of the run for `"now"`. Out: a value, or why there is none for this row.
//! Always holds: no filter makes a text of more than [`LIMIT`] bytes. Deliberately absent: the clock, randomness, locales.

mod array;
mod date;
mod json;
mod moment;
mod number;
mod pick;
mod text;
mod web;

use super::syntax::Expr;
use super::value::Val;
use chrono::{DateTime, Utc};
use std::borrow::Cow;

/// The longest text that a template may make on its way, in bytes.
pub(super) const LIMIT: usize = 8 << 20;

/// What a filter does. An error is what stands behind "the filter `…` ".
type Run = for<'a> fn(Val<'a>, &Args<'a>) -> Result<Val<'a>, String>;

pub(super) struct Filter {
    pub(super) name: &'static str,
    /// Least and most arguments.
    takes: (usize, usize),
    run: Run,
}

impl std::fmt::Debug for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// The arguments of one call.
pub(super) struct Args<'a> {
    pub(super) list: Vec<Val<'a>>,
    pub(super) allow_false: bool,
    /// What `"now"` is: the start of the run, so that a repeat of a webhook has the same body.
    pub(super) now: DateTime<Utc>,
}

impl<'a> Args<'a> {
    fn get(&self, at: usize) -> Option<&Val<'a>> {
        self.list.get(at)
    }

    /// An argument as text; empty if it is missing.
    fn text(&self, at: usize) -> Cow<'a, str> {
        self.get(at).map_or(Cow::Borrowed(""), Val::text)
    }

    fn number(&self, at: usize) -> super::number::Num {
        self.get(at).map_or(super::number::Num::Int(0), Val::number)
    }
}

const fn filter(name: &'static str, least: usize, most: usize, run: Run) -> Filter {
    Filter { name, takes: (least, most), run }
}

static FILTERS: [&[Filter]; 7] =
    [&array::FILTERS, &date::FILTERS, &json::FILTERS, &number::FILTERS, &pick::FILTERS, &text::FILTERS, &web::FILTERS];

pub(super) fn named(name: &str) -> Option<&'static Filter> {
    FILTERS.iter().flat_map(|filters| filters.iter()).find(|filter| filter.name == name)
}

pub(super) fn names() -> impl Iterator<Item = &'static str> + Clone {
    FILTERS.iter().flat_map(|filters| filters.iter()).map(|filter| filter.name)
}

impl Filter {
    /// Whether the arguments can be right.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn check(&self, args: &[Expr]) -> Result<(), String> {
        let (least, most) = self.takes;
        if !(least..=most).contains(&args.len()) {
            let count = match (least, most) {
                (0, 0) => "no argument".to_owned(),
                (1, 1) => "one argument".to_owned(),
                (least, most) if least == most => format!("{least} arguments"),
                (least, most) => format!("{least} to {most} arguments"),
            };
            return Err(format!("the filter `{}` takes {count}, not {}", self.name, args.len()));
        }
        match args.first() {
            Some(Expr::Text(format)) if self.name == "date" => date::check(format),
            _ => Ok(()),
        }
    }

    /// # Errors
    /// Why this row has no value here.
    pub(super) fn apply<'a>(&self, value: Val<'a>, args: &Args<'a>) -> Result<Val<'a>, String> {
        let failed = |why: String| format!("the filter `{}` {why}", self.name);
        let made = (self.run)(value, args).map_err(failed)?;
        match &made {
            Val::Text(text) | Val::Json(text) => room(text.len()).map_err(failed)?,
            _ => {}
        }
        Ok(made)
    }
}

/// # Errors
/// When a text of this many bytes is too long.
fn room(bytes: usize) -> Result<(), String> {
    if bytes <= LIMIT { Ok(()) } else { Err(format!("makes a text of more than {LIMIT} bytes")) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_filter_is_documented() {
        let docs = include_str!("../../../../docs/TEMPLATES.md");
        for name in super::names() {
            assert!(docs.contains(&format!("`{name}`")) || docs.contains(&format!("`{name}:")), "{name}");
        }
    }
}
