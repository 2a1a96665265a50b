//! A file's bytes, unpacked. gzip and zstd are recognised by their first bytes, whatever the file is called.

use crate::source::SourceError;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
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
    read.map_err(|e| file.fault(path, &bytes, &e))?;
    Ok(bytes)
}

/// Reads a file's lines up to the `count`th that is not blank, each with its line break. What comes after is not unpacked.
pub fn first_lines(path: &Path, count: usize) -> Result<Vec<u8>, SourceError> {
    let mut file = Unpacked::open(path)?;
    let (mut bytes, mut left) = (Vec::new(), count);
    while left > 0 {
        let start = bytes.len();
        let read = file.reader.read_until(b'\n', &mut bytes);
        if read.map_err(|e| file.fault(path, &bytes, &e))? == 0 {
            break;
        }
        left -= usize::from(!bytes[start..].trim_ascii().is_empty());
    }
    Ok(bytes)
}

/// A file that is unpacked as it is read.
struct Unpacked {
    reader: Box<dyn BufRead>,
    /// How it is packed, if it is.
    packed: Option<&'static str>,
    /// Its bytes if it is not packed, else 0.
    size: usize,
}

impl Unpacked {
    fn open(path: &Path) -> Result<Self, SourceError> {
        let fail = |e: io::Error| SourceError::new(format!("cannot read {}: {e}", path.display()));
        let file = File::open(path).map_err(fail)?;
        let size = usize::try_from(file.metadata().map_err(fail)?.len()).unwrap_or(0);
        let mut reader = BufReader::with_capacity(BUFFER, file);
        let start = reader.fill_buf().map_err(fail)?;
        Ok(if start.starts_with(GZIP) {
            let reader = BufReader::with_capacity(BUFFER, flate2::bufread::MultiGzDecoder::new(reader));
            Unpacked { reader: Box::new(reader), packed: Some("gzip"), size: 0 }
        } else if start.starts_with(ZSTD) {
            let decoder = zstd::stream::read::Decoder::with_buffer(reader).map_err(fail)?;
            Unpacked { reader: Box::new(BufReader::with_capacity(BUFFER, decoder)), packed: Some("zstd"), size: 0 }
        } else {
            Unpacked { reader: Box::new(reader), packed: None, size }
        })
    }

    fn fault(&self, path: &Path, bytes: &[u8], error: &io::Error) -> SourceError {
        let path = path.display();
        match self.packed {
            None => SourceError::new(format!("cannot read {path}: {error}")),
            Some(kind) => {
                let read = bytes.len();
                SourceError::new(format!("{path} is not a complete {kind} file: {error} (after {read} bytes)"))
                    .hint("it is cut off or damaged; write it again, and under another name until it is complete")
            }
        }
    }
}
