//! The operator's address: is it alive, can it work, its metrics, and the admin API.
//!
//! In: `GET /healthz`, `GET /readyz`, `GET /metrics`, `/api/v1/…`, `POST /api/jobs/{job}/run`, and pages. Out: JSON; of /metrics Prometheus' text; HTML.
//! `access` decides who may call it, and puts on record what is done; `pages` are for people; `answer` is what its handlers share: errors, pages of a list, bodies. Each part of the API has a
//! file of its own and one line in [`api`].
//! Always holds: neither /metrics, nor a page, nor anything under /api is reached past `access`; an answer says neither a key's text nor a secret, but for the one
//! that has just been made.
//! Deliberately absent: anything that senders need (`receiver`); which connection a request comes by (`server`).

mod access;
pub mod answer;
mod audit;
mod health;
mod holds;
mod jobs;
mod keys;
mod metrics;
pub mod openapi;
mod orgs;
mod pages;
pub mod tokens;

pub use access::{Access, AccessError, SHORTEST_TOKEN};

use crate::clock::Clock;
use crate::daemon::decisions::Decisions;
use crate::daemon::door::Door;
use crate::metrics::Exposition;
use crate::server::note_route;
use crate::store::{KeyStore, OrgStore, StateStore};
use answer::ApiError;
use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use std::sync::Arc;
use tokio::sync::watch;

/// What the operator's address needs. A clone shares it.
#[derive(Clone)]
pub struct AdminState {
    /// API keys.
    pub keys: Arc<dyn KeyStore>,
    /// What the receiver holds.
    pub orgs: Arc<dyn OrgStore>,
    /// Time, ids and randomness.
    pub clock: Arc<dyn Clock>,
    /// Says true once the process has been told to end.
    pub stopping: watch::Receiver<bool>,
    /// Says false while the store cannot be written.
    pub writable: watch::Receiver<bool>,
    /// All of the state, for the audit log and the pages; `None`: there is no log and no run.
    pub store: Option<Arc<dyn StateStore>>,
    /// The way to the scheduler; `None`: there is none, and no job.
    pub jobs: Option<Door>,
    /// What becomes of held runs; `None`: there is no job.
    pub decisions: Option<Decisions>,
    /// The figures of /metrics; `None`: nobody keeps any.
    pub figures: Option<Arc<dyn Exposition>>,
}

impl AdminState {
    /// All of it from one store.
    pub fn new<S: KeyStore + OrgStore + 'static>(
        store: Arc<S>,
        clock: Arc<dyn Clock>,
        stopping: watch::Receiver<bool>,
    ) -> AdminState {
        Self::over(Arc::clone(&store) as _, store, clock, stopping)
    }

    /// The same over a store whose kind is not known here.
    pub fn over(
        keys: Arc<dyn KeyStore>,
        orgs: Arc<dyn OrgStore>,
        clock: Arc<dyn Clock>,
        stopping: watch::Receiver<bool>,
    ) -> AdminState {
        AdminState {
            keys,
            orgs,
            clock,
            stopping,
            writable: watch::channel(true).1,
            store: None,
            jobs: None,
            decisions: None,
            figures: None,
        }
    }

    /// Ready only while `writable` says true; without this, whenever the store can be read.
    #[must_use]
    pub fn with_writable(self, writable: watch::Receiver<bool>) -> AdminState {
        AdminState { writable, ..self }
    }

    /// With all of the state.
    #[must_use]
    pub fn with_store(self, store: Arc<dyn StateStore>) -> AdminState {
        AdminState { store: Some(store), ..self }
    }

    /// With the jobs of a scheduler, and what decides on their held runs.
    #[must_use]
    pub fn with_jobs(self, door: Door, decisions: Decisions) -> AdminState {
        AdminState { jobs: Some(door), decisions: Some(decisions), ..self }
    }

    /// Serves these figures.
    #[must_use]
    pub fn with_figures(self, figures: Arc<dyn Exposition>) -> AdminState {
        AdminState { figures: Some(figures), ..self }
    }
}

/// Everything on the operator's address.
pub fn router(state: AdminState, access: Access) -> Router {
    let access = Arc::new(access);
    let behind_access = |router: Router<AdminState>| {
        router
            .fallback(async || ApiError::NotFound("There is nothing here".to_owned()))
            .method_not_allowed_fallback(async || ApiError::NoSuchMethod)
            // A layer, not a route's: also what does not exist is not told to strangers.
            .layer(from_fn_with_state(Arc::clone(&access), access::check))
    };
    let metrics = get(metrics::serve).layer(from_fn_with_state(Arc::clone(&access), access::check));
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/openapi.json", get(openapi::serve))
        .route("/metrics", metrics)
        .nest("/api/v1", behind_access(api()))
        .nest("/api/jobs", behind_access(jobs::orders()))
        .merge(pages::router(&access))
        .route_layer(from_fn(note_route))
        .fallback(async || ApiError::NotFound("There is nothing here; the API is under /api/v1".to_owned()))
        .with_state(state)
}

/// The parts of the API, one line for each.
fn api() -> Router<AdminState> {
    Router::new()
        .merge(jobs::router())
        .merge(holds::router())
        .merge(keys::router())
        .merge(orgs::router())
        .merge(audit::router())
}
