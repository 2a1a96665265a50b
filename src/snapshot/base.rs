//! The base: the rows that the destination will have once every change is acknowledged, in one or several Parquet files.
//!
//! Its rows are counted over its files in order: tonight's extract (its own Parquet files where they could serve, else one
//! written by us), then `kept.parquet`: orgs that are known and that tonight's extract could not say anything about. Which of
//! the rows count, and for which org, is in the sidecar.

use super::read::Table;
use super::table::{known_columns, named, named_with_misfits};
use super::{Manifest, SnapshotError};
use crate::row::Schema;
use arrow::array::RecordBatch;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

/// An opened base.
#[derive(Debug)]
pub(super) struct Base {
    tables: Vec<(Table, Range<u64>)>,
    /// Key and compared columns of that night: what else is in the files was not compared and says nothing of the
    /// destination.
    known: Vec<String>,
}

impl Base {
    /// Opens and verifies the files.
    pub(super) fn open(dir: &Path, manifest: &Manifest) -> Result<Self, SnapshotError> {
        let (mut tables, mut start) = (Vec::new(), 0);
        for entry in &manifest.base {
            let table = Table::open(dir, entry)?;
            let range = start..start + table.rows();
            start = range.end;
            tables.push((table, range));
        }
        Ok(Base { tables, known: known_columns(manifest) })
    }

    /// How many rows there are.
    pub(super) fn rows(&self) -> u64 {
        self.tables.last().map_or(0, |(_, range)| range.end)
    }

    /// The rows at these positions, ascending and each once, as a batch of `schema`; NULL in columns that were not compared.
    pub(super) fn pick(&self, schema: &Schema, rows: &[u32]) -> Result<RecordBatch, SnapshotError> {
        let columns = self.columns(schema);
        let mut batches = Vec::new();
        let mut rest = rows;
        for (table, range) in &self.tables {
            let (inside, after) = rest.split_at(rest.partition_point(|row| u64::from(*row) < range.end));
            rest = after;
            let inside: Vec<u64> = inside.iter().map(|row| u64::from(*row) - range.start).collect();
            if !inside.is_empty() {
                batches.extend(table.pick(&columns, &inside, &|batch| named(&batch, schema, &self.known))?);
            }
        }
        Ok(arrow::compute::concat_batches(&schema.arrow(), &batches)?)
    }

    /// Every row group, with the positions of its rows.
    pub(super) fn groups(&self) -> impl Iterator<Item = (&Table, usize, Range<u64>)> {
        self.tables.iter().flat_map(|(table, range)| {
            let groups = table.groups().iter().enumerate();
            let start = range.start;
            groups.map(move |(group, rows)| (table, group, start + rows.start..start + rows.end))
        })
    }

    /// All rows of one row group, as batches of `schema`, and the rows of each with a value that does not fit its kind of
    /// tonight.
    pub(super) fn group(
        &self,
        schema: &Schema,
        table: &Table,
        group: usize,
    ) -> Result<impl Iterator<Item = Result<(RecordBatch, BTreeSet<usize>), SnapshotError>>, SnapshotError> {
        let batches = table.group(&self.columns(schema), group)?;
        Ok(batches.map(move |batch| named_with_misfits(&batch?, schema, &self.known)))
    }

    fn columns<'s>(&self, schema: &'s Schema) -> Vec<&'s str> {
        schema.columns.iter().map(|c| c.name.as_str()).filter(|name| self.known.iter().any(|k| k == name)).collect()
    }
}
