//! The comparison of an extract with all that is known, in one go: what is known is a table in memory, and every batch is
//! judged by the thread that decoded it.

use super::PipelineError;
use super::aim::Share;
use super::compare::{Compared, Comparison, Side};
use super::extract::{Extract, Ready, source_error};
use super::plan::{Place, Resources};
use super::planned::PlanInput;
use super::scan::{Emit, scan};
use super::seen::{Noted, Seen};
use super::selection::Chosen;
use crate::diff::{Judged, Rules, Slot, Strays};
use crate::snapshot::{BaseEncoder, BaseWriter, EncodedRows, OrderWriter, Partition, Snapshot, Target, Unknown};
use crate::source::Piece;
use arrow::array::RecordBatch;
use std::sync::Arc;

/// Bytes of changed rows that are held before they are written.
const WINDOW: u64 = 64 << 20;

/// What is compared with what.
pub(super) struct Comparing<'a> {
    pub(super) input: &'a PlanInput,
    pub(super) resources: Resources,
    pub(super) extract: &'a Extract,
    pub(super) snapshot: Option<&'a Snapshot>,
    pub(super) unknown: Unknown,
    pub(super) rules: Rules,
    pub(super) share: Share,
    /// The rows that it is about; `None`: all.
    pub(super) chosen: Option<&'a Chosen<'a>>,
    /// Whether tonight's rows are written as the next base.
    pub(super) writes_base: bool,
    /// Whether tonight's rows seem to come in last night's order. If not, their order is not worth keeping either.
    pub(super) in_order: bool,
}

/// What a comparison came to.
pub(super) struct Outcome {
    pub(super) seen: Seen,
    pub(super) parts: Vec<Compared>,
    pub(super) unknown: Unknown,
}

/// What a thread yields.
enum Yield {
    Batch { rows: usize, noted: Noted, judged: Judged, after: Option<RecordBatch>, slots: Vec<Slot> },
    Encoded(EncodedRows),
}

impl<'a> Comparing<'a> {
    /// Bytes of changed rows that may be held.
    pub(super) fn window(&self) -> usize {
        usize::try_from((self.resources.memory / 4).clamp(1 << 12, WINDOW)).unwrap_or(usize::MAX)
    }

    pub(super) fn ready(&self, batch: &RecordBatch) -> Result<Ready, PipelineError> {
        match self.chosen {
            Some(chosen) => chosen.ready(self.extract, self.input, batch),
            None => self.extract.ready(batch),
        }
    }

    /// Rows without a usable key, as the comparison is told: behind one of them any org may be that the extract does not have. A backfill says nothing
    /// of such orgs either.
    pub(super) fn keyless(&self, seen: &Seen) -> u64 {
        match self.share {
            Share::Usual => seen.bad_keys.keyless,
            Share::Differing | Share::Same => seen.bad_keys.keyless.max(1),
        }
    }

    pub(super) fn source_error(&self, error: crate::source::SourceError) -> PipelineError {
        source_error(&self.input.job, error)
    }

    pub(super) fn base_writer(&self, place: &mut Place) -> Result<Option<BaseWriter>, PipelineError> {
        match place.draft().filter(|_| self.writes_base) {
            Some(draft) => Ok(Some(draft.base_writer(&self.extract.basis.schema)?)),
            None => Ok(None),
        }
    }

    /// Where the order of tonight's rows is written, if it is.
    fn order_writer(&self, place: &mut Place) -> Result<Option<OrderWriter>, PipelineError> {
        Ok(place.draft().filter(|_| self.in_order).map(|draft| draft.order_writer()).transpose()?)
    }

    /// What is known: in last night's order if tonight's rows seem to come in it.
    fn side(&self) -> Result<Side<'a>, PipelineError> {
        let basis = &self.extract.basis;
        let in_order = match self.in_order {
            true => Side::in_order(self.snapshot, basis, &self.unknown)?,
            false => None,
        };
        Ok(in_order.map_or_else(|| Side::load(self.snapshot, basis, &self.unknown, Partition::ALL), Ok)?)
    }

    /// Compares everything in one go.
    pub(super) fn whole(&self, place: &mut Place) -> Result<Outcome, PipelineError> {
        let basis = &self.extract.basis;
        let mut side = self.side()?;
        let rows = std::mem::take(&mut side.known.rows);
        let (mut base, mut order) = (self.base_writer(place)?, self.order_writer(place)?);
        let (encoder, ordered) = (base.as_ref().map(BaseWriter::encoder), order.is_some());
        let (dir, name) = place.file("changes.parquet");
        let (run, seed, limit) = (self.input.run.as_str(), basis.seed, self.window());
        let target = Target { dir: &dir, name: &name, run, seed, limit, ordered: false };
        let mut comparison = Comparison::new(&side, Arc::clone(&self.extract.shape), rows, target).of(self.share);
        let (mut seen, mut strays) = (Seen::default(), Strays::default());
        let work = |piece: Piece, emit: Emit<'_, Yield>| self.piece(&side, encoder.as_ref(), ordered, piece, emit);
        let mut take = |yielded| {
            match yielded {
                Yield::Encoded(rows) => {
                    if let Some(base) = &mut base {
                        base.append(rows)?;
                    }
                }
                Yield::Batch { rows, noted, judged, after, slots } => {
                    if strays.are_many(&judged) {
                        return Err(PipelineError::Astray);
                    }
                    order.as_mut().map_or(Ok(()), |order| order.append(&slots))?;
                    let first = seen.take(&self.extract.shape.schema, rows, noted)?;
                    comparison.take(|row| first + row, &judged, after)?;
                }
            }
            Ok(())
        };
        let failed = |error| self.source_error(error);
        scan(&*self.extract.stream.rows, self.resources.threads, &failed, &work, &mut take)?;
        if let Some(draft) = place.draft() {
            base.map_or(Ok(()), |base| base.finish().map(|base| draft.take_base(base)))?;
            order.into_iter().for_each(|order| draft.take_order(order));
        }
        let keyless = self.keyless(&seen);
        let compared = comparison.finish(basis, self.rules.on, seen.rows, keyless, place.draft())?;
        Ok(Outcome { seen, parts: vec![compared], unknown: side.unknown })
    }

    fn piece(
        &self,
        side: &Side<'_>,
        encoder: Option<&BaseEncoder>,
        ordered: bool,
        piece: Piece,
        emit: Emit<'_, Yield>,
    ) -> Result<(), PipelineError> {
        let mut encoding = encoder.map(BaseEncoder::start).transpose()?;
        for batch in piece.batches {
            let batch = batch.map_err(|error| self.source_error(error))?;
            let mut ready = self.ready(&batch)?;
            drop(batch);
            if let Some(encoding) = &mut encoding {
                encoding.write(&ready.hashed, ready.batch.num_rows())?;
            }
            let judged = side.judge(self.extract, self.rules, &ready);
            let slots = if ordered { ready.slots() } else { Vec::new() };
            let sent: Vec<u32> = judged.sent().collect();
            let after = if sent.is_empty() { None } else { Some(self.extract.rows(&ready.batch, sent)?) };
            let (rows, noted) = (ready.batch.num_rows(), Noted::of(&mut ready));
            if !emit(Yield::Batch { rows, noted, judged, after, slots }) {
                return Ok(());
            }
        }
        if let Some(encoding) = encoding {
            emit(Yield::Encoded(encoding.finish()?));
        }
        Ok(())
    }
}
