//! A job, for one process alone: its lock on this machine and, where machines share the state store, its lease there.
//!
//! What is done with it is done through [`Hold::runner`]: whatever that writes is refused once the lease is somebody else's, and nothing leaves for the
//! destination once it may be.

use super::{PipelineError, Runner};
use crate::deliver::verdict::Attempt;
use crate::deliver::{Connect, DeliverError, Parcel, Resolved, Transport};
use crate::job::spec::Destination;
use crate::lease::{Kept, Leases, Tenure};
use crate::snapshot::{JobLock, SnapshotError};
use crate::store::Fence;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::future::select_all;
use std::future::{Future, pending};
use std::sync::{Arc, Mutex, PoisonError};

/// In a job's snapshot folder, whose lock is its place.
const EPOCH: &str = "lease";

/// A job that nobody else can work on.
pub(super) struct Hold {
    runner: Runner,
    kept: Option<Kept>,
    _lock: Arc<JobLock>,
}

/// How whoever has a job is told to others.
fn of_this_process(what: &str) -> String {
    format!("process {}, {what}", std::process::id())
}

/// Whether it is a run of this very process that has a job: a plan that nobody waits for any more has it until it has ended.
pub fn is_own_run(holder: &str) -> bool {
    holder.starts_with(&of_this_process("run "))
}

impl Runner {
    /// `what`: what is done meanwhile, for others who want to. Waits for nobody: that is [`hold_job`](Self::hold_job)'s.
    ///
    /// # Errors
    /// [`SnapshotError::Busy`]: somebody else has it.
    pub(super) async fn take_job(&self, job: &str, what: &str) -> Result<Hold, PipelineError> {
        let dir = self.home.snapshots(job);
        let what = of_this_process(what);
        let lock = Arc::new(JobLock::take(&dir, job, &what)?);
        let runner = Runner { lock: Arc::downgrade(&lock), ..self.clone() };
        let Some(leases) = &self.leases else { return Ok(Hold { runner, kept: None, _lock: lock }) };
        let kept = match leases.take_from(&dir.join(EPOCH), &format!("job/{job}"), &what).await? {
            Ok(kept) => kept,
            Err(other) => {
                let holder = format!("{} on {}, which has it until {}", other.what, other.holder, other.until);
                return Err(SnapshotError::Busy { job: job.to_owned(), holder }.into());
            }
        };
        let fences = [kept.fence().clone()];
        let runner = leased(&runner, leases, &fences, kept.tenure());
        Ok(Hold { runner, kept: Some(kept), _lock: lock })
    }

    /// Work that is broken off once the job may be somebody else's.
    pub(super) async fn while_held<T>(&self, job: &str, work: impl Future<Output = T>) -> Result<T, PipelineError> {
        if self.tenures.is_empty() {
            return Ok(work.await);
        }
        let lost = select_all(self.tenures.iter().map(|tenure| Box::pin(tenure.lost())));
        tokio::select! {
            biased;
            _ = lost => Err(PipelineError::Lost(job.to_owned())),
            // A process that stood still finds out about its work before its timers tell it how late it is: what comes of work without a lease is that.
            done = work => match self.tenures.iter().all(Tenure::is_good) {
                true => Ok(done),
                false => Err(PipelineError::Lost(job.to_owned())),
            },
        }
    }
}

impl Hold {
    /// Who may work on the job.
    pub(super) fn runner(&self) -> &Runner {
        &self.runner
    }

    /// Lets others have it.
    pub(super) async fn end(self) {
        if let Some(kept) = self.kept {
            kept.end().await;
        }
    }
}

/// Who works under a lease, besides those that it works under already. `fences`: of all of them.
pub(super) fn leased(runner: &Runner, leases: &Leases, fences: &[Fence], tenure: &Tenure) -> Runner {
    let mut tenures = runner.tenures.clone();
    tenures.push(tenure.clone());
    Runner {
        store: leases.fenced(fences),
        connect: Arc::new(Leased { connect: Arc::clone(&runner.connect), now: Now::of(tenure) }),
        fences: fences.to_vec(),
        tenures,
        ..runner.clone()
    }
}

/// What must be this process's for anything to leave now. A clone tells of the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Now(Arc<Mutex<Vec<Tenure>>>);

impl Now {
    fn of(tenure: &Tenure) -> Self {
        Now(Arc::new(Mutex::new(vec![tenure.clone()])))
    }

    /// From now on it is what `holder` works under: for who lets go of a job again and again, and keeps its way to the destination.
    pub(super) fn under(&self, holder: &Runner) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = holder.tenures.clone();
    }

    /// Who sends under what is told here.
    pub(super) fn sender(&self, runner: &Runner) -> Runner {
        let connect = Arc::new(Leased { connect: Arc::clone(&runner.connect), now: self.clone() });
        Runner { connect, ..runner.clone() }
    }

    fn is_good(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().all(Tenure::is_good)
    }
}

/// A way to the destination that is closed once the lease may be somebody else's.
struct Leased {
    connect: Arc<dyn Connect>,
    now: Now,
}

impl Connect for Leased {
    fn connect(&self, destination: &Destination, resolved: &Resolved) -> Result<Box<dyn Transport>, DeliverError> {
        let way = self.connect.connect(destination, resolved)?;
        Ok(Box::new(LeasedWay { way, now: self.now.clone() }))
    }
}

struct LeasedWay {
    way: Box<dyn Transport>,
    now: Now,
}

#[async_trait]
impl Transport for LeasedWay {
    async fn send(&self, parcel: &Parcel, now: DateTime<Utc>) -> Attempt {
        let mut sending = self.way.send(parcel, now);
        // A process may stand still for hours between two steps of a request, such as a connection that has to be made first.
        let guarded = std::future::poll_fn(|context| match self.now.is_good() {
            true => sending.as_mut().poll(context).map(Some),
            false => std::task::Poll::Ready(None),
        });
        match guarded.await {
            Some(attempt) => attempt,
            // Delivery is broken off ([`Runner::while_held`]); nothing is to be said of this request.
            None => pending().await,
        }
    }
}
