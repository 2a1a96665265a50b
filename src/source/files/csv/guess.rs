//! What the columns of CSV files look like, found out by several threads.

use super::feed::{Feed, Input};
use super::rows::Reading;
use crate::row::Kind;
use crate::source::SourceError;
use crate::source::files::infer::Guess;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// More threads do not help: one of them reads.
const THREADS: usize = 8;

/// What a look at the rows brought.
#[derive(Debug)]
pub struct Guessed {
    /// The kind of each column; text for those that were not asked for.
    pub kinds: Vec<Kind>,
    /// How many rows there are, if all were looked at.
    pub rows: Option<u64>,
}

struct Sum {
    guesses: Vec<Guess>,
    rows: u64,
    error: Option<SourceError>,
}

/// Reads `feed` until every column that is asked for is certain. Values of other columns are not looked at.
pub fn guess(input: &Arc<Input>, feed: &Mutex<Feed>, asked: &[bool]) -> Result<Guessed, SourceError> {
    let sum = Sum { guesses: vec![Guess::new(); asked.len()], rows: 0, error: None };
    let (sum, stop, whole) = (Mutex::new(sum), AtomicBool::new(false), AtomicBool::new(false));
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS);
    let work = || {
        let mut open = asked.to_vec();
        while !stop.load(Ordering::Relaxed) {
            let part = match of_next(input, feed, &open) {
                Ok(Some(part)) => Ok(part),
                Ok(None) => return whole.store(true, Ordering::Relaxed),
                Err(error) => Err(error),
            };
            let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
            sum.add(part);
            for (open, guess) in open.iter_mut().zip(&sum.guesses) {
                *open &= guess.is_open();
            }
            if sum.error.is_some() || !open.contains(&true) {
                stop.store(true, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    let sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(error) = sum.error {
        return Err(error);
    }
    let rows = (whole.into_inner() && !stop.into_inner()).then_some(sum.rows);
    let kinds = sum.guesses.iter().zip(asked).map(|(guess, asked)| if *asked { guess.kind() } else { Kind::Text });
    Ok(Guessed { kinds: kinds.collect(), rows })
}

impl Sum {
    fn add(&mut self, part: Result<(Vec<Guess>, u64), SourceError>) {
        match part {
            Ok((guesses, rows)) => {
                self.rows += rows;
                self.guesses.iter_mut().zip(guesses).for_each(|(sum, guess)| sum.merge(guess));
            }
            Err(error) => {
                self.error.get_or_insert(error);
            }
        }
    }
}

/// The guesses and rows of the next block.
fn of_next(input: &Arc<Input>, feed: &Mutex<Feed>, open: &[bool]) -> Result<Option<(Vec<Guess>, u64)>, SourceError> {
    let next = feed.lock().unwrap_or_else(PoisonError::into_inner).next()?;
    let Some(block) = next else { return Ok(None) };
    let mut reading = Reading::new(input, block)?;
    let mut guesses = vec![Guess::new(); open.len()];
    let asked = reading.places().iter().enumerate().filter(|&(_, &place)| open[place]);
    let mut asked: Vec<(usize, usize)> = asked.map(|(index, &place)| (index, place)).collect();
    let rows = reading.rows(usize::MAX, |row| {
        asked.retain(|&(index, place)| row.value(index).is_none_or(|value| guesses[place].see(value)));
    })?;
    Ok(Some((guesses, rows as u64)))
}
