//! What the destination is known to have, on disk: base ⊕ the unacknowledged part of `changes.parquet` (docs/SNAPSHOT.md).
//!
//! In: the [`Change`](crate::diff::Change)s of a run and the entries of its next sidecar. Out: [`Snapshot`] and its [`Known`]
//! rows, with the deliveries so far taken into account; [`ChangeSet`], the rows to send.
//! Always holds: the files of a run become visible together, by one rename of `manifest.json`, after every byte of them and
//! every folder entry that leads to them is on disk; once published they are never written again; a file that does not
//! match its manifest is refused, and so is a manifest that does not match its own checksum.
//! Deliberately absent: receipts (the state store has them), any decision about what to send.
//!
//! ```text
//! snapshots/JOB/manifest.json            which run is current, the pinned schema, the hash seed, a checksum of itself
//! snapshots/JOB/RUN/base.parquet         that night's rows: the extract's own file where it can serve, else ours
//! snapshots/JOB/RUN/kept.parquet         orgs that are known and that the extract could say nothing about
//! snapshots/JOB/RUN/sidecar.parquet      per known org: key hash, fingerprint, row in the base, flags; sorted by hash
//! snapshots/JOB/RUN/order.bin            the same hashes and fingerprints in the order of the base's rows; there may be none
//! snapshots/JOB/RUN/changes.parquet      the change set in order: key, operation, before, after, webhook id
//! snapshots/JOB/RUN/manifest.json        the manifest with which the run was published, for looking at it later
//! snapshots/JOB/RUN/held.json            instead: what a held run would publish, until somebody decides
//! snapshots/JOB/RUN/waiting.parquet      earlier changes whose org is not seen tonight; only if there are any
//! snapshots/JOB/lock                     held while a run of the job is on
//! snapshots/JOB/wanted                   held, by as many as like, by those who wait for a backfill to let go of `lock`
//! snapshots/JOB/backfill-ID/…            what a backfill has to send; no part of any snapshot
//! snapshots/JOB/backfill.lock            held by the process that makes or sends a backfill
//! snapshots/JOB/shared                   where the snapshot is shared, if it is (`[snapshots]`)
//! ```

mod base;
mod base_writer;
mod basis;
mod changes;
mod draft;
mod files;
mod held;
mod known;
mod lock;
mod manifest;
mod order;
mod orgs;
mod overlay;
mod published;
mod read;
mod shared;
mod sidecar;
mod spool;
mod switch;
mod table;
mod unknown;
mod verify;
mod waiting;

pub use base_writer::{BaseEncoder, BaseWriter, EncodedRows, Encoding};
pub use basis::Basis;
pub use changes::{
    ChangeBatch, ChangeRow, ChangeSet, ChangeWriter, Mark, Shape, Target, Written, id_text as webhook_id, rewrite,
};
pub use draft::{Draft, Finished, Publication, Publishing};
pub use held::{Against, Held, discard as discard_held};
pub use known::{Known, Snapshot};
pub use lock::{JobLock, Locked, lock, who_holds};
pub use manifest::{FileEntry, Manifest};
pub use order::OrderWriter;
pub use orgs::{Between, OrgDifference, known_orgs};
pub use published::{PublishedRun, published, run_folders, unclaimed};
pub use shared::{Shared, Sharing};
pub use sidecar::Partition;
pub use spool::{spool, spool_aside, spool_draft, spool_is_locked, spool_keep, spool_lock, spool_sweep};
pub use unknown::Unknown;
pub use verify::{Verified, verify};

/// Columns whose names begin so are ours; an extract may not have such.
pub const RESERVED_PREFIX: &str = "_nightmark_";

use std::path::PathBuf;

/// Why a snapshot cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The file system said no.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is damaged or not ours.
    #[error(
        "{path} is damaged: {problem}. Restore it from a backup, or move the folder away to start anew with the job's first_run"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not match.
        problem: String,
    },
    /// `order.bin` is damaged, which only makes the comparison quicker.
    #[error("{path} is damaged: {problem}. No run needs it: the next one does without it and writes a new one")]
    Order {
        /// The file.
        path: PathBuf,
        /// What does not match.
        problem: String,
    },
    /// Written by a newer version.
    #[error("{path} has snapshot format {found}; this version reads up to {known}: upgrade nightmark")]
    Newer {
        /// The manifest.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format that this version knows.
        known: u32,
    },
    /// The manifest is gone, and the files of a published run are there.
    #[error(
        "{path} is missing, although run {run} was published: if that was the last run, copy {copy} there; else restore it \
         from a backup, or move the folder away to start anew with the job's first_run"
    )]
    Lost {
        /// Where the manifest should be.
        path: PathBuf,
        /// The newest run that was published.
        run: String,
        /// The manifest with which it was.
        copy: PathBuf,
    },
    /// An extract that is written to while it is copied: a mixture of two nights.
    #[error("{path} changed while it was read; write it under another name and rename it when it is complete")]
    Changed {
        /// The extract.
        path: PathBuf,
    },
    /// Written before the first release.
    #[error(
        "{path} has a snapshot format from before the first release, which is not read any more: move the folder away to \
         start anew with the job's first_run"
    )]
    Older {
        /// The manifest.
        path: PathBuf,
    },
    /// Another process works on the job.
    #[error("job `{job}` is being run by another process ({holder}); wait until it has ended")]
    Busy {
        /// The job.
        job: String,
        /// What the lock file says about it.
        holder: String,
    },
    /// The object store that snapshots are shared in.
    #[error("the shared snapshot {place}: {problem}")]
    Shared {
        /// The object or folder.
        place: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// Another daemon has published meanwhile.
    #[error(
        "another daemon has published run {by} of job `{job}` in the shared snapshot since this run began: nothing of this run was published \
         or sent, and the next run goes on from theirs. Let one daemon run the job at a time"
    )]
    Overtaken {
        /// The job.
        job: String,
        /// Their run.
        by: String,
    },
    /// The shared manifest is gone.
    #[error(
        "{place} is gone, although run {run} was published there: bring it back (the copy is {copy}), or, to share what this machine has, remove {mark}"
    )]
    Unshared {
        /// The manifest that is gone.
        place: String,
        /// The last run that is known here.
        run: String,
        /// A copy of the manifest.
        copy: PathBuf,
        /// What says that the snapshot was shared there.
        mark: PathBuf,
    },
    /// The shared snapshot and the one here are of different histories.
    #[error(
        "{place} has run {theirs}, which does not go on from run {mine} of this machine, and what that run sent is not known there: move \
         {dir} away to go on from the shared snapshot, or move the shared one away to share what this machine has"
    )]
    Diverged {
        /// The shared manifest.
        place: String,
        /// Its run.
        theirs: String,
        /// The run that is published here.
        mine: String,
        /// The job's folder here.
        dir: PathBuf,
    },
    /// Values could not be put in columns.
    #[error("the snapshot could not be built: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
}

impl SnapshotError {
    fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| SnapshotError::Io { path, source }
    }

    fn damaged(path: impl Into<PathBuf>, problem: impl std::fmt::Display) -> Self {
        SnapshotError::Damaged { path: path.into(), problem: problem.to_string() }
    }
}
