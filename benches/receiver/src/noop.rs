//! The receiver as `nightmark serve` sets it up, but for the store of orgs.

use anyhow::Context as _;
use nightmark::cli::serve::{listen, receiver_options, server_options};
use nightmark::clock::{Clock, SystemClock};
use nightmark::config::{Home, Settings};
use nightmark::job::Secrets;
use nightmark::receiver::{self, ReceiverState};
use nightmark::store::sqlite::SqliteStore;
use std::path::Path;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Runs until SIGTERM.
pub async fn run(home: &Path, ready: &Path) -> anyhow::Result<()> {
    let home = Home::new(home)?;
    let settings = Settings::load(&home)?.receiver;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = Arc::new(SqliteStore::open(&home.database()).await?);
    let options = receiver_options(&settings);
    let state = ReceiverState::storing_nothing(store, Arc::clone(&clock), Secrets::new(&home), options);
    let listener = listen(settings.address)?;
    let (stop, stopping) = watch::channel(false);
    let address = listener.local_addr()?;
    std::fs::write(ready, format!("{{\"receiver\":\"{address}\"}}")).context("the file that says where it listens")?;
    let mut term = signal(SignalKind::terminate())?;
    tokio::join!(receiver::serve(listener, state, server_options(&settings), None, stopping), async {
        term.recv().await;
        let _ = stop.send(true);
    });
    Ok(())
}
