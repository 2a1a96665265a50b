//! What a comparison rests on: the columns, and the hashes made of them.

use crate::row::{Compared, Form, HashSeed, KeyHash, KeyHasher, Kind, PrintHasher, Schema};
use arrow::array::{ArrayRef, RecordBatch};

/// Which columns a comparison rests on tonight.
#[derive(Debug, Clone)]
pub struct Basis {
    /// The job's hash seed.
    pub seed: HashSeed,
    /// Key columns in the job's order, then the compared ones.
    pub schema: Schema,
    /// How many columns of `schema` are the key.
    pub key: usize,
    /// The compared columns, in the order of `schema`.
    pub compared: Vec<Compared>,
    /// Positions in `compared` of columns that are new tonight and taken over from each org's next row instead of being sent.
    pub adopted: Vec<usize>,
}

impl Basis {
    /// Hashes keys.
    pub fn keys(&self) -> KeyHasher {
        let kinds: Vec<Kind> = self.schema.columns[..self.key].iter().map(|c| c.kind).collect();
        KeyHasher::new(self.seed, &kinds)
    }

    /// Hashes compared columns, exactly: a form is asked only where the values differ ([`Shape::differing`](super::Shape)).
    /// Were it part of the hash, an org that differs within it would get tonight's value in the base, which the destination
    /// does not have, and the difference would be lost on the day on which the form is narrowed.
    pub fn prints(&self) -> PrintHasher {
        let exact = |c: &Compared| Compared { form: Form::default(), ..c.clone() };
        PrintHasher::new(self.seed, &self.compared.iter().map(exact).collect::<Vec<_>>())
    }

    pub(super) fn hash(&self, batch: &RecordBatch) -> (Vec<KeyHash>, Vec<u64>) {
        let (key, compared): (&[ArrayRef], &[ArrayRef]) = batch.columns().split_at(self.key);
        (self.keys().hashes(key), self.prints().prints(batch.num_rows(), compared))
    }
}
