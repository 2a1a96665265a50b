//! The state store of an installation, whichever kind it is.

use super::postgres::{PostgresStore, Server};
use super::sqlite::SqliteStore;
use super::transfer::TransferStore;
use super::{AdminStore, AlertStore, FireStore, KeyStore, OrgStore, RunStore, ShareStore, StoreError};
use async_trait::async_trait;
use std::path::PathBuf;
use std::sync::Arc;

/// All of the state.
#[async_trait]
pub trait StateStore: RunStore + KeyStore + OrgStore + FireStore + AlertStore + AdminStore + TransferStore {
    /// Ends its connections. A store that is dropped instead loses nothing.
    async fn close(&self);

    /// Leases and shared deliveries, where several machines may share the store. `None`: it is on one machine, whose file locks do.
    fn leases(&self) -> Option<Arc<dyn ShareStore>> {
        None
    }
}

#[async_trait]
impl StateStore for SqliteStore {
    async fn close(&self) {
        SqliteStore::close(self).await;
    }
}

#[async_trait]
impl StateStore for PostgresStore {
    async fn close(&self) {
        PostgresStore::close(self).await;
    }

    fn leases(&self) -> Option<Arc<dyn ShareStore>> {
        Some(Arc::new(self.clone()))
    }
}

/// Where the state is.
#[derive(Debug, Clone)]
pub enum Place {
    /// In one SQLite file.
    File(PathBuf),
    /// In a Postgres database.
    Postgres(Box<Server>),
}

impl Place {
    /// Opens the store; makes it, or brings it up to date, if needed.
    ///
    /// # Errors
    /// [`StoreError::Open`], [`StoreError::Newer`].
    pub async fn open(&self) -> Result<Arc<dyn StateStore>, StoreError> {
        Ok(match self {
            Place::File(path) => Arc::new(SqliteStore::open(path).await?),
            Place::Postgres(server) => Arc::new(PostgresStore::open(server).await?),
        })
    }

    /// Opens the store for reading only. Nothing is made or changed. `None`: nothing has been stored yet.
    ///
    /// # Errors
    /// [`StoreError::Open`], [`StoreError::Newer`], [`StoreError::Older`].
    pub async fn look(&self) -> Result<Option<Arc<dyn StateStore>>, StoreError> {
        Ok(match self {
            Place::File(path) => SqliteStore::open_existing_readonly(path).await?.map(|store| Arc::new(store) as _),
            Place::Postgres(server) => {
                PostgresStore::open_existing_readonly(server).await?.map(|store| Arc::new(store) as _)
            }
        })
    }
}
