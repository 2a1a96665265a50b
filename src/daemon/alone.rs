//! One daemon to a place.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Held while a daemon runs; the system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub struct Alone {
    _file: File,
}

/// Why a daemon is not alone.
#[derive(Debug, thiserror::Error)]
pub enum AloneError {
    /// Another one is there.
    #[error("another daemon serves this home folder ({holder}); stop that one, or give this one another --home")]
    Taken {
        /// What it says of itself.
        holder: String,
    },
    /// The file system said no.
    #[error("{path}: {source}")]
    Io {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Alone {
    /// Takes `daemon.lock` in the home folder. `holder`: what another daemon is told.
    ///
    /// # Errors
    /// [`AloneError::Taken`], a folder that cannot be written.
    pub fn take(home: &Path, holder: &str) -> Result<Self, AloneError> {
        let path = home.join("daemon.lock");
        let io = |source| AloneError::Io { path: path.clone(), source };
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = options.map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                return Err(AloneError::Taken { holder: holder.trim().to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(holder.as_bytes()));
        written.map_err(io)?;
        Ok(Alone { _file: file })
    }
}
