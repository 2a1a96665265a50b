//! CSV as our own source reads it: text is quoted, so that the empty text is not NULL.

use super::Fault;
use crate::job::spec::{CsvOptions, FileFormat, Source};
use crate::row::{Kind, RowRef, Schema, Value};
use arrow::array::RecordBatch;
use std::io::{self, Write};

/// How CSV is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialect {
    delimiter: u8,
    quote: Option<u8>,
    header: bool,
    null: String,
}

impl Default for Dialect {
    fn default() -> Self {
        Dialect { delimiter: b',', quote: Some(b'"'), header: true, null: String::new() }
    }
}

impl Dialect {
    /// That of a job's extract, if it is CSV: what is written can then be read by the same job.
    pub fn of(source: &Source) -> Self {
        let Source::Files(files) = source else { return Dialect::default() };
        if files.format != FileFormat::Csv {
            return Dialect::default();
        }
        let CsvOptions { header, delimiter, quote, null_values } = &files.csv;
        let is_null = |text: &str| null_values.iter().any(|null| null == text);
        let null = if is_null("") { "" } else { null_values.first().map_or("", String::as_str) };
        Dialect { delimiter: *delimiter, quote: *quote, header: *header, null: null.to_owned() }
    }
}

/// Writes rows.
pub(super) struct CsvRows<W: Write> {
    out: W,
    schema: Schema,
    dialect: Dialect,
    line: Vec<u8>,
}

impl<W: Write> CsvRows<W> {
    pub(super) fn new(out: W, schema: &Schema, dialect: &Dialect) -> io::Result<Self> {
        let mut rows = CsvRows { out, schema: schema.clone(), dialect: dialect.clone(), line: Vec::new() };
        if rows.dialect.header {
            for (index, name) in schema.names().iter().enumerate() {
                rows.separate(index);
                rows.text(name).map_err(|problem| io::Error::other(format!("column `{name}`: {problem}")))?;
            }
            rows.end()?;
        }
        Ok(rows)
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), Fault> {
        for row in 0..batch.num_rows() {
            for index in 0..self.schema.columns.len() {
                self.separate(index);
                let row = RowRef { schema: &self.schema, batch, row };
                let kind = self.schema.columns[index].kind;
                let written = match row.value(index) {
                    Value::Null => {
                        self.line.extend(self.dialect.null.as_bytes());
                        Ok(())
                    }
                    value => {
                        let text = value.text();
                        self.value(kind, &text)
                    }
                };
                written.map_err(|problem| Fault::Value(self.schema.columns[index].name.clone(), problem))?;
            }
            self.end().map_err(Fault::Io)?;
        }
        Ok(())
    }

    pub(super) fn into_inner(self) -> W {
        self.out
    }

    /// Only text can have what needs quotes, and only text can be taken for NULL.
    fn value(&mut self, kind: Kind, text: &str) -> Result<(), &'static str> {
        if matches!(kind, Kind::Text | Kind::Json) || text.as_bytes().contains(&self.dialect.delimiter) {
            return self.text(text);
        }
        self.line.extend(text.as_bytes());
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), &'static str> {
        let Some(quote) = self.dialect.quote else {
            let special = |b: &u8| *b == self.dialect.delimiter || matches!(b, b'\n' | b'\r');
            if text.as_bytes().iter().any(special) || text == self.dialect.null {
                return Err("it has a text that CSV without quotes (source.quote) cannot carry");
            }
            self.line.extend(text.as_bytes());
            return Ok(());
        };
        self.line.push(quote);
        for byte in text.bytes() {
            if byte == quote {
                self.line.push(quote);
            }
            self.line.push(byte);
        }
        self.line.push(quote);
        Ok(())
    }

    fn separate(&mut self, index: usize) {
        if index > 0 {
            self.line.push(self.dialect.delimiter);
        }
    }

    fn end(&mut self) -> io::Result<()> {
        self.line.push(b'\n');
        self.out.write_all(&self.line)?;
        self.line.clear();
        Ok(())
    }
}
