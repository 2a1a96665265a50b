//! Reads the source of a job to its end.
//!
//! `nightmark-sources-bench HOME JOB read` reads and says how many rows there were; `… print` writes the rows as text, columns by tabs,
//! NULL as `\N`, timestamps as microseconds, so that they can be compared with what others read.

use anyhow::{Context, Result, anyhow, bail};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use nightmark::config::Home;
use nightmark::job::load_job;
use nightmark::source::{self, Ask, Environment, Rows};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [home, job, what] = arguments.as_slice() else { bail!("usage: HOME JOB read|print") };
    let home = Home::new(Path::new(home))?;
    let job = load_job(&home, job)?;
    let environment = Arc::new(Environment::new(&home, chrono::DateTime::UNIX_EPOCH));
    let started = Instant::now();
    let source = source::open(&job.source, &environment);
    let ask = Ask { pinned: None, pinned_input: None, limit: None, wanted: &|_| true };
    let stream = source.stream(&ask).map_err(|error| anyhow!("{error}"))?;
    match what.as_str() {
        "read" => {
            let rows = read(&*stream.rows)?;
            println!("{{\"rows\": {rows}, \"seconds\": {:.4}}}", started.elapsed().as_secs_f64());
        }
        "print" => print(&*stream.rows)?,
        other => bail!("`{other}` is neither `read` nor `print`"),
    }
    Ok(())
}

/// All rows by all cores, as the pipeline does it. Batches are dropped at once.
fn read(rows: &dyn Rows) -> Result<usize> {
    let work = || -> Result<usize> {
        let mut count = 0;
        while let Some(piece) = rows.next().map_err(|error| anyhow!("{error}"))? {
            for batch in piece.batches {
                count += std::hint::black_box(batch.map_err(|error| anyhow!("{error}"))?).num_rows();
            }
        }
        Ok(count)
    };
    let threads = std::thread::available_parallelism()?.get();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().map_err(|_| anyhow!("a thread panicked"))?).sum()
    })
}

fn print(rows: &dyn Rows) -> Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    while let Some(piece) = rows.next().map_err(|error| anyhow!("{error}"))? {
        for batch in piece.batches {
            lines(&batch.map_err(|error| anyhow!("{error}"))?, &mut out)?;
        }
    }
    out.flush().context("the output cannot be written")
}

fn lines(batch: &RecordBatch, out: &mut impl Write) -> Result<()> {
    for row in 0..batch.num_rows() {
        for (index, column) in batch.columns().iter().enumerate() {
            if index > 0 {
                out.write_all(b"\t")?;
            }
            cell(column, row, out)?;
        }
        out.write_all(b"\n")?;
    }
    Ok(())
}

fn cell(column: &ArrayRef, row: usize, out: &mut impl Write) -> Result<()> {
    if column.is_null(row) {
        return Ok(out.write_all(b"\\N")?);
    }
    match column.data_type() {
        DataType::Int32 => write!(out, "{}", column.as_primitive::<Int32Type>().value(row))?,
        DataType::Int64 => write!(out, "{}", column.as_primitive::<Int64Type>().value(row))?,
        DataType::Float64 => write!(out, "{}", column.as_primitive::<Float64Type>().value(row))?,
        DataType::Boolean => write!(out, "{}", if column.as_boolean().value(row) { "t" } else { "f" })?,
        DataType::Utf8View => write!(out, "{}", column.as_string_view().value(row))?,
        DataType::Decimal128(_, _) => {
            let text = column.as_primitive::<arrow::datatypes::Decimal128Type>().value_as_string(row);
            write!(out, "{text}")?;
        }
        DataType::Timestamp(_, _) => write!(out, "{}", column.as_primitive::<TimestampMicrosecondType>().value(row))?,
        other => bail!("{other} is not printed"),
    }
    Ok(())
}
