//! What sources are given besides the job: secrets, the home folder, and what a query may ask for.

use super::Parameters;
use crate::config::Home;
use crate::job::secrets::Secrets;
use chrono::{DateTime, Utc};
use std::path::{Path, PathBuf};

/// What a source may need of its surroundings.
#[derive(Debug)]
pub struct Environment {
    home: PathBuf,
    /// Where `${…}` is looked up.
    pub secrets: Secrets,
    /// When the run started.
    pub at: DateTime<Utc>,
    /// What a query may ask for.
    pub parameters: Parameters,
}

impl Environment {
    /// Of a run that starts at `at`, of a job that has never succeeded, in UTC.
    pub fn new(home: &Home, at: DateTime<Utc>) -> Self {
        let parameters = Parameters { last_success: None, run_date: at.date_naive() };
        Environment { home: home.dir().to_owned(), at, secrets: Secrets::new(home), parameters }
    }

    /// The home folder, absolute.
    pub fn home(&self) -> &Path {
        &self.home
    }
}
