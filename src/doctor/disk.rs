//! Room on the disk, and whether it can be written.

use super::Finding;
use crate::config::Home;
use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;

const AREA: &str = "disk";
/// Below that nothing works for long.
const LEAST: u64 = 256 << 20;
/// Files that a run makes, with room for others.
#[cfg(unix)]
const FILES: u64 = 1000;

/// The home folder, and `snapshots/`, which may be a disk of its own.
pub(super) fn look(home: &Home) -> Vec<Finding> {
    let snapshots = home.dir().join("snapshots");
    let need = need(&snapshots).max(LEAST);
    let mut found = folder("home folder", home.dir(), LEAST);
    if snapshots.is_dir() {
        found.extend(folder("snapshots", &snapshots, need));
    } else {
        found.push(Finding::ok(AREA, "snapshots", "none yet: made by the first run"));
    }
    found
}

fn folder(subject: &str, dir: &Path, need: u64) -> Vec<Finding> {
    let written = match write(dir) {
        Ok(()) => Finding::ok(AREA, subject, format!("{} can be written", dir.display())),
        Err(error) => {
            let what = format!("{} cannot be written: {error}", dir.display());
            Finding::mend(AREA, subject, what, remedy(&error, dir))
        }
    };
    [Some(written), room(subject, dir, need)].into_iter().flatten().collect()
}

/// What a run does: a file that is on the disk once it is closed.
fn write(dir: &Path) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".nightmark-doctor-").tempfile_in(dir)?;
    file.write_all(&[0x5a; 64 << 10])?;
    file.as_file().sync_all()?;
    file.close()
}

fn remedy(error: &io::Error, dir: &Path) -> String {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => MAKE_ROOM.to_owned(),
        ErrorKind::ReadOnlyFilesystem => {
            "mount it writable; after a fault of the disk, see what dmesg says first".to_owned()
        }
        ErrorKind::PermissionDenied => {
            format!(
                "run nightmark as the user whom it belongs to, or give it to this one: chown -R \"$(id -un)\" {}",
                dir.display()
            )
        }
        ErrorKind::NotFound => format!("mkdir -p {}", dir.display()),
        _ => "see what dmesg says of the disk".to_owned(),
    }
}

const MAKE_ROOM: &str =
    "make room (docs/OPERATIONS.md, \"The disk is full\"), or move the home folder to a larger disk";

#[cfg(unix)]
fn room(subject: &str, dir: &Path, need: u64) -> Option<Finding> {
    let stat = rustix::fs::statvfs(dir).ok()?;
    let (free, all) = (stat.f_bavail.saturating_mul(stat.f_frsize), stat.f_blocks.saturating_mul(stat.f_frsize));
    let what = format!("{} of {} are free; a run may need {}", size(free), size(all), size(need));
    // Some file systems count no files.
    if stat.f_files > 0 && stat.f_favail < FILES {
        let what = format!("there is place for {} more files only", stat.f_favail);
        return Some(Finding::mend(AREA, subject, what, "remove files on that disk, or make it anew with more inodes"));
    }
    Some(match free {
        free if free < need => Finding::mend(AREA, subject, what, MAKE_ROOM),
        free if free < need.saturating_mul(3) => Finding::note(AREA, subject, what, MAKE_ROOM),
        _ => Finding::ok(AREA, subject, what),
    })
}

#[cfg(not(unix))]
fn room(_: &str, _: &Path, _: u64) -> Option<Finding> {
    None
}

/// What a run may need: as much as the largest run that is kept, once for its snapshot and once for what it puts aside.
fn need(snapshots: &Path) -> u64 {
    let folders = |dir: &Path| {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
        entries.filter(|path| path.is_dir()).collect::<Vec<_>>()
    };
    let files = |dir: &Path| -> u64 {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.metadata().ok()).filter(fs::Metadata::is_file).map(|meta| meta.len()).sum()
    };
    let runs = folders(snapshots).into_iter().flat_map(|job| folders(&job));
    runs.map(|run| files(&run)).max().unwrap_or(0).saturating_mul(2)
}

fn size(bytes: u64) -> String {
    let tenths = |unit: u64| format!("{}.{}", bytes / unit, bytes % unit * 10 / unit);
    match bytes {
        0..1_000_000_000 => format!("{} MB", tenths(1_000_000)),
        1_000_000_000..1_000_000_000_000 => format!("{} GB", tenths(1_000_000_000)),
        _ => format!("{} TB", tenths(1_000_000_000_000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_at_a_glance() {
        for (bytes, expected) in
            [(0, "0.0 MB"), (268_435_456, "268.4 MB"), (1_500_000_000, "1.5 GB"), (u64::MAX, "18446744.0 TB")]
        {
            assert_eq!(size(bytes), expected);
        }
    }

    #[test]
    fn a_run_may_need_twice_the_largest_that_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        for (run, bytes) in [("orgs/01A", 10), ("orgs/01B", 300), ("teams/01A", 20)] {
            let run = dir.path().join(run);
            fs::create_dir_all(&run).unwrap();
            fs::write(run.join("base.parquet"), vec![0; bytes]).unwrap();
            fs::write(run.join("changes.parquet"), vec![0; bytes]).unwrap();
        }
        assert_eq!(need(dir.path()), 1200);
        assert_eq!(need(&dir.path().join("none")), 0);
    }
}
