//! One JSON object a line.

use crate::row::{RowRef, Schema, Value};
use arrow::array::RecordBatch;
use std::io::{self, Write};

/// A double has so many decimal digits; a longer number is written as text, which keeps all of them.
const DIGITS: u128 = 10u128.pow(15);

/// Writes rows.
pub(super) struct NdjsonRows<W: Write> {
    out: W,
    schema: Schema,
    /// `{"name":`, `,"name":`, …
    heads: Vec<String>,
    line: String,
}

impl<W: Write> NdjsonRows<W> {
    pub(super) fn new(out: W, schema: &Schema) -> Self {
        let head = |(index, name): (usize, String)| {
            format!("{}{}:", if index == 0 { '{' } else { ',' }, serde_json::Value::String(name))
        };
        let heads = schema.names().into_iter().enumerate().map(head).collect();
        NdjsonRows { out, schema: schema.clone(), heads, line: String::new() }
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> io::Result<()> {
        for row in 0..batch.num_rows() {
            let row = RowRef { schema: &self.schema, batch, row };
            for (index, head) in self.heads.iter().enumerate() {
                self.line.push_str(head);
                match row.value(index) {
                    value @ Value::Decimal { unscaled, .. } if unscaled.unsigned_abs() >= DIGITS => {
                        self.line.push_str(&serde_json::Value::String(value.text()).to_string());
                    }
                    value => value.write_json(&mut self.line),
                }
            }
            self.line.push_str("}\n");
            self.out.write_all(self.line.as_bytes())?;
            self.line.clear();
        }
        Ok(())
    }

    pub(super) fn into_inner(self) -> W {
        self.out
    }
}
