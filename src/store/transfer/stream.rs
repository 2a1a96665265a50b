//! State as a file: NDJSON, of a version of its own.
//!
//! First a line that says what it is and which tables and columns follow; a line for each row, `["TABLE", value, …]` in the order of the columns (`null`,
//! numbers, text; bytes as `{"b64": …}`); last how many rows there were of each table, and the SHA-256 of every byte before that line. Whatever is cut,
//! changed, added or left out is noticed before a row is taken.

use super::{Cell, Piece, ROWS, Table};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::io::{self, BufRead, Write};

/// The version of the format.
const VERSION: u32 = 1;

/// What the file says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The version of the format.
    pub nightmark_state: u32,
    /// Of the program that has written it.
    pub version: String,
    /// When, in UTC.
    pub at: String,
    /// What follows: tables, and their columns in the order of the values.
    pub tables: Vec<(String, Vec<String>)>,
}

#[derive(Serialize, Deserialize)]
struct Trailer {
    end: bool,
    rows: Vec<(String, u64)>,
    sha256: String,
}

/// Why a file is not taken, or could not be written.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The disk, or whatever it is read from.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is something else, or of a version that is not known.
    #[error("this is not a state file that this version can read: {0}")]
    Foreign(String),
    /// It has other tables or columns.
    #[error(
        "it was written by nightmark {version}, whose state is another ({differs}); import it with that version, then let this one bring the store up to date"
    )]
    Other {
        /// Who has written it.
        version: String,
        /// The first difference.
        differs: String,
    },
    /// It is not what was written.
    #[error("line {line}: {problem}; the file is damaged or not whole, export it once more")]
    Damaged {
        /// From 1.
        line: u64,
        /// What is wrong.
        problem: String,
    },
}

/// A file in the making.
pub struct Writing<W> {
    out: W,
    hash: Sha256,
    tables: Vec<(String, u64)>,
}

impl<W: Write> Writing<W> {
    /// Writes the first line.
    ///
    /// # Errors
    /// A full disk.
    pub fn begin(out: W, version: &str, at: &str, tables: &[Table]) -> Result<Self, StreamError> {
        let mut writing =
            Writing { out, hash: Sha256::new(), tables: tables.iter().map(|table| (table.name.clone(), 0)).collect() };
        let header = Header {
            nightmark_state: VERSION,
            version: version.to_owned(),
            at: at.to_owned(),
            tables: tables.iter().map(|table| (table.name.clone(), table.columns.clone())).collect(),
        };
        writing.line(&header)?;
        Ok(writing)
    }

    fn line(&mut self, value: &impl Serialize) -> Result<(), StreamError> {
        let mut text = serde_json::to_vec(value).map_err(io::Error::from)?;
        text.push(b'\n');
        self.hash.update(&text);
        Ok(self.out.write_all(&text)?)
    }

    /// Writes rows.
    ///
    /// # Errors
    /// A full disk; a table that was not announced.
    pub fn rows(&mut self, table: usize, rows: &[Vec<Cell>]) -> Result<(), StreamError> {
        let Some((name, count)) = self.tables.get_mut(table) else {
            return Err(StreamError::Foreign(format!("table {table} was not announced")));
        };
        *count += rows.len() as u64;
        let name = Value::from(name.as_str());
        for row in rows {
            let values: Vec<Value> = std::iter::once(name.clone()).chain(row.iter().map(written)).collect();
            self.line(&values)?;
        }
        Ok(())
    }

    /// Writes the last line; what was written, and how many rows of which table.
    ///
    /// # Errors
    /// A full disk.
    pub fn end(mut self) -> Result<(W, Vec<(String, u64)>), StreamError> {
        let sha256 = hex(&self.hash.clone().finalize());
        let rows = self.tables.clone();
        self.line(&Trailer { end: true, rows, sha256 })?;
        self.out.flush()?;
        Ok((self.out, self.tables))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn written(cell: &Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Integer(number) => Value::from(*number),
        Cell::Text(text) => Value::from(text.as_str()),
        Cell::Bytes(bytes) => serde_json::json!({ "b64": STANDARD.encode(bytes) }),
    }
}

fn cell(value: Value) -> Option<Cell> {
    Some(match value {
        Value::Null => Cell::Null,
        Value::Number(number) => Cell::Integer(number.as_i64()?),
        Value::String(text) => Cell::Text(text),
        Value::Object(object) if object.len() == 1 => Cell::Bytes(STANDARD.decode(object.get("b64")?.as_str()?).ok()?),
        _ => return None,
    })
}

/// A file that is read. Its rows are sound only once [`Piece::End`] has come.
pub struct Reading<R> {
    input: R,
    hash: Sha256,
    line: u64,
    header: Header,
    counts: Vec<u64>,
    /// The first row of the next piece.
    kept: Option<(usize, Vec<Cell>)>,
    ended: bool,
}

impl<R: BufRead> Reading<R> {
    /// Reads the first line, and looks whether what follows is for these tables.
    ///
    /// # Errors
    /// Another file, or one of another version.
    pub fn begin(mut input: R, tables: &[Table]) -> Result<Self, StreamError> {
        let mut text = Vec::new();
        input.read_until(b'\n', &mut text)?;
        let foreign = |problem: &str| StreamError::Foreign(problem.to_owned());
        let header: Value = serde_json::from_slice(&text).map_err(|_| foreign("its first line is not a header"))?;
        match header.get("nightmark_state").and_then(Value::as_u64) {
            Some(version) if version == u64::from(VERSION) => {}
            Some(version) => {
                return Err(StreamError::Foreign(format!("it is of version {version}, known is {VERSION}")));
            }
            None => return Err(foreign("its first line is not a header")),
        }
        let header: Header = serde_json::from_value(header).map_err(|error| StreamError::Foreign(error.to_string()))?;
        if let Some(differs) = differs(&header, tables) {
            return Err(StreamError::Other { version: header.version, differs });
        }
        let mut hash = Sha256::new();
        hash.update(&text);
        let counts = vec![0; tables.len()];
        Ok(Reading { input, hash, line: 1, header, counts, kept: None, ended: false })
    }

    /// What it says of itself.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Rows of each table so far.
    pub fn counts(&self) -> Vec<(String, u64)> {
        self.header.tables.iter().zip(&self.counts).map(|((name, _), count)| (name.clone(), *count)).collect()
    }

    /// The next rows, or the end.
    ///
    /// # Errors
    /// A file that is damaged or not whole.
    pub fn piece(&mut self) -> Result<Piece, StreamError> {
        if self.ended {
            return Ok(Piece::End);
        }
        let Some((table, first)) = self.kept.take().map_or_else(|| self.row(), |row| Ok(Some(row)))? else {
            return Ok(Piece::End);
        };
        let mut rows = vec![first];
        while rows.len() < ROWS {
            match self.row()? {
                Some((of, row)) if of == table => rows.push(row),
                other => {
                    self.kept = other;
                    break;
                }
            }
        }
        Ok(Piece::Rows { table, rows })
    }

    /// `None`: the last line has come, and all is well.
    fn row(&mut self) -> Result<Option<(usize, Vec<Cell>)>, StreamError> {
        if self.ended {
            return Ok(None);
        }
        let mut text = Vec::new();
        self.input.read_until(b'\n', &mut text)?;
        self.line += 1;
        if text.last() != Some(&b'\n') {
            return Err(self.damaged("it ends before its last line"));
        }
        let value: Value = serde_json::from_slice(&text).map_err(|_| self.damaged("this is not JSON"))?;
        let Value::Array(values) = value else {
            self.trailer(value)?;
            return Ok(None);
        };
        self.hash.update(&text);
        let row = self.taken(values).ok_or_else(|| self.damaged("this is no row of a table that was announced"))?;
        if let Some(count) = self.counts.get_mut(row.0) {
            *count += 1;
        }
        Ok(Some(row))
    }

    fn taken(&self, values: Vec<Value>) -> Option<(usize, Vec<Cell>)> {
        let mut values = values.into_iter();
        let name = values.next()?;
        let table = self.header.tables.iter().position(|(table, _)| name == table.as_str())?;
        let row: Vec<Cell> = values.map(cell).collect::<Option<_>>()?;
        (row.len() == self.header.tables.get(table)?.1.len()).then_some((table, row))
    }

    fn trailer(&mut self, value: Value) -> Result<(), StreamError> {
        let trailer: Trailer =
            serde_json::from_value(value).map_err(|_| self.damaged("this is neither a row nor the last line"))?;
        if trailer.rows != self.counts() || !trailer.end {
            return Err(self.damaged("there are not as many rows as were written"));
        }
        if trailer.sha256 != hex(&self.hash.clone().finalize()) {
            return Err(self.damaged("the checksum is another"));
        }
        let mut more = Vec::new();
        if self.input.read_until(b'\n', &mut more)? > 0 {
            return Err(self.damaged("something stands behind the last line"));
        }
        self.ended = true;
        Ok(())
    }

    fn damaged(&self, problem: &str) -> StreamError {
        StreamError::Damaged { line: self.line, problem: problem.to_owned() }
    }
}

/// How what was written differs from what is here.
fn differs(header: &Header, tables: &[Table]) -> Option<String> {
    let here: Vec<(String, Vec<String>)> =
        tables.iter().map(|table| (table.name.clone(), table.columns.clone())).collect();
    if header.tables == here {
        return None;
    }
    let columns = |all: &[(String, Vec<String>)]| -> Vec<String> {
        all.iter().flat_map(|(table, columns)| columns.iter().map(move |column| format!("{table}.{column}"))).collect()
    };
    let (there, here) = (columns(&header.tables), columns(&here));
    let only = |one: &[String], other: &[String], which: &str| {
        one.iter().find(|column| !other.contains(column)).map(|column| format!("{column} is only {which}"))
    };
    only(&there, &here, "there").or_else(|| only(&here, &there, "here")).or(Some("the order of the tables".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables() -> Vec<Table> {
        let table = |name: &str, columns: &[&str]| Table {
            name: name.to_owned(),
            columns: columns.iter().map(|column| (*column).to_owned()).collect(),
        };
        vec![table("runs", &["id", "number"]), table("empty", &["x"]), table("keys", &["hash"])]
    }

    fn file() -> Vec<u8> {
        let mut writing = Writing::begin(Vec::new(), "0.1.0", "2026-01-01T00:00:00Z", &tables()).unwrap();
        let run = |id: &str, number: i64| vec![Cell::Text(id.to_owned()), Cell::Integer(number)];
        writing.rows(0, &[run("a\n\"\u{0}é", i64::MIN), run("", i64::MAX)]).unwrap();
        writing.rows(0, &[vec![Cell::Null, Cell::Null]]).unwrap();
        writing.rows(2, &[vec![Cell::Bytes(vec![0, 255])], vec![Cell::Bytes(Vec::new())]]).unwrap();
        assert!(writing.rows(3, &[]).is_err());
        let (file, rows) = writing.end().unwrap();
        assert_eq!(rows, [("runs".to_owned(), 3), ("empty".to_owned(), 0), ("keys".to_owned(), 2)]);
        file
    }

    fn read(file: &[u8], tables: &[Table]) -> Result<Vec<Piece>, StreamError> {
        let mut reading = Reading::begin(file, tables)?;
        let mut pieces = Vec::new();
        loop {
            match reading.piece()? {
                Piece::End => return Ok(pieces),
                piece => pieces.push(piece),
            }
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let pieces = read(&file(), &tables()).unwrap();
        let [Piece::Rows { table: 0, rows: runs }, Piece::Rows { table: 2, rows: keys }] = pieces.as_slice() else {
            panic!("{pieces:?}")
        };
        assert_eq!(runs[0], [Cell::Text("a\n\"\u{0}é".to_owned()), Cell::Integer(i64::MIN)]);
        assert_eq!((runs[1][1].clone(), runs[2][0].clone()), (Cell::Integer(i64::MAX), Cell::Null));
        assert_eq!(*keys, [[Cell::Bytes(vec![0, 255])], [Cell::Bytes(Vec::new())]]);
    }

    /// Cut at every byte, and with every byte another, it is never taken.
    #[test]
    fn whatever_is_damaged_is_noticed() {
        let whole = file();
        for end in 0..whole.len() {
            assert!(read(&whole[..end], &tables()).is_err(), "cut at {end}");
        }
        for at in 0..whole.len() {
            let mut twisted = whole.clone();
            twisted[at] ^= 0x01;
            assert!(read(&twisted, &tables()).is_err(), "{at}");
        }
        let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
        for (without, _) in lines.iter().enumerate() {
            let rest: Vec<u8> = lines
                .iter()
                .enumerate()
                .filter(|(line, _)| *line != without)
                .flat_map(|(_, line)| line.to_vec())
                .collect();
            assert!(read(&rest, &tables()).is_err(), "without line {without}");
        }
        assert!(read(&[whole.as_slice(), b"\n"].concat(), &tables()).is_err());
    }

    #[test]
    fn another_versions_file_is_refused_with_what_helps() {
        let mut other = tables();
        other[0].columns.push("since".to_owned());
        let error = read(&file(), &other).unwrap_err().to_string();
        assert!(error.contains("nightmark 0.1.0") && error.contains("runs.since is only here"), "{error}");
        let newer = String::from_utf8(file()).unwrap().replacen("\"nightmark_state\":1", "\"nightmark_state\":2", 1);
        assert!(read(newer.as_bytes(), &tables()).unwrap_err().to_string().contains("version 2, known is 1"));
        assert!(read(b"workspace_id,plan\n", &tables()).unwrap_err().to_string().contains("not a header"));
    }
}
