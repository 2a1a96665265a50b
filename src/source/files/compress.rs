//! A file's bytes, unpacked. gzip and zstd are recognised by their first bytes, whatever the file is called.

use super::stamp::{Stamp, unreadable};
use crate::source::SourceError;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

const BUFFER: usize = 1 << 16;

/// Reads a whole file into memory, unpacking gzip (also several members) and zstd (also several frames).
///
/// Whole, and not mapped: a file that is overwritten while it is mapped kills the process.
pub fn read(path: &Path) -> Result<Vec<u8>, SourceError> {
    let mut file = Unpacked::open(path)?;
    let mut bytes = Vec::with_capacity(file.size);
    let read = file.reader.read_to_end(&mut bytes);
    read.map_err(|e| file.fault(path, bytes.len(), &e))?;
    Ok(bytes)
}

/// Reads a file's lines up to the `count`th that is not blank, each with its line break. What comes after is not unpacked.
pub fn first_lines(path: &Path, count: usize) -> Result<Vec<u8>, SourceError> {
    let mut file = Unpacked::open(path)?;
    let (mut bytes, mut left) = (Vec::new(), count);
    while left > 0 {
        let start = bytes.len();
        let read = file.reader.read_until(b'\n', &mut bytes);
        if read.map_err(|e| file.fault(path, bytes.len(), &e))? == 0 {
            break;
        }
        left -= usize::from(!bytes[start..].trim_ascii().is_empty());
    }
    Ok(bytes)
}

/// A file that is unpacked as it is read.
pub struct Unpacked {
    reader: Box<dyn BufRead + Send>,
    /// How it is packed, if it is.
    packed: Option<&'static str>,
    /// Its bytes if it is not packed, else 0.
    size: usize,
    /// The file again, to ask whether it has changed.
    file: File,
    /// What it was when it was opened.
    pub stamp: Stamp,
    /// Unpacked bytes handed out by [`Unpacked::append`].
    read: usize,
}

impl Unpacked {
    /// Opens a file and finds out how it is packed.
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        let fail = |e: io::Error| unreadable(path, &e);
        let file = File::open(path).map_err(fail)?;
        let stamp = Stamp::of(&file).map_err(fail)?;
        let mut reader = BufReader::with_capacity(BUFFER, file.try_clone().map_err(fail)?);
        let start = reader.fill_buf().map_err(fail)?;
        let (packed, reader): (_, Box<dyn BufRead + Send>) = if start.starts_with(GZIP) {
            (Some("gzip"), Box::new(BufReader::with_capacity(BUFFER, flate2::bufread::MultiGzDecoder::new(reader))))
        } else if start.starts_with(ZSTD) {
            let decoder = zstd::stream::read::Decoder::with_buffer(reader).map_err(fail)?;
            (Some("zstd"), Box::new(BufReader::with_capacity(BUFFER, decoder)))
        } else {
            (None, Box::new(reader))
        };
        let size = if packed.is_none() { usize::try_from(stamp.length).unwrap_or(0) } else { 0 };
        Ok(Unpacked { reader, packed, size, file, stamp, read: 0 })
    }

    /// Whether it is gzip or zstd.
    pub fn is_packed(&self) -> bool {
        self.packed.is_some()
    }

    /// Appends up to `count` further bytes. Returns whether the file's end was reached.
    pub fn append(&mut self, path: &Path, count: usize, bytes: &mut Vec<u8>) -> Result<bool, SourceError> {
        let before = bytes.len();
        bytes.reserve(count);
        let read = self.reader.by_ref().take(count as u64).read_to_end(bytes);
        self.read += bytes.len() - before;
        match read {
            Ok(read) => Ok(read < count),
            Err(error) => Err(self.fault(path, self.read, &error)),
        }
    }

    /// How many bytes were unpacked.
    #[cfg(test)]
    pub fn read(&self) -> usize {
        self.read
    }

    /// Whether the file is still what it was when it was opened.
    pub fn unchanged(&self, path: &Path) -> Result<(), SourceError> {
        self.stamp.check(&self.file, path)
    }

    fn fault(&self, path: &Path, read: usize, error: &io::Error) -> SourceError {
        let path = path.display();
        match self.packed {
            None => SourceError::new(format!("cannot read {path}: {error}")),
            Some(kind) => {
                SourceError::new(format!("{path} is not a complete {kind} file: {error} (after {read} bytes)"))
                    .hint("it is cut off or damaged; write it again, and under another name until it is complete")
            }
        }
    }
}
