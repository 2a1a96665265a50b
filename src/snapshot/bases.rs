//! Which compared columns are known of a row. Nearly always all of them; fewer where a column was adopted on a night on
//! which the org was missing, rejected or not acknowledged.

use super::table::compared_of;
use super::view::Basis;
use crate::row::{Fingerprint, Fingerprinter};
use arrow::array::RecordBatch;

/// The sets of columns that a snapshot's rows are known by; a row refers to its set by number.
#[derive(Debug, Default)]
pub(super) struct Bases {
    /// Positions in the asked-for schema, in the order of their names. The first set is all compared columns.
    columns: Vec<Vec<usize>>,
    /// The names of the compared columns that each set lacks.
    unknown: Vec<Vec<String>>,
}

impl Bases {
    pub(super) fn new(basis: &Basis<'_>) -> Self {
        let all = compared_of(basis.schema, basis.key);
        Bases { columns: vec![all], unknown: vec![Vec::new()] }
    }

    /// The number of the set of a row that was stored with these columns unknown; those adopted tonight join them.
    fn number(&mut self, basis: &Basis<'_>, stored_unknown: &[String]) -> usize {
        let name = |c: usize| &basis.schema.columns[c].name;
        let is_unknown = |c: &usize| basis.adopted.contains(c) || stored_unknown.contains(name(*c));
        let (unknown, known): (Vec<usize>, Vec<usize>) = self.columns[0].iter().partition(|c| is_unknown(c));
        self.columns.iter().position(|c| *c == known).unwrap_or_else(|| {
            self.unknown.push(unknown.into_iter().map(|c| name(c).clone()).collect());
            self.columns.push(known);
            self.columns.len() - 1
        })
    }

    /// [`Bases::number`] for many rows, nearly all of which have nothing unknown.
    pub(super) fn numbers<'n>(&mut self, basis: &Basis<'_>, stored: impl Iterator<Item = &'n [String]>) -> Vec<usize> {
        let plain = self.number(basis, &[]);
        stored.map(|unknown| if unknown.is_empty() { plain } else { self.number(basis, unknown) }).collect()
    }

    /// The columns of every set but the first.
    pub(super) fn narrower(&self) -> &[Vec<usize>] {
        self.columns.get(1..).unwrap_or_default()
    }

    pub(super) fn unknown(&self, number: usize) -> &[String] {
        &self.unknown[number]
    }

    /// The fingerprints of a file's rows, each over its own set. `stored`: those that the file has, over the columns of the
    /// names `stored_over`; they serve where that is the row's set.
    pub(super) fn fingerprints(
        &self,
        basis: &Basis<'_>,
        stored_over: &[String],
        stored: impl Iterator<Item = Option<Fingerprint>>,
        numbers: &[usize],
        values: &RecordBatch,
    ) -> Vec<Option<Fingerprint>> {
        let mut out: Vec<_> = stored.collect();
        for (number, columns) in self.columns.iter().enumerate() {
            let serves = columns.iter().map(|&c| &basis.schema.columns[c].name).eq(stored_over);
            if serves || !numbers.contains(&number) {
                continue;
            }
            let hashes = Fingerprinter::new(basis.seed, basis.schema, columns).fingerprints(values);
            for ((slot, of), hash) in out.iter_mut().zip(numbers).zip(hashes) {
                if *of == number && slot.is_some() {
                    *slot = Some(hash);
                }
            }
        }
        out
    }
}
