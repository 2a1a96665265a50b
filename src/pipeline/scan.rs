//! Pieces of an extract are worked on by several threads, and what comes of them is taken in the extract's order.

use super::PipelineError;
use crate::source::{Piece, Rows, SourceError};
use crate::spans::within;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Condvar, Mutex, PoisonError};

/// What a piece of work yields, in order. `false`: nobody wants more.
pub(super) type Emit<'e, R> = &'e mut dyn FnMut(R) -> bool;

/// Works on one piece, on any thread.
pub(super) type Work<'w, R> = &'w (dyn Fn(Piece, Emit<'_, R>) -> Result<(), PipelineError> + Sync);

/// What a thread says of a piece.
enum Said<R> {
    Yield(R),
    End,
    Failed(PipelineError),
}

/// Results that wait in front of the taker, for each thread.
const QUEUED: usize = 4;

/// Pieces that may be worked on ahead of the one that is being taken, for each thread.
const AHEAD: u64 = 2;

/// Works on all pieces. `failed` says what a source's error means. The first error in the extract's order ends it.
pub(super) fn scan<R: Send>(
    rows: &dyn Rows,
    threads: usize,
    failed: &(dyn Fn(SourceError) -> PipelineError + Sync),
    work: Work<'_, R>,
    take: &mut dyn FnMut(R) -> Result<(), PipelineError>,
) -> Result<(), PipelineError> {
    if threads < 2 {
        return alone(rows, failed, work, take);
    }
    let gate = Gate::default();
    let (sender, receiver) = sync_channel(threads * QUEUED);
    let crew = Crew { rows, failed, work, gate: &gate, ahead: AHEAD * threads as u64 };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let sender = sender.clone();
            let crew = &crew;
            scope.spawn(within(move || crew.run(&sender)));
        }
        drop(sender);
        let taken = in_order(&receiver, &gate, take);
        gate.close();
        // What is still queued is dropped, so that nobody waits for a place in the queue.
        drop(receiver);
        taken
    })
}

fn alone<R>(
    rows: &dyn Rows,
    failed: &dyn Fn(SourceError) -> PipelineError,
    work: Work<'_, R>,
    take: &mut dyn FnMut(R) -> Result<(), PipelineError>,
) -> Result<(), PipelineError> {
    while let Some(piece) = rows.next().map_err(failed)? {
        let mut taken = Ok(());
        work(piece, &mut |result| {
            taken = take(result);
            taken.is_ok()
        })?;
        taken?;
    }
    Ok(())
}

struct Crew<'a, R> {
    rows: &'a dyn Rows,
    failed: &'a (dyn Fn(SourceError) -> PipelineError + Sync),
    work: Work<'a, R>,
    gate: &'a Gate,
    ahead: u64,
}

impl<R: Send> Crew<'_, R> {
    fn run(&self, sender: &SyncSender<(u64, Said<R>)>) {
        loop {
            let piece = match self.rows.next() {
                Ok(Some(piece)) => piece,
                Ok(None) => return,
                Err(error) => {
                    // Where it failed is after every piece that was handed out.
                    let _ = sender.send((u64::MAX, Said::Failed((self.failed)(error))));
                    return;
                }
            };
            let number = piece.number;
            if !self.gate.wait(number, self.ahead) {
                return;
            }
            // A panic that ended the thread would leave the others waiting for its piece for ever.
            let work = AssertUnwindSafe(|| {
                (self.work)(piece, &mut |result| sender.send((number, Said::Yield(result))).is_ok())
            });
            let done = catch_unwind(work)
                .unwrap_or_else(|_| Err(PipelineError::Internal("a thread panicked; see the log".to_owned())));
            let last = match done {
                Ok(()) => Said::End,
                Err(error) => Said::Failed(error),
            };
            if sender.send((number, last)).is_err() {
                return;
            }
        }
    }
}

/// Takes results in the order of their pieces.
fn in_order<R>(
    receiver: &Receiver<(u64, Said<R>)>,
    gate: &Gate,
    take: &mut dyn FnMut(R) -> Result<(), PipelineError>,
) -> Result<(), PipelineError> {
    let mut early: BTreeMap<u64, Vec<Said<R>>> = BTreeMap::new();
    let mut current = 0;
    while let Ok((number, said)) = receiver.recv() {
        if number != current {
            early.entry(number).or_default().push(said);
            continue;
        }
        let mut next = vec![said];
        while !next.is_empty() {
            let before = current;
            for said in next {
                match said {
                    Said::Yield(result) => take(result)?,
                    Said::Failed(error) => return Err(error),
                    Said::End => current += 1,
                }
            }
            next = if current == before { Vec::new() } else { early.remove(&current).unwrap_or_default() };
        }
        gate.advance(current);
    }
    // Only a failure to hand out a piece is left.
    match early.into_values().flatten().next() {
        Some(Said::Failed(error)) => Err(error),
        Some(_) => Err(PipelineError::Internal("a piece of the extract got lost".to_owned())),
        None => Ok(()),
    }
}

/// Keeps threads from working far ahead of what is taken, since what they find must be held until then.
#[derive(Default)]
struct Gate {
    current: Mutex<u64>,
    moved: Condvar,
    closed: AtomicBool,
}

impl Gate {
    /// Waits until a piece is near enough. `false`: nobody wants it any more.
    fn wait(&self, number: u64, ahead: u64) -> bool {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        while number >= current.saturating_add(ahead) && !self.closed.load(Ordering::Acquire) {
            current = self.moved.wait(current).unwrap_or_else(PoisonError::into_inner);
        }
        !self.closed.load(Ordering::Acquire)
    }

    fn advance(&self, to: u64) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = to;
        self.moved.notify_all();
    }

    fn close(&self) {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        self.closed.store(true, Ordering::Release);
        drop(current);
        self.moved.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    /// So many pieces without batches.
    struct Pieces(AtomicU64, u64);

    impl Rows for Pieces {
        fn next(&self) -> Result<Option<Piece>, SourceError> {
            let number = self.0.fetch_add(1, Ordering::Relaxed);
            let piece = Piece { number, batches: Box::new(std::iter::empty()) };
            Ok(Some(piece).filter(|_| number < self.1))
        }

        fn estimate(&self) -> u64 {
            0
        }
    }

    fn numbers(threads: usize, work: Work<'_, u64>) -> (Vec<u64>, Result<(), PipelineError>) {
        let mut taken = Vec::new();
        let mut take = |number| {
            taken.push(number);
            Ok(())
        };
        let failed = |error: SourceError| PipelineError::Internal(error.to_string());
        let ended = scan(&Pieces(AtomicU64::new(0), 200), threads, &failed, work, &mut take);
        (taken, ended)
    }

    #[test]
    fn results_come_in_order_from_any_number_of_threads() {
        let work = |piece: Piece, emit: Emit<'_, u64>| {
            let _ = emit(piece.number) && emit(piece.number);
            Ok(())
        };
        for threads in [1, 2, 7] {
            let (taken, ended) = numbers(threads, &work);
            assert!(ended.is_ok() && taken.iter().copied().eq((0..400).map(|n| n / 2)), "{threads}");
        }
    }

    #[test]
    fn the_first_failure_ends_it_and_so_does_a_panic() {
        let fails = |piece: Piece, emit: Emit<'_, u64>| match piece.number {
            n if n >= 50 => Err(PipelineError::Internal(format!("piece {n}"))),
            n => {
                let _ = emit(n);
                Ok(())
            }
        };
        let panics = |piece: Piece, emit: Emit<'_, u64>| {
            assert!(piece.number < 50, "on purpose");
            let _ = emit(piece.number);
            Ok(())
        };
        let (taken, ended) = numbers(3, &fails);
        assert_eq!((taken.len(), ended.unwrap_err().to_string()), (50, "internal error: piece 50".into()));
        let (taken, ended) = numbers(3, &panics);
        assert!(taken.len() <= 50 && ended.is_err());
    }
}
