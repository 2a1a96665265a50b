//! `sidecar.parquet`: one row per known org, sorted by the hash of its key, so that it is the lookup table.
//!
//! | column | what |
//! |---|---|
//! | `key_hi`, `key_lo` | 96 bits of the keyed hash of the key, ascending |
//! | `fingerprint` | 64 bits over the compared columns |
//! | `row` | where its values are in the base |
//! | `flags` | 1 absent, 2 uncertain, 4 gone; from 16 on which columns are not known ([`Flags`]) |

use super::files::{self, TableWriter};
use super::read::{Table, in_parallel};
use super::{FileEntry, SnapshotError};
use crate::diff::{Entry, Flags, Section, TableBuilder};
use crate::row::KeyHash;
use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt16Array, UInt32Array, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt16Type, UInt32Type, UInt64Type};
use parquet::basic::Compression;
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnPath;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

const COLUMNS: [&str; 5] = ["key_hi", "key_lo", "fingerprint", "row", "flags"];

/// Entries that are collected before they are written: with them goes what a reader must hold.
const GROUP: usize = 1 << 18;

/// A part of the key space: all hashes that begin with these bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    /// Which one.
    pub number: u64,
    /// How many leading bits say so; 0: all keys.
    pub bits: u32,
}

impl Partition {
    /// The whole key space.
    pub const ALL: Partition = Partition { number: 0, bits: 0 };

    /// The partition of a key among `2^bits`.
    pub fn of(key: KeyHash, bits: u32) -> u64 {
        if bits == 0 { 0 } else { key.hi >> (64 - bits) }
    }

    /// Whether a key belongs to it.
    pub fn has(self, key: KeyHash) -> bool {
        Self::of(key, self.bits) == self.number
    }

    /// The smallest and the largest leading half of its keys.
    fn range(self) -> (u64, u64) {
        if self.bits == 0 {
            return (0, u64::MAX);
        }
        let start = self.number << (64 - self.bits);
        (start, start | (u64::MAX >> self.bits))
    }
}

/// Takes entries in the order of their keys.
#[derive(Debug)]
pub(super) struct SidecarWriter {
    writer: TableWriter,
    schema: SchemaRef,
    hi: Vec<u64>,
    lo: Vec<u32>,
    print: Vec<u64>,
    row: Vec<u32>,
    flags: Vec<u16>,
}

impl SidecarWriter {
    pub(super) fn create(dir: &Path, name: &str) -> Result<Self, SnapshotError> {
        let types = [DataType::UInt64, DataType::UInt32, DataType::UInt64, DataType::UInt32, DataType::UInt16];
        let fields = COLUMNS.iter().zip(types).map(|(name, data_type)| Field::new(*name, data_type, false));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        // Hashes cannot be made smaller; only the flags, which are nearly always 0, can.
        let properties = files::properties()
            .set_compression(Compression::UNCOMPRESSED)
            .set_dictionary_enabled(false)
            .set_column_dictionary_enabled(ColumnPath::from("flags"), true)
            .set_data_page_row_count_limit(1 << 17)
            .set_write_batch_size(1 << 14)
            .set_max_row_group_row_count(Some(GROUP))
            .build();
        let writer = TableWriter::create(dir, name, &schema, properties)?;
        let (hi, lo, print, row, flags) = Default::default();
        Ok(SidecarWriter { writer, schema, hi, lo, print, row, flags })
    }

    pub(super) fn push(&mut self, entry: Entry) -> Result<(), SnapshotError> {
        self.hi.push(entry.key.hi);
        self.lo.push(entry.key.lo);
        self.print.push(entry.print);
        self.row.push(entry.row);
        self.flags.push(entry.flags.bits());
        if self.hi.len() == GROUP { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), SnapshotError> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(UInt64Array::from(std::mem::take(&mut self.hi))),
            Arc::new(UInt32Array::from(std::mem::take(&mut self.lo))),
            Arc::new(UInt64Array::from(std::mem::take(&mut self.print))),
            Arc::new(UInt32Array::from(std::mem::take(&mut self.row))),
            Arc::new(UInt16Array::from(std::mem::take(&mut self.flags))),
        ];
        self.writer.write(&RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }

    pub(super) fn finish(mut self) -> Result<FileEntry, SnapshotError> {
        self.write()?;
        self.writer.finish()
    }
}

/// An opened sidecar.
#[derive(Debug)]
pub(super) struct Sidecar(Table);

impl Sidecar {
    pub(super) fn open(dir: &Path, entry: &FileEntry) -> Result<Self, SnapshotError> {
        Ok(Sidecar(Table::open(dir, entry)?))
    }

    pub(super) fn rows(&self) -> u64 {
        self.0.rows()
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Gives the entries of a partition to `each`, in the order of their keys. Row groups are decoded ahead on another thread.
    pub(super) fn entries(
        &self,
        part: Partition,
        each: &mut dyn FnMut(Entry) -> Result<(), SnapshotError>,
    ) -> Result<(), SnapshotError> {
        let groups = (0..self.0.groups().len()).filter(|group| self.overlaps(*group, part));
        let (sender, receiver) = sync_channel(2);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for group in groups {
                    let decoded = self.0.group(&COLUMNS, group).and_then(Iterator::collect::<Result<Vec<_>, _>>);
                    if sender.send(decoded).is_err() {
                        return;
                    }
                }
            });
            for batches in receiver {
                for batch in batches? {
                    self.columns(&batch)?.entries().filter(|entry| part.has(entry.key)).try_for_each(&mut *each)?;
                }
            }
            Ok(())
        })
    }

    /// All entries as a table, if there is nothing to be said of any; every core decodes.
    pub(super) fn plain_table(&self) -> Result<Option<TableBuilder>, SnapshotError> {
        let sizes: Vec<usize> = self.0.groups().iter().map(|rows| (rows.end - rows.start) as usize).collect();
        TableBuilder::sections(&sizes, |sections| {
            let tasks = sections.into_iter().enumerate().collect();
            let filled = in_parallel(tasks, |(group, mut section): (usize, Section<'_>)| {
                let mut plain = true;
                for batch in self.0.group(&COLUMNS, group)? {
                    let batch = batch?;
                    let columns = self.columns(&batch)?;
                    plain = plain && columns.entries().all(|entry| section.push(entry));
                }
                Ok(plain && section.is_full())
            })?;
            Ok(filled.into_iter().all(|plain| plain))
        })
    }

    /// The rows of all entries in the order of their keys, into memory of just so many, and the flags of those that are not
    /// plain; every core decodes.
    pub(super) fn rows_by_key(&self, mut rows: &mut [u32]) -> Result<Vec<(u32, Flags)>, SnapshotError> {
        let mut tasks = Vec::new();
        for (group, range) in self.0.groups().iter().enumerate() {
            let (part, rest) = rows.split_at_mut((range.end - range.start) as usize);
            tasks.push((group, part));
            rows = rest;
        }
        let not_ours = || SnapshotError::damaged(self.0.path(), "it is no sidecar of this version");
        let flags = in_parallel(tasks, |(group, mut part): (usize, &mut [u32])| {
            let mut flags = Vec::new();
            for batch in self.0.group(&COLUMNS[3..], group)? {
                let batch = batch?;
                let rows = batch.column(0).as_primitive_opt::<UInt32Type>().ok_or_else(not_ours)?.values();
                let bits = batch.column(1).as_primitive_opt::<UInt16Type>().ok_or_else(not_ours)?.values();
                let (filled, rest) = part.split_at_mut_checked(rows.len()).ok_or_else(not_ours)?;
                filled.copy_from_slice(rows);
                part = rest;
                for (row, bits) in rows.iter().zip(bits).filter(|(_, bits)| **bits != 0) {
                    flags.push((*row, Flags::from_bits(*bits).ok_or_else(not_ours)?));
                }
            }
            if part.is_empty() { Ok(flags) } else { Err(not_ours()) }
        })?;
        Ok(flags.into_iter().flatten().collect())
    }

    /// By the smallest and largest hash that the file says the row group has. The file's checksum is verified.
    fn overlaps(&self, group: usize, part: Partition) -> bool {
        let column = self.0.metadata().metadata().row_group(group).column(0);
        let (start, end) = part.range();
        match column.statistics() {
            // The unsigned numbers are stored in signed ones, bit for bit, and compared as unsigned.
            Some(Statistics::Int64(range)) => {
                let bound = |value: Option<&i64>| value.map(|v| v.cast_unsigned());
                bound(range.min_opt()).is_none_or(|min| min <= end)
                    && bound(range.max_opt()).is_none_or(|max| max >= start)
            }
            _ => true,
        }
    }

    fn columns(&self, batch: &RecordBatch) -> Result<Columns, SnapshotError> {
        let columns = || {
            let column = |index: usize| Some(batch.columns().get(index)?.clone());
            let flags = column(4)?.as_primitive_opt::<UInt16Type>()?.clone();
            flags.values().iter().all(|bits| Flags::from_bits(*bits).is_some()).then_some(())?;
            Some(Columns {
                hi: column(0)?.as_primitive_opt::<UInt64Type>()?.clone(),
                lo: column(1)?.as_primitive_opt::<UInt32Type>()?.clone(),
                print: column(2)?.as_primitive_opt::<UInt64Type>()?.clone(),
                row: column(3)?.as_primitive_opt::<UInt32Type>()?.clone(),
                flags,
            })
        };
        columns().ok_or_else(|| SnapshotError::damaged(self.0.path(), "it is no sidecar of this version"))
    }
}

struct Columns {
    hi: UInt64Array,
    lo: UInt32Array,
    print: UInt64Array,
    row: UInt32Array,
    flags: UInt16Array,
}

impl Columns {
    fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        let keys = self.hi.values().iter().zip(self.lo.values());
        let rest = self.print.values().iter().zip(self.row.values()).zip(self.flags.values());
        keys.zip(rest).map(|((hi, lo), ((print, row), flags))| Entry {
            key: KeyHash { hi: *hi, lo: *lo },
            print: *print,
            row: *row,
            flags: Flags::from_bits(*flags).unwrap_or_default(),
        })
    }
}
