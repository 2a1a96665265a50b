//! Where things are and how the daemon is set.
//!
//! In: `--home` and an optional `nightmark.toml` there. Out: [`Home`] and [`Settings`].
//! Always holds: the embedded `default.toml` has every setting with its comment, so it is the documentation; unknown
//! settings are errors.
//! Deliberately absent: anything about one job.

mod address;
mod admin;
mod alerts;
mod fleet;
mod receiver;
mod settings;
mod snapshots;
mod store;
mod telemetry;

pub use admin::AdminSettings;
pub use alerts::{AlertsSettings, EmailSettings};
pub use fleet::FleetSettings;
pub use receiver::{ReceiverSettings, TlsSettings};
pub use settings::{
    DEFAULT, DeliverySettings, LogFormat, LogSettings, RetentionSettings, RunsSettings, Settings, SettingsError,
};
pub use snapshots::SnapshotsSettings;
pub use store::StoreSettings;
pub use telemetry::TelemetrySettings;

use std::path::{Path, PathBuf};

/// The folder that holds a user's jobs and state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    dir: PathBuf,
}

impl Home {
    /// `dir`, made absolute. Nothing is created or read.
    ///
    /// # Errors
    /// When the current folder cannot be determined.
    pub fn new(dir: &Path) -> std::io::Result<Self> {
        Ok(Home { dir: std::path::absolute(dir)? })
    }

    /// The folder itself; relative paths of job files are relative to it.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// `jobs/`
    pub fn jobs(&self) -> PathBuf {
        self.dir.join("jobs")
    }

    /// `snapshots/JOB/`
    pub fn snapshots(&self, job: &str) -> PathBuf {
        self.dir.join("snapshots").join(job)
    }

    /// `nightmark.db`
    pub fn database(&self) -> PathBuf {
        self.dir.join("nightmark.db")
    }

    /// `nightmark.toml`
    pub fn settings_file(&self) -> PathBuf {
        self.dir.join("nightmark.toml")
    }
}
