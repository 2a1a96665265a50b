//! The comparison in parts, when what is known does not fit the memory budget: tonight's rows go to disk by partition of the
//! key space, and each partition is compared by itself. The change sets are put into one order afterwards, so that what is
//! sent does not depend on the budget.

use super::PipelineError;
use super::compare::{Comparison, Side};
use super::extract::Ready;
use super::plan::Place;
use super::scan::{Emit, scan};
use super::seen::{Noted, Seen};
use super::whole::{Comparing, Outcome};
use crate::row::KeyHash;
use crate::snapshot::{BaseEncoder, BaseWriter, EncodedRows, Partition, Snapshot, Target};
use crate::source::Piece;
use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array, UInt64Array};
use arrow::datatypes::{Field, Schema, SchemaRef, UInt32Type, UInt64Type};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a known org takes in memory: hash, fingerprint, flags, row, index.
const KNOWN: u64 = 32;
/// What an org takes that is not known: hash, fingerprint, row.
const NEW: u64 = 40;
/// What an unacknowledged change takes besides.
const PENDING: u64 = 160;
/// What decoding and encoding take, whatever the number of orgs.
const FIXED: u64 = 96 << 20;
/// Orgs that a first extract is taken to have if its source cannot say how many. Too many costs a detour over the disk once; too few, memory
/// beyond the budget.
const UNTOLD: u64 = 1 << 25;
/// Partitions are files that are open at once.
const MOST_BITS: u32 = 7;

/// How many leading bits of a key hash make partitions that fit the budget each; 0: all of it fits. `rows`: about how many come; 0: unknown.
pub(super) fn partition_bits(memory: u64, snapshot: Option<&Snapshot>, rows: u64) -> u32 {
    let known = snapshot.map_or(0, Snapshot::size);
    let pending = snapshot.map_or(0, Snapshot::pending);
    bits(memory, known, pending, rows)
}

fn bits(memory: u64, known: u64, pending: u64, rows: u64) -> u32 {
    // What is known says about how many there are tonight.
    let rows = if rows == 0 && known == 0 { UNTOLD } else { rows };
    // A database may say that there are more rows than the world has bytes.
    let new = rows.saturating_sub(known).saturating_mul(NEW);
    let needed = known.saturating_mul(KNOWN).saturating_add(pending.saturating_mul(PENDING)).saturating_add(new);
    let budget = memory.saturating_sub(FIXED).max(memory / 4).max(1);
    needed.div_ceil(budget).min(1 << MOST_BITS).next_power_of_two().trailing_zeros()
}

/// Compares partition by partition.
pub(super) fn compare(comparing: &Comparing<'_>, place: &mut Place, bits: u32) -> Result<Outcome, PipelineError> {
    let made = tempfile::Builder::new().prefix("spill-").tempdir_in(place.folder());
    let dir = made.map_err(|e| PipelineError::Scratch(e.to_string()))?;
    let mut spools = Spools { dir: dir.path().to_owned(), bits, files: (0..1 << bits).map(|_| None).collect() };
    let seen = spill(comparing, place, &mut spools)?;
    let extract = comparing.extract;
    let mut parts = Vec::new();
    let mut unknown = comparing.unknown.clone();
    let files = spools.close()?;
    failpoint!("spill.written");
    for (number, file) in files.into_iter().enumerate() {
        let part = Partition { number: number as u64, bits };
        let mut side = Side::load(comparing.snapshot, &extract.basis, &unknown, part)?;
        let rows = std::mem::take(&mut side.known.rows);
        let (folder, name) = place.file(&format!("changes-{number}.parquet"));
        let (run, seed, limit) = (comparing.input.run.as_str(), extract.basis.seed, comparing.window());
        let target = Target { dir: &folder, name: &name, run, seed, limit, ordered: true };
        let mut comparison = Comparison::new(&side, Arc::clone(&extract.shape), rows, target).of(comparing.share);
        if let Some(file) = file {
            for batch in read(&file)? {
                let of = ready_of(comparing, batch.map_err(lost)?);
                let (ready, rows) = of.ok_or_else(|| lost("columns of ours are missing"))?;
                let judged = side.judge(extract, comparing.rules, &ready);
                let sent: Vec<u32> = judged.sent().collect();
                let after = if sent.is_empty() { None } else { Some(extract.rows(&ready.batch, sent)?) };
                comparison.take(|row| rows.value(row as usize), &judged, after)?;
            }
            std::fs::remove_file(&file).map_err(|e| PipelineError::Scratch(e.to_string()))?;
        }
        let (basis, on) = (&extract.basis, comparing.rules.on);
        parts.push(comparison.finish(basis, on, seen.rows, comparing.keyless(&seen), place.draft())?);
        unknown = side.unknown;
    }
    Ok(Outcome { seen, parts, unknown })
}

fn lost(problem: impl std::fmt::Display) -> PipelineError {
    PipelineError::Scratch(format!("rows that were put aside cannot be read back: {problem}"))
}

enum Yield {
    Batch { rows: usize, noted: Noted, split: Vec<(usize, RecordBatch, Vec<u32>)> },
    Encoded(EncodedRows),
}

/// Puts all rows aside by partition.
fn spill(comparing: &Comparing<'_>, place: &mut Place, spools: &mut Spools) -> Result<Seen, PipelineError> {
    let mut base = comparing.base_writer(place)?;
    let encoder = base.as_ref().map(BaseWriter::encoder);
    let mut seen = Seen::default();
    let bits = spools.bits;
    let work = |piece: Piece, emit: Emit<'_, Yield>| piece_of(comparing, encoder.as_ref(), bits, piece, emit);
    let mut take = |yielded| match yielded {
        Yield::Encoded(rows) => base.as_mut().map_or(Ok(()), |base| Ok(base.append(rows)?)),
        Yield::Batch { rows, noted, split } => {
            let first = seen.take(&comparing.extract.shape.schema, rows, noted)?;
            split.into_iter().try_for_each(|(part, batch, rows)| {
                let numbers: UInt32Array = rows.into_iter().map(|row| first + row).collect::<Vec<_>>().into();
                spools.put(part, batch, Arc::new(numbers))
            })
        }
    };
    let failed = |error| comparing.source_error(error);
    scan(&*comparing.extract.stream.rows, comparing.resources.threads, &failed, &work, &mut take)?;
    if let (Some(base), Some(draft)) = (base, place.draft()) {
        draft.take_base(base.finish()?);
    }
    Ok(seen)
}

fn piece_of(
    comparing: &Comparing<'_>,
    encoder: Option<&BaseEncoder>,
    bits: u32,
    piece: Piece,
    emit: Emit<'_, Yield>,
) -> Result<(), PipelineError> {
    let mut encoding = encoder.map(BaseEncoder::start).transpose()?;
    for batch in piece.batches {
        let batch = batch.map_err(|error| comparing.source_error(error))?;
        let mut ready = comparing.ready(&batch)?;
        if let Some(encoding) = &mut encoding {
            encoding.write(&ready.hashed, ready.batch.num_rows())?;
        }
        let split = split(comparing, &ready, bits)?;
        let (rows, noted) = (ready.batch.num_rows(), Noted::of(&mut ready));
        if !emit(Yield::Batch { rows, noted, split }) {
            return Ok(());
        }
    }
    if let Some(encoding) = encoding {
        emit(Yield::Encoded(encoding.finish()?));
    }
    Ok(())
}

/// The columns that a row is put aside with besides those of the extract.
const OURS: [&str; 6] = [
    "_nightmark_hi",
    "_nightmark_lo",
    "_nightmark_print",
    "_nightmark_against",
    "_nightmark_rejected",
    "_nightmark_row",
];

/// The rows of each partition, with what was found out about them. Rows without a usable key belong nowhere.
fn split(
    comparing: &Comparing<'_>,
    ready: &Ready,
    bits: u32,
) -> Result<Vec<(usize, RecordBatch, Vec<u32>)>, PipelineError> {
    let keyless: Vec<u32> = ready.keyless.iter().map(|bad| bad.row as u32).collect();
    let mut by_part: Vec<Vec<u32>> = vec![Vec::new(); 1 << bits];
    for (row, key) in (0u32..).zip(&ready.keys) {
        if keyless.binary_search(&row).is_err() {
            by_part[Partition::of(*key, bits) as usize].push(row);
        }
    }
    let parts = by_part.into_iter().enumerate().filter(|(_, rows)| !rows.is_empty());
    let batch = |(part, rows): (usize, Vec<u32>)| {
        let batch = comparing.extract.rows(&ready.batch, rows.clone())?;
        let at = |row: &u32| *row as usize;
        let rejected = rows.iter().map(|row| Some(ready.rejected.binary_search(row).is_ok()));
        let against = ready.against.as_ref().unwrap_or(&ready.prints);
        let ours: [ArrayRef; 5] = [
            Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| ready.keys[at(row)].hi))),
            Arc::new(UInt32Array::from_iter_values(rows.iter().map(|row| ready.keys[at(row)].lo))),
            Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| ready.prints[at(row)]))),
            Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| against[at(row)]))),
            Arc::new(rejected.collect::<BooleanArray>()),
        ];
        Ok((part, with_columns(batch, &OURS[..5], &ours).map_err(lost)?, rows))
    };
    parts.map(batch).collect()
}

fn with_columns(
    batch: RecordBatch,
    names: &[&str],
    arrays: &[ArrayRef],
) -> Result<RecordBatch, arrow::error::ArrowError> {
    let rows = batch.num_rows();
    let mut fields: Vec<Field> = batch.schema().fields().iter().map(|f| f.as_ref().clone()).collect();
    fields.extend(names.iter().zip(arrays).map(|(name, array)| Field::new(*name, array.data_type().clone(), true)));
    let columns = batch.columns().iter().chain(arrays).map(Arc::clone).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
}

/// The files of the partitions.
struct Spools {
    dir: PathBuf,
    bits: u32,
    files: Vec<Option<(PathBuf, StreamWriter<BufWriter<File>>)>>,
}

impl Spools {
    fn put(&mut self, part: usize, batch: RecordBatch, numbers: ArrayRef) -> Result<(), PipelineError> {
        let batch = with_columns(batch, &OURS[5..], &[numbers]).map_err(lost)?;
        let file = match &mut self.files[part] {
            Some(file) => file,
            none => none.insert(create(self.dir.join(format!("{part}.arrows")), &batch.schema())?),
        };
        file.1.write(&batch).map_err(|e| PipelineError::Scratch(format!("{}: {e}", file.0.display())))
    }

    /// The file of each partition that has rows.
    fn close(self) -> Result<Vec<Option<PathBuf>>, PipelineError> {
        let close = |file: Option<(PathBuf, StreamWriter<BufWriter<File>>)>| {
            let Some((path, writer)) = file else { return Ok(None) };
            // Closing flushes the buffer; an error of it must not get lost.
            let done = writer.into_inner().map_err(|e| e.to_string());
            let done = done.and_then(|buffer| buffer.into_inner().map_err(|e| e.to_string()));
            done.map_err(|e| PipelineError::Scratch(format!("{}: {e}", path.display())))?;
            Ok(Some(path))
        };
        self.files.into_iter().map(close).collect()
    }
}

fn create(path: PathBuf, schema: &SchemaRef) -> Result<(PathBuf, StreamWriter<BufWriter<File>>), PipelineError> {
    let failed = |e: String| PipelineError::Scratch(format!("{}: {e}", path.display()));
    let file = File::create(&path).map_err(|e| failed(e.to_string()))?;
    let writer = StreamWriter::try_new_buffered(file, schema).map_err(|e| failed(e.to_string()))?;
    Ok((path, writer))
}

fn read(path: &Path) -> Result<StreamReader<BufReader<File>>, PipelineError> {
    let file = File::open(path).map_err(lost)?;
    StreamReader::try_new_buffered(file, None).map_err(lost)
}

/// Rows that were put aside, as they were, and tonight's row of each.
fn ready_of(comparing: &Comparing<'_>, mut batch: RecordBatch) -> Option<(Ready, UInt32Array)> {
    let column = |batch: &RecordBatch, index: usize| batch.column_by_name(OURS[index]).map(Arc::clone);
    let numbers = |index| Some(column(&batch, index)?.as_primitive_opt::<UInt64Type>()?.values().to_vec());
    let (hi, prints, against) = (numbers(0)?, numbers(2)?, numbers(3)?);
    let lo = column(&batch, 1)?.as_primitive_opt::<UInt32Type>()?.clone();
    let rejected = column(&batch, 4)?.as_boolean_opt()?.clone();
    let rows = column(&batch, 5)?.as_primitive_opt::<UInt32Type>()?.clone();
    for name in OURS {
        let at = batch.schema().index_of(name).ok()?;
        batch.remove_column(at);
    }
    let basis = &comparing.extract.basis;
    let hashed = basis.schema.columns.iter().map(|c| batch.column_by_name(&c.name).map(Arc::clone));
    let ready = Ready {
        hashed: hashed.collect::<Option<_>>()?,
        keys: hi.into_iter().zip(lo.values()).map(|(hi, lo)| KeyHash { hi, lo: *lo }).collect(),
        prints,
        against: (!basis.adopted.is_empty()).then_some(against),
        rejected: (0u32..).zip(rejected.iter()).filter(|(_, is)| *is == Some(true)).map(|(row, _)| row).collect(),
        keyless: Vec::new(),
        misfits: Vec::new(),
        valued: Vec::new(),
        batch,
    };
    Some((ready, rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_extract_of_which_nobody_says_how_large_it_is_keeps_to_the_budget() {
        const MEMORY: u64 = 512 << 20;
        assert_eq!(bits(MEMORY, 0, 0, 1000), 0);
        assert_eq!(bits(MEMORY, 0, 0, UNTOLD), 2);
        assert_eq!(bits(MEMORY, 0, 0, 0), bits(MEMORY, 0, 0, UNTOLD), "unknown");
        assert_eq!([bits(MEMORY, 0, 0, u64::MAX), bits(1, u64::MAX, u64::MAX, u64::MAX)], [MOST_BITS; 2]);
        assert_eq!(bits(MEMORY, 1000, 0, 0), 0, "last night's number is known");
    }
}
