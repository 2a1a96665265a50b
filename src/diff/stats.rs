//! Which columns make orgs change, and which of them do so together.

/// Counts over the changed orgs of one run (operation `changed`). Columns are numbered as they are compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnStats {
    /// Changed orgs looked at.
    pub rows: u64,
    /// In how many each column differs.
    pub changed: Vec<u64>,
    /// In how many it is the only column that differs.
    pub alone: Vec<u64>,
    /// In how many two columns differ together, by the pair's numbers, the smaller first.
    pub pairs: std::collections::BTreeMap<(usize, usize), u64>,
}

/// Changed orgs below which no column is volatile: a few orgs may well change alike.
const FEW: u64 = 20;
/// Columns that are named at most.
const NAMED: usize = 3;

impl ColumnStats {
    /// How many of the changed orgs differ in each column that has any, and how many in it alone; most first. `names`: of all columns.
    pub fn by_column<'n>(&self, names: &[&'n str]) -> Vec<(&'n str, u64, u64)> {
        let counts = self.changed.iter().copied().zip(self.alone.iter().copied());
        let mut columns: Vec<_> =
            names.iter().zip(counts).map(|(name, (changed, alone))| (*name, changed, alone)).collect();
        columns.retain(|(_, changed, _)| *changed > 0);
        columns.sort_by_key(|(_, changed, _)| std::cmp::Reverse(*changed));
        columns
    }

    /// The same of columns that make most orgs change: where more than half of the `known` orgs have `changed`, those that differ in nine of ten of these, or
    /// alone in half of them. In a small change set one column may well dominate.
    pub fn volatile<'n>(&self, names: &[&'n str], changed: u64, known: u64) -> Vec<(&'n str, u64, u64)> {
        if changed < FEW || changed * 2 < known {
            return Vec::new();
        }
        let mut columns = self.by_column(names);
        columns.retain(|(_, count, alone)| count * 10 >= changed * 9 || alone * 2 >= changed);
        columns.truncate(NAMED);
        columns
    }

    /// For so many compared columns.
    pub fn new(columns: usize) -> Self {
        ColumnStats { changed: vec![0; columns], alone: vec![0; columns], ..ColumnStats::default() }
    }

    /// One changed org and the columns in which it differs, ascending.
    pub fn add(&mut self, differing: &[usize]) {
        self.rows += 1;
        for (i, &column) in differing.iter().enumerate() {
            self.changed[column] += 1;
            for &other in &differing[i + 1..] {
                *self.pairs.entry((column, other)).or_default() += 1;
            }
        }
        if let [only] = differing {
            self.alone[*only] += 1;
        }
    }
}
