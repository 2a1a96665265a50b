//! What sources are given besides the job: secrets, the home folder, and what a query may ask for.

use super::model::{self, Quotes};
use super::{Parameters, SourceError};
use crate::config::Home;
use crate::job::secrets::Secrets;
use crate::job::spec::Model;
use chrono::{DateTime, Utc};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tokio::sync::watch;

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
    /// Nobody waits for the extract any more.
    given_up: watch::Sender<bool>,
    /// The query, once it has been looked up.
    query: Mutex<Option<(Model, Quotes, String)>>,
}

impl Environment {
    /// Of a run that starts at `at`, of a job that has never succeeded, in UTC.
    pub fn new(home: &Home, at: DateTime<Utc>) -> Self {
        let parameters = Parameters { last_success: None, run_date: at.date_naive() };
        let (secrets, query, given_up) = (Secrets::new(home), Mutex::new(None), watch::Sender::new(false));
        Environment { home: home.dir().to_owned(), at, secrets, parameters, given_up, query }
    }

    /// Nobody waits for the extract any more: whoever reads it may end.
    pub fn give_up(&self) {
        self.given_up.send_replace(true);
    }

    /// Whether that is so.
    pub fn is_given_up(&self) -> bool {
        *self.given_up.borrow()
    }

    /// True once that is so.
    pub(super) fn given_up(&self) -> watch::Receiver<bool> {
        self.given_up.subscribe()
    }

    /// The home folder, absolute.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The query of a model, without a semicolon at its end. A file that it stands in is read once: a run that opens its source again asks the
    /// same, whatever has become of the file.
    ///
    /// # Errors
    /// A file that cannot be read, an empty query, a model that dbt does not know or has not compiled.
    pub(super) fn query(&self, model: &Model, quotes: Quotes) -> Result<String, SourceError> {
        let mut known = self.query.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, _, text)) = known.as_ref().filter(|(of, by, _)| (of, by) == (model, &quotes)) {
            return Ok(text.clone());
        }
        let text = model::query(model, quotes)?;
        *known = Some((model.clone(), quotes, text.clone()));
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_asks_one_query_and_the_next_run_reads_the_file_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (home, path) = (Home::new(folder.path()).unwrap(), folder.path().join("orgs.sql"));
        let file = Model::QueryFile { written: "orgs.sql".into(), path: path.clone() };
        let run = || Environment::new(&home, DateTime::UNIX_EPOCH);
        let (first, other) = (run(), Model::Query("SELECT 3".into()));
        assert!(first.query(&file, Quotes::Double).is_err(), "what failed is tried again");
        std::fs::write(&path, "SELECT 1;").unwrap();
        assert_eq!(first.query(&file, Quotes::Double).unwrap(), "SELECT 1");
        std::fs::write(&path, "SELECT 2").unwrap();
        assert_eq!(first.query(&file, Quotes::Double).unwrap(), "SELECT 1");
        assert_eq!(first.query(&other, Quotes::Double).unwrap(), "SELECT 3", "another model is another query");
        assert_eq!(run().query(&file, Quotes::Double).unwrap(), "SELECT 2");
        let table = Model::Table { name: vec!["a".into()] };
        assert_eq!(first.query(&table, Quotes::Double).unwrap(), "SELECT * FROM \"a\"");
        assert_eq!(first.query(&table, Quotes::Backtick).unwrap(), "SELECT * FROM `a`");
    }
}
