//! The extract, and how it goes on from night to night.

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IteratorRandom;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// The form of the extract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Csv,
    Parquet,
}

/// Few values, so that orgs often go back to one that they had before.
const PLANS: [&str; 3] = ["free", "pro", "team"];
const COUNTS: i64 = 4;

/// One org's values: two that are compared, and one that only stands in the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Org {
    plan: &'static str,
    count: i64,
    note: i64,
}

impl Org {
    fn random(rng: &mut StdRng) -> Self {
        Org { plan: PLANS[rng.random_range(0..PLANS.len())], count: rng.random_range(0..COUNTS), note: 0 }
    }

    /// The body that the destination must get for it.
    pub fn body(self, id: &str) -> Value {
        json!({"workspace_id": id, "plan_id": self.plan, "user_count": self.count, "note": self.note, "gone": false})
    }

    /// What is compared.
    pub fn version(self) -> (&'static str, i64) {
        (self.plan, self.count)
    }

    /// What is compared, of a body.
    pub fn version_of(body: &Value) -> (&str, i64) {
        (body["plan_id"].as_str().unwrap(), body["user_count"].as_i64().unwrap())
    }
}

/// The orgs of one night.
pub type Night = BTreeMap<String, Org>;

/// The source over the nights.
pub struct Source {
    form: Form,
    pub now: Night,
    /// Orgs that are away, and may come back as they were.
    away: Night,
    made: usize,
}

impl Source {
    pub fn new(form: Form, rows: usize, rng: &mut StdRng) -> Self {
        let mut source = Source { form, now: Night::new(), away: Night::new(), made: 0 };
        (0..rows).for_each(|_| source.make(rng));
        source
    }

    fn make(&mut self, rng: &mut StdRng) {
        self.now.insert(format!("ws_{:06}", self.made), Org::random(rng));
        self.made += 1;
    }

    /// Another night: some orgs change or change back, some go, some return, some are new.
    pub fn turn(&mut self, rng: &mut StdRng) {
        let rows = self.now.len();
        let some = |part: usize, rng: &mut StdRng| rng.random_range(0..=rows / part);
        for id in self.some_of_now(some(5, rng), rng) {
            self.now.insert(id, Org::random(rng));
        }
        for id in self.some_of_now(some(8, rng), rng) {
            self.now.get_mut(&id).unwrap().note += 1;
        }
        for id in self.some_of_now(some(8, rng), rng) {
            let org = self.now.remove(&id).unwrap();
            self.away.insert(id, org);
        }
        let returning = some(8, rng);
        let back = self.away.keys().cloned().choose_multiple(rng, returning);
        for id in back {
            let org = self.away.remove(&id).unwrap();
            self.now.insert(id, if rng.random_bool(0.5) { org } else { Org::random(rng) });
        }
        (0..some(50, rng)).for_each(|_| self.make(rng));
    }

    /// A night in which most orgs change.
    pub fn turn_all(&mut self, rng: &mut StdRng) {
        self.now.values_mut().for_each(|org| *org = Org { note: org.note, ..Org::random(rng) });
    }

    fn some_of_now(&self, count: usize, rng: &mut StdRng) -> Vec<String> {
        self.now.keys().cloned().choose_multiple(rng, count)
    }

    /// The extract's name in the home folder.
    pub fn file(&self) -> &'static str {
        match self.form {
            Form::Csv => "orgs.csv",
            Form::Parquet => "orgs.parquet",
        }
    }

    /// Writes the extract, as one should: under another name first.
    pub fn write(&self, home: &Path) {
        let (path, draft) = (home.join(self.file()), home.join("extract.new"));
        match self.form {
            Form::Csv => {
                let lines = self.now.iter().map(|(id, org)| format!("{id},{},{},{}\n", org.plan, org.count, org.note));
                let text: String =
                    std::iter::once("workspace_id,plan_id,user_count,note\n".to_owned()).chain(lines).collect();
                fs::write(&draft, text).unwrap();
            }
            Form::Parquet => self.write_parquet(&draft),
        }
        fs::rename(draft, path).unwrap();
    }

    fn write_parquet(&self, path: &Path) {
        let ids: StringArray = self.now.keys().map(|id| Some(id.as_str())).collect();
        let plans: StringArray = self.now.values().map(|org| Some(org.plan)).collect();
        let counts: Int64Array = self.now.values().map(|org| Some(org.count)).collect();
        let notes: Int64Array = self.now.values().map(|org| Some(org.note)).collect();
        let columns: [(&str, ArrayRef); 4] = [
            ("workspace_id", Arc::new(ids)),
            ("plan_id", Arc::new(plans)),
            ("user_count", Arc::new(counts)),
            ("note", Arc::new(notes)),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let file = fs::File::create(path).unwrap();
        let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }
}
