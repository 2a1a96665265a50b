//! What runs are done with, and how one is to go.

use super::{Reach, Resources, SendProgress};
use crate::clock::Clock;
use crate::config::{Home, Settings};
use crate::deliver::Connect;
use crate::lease::{Leases, Tenure};
use crate::metrics::Metrics;
use crate::snapshot::JobLock;
use crate::store::{Fence, RunStore};
use std::sync::{Arc, Weak};
use tokio::sync::watch;

/// What a run needs from outside.
#[derive(Clone)]
pub struct Runner {
    /// Where things are.
    pub home: Home,
    /// The daemon's settings.
    pub settings: Settings,
    /// The state.
    pub store: Arc<dyn RunStore>,
    /// Time and ids.
    pub clock: Arc<dyn Clock>,
    /// The way to the destination.
    pub connect: Arc<dyn Connect>,
    /// How much planning may take.
    pub resources: Resources,
    /// Told as the run goes.
    pub progress: Arc<dyn SendProgress>,
    /// What is counted and measured.
    pub metrics: Arc<dyn Metrics>,
    /// True: stop in order; what only plans ends at once, in-flight requests end, the rest stays pending.
    pub stop: watch::Receiver<bool>,
    /// Leases, where machines share the state store.
    pub leases: Option<Leases>,
    /// Whether what is worked on is this process's; set while a job is held.
    pub tenures: Vec<Tenure>,
    /// The leases that its writes are let in by, that of the job first.
    pub fences: Vec<Fence>,
    /// The lock of the job that is held, for threads that may outlive whoever holds it.
    pub lock: Weak<JobLock>,
}

/// How a run is to go.
#[derive(Debug, Clone, Copy)]
pub struct How {
    /// Go on although a guard would hold it.
    pub approved: bool,
    /// Send what is published; else it stays pending.
    pub sends: bool,
    /// Which orgs a query that asks for `{{last_success}}` is to give.
    pub reach: Reach,
}

impl Default for How {
    fn default() -> Self {
        How { approved: false, sends: true, reach: Reach::default() }
    }
}
