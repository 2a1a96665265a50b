//! The search for one key in tonight's extract.

use crate::diff::{Rules, Verdict};
use crate::pipeline::PipelineError;
use crate::pipeline::compare::Side;
use crate::pipeline::extract::{Extract, Ready, source_error};
use crate::pipeline::planned::PlanInput;
use crate::pipeline::scan::{Emit, scan};
use crate::row::{KeyHash, Print};
use crate::source::Piece;
use arrow::array::RecordBatch;

/// A row of tonight's extract that has the key.
pub(super) struct Hit {
    /// From 0.
    pub(super) row: u64,
    /// All columns of the extract.
    pub(super) values: RecordBatch,
    pub(super) print: Print,
    pub(super) verdict: Verdict,
    /// What does not fit, in words.
    pub(super) misfits: Vec<String>,
}

/// What the extract says.
#[derive(Default)]
pub(super) struct Tonight {
    pub(super) hits: Vec<Hit>,
    pub(super) rows: u64,
    /// Rows without a usable key; the org may be behind any of them.
    pub(super) keyless: u64,
}

/// The search for one key in the extract.
pub(super) struct Search<'a> {
    pub(super) input: &'a PlanInput,
    pub(super) extract: &'a Extract,
    pub(super) side: &'a Side<'a>,
    pub(super) rules: Rules,
    pub(super) hash: KeyHash,
}

impl Search<'_> {
    pub(super) fn run(&self, threads: usize) -> Result<Tonight, PipelineError> {
        let failed = |error| source_error(&self.input.job, error);
        let mut tonight = Tonight::default();
        let work = |piece: Piece, emit: Emit<'_, Tonight>| self.piece(piece, emit);
        let mut take = |found: Tonight| {
            let first = tonight.rows;
            tonight.rows += found.rows;
            tonight.keyless += found.keyless;
            tonight.hits.extend(found.hits.into_iter().map(|hit| Hit { row: hit.row + first, ..hit }));
            Ok(())
        };
        scan(&*self.extract.stream.rows, threads, &failed, &work, &mut take)?;
        Ok(tonight)
    }

    fn piece(&self, piece: Piece, emit: Emit<'_, Tonight>) -> Result<(), PipelineError> {
        for batch in piece.batches {
            let batch = batch.map_err(|error| source_error(&self.input.job, error))?;
            let ready = self.extract.ready(&batch)?;
            let found = Tonight {
                rows: ready.batch.num_rows() as u64,
                keyless: ready.keyless.len() as u64,
                hits: self.hits(&ready)?,
            };
            if !emit(found) {
                break;
            }
        }
        Ok(())
    }

    fn hits(&self, ready: &Ready) -> Result<Vec<Hit>, PipelineError> {
        let is_keyless = |row: usize| ready.keyless.iter().any(|bad| bad.row == row as u64);
        let rows: Vec<usize> =
            (0..ready.keys.len()).filter(|&row| ready.keys[row] == self.hash && !is_keyless(row)).collect();
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let judged = self.side.judge(self.extract, self.rules, ready);
        let hit = |row: usize| {
            let notable = judged.notable.iter().find(|notable| notable.row as usize == row);
            let misfits = ready.misfits.iter().filter(|misfit| misfit.row == row);
            let misfits = misfits.map(|misfit| misfit.reject(&self.extract.shape.schema, 0));
            Ok(Hit {
                row: row as u64,
                values: self.extract.rows(&ready.batch, vec![row as u32])?,
                print: ready.prints[row],
                verdict: notable.map_or(Verdict::Unchanged, |notable| notable.verdict),
                misfits: misfits.map(|m| format!("{} = `{}` {}", m.column, m.value, m.reason)).collect(),
            })
        };
        rows.into_iter().map(hit).collect()
    }
}
