//! What a number is compared as.

use super::{Bucket, Form};
use crate::row::Number;

/// A number of any kind, or the bin that stands for it: equal measures, equal values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::row) enum Measure {
    /// A number, or the number of its bin.
    Number(Number),
    /// A number too large for its bin to be counted: in a bin of its own.
    Beyond(Number),
    /// Any NaN.
    NotANumber,
    /// Infinity.
    Infinity,
    /// Minus infinity.
    MinusInfinity,
}

impl Measure {
    /// What a double measures.
    pub(in crate::row) fn of_f64(value: f64) -> Self {
        match Number::from_f64(value) {
            Some(number) => Measure::Number(number),
            None if value.is_nan() => Measure::NotANumber,
            None if value > 0.0 => Measure::Infinity,
            None => Measure::MinusInfinity,
        }
    }
}

impl Form {
    /// What is compared in place of a number.
    pub(in crate::row) fn measure(&self, plain: Measure) -> Measure {
        let rounded = match (plain, self.round) {
            (Measure::Number(number), Some(places)) => Measure::Number(number.round(places)),
            _ => plain,
        };
        match (&self.bucket, rounded) {
            (Some(Bucket::Width(width)), Measure::Number(number)) => {
                number.bin(*width).map_or(Measure::Beyond(number), whole)
            }
            (Some(Bucket::Bounds(bounds)), Measure::Number(number)) => {
                whole(bounds.iter().filter(|bound| **bound <= number).count() as i128)
            }
            (Some(Bucket::Bounds(bounds)), Measure::Infinity) => whole(bounds.len() as i128),
            (Some(Bucket::Bounds(_)), Measure::MinusInfinity) => whole(0),
            _ => rounded,
        }
    }
}

fn whole(number: i128) -> Measure {
    Measure::Number(Number::new(number, 0))
}
