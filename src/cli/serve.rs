//! `nightmark serve`: the receiver, and the operator's address beside it.

use super::{Context, Exit};
use crate::job::Secrets;
use crate::receiver::{self, ReceiverState};
use crate::store::sqlite::SqliteStore;
use crate::web::{self, Access, AdminState};
use anyhow::Context as _;
use serde_json::json;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Arguments of `nightmark serve`.
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    /// Where the receiver listens; port 0 is any free one [default: from nightmark.toml, or 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub receiver: Option<SocketAddr>,
    /// Where /healthz, /readyz and the admin API are served [default: from nightmark.toml, or 127.0.0.1:8081]
    #[arg(long, value_name = "ADDR")]
    pub admin: Option<SocketAddr>,
    /// Write the bound addresses to this file, as JSON, once connections are accepted
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
}

/// Runs the command until SIGTERM or SIGINT.
///
/// # Errors
/// An address that cannot be listened on, or a state store that cannot be opened.
pub async fn run(context: &Context, args: ServeArgs) -> anyhow::Result<Exit> {
    if let Some(file) = &args.ready_file {
        remove_stale(file)?;
    }
    // Before anything else is started, so that an early signal also ends in order.
    let signal = Signal::new()?;
    let receiver = bind(args.receiver.unwrap_or(context.settings.receiver.address), "--receiver").await?;
    let access = access(context, &args)?;
    let admin = bind(args.admin.unwrap_or(context.settings.admin.address), "--admin").await?;
    let store = Arc::new(SqliteStore::open(&context.home.database()).await?);
    announce(context, &args, receiver.local_addr()?, admin.local_addr()?)?;

    let (stop, stopped) = watch::channel(false);
    let state = ReceiverState::start(Arc::clone(&store), Arc::clone(&context.clock));
    let admin_state = AdminState::new(Arc::clone(&store), Arc::clone(&context.clock), stopped.clone());
    let health = web::router(admin_state, access);
    let signalled = async {
        signal.wait().await;
        tracing::info!("stopping: requests that were begun are finished");
        let _ = stop.send(true);
        anyhow::Ok(())
    };
    tokio::try_join!(
        receiver::serve(receiver, state, stopped.clone()),
        async { receiver::serve_router(admin, health, stopped).await.context("the admin address") },
        signalled,
    )?;
    store.close().await;
    Ok(Exit::Done)
}

/// Who may call the admin API; looked at before anything is opened.
fn access(context: &Context, args: &ServeArgs) -> anyhow::Result<Access> {
    let settings = &context.settings.admin;
    let secrets = Secrets::new(&context.home);
    let token = settings.token.as_ref().map(|token| secrets.resolve("admin.token", token)).transpose()?;
    Ok(Access::new(args.admin.unwrap_or(settings.address), token.as_ref())?)
}

async fn bind(address: SocketAddr, argument: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("{argument} {address} cannot be listened on; give another port, or 0 for any free one")
    })
}

fn announce(context: &Context, args: &ServeArgs, receiver: SocketAddr, admin: SocketAddr) -> anyhow::Result<()> {
    let addresses = json!({ "receiver": receiver.to_string(), "admin": admin.to_string() });
    match context.json {
        true => crate::say!("{addresses}"),
        false => {
            crate::say!("receiver  http://{receiver}/api/product-orgs/webhook/{{apiKey}}");
            crate::say!("SDKs      http://{receiver} as host or data-plane URL, the API key as write key");
            crate::say!("admin     http://{admin}/healthz, /readyz, /api/v1");
        }
    }
    match &args.ready_file {
        // Both sockets are listening by now: whoever reads the file can connect.
        Some(file) => write_atomically(file, &format!("{addresses}\n")),
        None => Ok(()),
    }
}

/// What an earlier process left would send whoever waits for it to a dead address.
fn remove_stale(file: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("--ready-file {} cannot be replaced", file.display()))
        }
        _ => Ok(()),
    }
}

/// Whoever waits for the file never reads half of it.
fn write_atomically(file: &Path, text: &str) -> anyhow::Result<()> {
    let mut part = file.as_os_str().to_owned();
    part.push(format!(".{}.part", std::process::id()));
    std::fs::write(&part, text)
        .and_then(|()| std::fs::rename(&part, file))
        .with_context(|| format!("--ready-file {} cannot be written", file.display()))
}

/// SIGTERM or SIGINT, caught from the moment this is made.
struct Signal {
    #[cfg(unix)]
    term: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Signal {
    #[cfg(unix)]
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signal { term: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    #[cfg(unix)]
    async fn wait(mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    #[cfg(not(unix))]
    fn new() -> std::io::Result<Self> {
        Ok(Signal {})
    }

    #[cfg(not(unix))]
    async fn wait(self) {
        // Without a signal to wait for, the process runs until it is ended.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
