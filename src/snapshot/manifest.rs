//! `manifest.json`: the one file whose rename publishes a run.

use super::SnapshotError;
use crate::row::{HashSeed, Schema};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The newest format that this version writes and reads.
pub const FORMAT: u32 = 1;

/// What a job's current snapshot consists of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`]
    pub format: u32,
    /// The job's name.
    pub job: String,
    /// The run that published it; also the folder of its files.
    pub run: String,
    /// When.
    pub published_at: DateTime<Utc>,
    /// The key of the job's hashes, drawn once.
    pub hash_seed: HashSeed,
    /// Key columns, in the job's order.
    pub key: Vec<String>,
    /// Compared columns, sorted by name: the basis of the stored fingerprints.
    pub compared: Vec<String>,
    /// Every column's kind, pinned when it was first seen.
    pub schema: Schema,
    /// The input types that the SQL model runs over, for sources that guess them.
    pub input: Option<Schema>,
    /// `base.parquet`
    pub base: FileEntry,
    /// `changes.parquet`
    pub changes: FileEntry,
}

/// A published file, relative to the job's snapshot folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// `RUN/base.parquet`
    pub path: String,
    /// Rows in it.
    pub rows: u64,
    /// Its length in bytes.
    pub bytes: u64,
    /// SHA-256 of its content, in hexadecimal digits.
    pub sha256: String,
}

impl Manifest {
    /// The file's name.
    pub const FILE: &'static str = "manifest.json";

    /// Reads the manifest of a snapshot folder; `None` before the first publication.
    ///
    /// # Errors
    /// A file that cannot be read, is not a manifest, or was written by a newer version.
    pub fn load(dir: &Path) -> Result<Option<Self>, SnapshotError> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let path = dir.join(Self::FILE);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(SnapshotError::io(path)(error)),
        };
        // The format is read first: a newer manifest may have any other shape.
        let Format { format } = serde_json::from_slice(&text).map_err(|e| SnapshotError::damaged(&path, e))?;
        if format > FORMAT {
            return Err(SnapshotError::Newer { path, found: format, known: FORMAT });
        }
        serde_json::from_slice(&text).map(Some).map_err(|e| SnapshotError::damaged(path, e))
    }
}
