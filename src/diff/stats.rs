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

impl ColumnStats {
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
