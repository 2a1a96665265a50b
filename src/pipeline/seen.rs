//! What is seen of an extract's rows besides the comparison: values that do not fit, keys that are none, columns that hold
//! something.

use super::PipelineError;
use super::extract::Ready;
use crate::diff::{BadKey, BadKeys};
use crate::normalise::{Misfit, Rejects};
use crate::row::Schema;
use std::collections::BTreeSet;

/// What was seen of the rows besides the comparison.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) rows: u32,
    pub(super) rejects: Rejects,
    pub(super) bad_keys: BadKeys,
    /// The columns that hold a value.
    pub(super) valued: BTreeSet<usize>,
}

impl Seen {
    /// Takes a batch's rows into account, in the extract's order. Returns tonight's row of its first one.
    pub(super) fn take(&mut self, schema: &Schema, rows: usize, ready: Noted) -> Result<u32, PipelineError> {
        let first = self.rows;
        let next = u64::from(first) + rows as u64;
        self.rows = u32::try_from(next).ok().filter(|rows| *rows < u32::MAX / 2).ok_or(PipelineError::TooManyRows)?;
        for misfit in ready.misfits {
            self.rejects.push(misfit.reject(schema, u64::from(first)));
        }
        for mut bad in ready.keyless {
            bad.row += u64::from(first);
            self.bad_keys.keyless(|| bad);
        }
        self.valued.extend(ready.valued);
        Ok(first)
    }
}

/// What a batch says of itself.
pub(super) struct Noted {
    misfits: Vec<Misfit>,
    keyless: Vec<BadKey>,
    valued: Vec<usize>,
}

impl Noted {
    pub(super) fn of(ready: &mut Ready) -> Self {
        Noted {
            misfits: std::mem::take(&mut ready.misfits),
            keyless: std::mem::take(&mut ready.keyless),
            valued: std::mem::take(&mut ready.valued),
        }
    }
}
