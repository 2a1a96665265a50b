//! One daemon to a place.

use crate::snapshot::{Locked, lock};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

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
        match lock(&path, holder, Duration::ZERO) {
            Ok(Locked::Taken(file)) => Ok(Alone { _file: file }),
            Ok(Locked::Held(holder)) => Err(AloneError::Taken { holder }),
            Err(source) => Err(AloneError::Io { path, source }),
        }
    }
}
