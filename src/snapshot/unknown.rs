//! Which compared columns are not known of a row. Nearly always none; some where a column was adopted on a night on which
//! the org was missing, rejected or not acknowledged.

use super::Manifest;
use crate::row::Compared;

/// The sets of columns that are not known of some rows; a row refers to its set by number
/// ([`Flags::basis`](crate::diff::Flags::basis)). Set 0 is empty.
#[derive(Debug, Clone)]
pub struct Unknown {
    sets: Vec<Vec<String>>,
}

impl Unknown {
    /// Those of a snapshot; before the first one, only the empty set.
    pub fn new(manifest: Option<&Manifest>) -> Self {
        let stored = manifest.map(|m| m.unknown.as_slice()).unwrap_or_default();
        Unknown { sets: std::iter::once(Vec::new()).chain(stored.iter().cloned()).collect() }
    }

    /// The number of a set.
    pub(super) fn number(&mut self, names: &[String]) -> u16 {
        let mut names = names.to_vec();
        names.sort();
        names.dedup();
        let known = self.sets.iter().position(|set| *set == names);
        let at = known.unwrap_or_else(|| {
            self.sets.push(names);
            self.sets.len() - 1
        });
        // A set joins on a night on which columns are adopted. After 4,095 of those the columns count as NULL, and the org is
        // sent once more than need be.
        u16::try_from(at).ok().filter(|at| *at < 1 << 12).unwrap_or(0)
    }

    /// Of each set the positions in `compared` that are not to be looked at tonight: those of the set, and those that are
    /// adopted tonight.
    pub fn columns(&self, compared: &[Compared], adopted: &[usize]) -> Vec<Vec<usize>> {
        let unknown = |set: &Vec<String>| {
            let is = |c: &usize| adopted.contains(c) || set.contains(&compared[*c].name);
            (0..compared.len()).filter(is).collect()
        };
        self.sets.iter().map(unknown).collect()
    }

    /// Of each set the number of the set that its rows have if they are not seen tonight.
    pub fn rebased(&mut self, compared: &[Compared], adopted: &[usize]) -> Vec<u16> {
        let columns = self.columns(compared, adopted);
        let names = |set: &Vec<usize>| set.iter().map(|&c| compared[c].name.clone()).collect::<Vec<_>>();
        columns.iter().map(names).collect::<Vec<_>>().iter().map(|set| self.number(set)).collect()
    }

    /// The names of a set.
    pub fn names(&self, number: u16) -> &[String] {
        self.sets.get(usize::from(number)).map(Vec::as_slice).unwrap_or_default()
    }

    /// The sets to store.
    pub(super) fn stored(&self) -> Vec<Vec<String>> {
        self.sets[1..].to_vec()
    }
}
