//! The row of each entry of a table: the one in the base, then tonight's.

use super::huge::Huge;
use std::collections::BTreeMap;

/// One row number for each position of a table.
#[derive(Debug)]
pub struct Positions(Of);

#[derive(Debug)]
enum Of {
    /// One by one.
    Each(Huge<u32>),
    Runs(Runs),
}

/// Mostly runs of consecutive numbers: a table in the order of last night's rows, and an extract that comes in it.
#[derive(Debug, Default)]
struct Runs {
    positions: usize,
    /// The numbers before tonight, where they are not the position itself.
    before: BTreeMap<u32, u32>,
    /// Tonight's runs by their first position: the first number, and how many.
    runs: BTreeMap<u32, (u32, u32)>,
    /// The run that is being added to: first position, first number, how many.
    last: (u32, u32, u32),
    /// What was put back.
    back: BTreeMap<u32, u32>,
}

impl Runs {
    fn get(&self, at: u32) -> u32 {
        let in_run = |first: u32, number: u32, len: u32| {
            at.checked_sub(first).filter(|offset| *offset < len).map(|offset| number + offset)
        };
        let closed = || self.runs.range(..=at).next_back().and_then(|(first, run)| in_run(*first, run.0, run.1));
        let tonight = || in_run(self.last.0, self.last.1, self.last.2).or_else(closed);
        let before = || self.before.get(&at).copied().unwrap_or(at);
        self.back.get(&at).copied().or_else(tonight).unwrap_or_else(before)
    }

    fn take(&mut self, at: u32, row: u32) {
        let (first, number, len) = self.last;
        if at == first.wrapping_add(len) && row == number.wrapping_add(len) {
            self.last.2 += 1;
            return;
        }
        if len > 0 {
            self.runs.insert(first, (number, len));
        }
        self.last = (at, row, 1);
    }

    fn each(&self) -> Huge<u32> {
        let mut each: Huge<u32> = (0..self.positions as u32).collect();
        let all = each.as_mut_slice();
        let put = |all: &mut [u32], at: &u32, row: &u32| all[*at as usize] = *row;
        self.before.iter().for_each(|(at, row)| put(all, at, row));
        let last = (self.last.0, (self.last.1, self.last.2));
        for (first, (number, len)) in self.runs.iter().map(|(first, run)| (*first, *run)).chain([last]) {
            let of_run = all.iter_mut().skip(first as usize).take(len as usize);
            of_run.zip(number..).for_each(|(row, number)| *row = number);
        }
        self.back.iter().for_each(|(at, row)| put(all, at, row));
        each
    }
}

impl Positions {
    pub(super) fn each(rows: Huge<u32>) -> Self {
        Positions(Of::Each(rows))
    }

    /// Each number is its position, but for these.
    pub(super) fn runs(positions: usize, before: BTreeMap<u32, u32>) -> Self {
        Positions(Of::Runs(Runs { positions, before, ..Runs::default() }))
    }

    /// By position.
    pub fn get(&self, at: u32) -> u32 {
        match &self.0 {
            Of::Each(rows) => rows.as_slice()[at as usize],
            Of::Runs(runs) => runs.get(at),
        }
    }

    /// Reads the numbers of some positions at once. Reads without a branch between them go to memory together.
    pub(super) fn touch(&self, positions: impl Iterator<Item = u32>) {
        if let Of::Each(rows) = &self.0 {
            let rows = rows.as_slice();
            let touched = positions.fold(0, |sum, at| sum ^ rows.get(at as usize).copied().unwrap_or(0));
            std::hint::black_box(touched);
        }
    }

    /// Notes tonight's row of a position, for the first time.
    pub(super) fn take(&mut self, at: u32, row: u32) {
        match &mut self.0 {
            Of::Each(rows) => rows.as_mut_slice()[at as usize] = row,
            Of::Runs(runs) => runs.take(at, row),
        }
    }

    /// Puts an earlier row back, or another one.
    pub(super) fn put_back(&mut self, at: u32, row: u32) {
        match &mut self.0 {
            Of::Each(rows) => rows.as_mut_slice()[at as usize] = row,
            Of::Runs(runs) => drop(runs.back.insert(at, row)),
        }
    }

    /// Makes reading all of them quick, in any order.
    pub(super) fn spread(&mut self) {
        if let Of::Runs(runs) = &self.0 {
            self.0 = Of::Each(runs.each());
        }
    }

    /// The numbers as they were before tonight's, where they are at hand without reading the snapshot again.
    #[must_use]
    pub fn original(&self) -> Option<Self> {
        match &self.0 {
            Of::Each(_) => None,
            Of::Runs(runs) => Some(Positions::runs(runs.positions, runs.before.clone())),
        }
    }
}

impl Default for Positions {
    fn default() -> Self {
        Positions::each(Huge::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_what_one_by_one_is() {
        let before = BTreeMap::from([(3, 70), (8, 71)]);
        let mut each: Vec<u32> = (0..12).map(|at| before.get(&at).copied().unwrap_or(at)).collect();
        let mut runs = Positions::runs(12, before);
        let taken = [(0, 0), (1, 1), (2, 2), (4, 3), (5, 4), (10, 5), (3, 6), (6, 7), (7, 8), (11, 9)];
        for (at, row) in taken {
            each[at as usize] = row;
            runs.take(at, row);
        }
        for (at, row) in [(5, 5), (3, 70), (11, 11)] {
            each[at as usize] = row;
            runs.put_back(at, row);
        }
        let all = |of: &Positions| (0..12).map(|at| of.get(at)).collect::<Vec<_>>();
        assert_eq!(all(&runs), each);
        let original = runs.original().unwrap();
        runs.spread();
        assert_eq!(all(&runs), each);
        assert_eq!(all(&original), [0, 1, 2, 70, 4, 5, 6, 7, 71, 9, 10, 11]);
    }
}
