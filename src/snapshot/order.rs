//! `order.bin`: key hash and fingerprint of each row of the base, in its order, for a comparison with an extract that comes in
//! that order ([`Ordered`](crate::diff::Ordered)). It says nothing that the sidecar does not say, and no snapshot needs it: what is
//! wrong with it is told, and the comparison does without it.
//!
//! 20 bytes a row, five numbers of 32 bits, the least byte first: the upper and lower half of `key_hi`, `key_lo`, the halves of
//! the fingerprint. What it has of a row that no entry of the sidecar refers to does not count.

use super::files::{Hashed, verified_file};
use super::{FileEntry, SnapshotError};
use crate::diff::{Entry, LastNight, Slot};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Takes tonight's rows in order, then those that are kept.
pub struct OrderWriter {
    file: Hashed,
    name: String,
    path: PathBuf,
    rows: u64,
    /// By their rank among the kept rows.
    kept: Vec<Slot>,
}

impl OrderWriter {
    pub(super) fn create(dir: &Path, name: String) -> Result<Self, SnapshotError> {
        let path = dir.join(&name);
        Ok(OrderWriter { file: Hashed::create(&path)?, name, path, rows: 0, kept: Vec::new() })
    }

    /// Adds tonight's next rows.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn append(&mut self, slots: &[Slot]) -> Result<(), SnapshotError> {
        self.rows += slots.len() as u64;
        let written = match cfg!(target_endian = "little") {
            true => self.file.write_all(bytemuck::cast_slice(slots)),
            false => self.file.write_all(bytemuck::cast_slice(&slots.iter().map(|s| s.stored()).collect::<Vec<_>>())),
        };
        written.map_err(SnapshotError::io(&self.path))
    }

    /// Notes an entry of the next sidecar, if its row is one of those that are kept.
    pub(super) fn keep(&mut self, entry: &Entry) {
        if let Some(rank) = u64::from(entry.row).checked_sub(self.rows) {
            let rank = usize::try_from(rank).unwrap_or(usize::MAX);
            if self.kept.len() <= rank {
                self.kept.resize(rank + 1, Slot::default());
            }
            self.kept[rank] = Slot::new(entry.key, entry.print);
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn finish(mut self) -> Result<FileEntry, SnapshotError> {
        let kept = std::mem::take(&mut self.kept);
        self.append(&kept)?;
        Ok(self.file.entry(self.name, self.rows))
    }
}

impl std::fmt::Debug for OrderWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OrderWriter").field("path", &self.path).field("rows", &self.rows).finish_non_exhaustive()
    }
}

/// An opened order.
#[derive(Debug, Clone)]
pub(super) struct Order(Arc<Opened>);

#[derive(Debug)]
struct Opened {
    path: PathBuf,
    file: File,
    /// What kept rows from being read.
    failed: Mutex<Option<io::Error>>,
}

impl Order {
    /// Opens and verifies the file.
    pub(super) fn open(dir: &Path, entry: &FileEntry) -> Result<Self, SnapshotError> {
        let (path, file) = verified_file(dir, entry).map_err(|error| match error {
            SnapshotError::Damaged { path, problem } => SnapshotError::Order { path, problem },
            other => other,
        })?;
        if entry.rows.checked_mul(Slot::BYTES as u64) != Some(entry.bytes) {
            let problem = format!("{} bytes are not {} rows", entry.bytes, entry.rows);
            return Err(SnapshotError::Order { path, problem });
        }
        Ok(Order(Arc::new(Opened { path, file, failed: Mutex::default() })))
    }

    /// An error if any row could not be read, so that what was made of them is not to be used.
    pub(super) fn check(&self) -> Result<(), SnapshotError> {
        let failed = self.0.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        failed.map_or(Ok(()), |error| Err(SnapshotError::io(&self.0.path)(error)))
    }
}

impl LastNight for Order {
    fn read(&self, first: u32, slots: &mut [Slot]) {
        let at = u64::from(first) * Slot::BYTES as u64;
        if let Err(error) = self.0.file.read_exact_at(bytemuck::cast_slice_mut(slots), at) {
            slots.fill(Slot::default());
            self.0.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
        if cfg!(target_endian = "big") {
            slots.iter_mut().for_each(|slot| *slot = slot.stored());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::KeyHash;

    #[test]
    fn rows_that_cannot_be_read_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let slots: Vec<Slot> = (1..=3).map(|n| Slot::new(KeyHash { hi: n, lo: 7 }, n)).collect();
        let mut writer = OrderWriter::create(dir.path(), "order.bin".into()).unwrap();
        writer.append(&slots).unwrap();
        let order = Order::open(dir.path(), &writer.finish().unwrap()).unwrap();
        let mut read = vec![Slot::default(); 2];
        order.read(1, &mut read);
        assert_eq!(read, slots[1..]);
        order.check().unwrap();
        // Somebody cuts the file after it was verified.
        File::options().write(true).open(dir.path().join("order.bin")).unwrap().set_len(50).unwrap();
        order.read(1, &mut read);
        assert_eq!(read, [Slot::default(); 2]);
        assert!(order.check().unwrap_err().to_string().contains("order.bin"));
    }
}
