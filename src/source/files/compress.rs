//! A file's bytes, unpacked. gzip and zstd are recognised by their first bytes, whatever the file is called.

use crate::source::SourceError;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Reads a whole file into memory, unpacking gzip (also several members) and zstd (also several frames).
///
/// Whole, and not mapped: a file that is overwritten while it is mapped kills the process.
pub fn read(path: &Path) -> Result<Vec<u8>, SourceError> {
    let fail = |e: std::io::Error| SourceError::new(format!("cannot read {}: {e}", path.display()));
    let file = File::open(path).map_err(fail)?;
    let size = file.metadata().map_err(fail)?.len();
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let start = reader.fill_buf().map_err(fail)?;
    if start.starts_with(GZIP) {
        return unpack(path, "gzip", flate2::bufread::MultiGzDecoder::new(reader));
    }
    if start.starts_with(ZSTD) {
        let decoder = zstd::stream::read::Decoder::with_buffer(reader).map_err(fail)?;
        return unpack(path, "zstd", decoder);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    reader.read_to_end(&mut bytes).map_err(fail)?;
    Ok(bytes)
}

fn unpack(path: &Path, kind: &str, mut decoder: impl Read) -> Result<Vec<u8>, SourceError> {
    let mut bytes = Vec::new();
    decoder.read_to_end(&mut bytes).map_err(|e| {
        SourceError::new(format!("{} is not a complete {kind} file: {e} (after {} bytes)", path.display(), bytes.len()))
            .hint("it is cut off or damaged; write it again, and under another name until it is complete")
    })?;
    Ok(bytes)
}
