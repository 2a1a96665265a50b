//! `manifest.json`: the one file whose rename publishes a run.

use super::SnapshotError;
use crate::row::{Compared, HashSeed, Schema};
use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::path::Path;

/// The newest format that this version writes and reads.
pub const FORMAT: u32 = 2;

/// What a job's current snapshot consists of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// Compared columns, with the kinds and forms that the stored fingerprints were made with.
    pub compared: Vec<Compared>,
    /// Sets of compared columns that are not known of some rows; a row's flags have the number of its set, from 1 on.
    pub unknown: Vec<Vec<String>>,
    /// Every column's kind, pinned when it was first seen.
    pub schema: Schema,
    /// The input types that the SQL model runs over, for sources that guess them.
    pub input: Option<Schema>,
    /// The files of the base, in order: the rows of that night's extract, then `kept.parquet`, if there is one.
    pub base: Vec<FileEntry>,
    /// `sidecar.parquet`
    pub sidecar: FileEntry,
    /// `changes.parquet`
    pub changes: FileEntry,
    /// `waiting.parquet`, if any change of an earlier run waits for its repeat.
    pub waiting: Option<FileEntry>,
    /// `order.bin`, if the extract seemed worth it; older snapshots have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<FileEntry>,
    /// The extract had only orgs that have changed since this time (`{{last_success}}` of its query); `None`: it had all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
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
    /// XXH3 of its content, 128 bits in hexadecimal digits. It finds damage, not forgery.
    pub xxh3: String,
}

impl Manifest {
    /// The file's name.
    pub const FILE: &'static str = "manifest.json";

    /// Reads the manifest of a snapshot folder; `None` before the first publication.
    ///
    /// # Errors
    /// A file that cannot be read, is not a manifest, is not as it was written, or was written by a newer version.
    pub fn load(dir: &Path) -> Result<Option<Self>, SnapshotError> {
        let path = dir.join(Self::FILE);
        match std::fs::read(&path) {
            Ok(text) => Self::unsealed(&text, &path).map(Some),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(SnapshotError::io(path)(error)),
        }
    }

    /// The file's content: the manifest and a checksum of it.
    pub(super) fn sealed(&self) -> serde_json::Result<Vec<u8>> {
        seal(self)
    }

    pub(super) fn unsealed(text: &[u8], path: &Path) -> Result<Self, SnapshotError> {
        unseal(text, path)
    }
}

/// `of` as JSON, with a checksum of itself. It has a `format`.
pub(super) fn seal(of: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut fields: Map<String, Value> = serde_json::from_value(serde_json::to_value(of)?)?;
    let checksum = checksum(&fields)?;
    fields.insert(CHECKSUM.to_owned(), Value::String(checksum));
    serde_json::to_vec_pretty(&fields)
}

/// The reverse of [`seal`]. `path`: where the text is from.
pub(super) fn unseal<T: Serialize + DeserializeOwned>(text: &[u8], path: &Path) -> Result<T, SnapshotError> {
    let damaged = |e: serde_json::Error| SnapshotError::damaged(path, e);
    let mut fields: Map<String, Value> = serde_json::from_slice(text).map_err(damaged)?;
    // The format is looked at first: a newer manifest may have any other shape.
    if let Some(found) = fields.get("format").and_then(Value::as_u64).filter(|f| *f > u64::from(FORMAT)) {
        let found = u32::try_from(found).unwrap_or(u32::MAX);
        return Err(SnapshotError::Newer { path: path.to_owned(), found, known: FORMAT });
    }
    if fields.get("format").and_then(Value::as_u64).is_some_and(|found| found < u64::from(FORMAT)) {
        return Err(SnapshotError::Older { path: path.to_owned() });
    }
    let stored = fields.shift_remove(CHECKSUM);
    if stored != Some(Value::String(checksum(&fields).map_err(damaged)?)) {
        return Err(SnapshotError::damaged(path, "its content is not what was written (checksum)"));
    }
    let fields = Value::Object(fields);
    let read = T::deserialize(&fields).map_err(damaged)?;
    if serde_json::to_value(&read).map_err(damaged)? != fields {
        return Err(SnapshotError::damaged(path, "it has fields that are not known to this version"));
    }
    Ok(read)
}

const CHECKSUM: &str = "checksum";

/// SHA-256, in hexadecimal digits, of the fields as JSON without white space, in the order in which the file has them.
fn checksum(fields: &Map<String, Value>) -> serde_json::Result<String> {
    let hash = Sha256::new_with_prefix(serde_json::to_vec(fields)?).finalize();
    Ok(hash.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::{Column, Form, Kind};

    fn manifest() -> Manifest {
        let file = |name: &str| FileEntry { path: format!("RUN/{name}"), rows: 12, bytes: 345, xxh3: "0a1b".into() };
        let column = |name: &str, kind| Column { name: name.into(), kind };
        let columns = vec![column("id", Kind::Int), column("mrr", Kind::Decimal { scale: 2 })];
        Manifest {
            format: FORMAT,
            job: "orgs".into(),
            run: "RUN".into(),
            published_at: "2026-01-15T10:30:00.000001Z".parse().unwrap(),
            hash_seed: HashSeed([0xa5; 16]),
            key: vec!["id".into()],
            compared: vec![Compared { name: "mrr".into(), kind: Kind::Int, form: Form::default() }],
            unknown: vec![vec!["mrr".into()]],
            schema: Schema { columns },
            input: None,
            base: vec![file("base.parquet"), file("kept.parquet")],
            sidecar: file("sidecar.parquet"),
            changes: file("changes.parquet"),
            waiting: Some(file("waiting.parquet")),
            order: Some(file("order.bin")),
            since: Some("2026-01-14T10:30:00.000002Z".parse().unwrap()),
        }
    }

    pub(super) fn unsealed(text: &[u8]) -> Result<Manifest, SnapshotError> {
        Manifest::unsealed(text, Path::new("manifest.json"))
    }

    #[test]
    fn no_flipped_byte_goes_unnoticed() {
        let (manifest, text) = (manifest(), manifest().sealed().unwrap());
        assert_eq!(unsealed(&text).unwrap(), manifest);
        for at in 0..text.len() {
            let flips = (0..8).map(|bit| text[at] ^ (1 << bit)).chain(*b" 0\"\\");
            for byte in flips {
                let mut flipped = text.clone();
                flipped[at] = byte;
                if let Ok(read) = unsealed(&flipped) {
                    assert_eq!(read, manifest, "byte {at} as {byte:#x}");
                    assert!(byte == text[at] || text[at].is_ascii_whitespace(), "byte {at} as {byte:#x}");
                }
            }
        }
    }

    #[track_caller]
    fn check_refused(edit: impl FnOnce(&mut Map<String, Value>), seal: bool, problem: &str) {
        let mut fields: Map<String, Value> = serde_json::from_slice(&manifest().sealed().unwrap()).unwrap();
        fields.shift_remove(CHECKSUM);
        edit(&mut fields);
        if seal {
            let checksum = checksum(&fields).unwrap();
            fields.insert(CHECKSUM.into(), Value::String(checksum));
        }
        let error = unsealed(&serde_json::to_vec(&fields).unwrap()).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        check_refused(|_| (), false, "checksum");
        check_refused(|f| drop(f.insert("more".into(), Value::Null)), true, "fields that are not known");
        check_refused(|f| f["schema"]["columns"][0]["more"] = Value::Null, true, "fields that are not known");
        check_refused(|f| f["base"][0]["more"] = Value::Null, true, "fields that are not known");
        check_refused(|f| f["base"][0]["rows"] = Value::from("12"), true, "invalid type");
        check_refused(|f| f["format"] = Value::from(FORMAT + 1), true, "upgrade nightmark");
        check_refused(|f| f["format"] = Value::from(FORMAT - 1), true, "before the first release");
    }
}
