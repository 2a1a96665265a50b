//! A copy of the file as it was, before its schema is brought up to date.
//!
//! There is no way back from a migration but this: the older version of the program cannot read the newer file.

use super::open::{cannot_open, connect, options, schema, side_file};
use super::words;
use crate::store::StoreError;
use sqlx::{Connection, SqliteConnection};
use std::fs::File;
use std::path::{Path, PathBuf};

/// Where the copy of a file is that had this schema.
pub(super) fn place(path: &Path, found: i64) -> PathBuf {
    side_file(path, &format!(".schema-{found}"))
}

/// Copies the file, readable by its owner only, beside it; an earlier copy of the same schema is replaced. Once this returns, the copy is on the disk.
///
/// # Errors
/// No room, a folder that cannot be written: then nothing may be migrated.
pub(super) async fn before_migration(
    path: &Path,
    connection: &mut SqliteConnection,
    found: i64,
) -> Result<(), StoreError> {
    let to = place(path, found);
    let failed = |why: String| {
        cannot_open(
            path,
            format!(
                "it cannot be copied to {} before its schema is brought up to date: {why}; make room there",
                to.display()
            ),
        )
    };
    // tempfile makes it readable by its owner only, and removes it where it is not kept.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let draft = tempfile::NamedTempFile::new_in(folder).map_err(|error| failed(error.to_string()))?;
    let name = draft.path().to_str().ok_or_else(|| failed("its name is not UTF-8".to_owned()))?.to_owned();
    let copy = sqlx::query("VACUUM INTO ?1").bind(&name);
    copy.execute(&mut *connection).await.map_err(|error| failed(words(&error)))?;
    // Another process may have migrated it between the look at its schema and this copy.
    let way = options(draft.path()).read_only(true).immutable(true);
    let mut copied = connect(&way).await.map_err(|error| failed(words(&error)))?;
    let has = schema(&mut copied).await.map_err(|error| failed(words(&error)))?;
    copied.close().await.map_err(|error| failed(words(&error)))?;
    if has != Some(found) {
        return Ok(());
    }
    draft.as_file().sync_all().map_err(|error| failed(error.to_string()))?;
    draft.persist(&to).map_err(|error| failed(error.error.to_string()))?;
    #[cfg(unix)]
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| failed(error.to_string()))?;
    tracing::info!(event = "store_copied", copy = %to.display(), schema = found, "the state store was copied before its schema is brought up to date");
    Ok(())
}
