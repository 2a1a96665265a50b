//! The floor under the comparison: decodes every column of Parquet files with arrow-rs on all cores, and does nothing else.
//!
//! In: paths of Parquet files. Out: one line of JSON (rows, seconds without process start). One thread per core takes the next
//! row group until none is left; a decoded batch is dropped at once. `run.py` builds and times it.

use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use std::error::Error;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

/// Rows per batch; more bring no speed and cost memory.
const BATCH: usize = 8192;

type Failure = Box<dyn Error + Send + Sync>;

/// A row group of a file.
struct Piece<'a> {
    path: &'a Path,
    metadata: &'a ArrowReaderMetadata,
    row_group: usize,
}

impl Piece<'_> {
    fn decode(&self) -> Result<usize, Failure> {
        let file = File::open(self.path)?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone());
        let batches = builder.with_row_groups(vec![self.row_group]).with_batch_size(BATCH).build()?;
        let mut rows = 0;
        for batch in batches {
            rows += std::hint::black_box(batch?).num_rows();
        }
        Ok(rows)
    }
}

fn decode_all(paths: &[PathBuf]) -> Result<usize, Failure> {
    let mut files = Vec::new();
    for path in paths {
        files.push((path, ArrowReaderMetadata::load(&File::open(path)?, ArrowReaderOptions::new())?));
    }
    let mut pieces = Vec::new();
    for (path, metadata) in &files {
        let row_groups = metadata.metadata().num_row_groups();
        pieces.extend((0..row_groups).map(|row_group| Piece { path, metadata, row_group }));
    }
    let next = AtomicUsize::new(0);
    let work = || -> Result<usize, Failure> {
        let mut rows = 0;
        while let Some(piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
            rows += piece.decode()?;
        }
        Ok(rows)
    };
    let threads = thread::available_parallelism()?.get();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|w| w.join().map_err(|_| "a decoding thread panicked")?).sum()
    })
}

fn main() -> Result<(), Failure> {
    // `cargo bench` adds `--bench`; it is no path.
    let paths: Vec<PathBuf> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).map(PathBuf::from).collect();
    let started = Instant::now();
    let rows = decode_all(&paths)?;
    println!("{{\"rows\": {rows}, \"seconds\": {:.4}}}", started.elapsed().as_secs_f64());
    Ok(())
}
