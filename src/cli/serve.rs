//! `nightmark serve`: schedules, the receiver, and the operator's address beside it.

pub mod alerts;
mod files;
mod jobs;
mod signal;

use super::{Context, Exit};
use crate::config::{ReceiverSettings, TlsSettings};
use crate::job::Secrets;
use crate::metrics::Metrics;
use crate::receiver::{self, ReceiverState};
use crate::server::{self, Server, Tls, TlsFiles};
use crate::store::StateStore;
use crate::telemetry::prometheus::{Figures, Timed};
use crate::web::{self, Access, AdminState};
use anyhow::Context as _;
use jobs::Begun;
use serde_json::json;
use signal::{Hangup, Signal};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{Notify, watch};

/// How often the certificate's files are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// From the signal on, everything together may take so long to end. With [`CLOSE`] (1 s), what traces may take (5 s) and what threads may take at the very
/// end (1 s) that is less than the 30 seconds that a stop may take (DESIGN.md §8).
const PATIENCE: Duration = Duration::from_secs(22);
/// How long the store may take to be closed. What it has taken is durable without that.
const CLOSE: Duration = Duration::from_secs(1);
/// Whoever asks how the end goes is answered at once, and nobody else is left then.
const ADMIN_GRACE: Duration = Duration::from_secs(1);
/// Connections of operators and their tools.
const ADMIN_CONNECTIONS: usize = 64;

/// Connections that the system holds ready until they are taken in.
const BACKLOG: u32 = 1024;

/// Arguments of `nightmark serve`.
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    /// Where the receiver listens; port 0 is any free one [default: from nightmark.toml, or 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub receiver: Option<SocketAddr>,
    /// Where /healthz, /readyz, /metrics and the admin API are served [default: from nightmark.toml, or 127.0.0.1:8081]
    #[arg(long, value_name = "ADDR")]
    pub admin: Option<SocketAddr>,
    /// Write the bound addresses to this file, as JSON, once connections are accepted
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
}

/// Runs the command until SIGTERM or SIGINT.
///
/// # Errors
/// An address that cannot be listened on, a certificate that cannot be used, or a state store that cannot be opened.
pub async fn run(context: &Context, args: ServeArgs) -> anyhow::Result<Exit> {
    if let Some(file) = &args.ready_file {
        remove_stale(file)?;
    }
    // Before anything else is started, so that an early signal also ends in order.
    let (signal, hangup) = (Signal::new()?, Hangup::new()?);
    let receiver = bind(args.receiver.unwrap_or(context.settings.receiver.address), "--receiver")?;
    let access = access(context, args.admin.unwrap_or(context.settings.admin.address)).await?;
    let figures = Arc::new(Figures::new(Arc::clone(&context.clock)));
    let metrics: Arc<dyn Metrics> = Arc::clone(&figures) as _;
    let jobs = jobs::take(context, &metrics)?;
    let tls = tls_of(context, context.settings.receiver.tls.as_ref()).context("receiver.tls")?;
    let admin_tls = tls_of(context, context.settings.admin.tls.as_ref()).context("admin.tls")?;
    let at_once = Arc::new(Notify::new());
    tokio::spawn(hangup.follow(Arc::clone(&at_once), tls.iter().chain(&admin_tls).cloned().collect()));
    let admin = bind(args.admin.unwrap_or(context.settings.admin.address), "--admin")?;
    let store = context.store().await?;
    figures.reads(Arc::clone(&store));
    let access = access.with_store(Arc::clone(&store) as _, Arc::clone(&context.clock)).await?;
    announce(context, &args, (tls.is_some(), receiver.local_addr()?), (admin_tls.is_some(), admin.local_addr()?))?;

    files::warn_if_few(context.settings.receiver.connections);
    // The operator's address ends last: until then it says that the receiver is no longer ready.
    let (stop, stopping) = watch::channel(false);
    let bell = Arc::default();
    let begun = jobs::begin(context, jobs, &store, at_once, &bell, stopping.clone()).await?;
    let watching = alerts::begin(context, &store, &metrics, &bell, &begun, stopping.clone());
    let Begun { door, decisions, known, running: scheduled, .. } = begun;
    let (end, ending) = watch::channel(false);
    let settings = &context.settings.receiver;
    let state = ReceiverState::start_with(
        Arc::clone(&store) as _,
        Arc::new(Timed::new(Arc::clone(&store) as _, Arc::clone(&metrics))),
        Arc::clone(&context.clock),
        Secrets::new(&context.home),
        receiver_options(settings),
    )
    .with_metrics(Arc::clone(&metrics));
    let admin_state = AdminState::over(
        Arc::clone(&store) as _,
        Arc::clone(&store) as _,
        Arc::clone(&context.clock),
        stopping.clone(),
    )
    .with_writable(state.writable())
    .with_store(Arc::clone(&store))
    .with_jobs(door, decisions)
    .with_figures(figures);
    let admin_server =
        Server::new(web::router(admin_state, access), admin_options(context), Arc::clone(&context.clock))
            .with_metrics("admin", metrics)
            .with_tls(admin_tls);
    let received = async {
        receiver::serve(receiver, state, server_options(settings), tls, stopping).await;
        let _ = end.send(true);
    };
    let forgetting = receiver::forget(Arc::clone(&store) as _, Arc::clone(&context.clock), stop.subscribe());
    let tidying = jobs::tidying(context, known, &store, stop.subscribe());
    let signalled = async {
        signal.wait().await;
        tracing::info!(event = "stopping", "stopping: requests that were begun are finished");
        let _ = stop.send(true);
    };
    // Boxed, as what is told of there is large, and would be moved on the stack time and again.
    let all = Box::pin(async {
        tokio::join!(received, admin_server.run(admin, ending), signalled, forgetting, tidying, scheduled, watching);
    });
    to_the_end(all, stop.subscribe()).await;
    close(&*store).await;
    Ok(Exit::Done)
}

/// Waits until everything has ended, and not for long once it is told to.
async fn to_the_end(all: impl Future<Output = ()>, mut stopping: watch::Receiver<bool>) {
    let late = async {
        let _ = stopping.wait_for(|stop| *stop).await;
        tokio::time::sleep(PATIENCE).await;
    };
    tokio::select! {
        () = all => {}
        () = late => tracing::warn!(event = "end_cut_short", "not everything has ended in time: it is left as by a kill, and the next start goes on"),
    }
}

async fn close(store: &dyn StateStore) {
    if tokio::time::timeout(CLOSE, store.close()).await.is_err() {
        tracing::warn!(
            event = "store_not_closed",
            "the state store could not be closed in time; nothing that it has taken is lost"
        );
    }
}

/// Who may use the operator's address; looked at before anything is opened.
pub(super) async fn access(context: &Context, address: SocketAddr) -> anyhow::Result<Access> {
    let settings = &context.settings.admin;
    let secrets = Secrets::new(&context.home);
    let token = settings.token.as_ref().map(|token| secrets.resolve("admin.token", token)).transpose()?;
    let access = Access::new(address, token.as_ref())?;
    let has_tokens = !address.ip().is_loopback() && has_tokens(context).await?;
    Ok(access.at(address, has_tokens, settings.tls.is_some(), &settings.trusted_proxies)?)
}

/// Whether the store has a token that is valid.
async fn has_tokens(context: &Context) -> anyhow::Result<bool> {
    let Some(store) = context.look_into_store().await? else { return Ok(false) };
    let tokens = store.tokens().await;
    store.close().await;
    let now = context.clock.now();
    Ok(tokens?.iter().any(|token| token.is_valid(now)))
}

/// `[receiver.tls]` or `[admin.tls]`, if it is set, followed from here on.
fn tls_of(context: &Context, settings: Option<&TlsSettings>) -> anyhow::Result<Option<Arc<Tls>>> {
    let Some(settings) = settings else { return Ok(None) };
    let tls = Arc::new(Tls::load(files_of(context, settings))?);
    tokio::spawn(Arc::clone(&tls).follow(LOOK));
    Ok(Some(tls))
}

/// Where the pair of such settings is.
pub(super) fn files_of(context: &Context, settings: &TlsSettings) -> TlsFiles {
    let path = |written: &Path| context.home.dir().join(written);
    TlsFiles { certificate: path(&settings.certificate), key: path(&settings.key) }
}

/// What the settings say of the receiver.
pub fn receiver_options(settings: &ReceiverSettings) -> receiver::Options {
    receiver::Options {
        rate: settings.rate,
        bad_keys_per_minute: settings.bad_keys_per_minute,
        queue: settings.queue,
        body_memory: settings.body_memory,
    }
}

/// What the settings say of the server under it.
pub fn server_options(settings: &ReceiverSettings) -> server::Options {
    server::Options {
        connections: settings.connections,
        connections_per_address: settings.connections_per_address,
        trusted_proxies: settings.trusted_proxies.clone(),
        idle: settings.idle,
        ..server::Options::default()
    }
}

fn admin_options(context: &Context) -> server::Options {
    server::Options {
        trusted_proxies: context.settings.admin.trusted_proxies.clone(),
        connections: ADMIN_CONNECTIONS,
        connections_per_address: ADMIN_CONNECTIONS,
        grace: ADMIN_GRACE,
        // Whoever is told that the receiver is not ready has nothing to ask again.
        notice: Duration::ZERO,
        ..server::Options::default()
    }
}

fn bind(address: SocketAddr, argument: &str) -> anyhow::Result<TcpListener> {
    listen(address).with_context(|| {
        format!("{argument} {address} cannot be listened on; give another port, or 0 for any free one")
    })
}

/// As [`TcpListener::bind`], with room for more connections that have not been taken in yet: a crowd that comes at once is told that it is
/// one, and not left waiting.
///
/// # Errors
/// An address that cannot be listened on.
pub fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Windows means something else by it.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn announce(
    context: &Context,
    args: &ServeArgs,
    (receiver_tls, receiver): (bool, SocketAddr),
    (admin_tls, admin): (bool, SocketAddr),
) -> anyhow::Result<()> {
    let of = |tls| if tls { "https" } else { "http" };
    let (scheme, admin_scheme) = (of(receiver_tls), of(admin_tls));
    let addresses = json!({ "receiver": receiver.to_string(), "admin": admin.to_string() });
    match context.json {
        true => crate::say!("{addresses}"),
        false => {
            crate::say!("receiver  {scheme}://{receiver}/api/product-orgs/webhook/{{apiKey}}");
            crate::say!("SDKs      {scheme}://{receiver} as host or data-plane URL, the API key as write key");
            crate::say!("admin     {admin_scheme}://{admin}/ (pages), /healthz, /readyz, /metrics, /api/v1");
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
