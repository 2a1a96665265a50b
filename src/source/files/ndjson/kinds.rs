//! What kind the values of a field have in common. Pure.

use super::cells::{Cell, Number, too_big, whole};
use super::faults::{Fault, Place};
use crate::row::{Kind, exact_f64};

/// Every integer up to here is a double of its own.
const EXACT: u64 = 1 << 53;

/// A value and where it stands.
#[derive(Debug)]
struct Example {
    at: Place,
    value: String,
}

/// What was seen of a field so far: of each sort of value, the first.
#[derive(Debug, Default)]
pub struct Seen {
    nested: bool,
    string: bool,
    float: bool,
    bool: Option<Place>,
    number: Option<Place>,
    /// An integer that 64 bits do not hold.
    too_big: Option<Example>,
    /// A fraction that no double is.
    inexact: Option<Example>,
    /// An integer that a double may not hold.
    large: Option<Example>,
    /// A number that is no integer.
    fraction: Option<Example>,
}

impl Seen {
    /// Takes a value into account.
    pub fn see(&mut self, cell: Cell<'_>, at: Place) {
        match cell {
            Cell::Nested(_) => self.nested = true,
            Cell::String(_) => self.string = true,
            Cell::Bool(_) => drop(self.bool.get_or_insert(at)),
            Cell::Number(json) => {
                self.number.get_or_insert(at);
                self.see_number(json, at);
            }
        }
    }

    fn see_number(&mut self, json: &str, at: Place) {
        let number = Number::of(json);
        self.float |= matches!(number, Number::Float(_));
        if matches!(number, Number::Float(_))
            && whole(json).is_none_or(|n| n.unsigned_abs() <= EXACT)
            && exact_f64(json).is_none()
        {
            self.inexact.get_or_insert_with(|| Example { at, value: json.to_owned() });
        }
        let first = match number {
            Number::TooBig => &mut self.too_big,
            Number::Int(int) if int.unsigned_abs() > EXACT => &mut self.large,
            Number::Float(_) if whole(json).is_none() => &mut self.fraction,
            _ => return,
        };
        first.get_or_insert_with(|| Example { at, value: json.to_owned() });
    }

    /// The kind that all values can have without loss; `None` if there was no value.
    pub fn kind(&self) -> Result<Option<Kind>, Fault> {
        match (self.bool, self.number) {
            _ if self.nested => Ok(Some(Kind::Json)),
            _ if self.string => Ok(Some(Kind::Text)),
            (None, None) => Ok(None),
            (Some(_), None) => Ok(Some(Kind::Bool)),
            (None, Some(_)) => self.number_kind().map(Some),
            (Some(bool), Some(number)) if (bool.file, bool.line) < (number.file, number.line) => {
                Err(Fault { at: number, what: "is a number, but a bool".to_owned(), beside: Some(bool) })
            }
            (Some(bool), Some(number)) => {
                Err(Fault { at: bool, what: "is a bool, but a number".to_owned(), beside: Some(number) })
            }
        }
    }

    fn number_kind(&self) -> Result<Kind, Fault> {
        if let Some(Example { at, value }) = &self.too_big {
            return Err(Fault { at: *at, what: format!("is too large: {}", too_big(value)), beside: None });
        }
        if let Some(Example { at, value }) = &self.inexact {
            let what = format!("cannot be read exactly: no double is {value} (write it as a string)");
            return Err(Fault { at: *at, what, beside: None });
        }
        match (&self.large, &self.fraction) {
            _ if !self.float => Ok(Kind::Int),
            (None, _) => Ok(Kind::Float),
            (Some(_), None) => Ok(Kind::Int),
            (Some(large), Some(fraction)) => {
                let (large, fraction, at) = (&large.value, &fraction.value, (large.at, fraction.at));
                let what = format!(
                    "cannot be read exactly: a column with fractions holds integers up to 2^53, not {large} (write it \
                     as a string); the fraction is {fraction}"
                );
                Err(Fault { at: at.0, what, beside: Some(at.1) })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::value::RawValue;

    #[track_caller]
    fn check(values: &[&str], expected: Result<Option<Kind>, &str>) {
        let mut seen = Seen::default();
        for (line, json) in (1..).zip(values) {
            let raw: &RawValue = serde_json::from_str(json).unwrap();
            if let Some(cell) = Cell::of(Some(raw)) {
                seen.see(cell, Place { file: 0, line });
            }
        }
        let kind = seen.kind().map_err(|fault| format!("line {}: {}", fault.at.line, fault.text("n", &[])));
        assert_eq!(kind.as_ref().map(|kind| *kind).map_err(String::as_str), expected, "{values:?}");
    }

    #[test]
    fn kinds_hold_every_value() {
        check(&[], Ok(None));
        check(&["null", "null"], Ok(None));
        check(&["true", "null"], Ok(Some(Kind::Bool)));
        check(&["1", "-9223372036854775808"], Ok(Some(Kind::Int)));
        check(&["1", "2.5"], Ok(Some(Kind::Float)));
        check(&["1.0"], Ok(Some(Kind::Float)));
        check(&["-0"], Ok(Some(Kind::Float)));
        check(&["9007199254740992", "0.5"], Ok(Some(Kind::Float)));
        check(&["9007199254740993", "7.0", "1e3"], Ok(Some(Kind::Int)));
        check(&["1", "\"a\"", "true", "18446744073709551615"], Ok(Some(Kind::Text)));
        check(&["{}", "\"a\"", "true"], Ok(Some(Kind::Json)));
        check(&["true", "1"], Err("line 2: `n` is a number, but a bool in line 1"));
        check(&["null", "1", "true"], Err("line 3: `n` is a bool, but a number in line 2"));
        check(
            &["1", "18446744073709551615"],
            Err("line 2: `n` is too large: 18446744073709551615 does not fit a signed 64-bit integer (write it as a \
                 string)"),
        );
        check(
            &["0.5", "-9007199254740993"],
            Err("line 2: `n` cannot be read exactly: a column with fractions holds integers up to 2^53, not \
                 -9007199254740993 (write it as a string); the fraction is 0.5 in line 1"),
        );
    }
}
