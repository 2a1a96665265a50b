//! The state store of the installation, as its settings say.

use super::Context;
use crate::job::Secrets;
use crate::pipeline;
use crate::store::postgres::Server;
use crate::store::{Place, RunStore, StateStore};
use anyhow::Context as _;
use secrecy::ExposeSecret;
use std::sync::Arc;

impl Context {
    /// Where the state is.
    pub(super) fn place(&self) -> anyhow::Result<Place> {
        let settings = &self.settings.store;
        let url = Secrets::new(&self.home).resolve("store.url", &settings.url)?;
        if let Some(path) = url.expose_secret().strip_prefix("sqlite:") {
            return Ok(Place::File(self.home.dir().join(path)));
        }
        let server = Server::parse(&url, &settings.schema).context("[store] url in nightmark.toml")?;
        Ok(Place::Postgres(Box::new(server)))
    }

    /// Brings the snapshot of a job to what is shared of it, if it is shared: what is looked at then is not of an earlier night.
    ///
    /// # Errors
    /// A store that cannot be reached, a disk that cannot be written.
    pub async fn freshen(&self, job: &str) -> anyhow::Result<()> {
        told(job, pipeline::freshen(&self.home, &self.settings, job).await?);
        Ok(())
    }

    /// The same, for commands that show what a run would do.
    ///
    /// # Errors
    /// As [`freshen`](Self::freshen); a shared manifest that is lost.
    pub async fn freshen_for_run(&self, job: &str, store: Option<&dyn RunStore>) -> anyhow::Result<()> {
        told(job, pipeline::freshen_for_run(&self.home, &self.settings, job, store).await?);
        Ok(())
    }

    /// The state, for commands that change it.
    ///
    /// # Errors
    /// A secret that cannot be had, a store that cannot be opened or is of a newer version.
    pub async fn store(&self) -> anyhow::Result<Arc<dyn StateStore>> {
        Ok(self.place()?.open().await?)
    }

    /// The state, for commands that only look: nothing is made or changed. `None`: nothing has been stored yet.
    ///
    /// # Errors
    /// As [`store`](Self::store), and a store of an older version.
    pub async fn look_into_store(&self) -> anyhow::Result<Option<Arc<dyn StateStore>>> {
        Ok(self.place()?.look().await?)
    }
}

fn told(job: &str, is_fresh: bool) {
    if !is_fresh {
        eprintln!("a run of job `{job}` is on: this is what it began with");
    }
}
