//! Leases that are kept up while something is done.
//!
//! In: a [`LeaseStore`](crate::store::LeaseStore), the clock. Out: [`Kept`], whose [`Tenure`] says at any instant whether the lease surely is this process's;
//! [`Turn`], for what goes on beside the work that it was taken for.
//! Always holds: the end of a lease is counted from before the store was asked, so that it comes here before it comes there; one that was lost stays
//! lost; a process that stood still (SIGSTOP, a suspended machine) finds that out by its first look.
//! Deliberately absent: what is done under a lease, and what a write under it must look at ([`LeaseStore::fenced`](crate::store::LeaseStore::fenced)).

use crate::clock::Clock;
use crate::store::{Asking, Fence, LeaseRecord, ShareStore, StateStore, StoreError};
use chrono::{DateTime, Utc};
use std::fmt;
use std::future::{Future, poll_fn};
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Of its length, what a lease is good for here: clocks do not run alike, and what was begun under it takes a moment to end.
const GOOD_FOR: f64 = 0.9;
/// It is asked for again so often within its length.
const RENEWALS: u32 = 3;
/// Between two looks whether those under a lease have ended.
const CHILDREN: Duration = Duration::from_millis(200);
/// The longest that is waited after a failure.
const AGAIN: Duration = Duration::from_secs(1);

/// The way to leases for one process.
#[derive(Clone)]
pub struct Leases {
    store: Arc<dyn ShareStore>,
    clock: Arc<dyn Clock>,
    holder: Arc<str>,
    length: Duration,
}

impl Leases {
    /// `holder`: this process's place, for people. `length`: after so long without a word a lease may be taken by others.
    pub fn new(store: Arc<dyn ShareStore>, clock: Arc<dyn Clock>, holder: &str, length: Duration) -> Self {
        Leases { store, clock, holder: holder.into(), length }
    }

    async fn take(
        &self,
        name: &str,
        what: &str,
        mut own: Option<i64>,
        parent: Option<&Fence>,
    ) -> Result<Result<Kept, LeaseRecord>, StoreError> {
        let (fence, began) = loop {
            let began = self.now();
            let asking = Asking { name, holder: &self.holder, what, length: self.length, own, parent };
            let fence = match self.store.take_lease(&asking).await? {
                Ok(fence) => fence,
                Err(other) => return Ok(Err(other)),
            };
            // By both clocks, as its end.
            let by_wall = (self.clock.now() - began.wall).to_std().unwrap_or_default();
            if began.monotonic.elapsed().max(by_wall) < self.between_asks() {
                break (fence, began);
            }
            // Whoever had it stood still in a write, which the store waits for and then ends: that may take longer than what it has given is good for.
            let again = self.now();
            match self.store.keep_lease(&fence, self.length).await {
                Ok(true) => break (fence, again),
                Ok(false) => own = Some(fence.epoch),
                Err(error) => {
                    // Nobody would keep it up, and all others would wait for it to run out; where this fails too, they do.
                    let _ = self.store.end_lease(&fence).await;
                    return Err(error);
                }
            }
        };
        let (lost, _) = watch::channel(false);
        let end = Mutex::new(self.end_from(began));
        let tenure = Tenure(Arc::new(Shared { end, lost, clock: Arc::clone(&self.clock) }));
        let keeper = tokio::spawn(keep(self.clone(), fence.clone(), tenure.clone()));
        Ok(Ok(Kept { fence, tenure, keeper, store: Arc::clone(&self.store) }))
    }

    /// Takes a lease, and keeps it up from then on. `Err`: who has it. `what`: what it is for, for people. The caller has a place for itself, by a lock
    /// that ends with its process; `note`: a file there, which has the epoch of the
    /// lease that was taken last: whoever has the place knows that its holder is gone, and does not wait until it has run out.
    ///
    /// # Errors
    /// A store that cannot be asked.
    pub async fn take_from(
        &self,
        note: &Path,
        name: &str,
        what: &str,
    ) -> Result<Result<Kept, LeaseRecord>, StoreError> {
        let own = std::fs::read_to_string(note).ok().and_then(|epoch| epoch.trim().parse().ok());
        let taken = self.take(name, what, own, None).await?;
        if let Ok(kept) = &taken
            && let Err(error) = std::fs::write(note, kept.fence.epoch.to_string())
        {
            tracing::warn!(event = "lease_not_noted", lease = name, %error, "which lease this machine has could not be noted; after a kill it waits for it to run out");
        }
        if let Ok(kept) = &taken {
            self.all_ended(kept.fence()).await?;
        }
        Ok(taken)
    }

    /// Takes a lease that only counts as long as its parent, another lease, is in this epoch. `Err`: who has it.
    ///
    /// # Errors
    /// A store that cannot be asked; a parent that is somebody else's.
    pub async fn take_under(
        &self,
        parent: &Fence,
        name: &str,
        what: &str,
    ) -> Result<Result<Kept, LeaseRecord>, StoreError> {
        self.take(name, what, None, Some(parent)).await
    }

    /// Waits until nobody has a lease any more that counts with this one: they are given back, or run out. Whoever has them can write nothing once the
    /// parent has another epoch, but may not know it yet.
    ///
    /// # Errors
    /// A store that cannot be asked.
    pub async fn all_ended(&self, parent: &Fence) -> Result<(), StoreError> {
        while self.store.children(parent).await? > 0 {
            sleep(CHILDREN).await;
        }
        self.store.forget_children(parent).await
    }

    /// The store, in which only the holder of all these leases can write.
    pub fn fenced(&self, fences: &[Fence]) -> Arc<dyn StateStore> {
        self.store.fenced(fences)
    }

    /// Deliveries that are shared, and all leases.
    pub fn shares(&self) -> &Arc<dyn ShareStore> {
        &self.store
    }

    /// This process's place.
    pub fn holder(&self) -> &str {
        &self.holder
    }

    /// How long whoever does not have a lease waits before it asks again.
    pub fn between_asks(&self) -> Duration {
        self.length / RENEWALS
    }

    fn now(&self) -> End {
        End { monotonic: Instant::now(), wall: self.clock.now() }
    }

    fn end_from(&self, began: End) -> End {
        let good = self.length.mul_f64(GOOD_FOR);
        End { monotonic: began.monotonic + good, wall: began.wall + good }
    }
}

impl fmt::Debug for Leases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leases").field("holder", &self.holder).field("length", &self.length).finish_non_exhaustive()
    }
}

/// By both clocks: the one that nobody sets stands still while the machine sleeps.
#[derive(Debug, Clone, Copy)]
struct End {
    monotonic: Instant,
    wall: DateTime<Utc>,
}

struct Shared {
    end: Mutex<End>,
    lost: watch::Sender<bool>,
    clock: Arc<dyn Clock>,
}

/// Whether a lease is this process's. A clone tells of the same.
#[derive(Clone)]
pub struct Tenure(Arc<Shared>);

impl Tenure {
    /// Whether nobody else can have it yet.
    pub fn is_good(&self) -> bool {
        let end = self.end();
        let is_good = !*self.0.lost.borrow() && Instant::now() < end.monotonic && self.0.clock.now() < end.wall;
        if !is_good {
            self.lose();
        }
        is_good
    }

    /// Waits until it may be somebody else's.
    pub async fn lost(&self) {
        let mut lost = self.0.lost.subscribe();
        while self.is_good() {
            tokio::select! {
                _ = lost.changed() => {}
                () = sleep_until(self.end().monotonic) => {}
            }
        }
    }

    fn end(&self) -> End {
        *self.0.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn extend(&self, end: End) {
        *self.0.end.lock().unwrap_or_else(PoisonError::into_inner) = end;
        // Whoever waits for the end has another to wait for.
        self.0.lost.send_modify(|_| {});
    }

    fn lose(&self) {
        self.0.lost.send_if_modified(|lost| !std::mem::replace(lost, true));
    }
}

impl fmt::Debug for Tenure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenure").field("end", &self.end()).finish_non_exhaustive()
    }
}

/// A lease that is kept up. Dropped, it runs out by itself.
pub struct Kept {
    fence: Fence,
    tenure: Tenure,
    keeper: JoinHandle<()>,
    store: Arc<dyn ShareStore>,
}

impl Kept {
    /// What writes are let in by.
    pub fn fence(&self) -> &Fence {
        &self.fence
    }

    /// Whether it is still this process's.
    pub fn tenure(&self) -> &Tenure {
        &self.tenure
    }

    /// Gives it back, so that nobody has to wait for it to run out.
    pub async fn end(self) {
        self.keeper.abort();
        if self.tenure.is_good()
            && let Err(error) = self.store.end_lease(&self.fence).await
        {
            tracing::warn!(event = "lease_not_ended", lease = self.fence.name, %error, "a lease could not be given back; it runs out by itself");
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("fence", &self.fence).field("tenure", &self.tenure).finish_non_exhaustive()
    }
}

/// For now it is this process that does something: the store to write in meanwhile, and a bound to what is done.
#[derive(Clone)]
pub struct Turn {
    store: Arc<dyn StateStore>,
    tenure: Option<Tenure>,
}

impl Turn {
    /// Of a process that has no other beside it.
    pub fn alone(store: Arc<dyn StateStore>) -> Self {
        Turn { store, tenure: None }
    }

    /// As long as the lease is this process's.
    pub fn under(leases: &Leases, kept: &Kept) -> Self {
        let store = leases.fenced(std::slice::from_ref(kept.fence()));
        Turn { store, tenure: Some(kept.tenure().clone()) }
    }

    /// Refuses what is written once it is another's turn, however late that comes.
    pub fn store(&self) -> &Arc<dyn StateStore> {
        &self.store
    }

    /// Work of which no step is taken once it may be another's turn; `None`: it was broken off. What it has sent by then has left.
    pub async fn within<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let Some(tenure) = &self.tenure else { return Some(work.await) };
        let mut work = pin!(work);
        // A process may stand still for hours between two steps.
        let guarded = poll_fn(|context| match tenure.is_good() {
            true => work.as_mut().poll(context).map(Some),
            false => Poll::Ready(None),
        });
        tokio::select! {
            biased;
            done = guarded => done,
            () = tenure.lost() => None,
        }
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").field("tenure", &self.tenure).finish_non_exhaustive()
    }
}

async fn keep(leases: Leases, fence: Fence, tenure: Tenure) {
    let often = leases.length / RENEWALS;
    let mut wait = often;
    loop {
        sleep(wait).await;
        if !tenure.is_good() {
            break;
        }
        let began = leases.now();
        // A connection that hangs must not take all the time that is left.
        match timeout(often, leases.store.keep_lease(&fence, leases.length)).await {
            Ok(Ok(true)) => {
                tenure.extend(leases.end_from(began));
                wait = often;
            }
            Ok(Ok(false)) => break,
            Ok(Err(error)) => {
                tracing::warn!(event = "lease_not_renewed", lease = fence.name, %error, "a lease could not be kept up; it is tried again");
                wait = AGAIN.min(often);
            }
            Err(_) => {
                tracing::warn!(
                    event = "lease_not_renewed",
                    lease = fence.name,
                    error = "no answer",
                    "a lease could not be kept up; it is tried again"
                );
                wait = AGAIN.min(often);
            }
        }
    }
    tenure.lose();
    tracing::error!(
        event = "lease_lost",
        lease = fence.name,
        "a lease is lost: what was done under it is left to others"
    );
}
