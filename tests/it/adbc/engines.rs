//! Where the drivers are that `./test.sh` installs. One that is not there is a failure.

use crate::support::{packages, python};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A library in a Python package.
pub fn in_python(package: &str, library: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let found = python().args(["-c", "import sysconfig; print(sysconfig.get_path('platlib'))"]).output().unwrap();
        PathBuf::from(String::from_utf8(found.stdout).unwrap().trim())
    });
    there(folder.join(package).join(library))
}

fn there(path: PathBuf) -> PathBuf {
    assert!(path.is_file(), "{} is missing; run ./test.sh, which installs it", path.display());
    path
}

pub fn sqlite() -> PathBuf {
    in_python("adbc_driver_sqlite", "libadbc_driver_sqlite.so")
}

pub fn postgres() -> PathBuf {
    in_python("adbc_driver_postgresql", "libadbc_driver_postgresql.so")
}

pub fn spark() -> PathBuf {
    in_python("adbc_driver_spark", "libadbc_driver_spark.so")
}

/// DuckDB's own library, which is its driver. That of the Python package cannot be loaded outside of Python.
pub fn duckdb() -> PathBuf {
    let folder = packages().join("@duckdb");
    let platforms = std::fs::read_dir(&folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    let library = platforms.map(|platform| platform.join("libduckdb.so")).find(|library| library.is_file());
    library
        .unwrap_or_else(|| panic!("there is no libduckdb.so in {}; run ./test.sh, which installs it", folder.display()))
}

/// The driver that misbehaves, compiled into this folder. Its state is its own: a test has its copy.
pub fn foreign(folder: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/adbc/foreign.c");
    let library = folder.join("libforeign.so");
    let done =
        Command::new("cc").args(["-shared", "-fPIC", "-O1", "-w", "-o"]).arg(&library).arg(source).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    library
}
