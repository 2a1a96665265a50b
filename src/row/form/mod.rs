//! How a column is compared.
//!
//! In: the options of `[diff.columns.NAME]`. Out: [`Form`], and the definition of equality under it: [`equal`], [`within`].
//! Always holds: a form decides equality only; what is sent is the value itself. [`equal`] is an equivalence relation and
//! agrees with `hash::PrintHasher` under the same form; [`within`] is neither. Snapshots hash without forms and ask [`within`].
//! Deliberately absent: how options are written in a job file (`job`), hashing.

mod equal;
mod measure;

pub use equal::{equal, within};
pub(super) use measure::Measure;

use super::{Kind, Number};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use unicase::UniCase;
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// How one column is compared. The default compares plain values. For text: nfc, then case, then trim. For numbers: round,
/// then bucket. NULL is NULL in every form.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Form {
    /// Text without White_Space (Unicode) at both ends.
    #[serde(skip_serializing_if = "is_default")]
    pub trim: bool,
    /// Text under full default case folding (Unicode): `STRASSE` is `straße`. Not by any language's own rules.
    #[serde(skip_serializing_if = "is_default")]
    pub case_fold: bool,
    /// Text in normalisation form C (Unicode): `é` is one text however many code points it is written with.
    #[serde(skip_serializing_if = "is_default")]
    pub nfc: bool,
    /// Numbers rounded to so many decimal places, half away from zero; −3 rounds to thousands.
    #[serde(skip_serializing_if = "is_default")]
    pub round: Option<i8>,
    /// Numbers by the bin that they fall into.
    #[serde(skip_serializing_if = "is_default")]
    pub bucket: Option<Bucket>,
    /// Numbers that are at most this far apart do not differ. Positive.
    #[serde(skip_serializing_if = "is_default")]
    pub tolerance: Option<Number>,
}

/// Bins of numbers. NaN is in no bin and stays itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bucket {
    /// Bins of this width, one of which starts at 0: bin `floor(value / width)`. Positive. A value so large that its
    /// bin cannot be counted in 128 bits, and each infinity, has a bin to itself.
    Width(Number),
    /// The lower bounds of all bins but the first, ascending: the bin is the number of bounds that are `<= value`.
    Bounds(Vec<Number>),
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Form {
    /// Whether no option is set.
    pub fn is_plain(&self) -> bool {
        is_default(self)
    }

    /// The form without its tolerance, which is no equivalence.
    #[must_use]
    pub fn without_tolerance(&self) -> Form {
        Form { tolerance: None, ..self.clone() }
    }

    /// Whether a column of this kind can be compared so.
    ///
    /// # Errors
    /// The first option that means nothing for the kind, and what to do; without the column's name.
    pub fn fits(&self, kind: Kind) -> Result<(), String> {
        let is_number = matches!(kind, Kind::Int | Kind::Decimal { .. } | Kind::Float);
        let of_text = self.text_options().filter(|_| kind != Kind::Text).map(|option| (option, "text"));
        let of_numbers = self.number_options().filter(|_| !is_number).map(|option| (option, "numbers"));
        match of_text.chain(of_numbers).next() {
            None => Ok(()),
            Some((option, what)) => Err(format!(
                "`{option}` compares {what}, and the column is {kind}: remove `{option}`, or cast the column with a query"
            )),
        }
    }

    /// The names of the options set that are for text.
    pub fn text_options(&self) -> impl Iterator<Item = &'static str> {
        let set = [("trim", self.trim), ("case_fold", self.case_fold), ("nfc", self.nfc)];
        set.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| name)
    }

    /// The names of the options set that are for numbers.
    pub fn number_options(&self) -> impl Iterator<Item = &'static str> {
        let set = [
            ("round", self.round.is_some()),
            ("bucket", self.bucket.is_some()),
            ("tolerance", self.tolerance.is_some()),
        ];
        set.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| name)
    }

    /// The text that is compared in place of `text`; borrowed unless case or normalisation change it.
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let composed = if self.nfc { nfc(Cow::Borrowed(text)) } else { Cow::Borrowed(text) };
        let folded = if self.case_fold { fold(composed) } else { composed };
        // Folding can take a text out of form C.
        let composed = if self.nfc && self.case_fold { nfc(folded) } else { folded };
        match composed {
            whole if !self.trim => whole,
            Cow::Borrowed(whole) => Cow::Borrowed(whole.trim()),
            Cow::Owned(whole) if whole.trim().len() == whole.len() => Cow::Owned(whole),
            Cow::Owned(whole) => Cow::Owned(whole.trim().to_owned()),
        }
    }

    /// Whether a number is compared as it is in fingerprints.
    pub(super) fn keeps_numbers(&self) -> bool {
        self.round.is_none() && self.bucket.is_none()
    }

    /// Whether a text is compared as it is.
    pub(super) fn keeps_text(&self) -> bool {
        !(self.trim || self.case_fold || self.nfc)
    }
}

fn nfc(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.is_ascii() || is_nfc(&text) { text } else { Cow::Owned(text.nfc().collect()) }
}

fn fold(text: Cow<'_, str>) -> Cow<'_, str> {
    match text.is_ascii() {
        true if !text.bytes().any(|b| b.is_ascii_uppercase()) => text,
        true => Cow::Owned(text.to_ascii_lowercase()),
        false => Cow::Owned(UniCase::unicode(text.as_ref()).to_folded_case()),
    }
}

#[cfg(test)]
mod tests;
