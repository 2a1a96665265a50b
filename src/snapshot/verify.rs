//! Everything that can be checked of a published run without its extract.

use super::base::Base;
use super::order::Order;
use super::read::Table;
use super::sidecar::{Partition, Sidecar};
use super::{Basis, ChangeSet, FileEntry, Manifest, SnapshotError, waiting};
use crate::diff::{self, Flags, LastNight, NOWHERE, Positions, Slot, TableBuilder};
use std::path::Path;

/// What a check came to.
#[derive(Debug, Default)]
pub struct Verified {
    /// Every file, and what is wrong with its content or length; checked in this order.
    pub files: Vec<(FileEntry, Option<SnapshotError>)>,
    /// What is wrong between the files, or within one whose content is what was written.
    pub problems: Vec<SnapshotError>,
    /// Orgs whose key and fingerprint were made anew and are those of the sidecar.
    pub orgs: u64,
}

impl Verified {
    /// Everything that is wrong.
    pub fn damage(&self) -> impl Iterator<Item = &SnapshotError> {
        self.files.iter().filter_map(|(_, problem)| problem.as_ref()).chain(&self.problems)
    }

    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.damage().next().is_none()
    }
}

/// Checks every file of a run: its checksum and rows; the sidecar's order; that each of its entries refers to a row of the
/// base with the same key and fingerprint, and stands in its row of the order; that changes and waiting changes can be read.
pub fn verify(dir: &Path, manifest: &Manifest) -> Verified {
    let mut verified = Verified::default();
    for entry in manifest.files() {
        let opened = match manifest.order.as_ref() == Some(entry) {
            true => Order::open(dir, entry).map(drop),
            false => Table::open(dir, entry).map(drop),
        };
        verified.files.push((entry.clone(), opened.err()));
    }
    let is_whole = |entry: &FileEntry| verified.files.iter().all(|(file, problem)| file != entry || problem.is_none());
    let orgs = match manifest.base.iter().chain([&manifest.sidecar]).all(is_whole) {
        true => orgs(dir, manifest),
        false => Ok(0),
    };
    // A sidecar that does not go with the base does not go with the order of its rows either.
    let is_comparable = |order: &&FileEntry| orgs.is_ok() && is_whole(order) && is_whole(&manifest.sidecar);
    let order = match manifest.order.as_ref().filter(is_comparable) {
        Some(entry) => order_of(dir, manifest, entry),
        None => Ok(()),
    };
    let changes = if is_whole(&manifest.changes) { changes(dir, manifest) } else { Ok(()) };
    let waiting = match manifest.waiting.as_ref().filter(|entry| is_whole(entry)) {
        Some(entry) => {
            Table::open(dir, entry).and_then(|table| waiting::read(&table, &Basis::of(manifest).schema).map(drop))
        }
        None => Ok(()),
    };
    verified.problems.extend([order.err(), changes.err(), waiting.err()].into_iter().flatten());
    match orgs {
        Ok(orgs) => verified.orgs = orgs,
        Err(problem) => verified.problems.push(problem),
    }
    verified
}

/// Goes through the base and looks every row up. Returns how many orgs there are.
fn orgs(dir: &Path, manifest: &Manifest) -> Result<u64, SnapshotError> {
    let (base, sidecar) = (Base::open(dir, manifest)?, Sidecar::open(dir, &manifest.sidecar)?);
    let mut builder = TableBuilder::new(usize::try_from(sidecar.rows()).unwrap_or(0));
    sidecar.entries(Partition::ALL, &mut |entry| match builder.push(entry) {
        true => Ok(()),
        false => Err(SnapshotError::damaged(sidecar.path(), "its keys are not in order")),
    })?;
    let (table, rows) = builder.finish(0);
    let mut found = vec![false; table.len()];
    let basis = Basis::of(manifest);
    for (file, group, positions) in base.groups() {
        let mut row = positions.start;
        for batch in base.group(&basis.schema, file, group)? {
            let (keys, prints) = basis.hash(&batch?.0);
            for (key, print) in keys.into_iter().zip(prints) {
                let at = table.find(key);
                // What the extract could not say anything about is in the file, and no entry refers to it.
                if at != NOWHERE && u64::from(rows.get(at)) == row {
                    found[at as usize] = print == table.print(at) || table.flags(at).has(Flags::ABSENT);
                }
                row += 1;
            }
        }
    }
    match found.iter().position(|found| !found) {
        None => Ok(table.len() as u64),
        Some(at) => Err(SnapshotError::damaged(sidecar.path(), unlike(&table, &rows, at, &found))),
    }
}

fn unlike(table: &diff::Table, rows: &Positions, at: usize, found: &[bool]) -> String {
    let count = found.iter().filter(|found| !**found).count();
    let key = table.key(at as u32);
    format!(
        "{count} of its {} entries are not those of their rows in the base; the first is that of row {} (key hash {:016x}{:08x})",
        table.len(),
        rows.get(at as u32),
        key.hi,
        key.lo
    )
}

/// Whether every entry of the sidecar stands in its row of the order.
fn order_of(dir: &Path, manifest: &Manifest, entry: &FileEntry) -> Result<(), SnapshotError> {
    let unlike = |problem: String| SnapshotError::Order { path: dir.join(&entry.path), problem };
    let rows: u64 = manifest.base.iter().map(|file| file.rows).sum();
    if rows != entry.rows {
        return Err(unlike(format!("it has {} rows and the base {rows}", entry.rows)));
    }
    let mut slots = vec![Slot::default(); usize::try_from(rows).unwrap_or(usize::MAX)];
    let order = Order::open(dir, entry)?;
    order.read(0, &mut slots);
    order.check()?;
    Sidecar::open(dir, &manifest.sidecar)?.entries(Partition::ALL, &mut |known| match slots.get(known.row as usize)
        == Some(&Slot::new(known.key, known.print))
    {
        true => Ok(()),
        false => Err(unlike(format!("its row {} is not that of the sidecar", known.row))),
    })
}

/// Reads every change.
fn changes(dir: &Path, manifest: &Manifest) -> Result<(), SnapshotError> {
    for batch in ChangeSet::published(dir, manifest)?.batches()? {
        batch?;
    }
    Ok(())
}
