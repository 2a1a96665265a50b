//! All files of an extract as one sequence of blocks.

use super::blocks::Blocks;
use super::head::{self, Head};
use super::lexer::{Dialect, Lexer, line_breaks};
use crate::job::spec::CsvOptions;
use crate::source::SourceError;
use crate::source::files::columns::same_columns;
use crate::source::files::partitions::Partitions;
use crate::source::files::stamp::{Stamp, changed};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is read and how.
#[derive(Debug, Clone)]
pub struct Input {
    /// The files in order.
    pub paths: Vec<PathBuf>,
    /// Columns that their folders say.
    pub partitions: Partitions,
    /// How they are written.
    pub options: CsvOptions,
    /// The size of blocks in bytes.
    pub block: usize,
    /// At most so many rows; what comes after those is not looked at.
    pub limit: Option<usize>,
}

/// A file that blocks come from.
#[derive(Debug)]
pub struct OfFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its columns in its own order.
    pub names: Vec<String>,
    /// For each of its columns, the position in the extract.
    pub places: Vec<usize>,
    /// Which of the files it is.
    pub index: usize,
    /// How many of its rows are read at most.
    pub limit: Option<usize>,
}

/// Whole records of one file.
#[derive(Debug)]
pub struct Block {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The position at which its first record begins: after the header.
    pub start: usize,
    /// Where it is from.
    pub file: Arc<OfFile>,
    /// The line that `start` is on.
    pub line: u64,
}

/// A file, opened, with its first block.
struct Opened {
    blocks: Blocks,
    first: Option<(Vec<u8>, usize)>,
    head: Head,
}

/// The files' blocks in order.
pub struct Feed {
    input: Arc<Input>,
    /// How many files were opened.
    opened: usize,
    current: Option<(Opened, Arc<OfFile>, u64)>,
    /// The first file that has columns, and these. Their order counts.
    head: Option<(PathBuf, Vec<String>)>,
    left: Option<usize>,
    /// What each file was when it was opened, in order; from an earlier reading, what each must be.
    stamps: Vec<Stamp>,
    /// Whether lines are counted.
    lines: bool,
    failed: Option<(String, Option<String>)>,
}

impl Feed {
    /// Opens the first file that has columns. `stamps`: those of an earlier reading of the same files, or none. `lines`:
    /// whether [`Block::line`] is wanted.
    pub fn open(input: Arc<Input>, stamps: Vec<Stamp>, lines: bool) -> Result<Self, SourceError> {
        let left = input.limit;
        let mut feed = Feed { input, opened: 0, current: None, head: None, left, stamps, lines, failed: None };
        while feed.head.is_none() && feed.open_next()? {}
        Ok(feed)
    }

    /// The extract's columns in order.
    pub fn names(&self) -> &[String] {
        self.head.as_ref().map_or(&[], |(_, names)| names)
    }

    /// What the files were when they were opened.
    pub fn stamps(&self) -> Vec<Stamp> {
        self.stamps.clone()
    }

    /// The next block; `None` after the last. After an error there are only errors.
    pub fn next(&mut self) -> Result<Option<Block>, SourceError> {
        if let Some((message, hint)) = &self.failed {
            return Err(SourceError { hint: hint.clone(), ..SourceError::new(message) });
        }
        let next = self.advance();
        if let Err(error) = &next {
            self.failed = Some((error.message.clone(), error.hint.clone()));
        }
        next
    }

    fn advance(&mut self) -> Result<Option<Block>, SourceError> {
        loop {
            if self.left == Some(0) {
                return Ok(None);
            }
            let Some((opened, file, line)) = &mut self.current else {
                if self.open_next()? {
                    continue;
                }
                return Ok(None);
            };
            let block = match opened.first.take() {
                Some(first) => Some(first),
                None => opened.blocks.next()?.map(|bytes| (bytes, 0)),
            };
            let Some((bytes, start)) = block else {
                opened.blocks.file().unchanged(&file.path)?;
                self.current = None;
                continue;
            };
            let mut block = Block { bytes, start, file: Arc::clone(file), line: *line };
            if self.lines {
                *line += line_breaks(&block.bytes[start..]);
            }
            block.truncate(&mut self.left, Dialect::from(&self.input.options));
            return Ok(Some(block));
        }
    }

    /// Opens the next file; whether there was one.
    fn open_next(&mut self) -> Result<bool, SourceError> {
        let Some(path) = self.input.paths.get(self.opened) else { return Ok(false) };
        let (stamp, opened) = open(path, &self.input)?;
        match self.stamps.get(self.opened) {
            Some(before) if *before != stamp => return Err(changed(path)),
            Some(_) => {}
            None => self.stamps.push(stamp),
        }
        let index = self.opened;
        self.opened += 1;
        let Some(opened) = opened else { return Ok(true) };
        let names = opened.head.names.clone();
        let (first, known) = self.head.get_or_insert_with(|| (path.clone(), names.clone()));
        same_columns((first.as_path(), known.as_slice()), (path, &names))?;
        let places = names.iter().filter_map(|name| known.iter().position(|k| k == name)).collect();
        let line = opened.first.as_ref().map_or(1, |(bytes, start)| 1 + line_breaks(&bytes[..*start]));
        let file = OfFile { path: path.clone(), names, places, index, limit: self.left };
        self.current = Some((opened, Arc::new(file), line));
        Ok(true)
    }
}

impl Block {
    /// Cuts off what is more than the rows that are left.
    fn truncate(&mut self, left: &mut Option<usize>, dialect: Dialect) {
        let Some(left) = left else { return };
        let (mut lexer, mut fields) = (Lexer::new(&self.bytes, self.start, dialect), Vec::new());
        while *left > 0 && lexer.next(&mut fields).is_some() {
            *left -= 1;
        }
        if *left == 0 {
            let end = lexer.at();
            self.bytes.truncate(end);
        }
    }
}

/// Opens a file; without a record in it there is none to read.
fn open(path: &Path, input: &Input) -> Result<(Stamp, Option<Opened>), SourceError> {
    let mut blocks = Blocks::open(path, Dialect::from(&input.options), input.block)?;
    let mut bytes = Vec::new();
    while let Some(mut more) = blocks.next()? {
        // Blank lines may fill blocks of their own.
        let blank = more.iter().all(|b| matches!(b, b'\r' | b'\n'));
        bytes.append(&mut more);
        if !blank {
            break;
        }
    }
    let stamp = blocks.file().stamp.clone();
    let Some(head) = head::read(path, &bytes, &input.options)? else { return Ok((stamp, None)) };
    let first = Some((bytes, head.rows));
    Ok((stamp, Some(Opened { blocks, first, head })))
}

impl Feed {
    /// About how many rows there are, by the beginning of the first file.
    pub fn estimate(&self) -> u64 {
        /// How much larger files are when unpacked.
        const PACKED: u64 = 4;
        let Some((opened, ..)) = &self.current else { return 0 };
        let Some((bytes, start)) = &opened.first else { return 0 };
        let rows = line_breaks(bytes.trim_ascii_end()) + u64::from(*start == 0);
        let factor = if opened.blocks.file().is_packed() { PACKED } else { 1 };
        let lengths = self.input.paths.iter().map(|path| path.metadata().map_or(0, |m| m.len()));
        let length = lengths.sum::<u64>().saturating_mul(factor).max(1);
        let whole = self.input.paths.len() == 1 && opened.blocks.is_read();
        let read = bytes.len().max(1) as u64;
        let rows = if whole { rows } else { (u128::from(rows) * u128::from(length) / u128::from(read)) as u64 };
        self.input.limit.map_or(rows, |limit| rows.min(limit as u64))
    }
}
