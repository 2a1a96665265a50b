//! The receiver as `nightmark serve` sets it up, but for the store of orgs.

use anyhow::Context as _;
use nightmark::clock::{Clock, SystemClock};
use nightmark::config::{Home, Settings};
use nightmark::job::Secrets;
use nightmark::receiver::{self, Options, ReceiverState};
use nightmark::server;
use nightmark::store::sqlite::SqliteStore;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Runs until SIGTERM.
pub async fn run(home: &Path, ready: &Path) -> anyhow::Result<()> {
    let home = Home::new(home)?;
    let settings = Settings::load(&home)?.receiver;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = Arc::new(SqliteStore::open(&home.database()).await?);
    let options = Options {
        rate: settings.rate,
        bad_keys_per_minute: settings.bad_keys_per_minute,
        queue: settings.queue,
        body_memory: settings.body_memory,
    };
    let server = server::Options {
        connections: settings.connections,
        connections_per_address: settings.connections_per_address,
        idle: settings.idle,
        ..server::Options::default()
    };
    let state = ReceiverState::storing_nothing(store, Arc::clone(&clock), Secrets::new(&home), options);
    let listener = TcpListener::bind(settings.address).await?;
    let (stop, stopping) = watch::channel(false);
    let address = listener.local_addr()?;
    std::fs::write(ready, format!("{{\"receiver\":\"{address}\"}}")).context("the file that says where it listens")?;
    let mut term = signal(SignalKind::terminate())?;
    tokio::join!(receiver::serve(listener, state, server, None, stopping), async {
        term.recv().await;
        let _ = stop.send(true);
    });
    Ok(())
}
