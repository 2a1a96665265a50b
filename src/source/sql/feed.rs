//! The thread that an extract is asked for on, and what it hands over.
//!
//! One thread with an async runtime of its own per extract, since drivers are async and a source is not. It sends one head
//! (what the columns are), that it is ready, pieces, then how it ended, through a queue of a few places: who asks too fast waits.

use crate::source::SourceError;
use crate::spans::within;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Pieces that wait for a thread which decodes them.
const QUEUED: usize = 3;

enum Said<H, R> {
    Head(H),
    Ready,
    Raw(R),
    End,
    Failed(SourceError),
}

/// Why an extract's thread ends before its rows do.
pub(super) enum Ended {
    /// Nobody wants more.
    Dropped,
    /// It has failed.
    Failed(SourceError),
}

impl From<SourceError> for Ended {
    fn from(error: SourceError) -> Self {
        Ended::Failed(error)
    }
}

/// What the thread has of its feed.
pub(super) struct Outlet<H, R> {
    sender: SyncSender<Said<H, R>>,
    stop: watch::Receiver<bool>,
    given_up: watch::Receiver<bool>,
}

impl<H, R> Outlet<H, R> {
    /// Says what the columns are, once, before any piece.
    pub(super) fn head(&self, head: H) -> Result<(), Ended> {
        self.sender.send(Said::Head(head)).map_err(|_| Ended::Dropped)
    }

    /// Says that rows will come, once, after the head and before any piece.
    pub(super) fn ready(&self) -> Result<(), Ended> {
        self.sender.send(Said::Ready).map_err(|_| Ended::Dropped)
    }

    /// Hands a piece over. Waits while the queue is full: nothing else happens on this thread.
    pub(super) fn raw(&self, raw: R) -> Result<(), Ended> {
        self.sender.send(Said::Raw(raw)).map_err(|_| Ended::Dropped)
    }

    /// Does something, unless that takes too long or nobody wants it any more. `late`: the error then.
    pub(super) async fn unless<T>(
        &self,
        deadline: Instant,
        late: impl FnOnce() -> SourceError,
        work: impl Future<Output = Result<T, Ended>>,
    ) -> Result<T, Ended> {
        let (mut stop, mut given_up) = (self.stop.clone(), self.given_up.clone());
        tokio::select! {
            // An end of the feed that is dropped without a word is one as well.
            _ = stop.wait_for(|stop| *stop) => Err(Ended::Dropped),
            // Who waits for rows meanwhile, and does not drop the feed, finds it broken: nobody is told what of.
            Ok(_) = given_up.wait_for(|given_up| *given_up) => Err(Ended::Dropped),
            () = tokio::time::sleep_until(deadline) => Err(Ended::Failed(late())),
            done = work => done,
        }
    }
}

/// The other end: pieces in order, whoever asks.
pub(super) struct Feed<H, R> {
    state: Mutex<State<H, R>>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

struct State<H, R> {
    receiver: Option<Receiver<Said<H, R>>>,
    number: u64,
    end: Option<Result<(), (String, Option<String>)>>,
}

/// Starts the thread, and waits until it knows what the columns are. `given_up`: true once nobody waits for the extract any more, though the feed may
/// be there still.
///
/// # Errors
/// Those of `work` before that.
pub(super) fn open<H, R, W, F>(given_up: watch::Receiver<bool>, work: W) -> Result<(H, Feed<H, R>), SourceError>
where
    H: Send + 'static,
    R: Send + 'static,
    W: FnOnce(Outlet<H, R>) -> F + Send + 'static,
    F: Future<Output = Result<(), Ended>>,
{
    let (sender, receiver) = sync_channel(QUEUED);
    let (stop, stopped) = watch::channel(false);
    let outlet = Outlet { sender: sender.clone(), stop: stopped, given_up };
    let run = within(move || run(work, outlet, &sender));
    let started = std::thread::Builder::new().name("extract".into()).spawn(run);
    let thread = started.map_err(|e| SourceError::new(format!("no thread could be started for the extract: {e}")))?;
    let state = State { receiver: Some(receiver), number: 0, end: None };
    let feed = Feed { state: Mutex::new(state), stop, thread: Some(thread) };
    let first = feed.lock().receive();
    match first {
        Said::Head(head) => Ok((head, feed)),
        Said::Failed(error) => Err(error),
        Said::Ready | Said::Raw(_) | Said::End => Err(broken()),
    }
}

fn run<H, R, W, F>(work: W, outlet: Outlet<H, R>, sender: &SyncSender<Said<H, R>>)
where
    W: FnOnce(Outlet<H, R>) -> F,
    F: Future<Output = Result<(), Ended>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = match runtime {
        Ok(runtime) => {
            let ended = runtime.block_on(work(outlet));
            // A look-up of a name that nobody waits for any more must not hold the thread.
            runtime.shutdown_timeout(Duration::ZERO);
            ended
        }
        Err(e) => Err(Ended::Failed(SourceError::new(format!("the extract cannot be asked for: {e}")))),
    };
    let last = match ended {
        Ok(()) => Said::End,
        Err(Ended::Failed(error)) => Said::Failed(error),
        Err(Ended::Dropped) => return,
    };
    // Who does not listen any more does not want to know.
    let _ = sender.send(last);
}

impl<H, R> Feed<H, R> {
    /// Waits until rows will come.
    ///
    /// # Errors
    /// Those of `work` between the head and this.
    pub(super) fn ready(&self) -> Result<(), SourceError> {
        match self.lock().receive() {
            Said::Ready => Ok(()),
            Said::Failed(error) => Err(error),
            Said::Head(_) | Said::Raw(_) | Said::End => Err(broken()),
        }
    }

    /// The next piece and its number; `None` after the last.
    pub(super) fn next(&self) -> Result<Option<(u64, R)>, SourceError> {
        let mut state = self.lock();
        match &state.end {
            Some(Ok(())) => return Ok(None),
            Some(Err((message, hint))) => return Err(SourceError { hint: hint.clone(), ..SourceError::new(message) }),
            None => {}
        }
        let error = match state.receive() {
            Said::Raw(raw) => {
                let number = state.number;
                state.number += 1;
                return Ok(Some((number, raw)));
            }
            Said::End => {
                state.end = Some(Ok(()));
                return Ok(None);
            }
            Said::Failed(error) => error,
            Said::Head(_) | Said::Ready => broken(),
        };
        state.end = Some(Err((error.message.clone(), error.hint.clone())));
        Err(error)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State<H, R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<H, R> State<H, R> {
    fn receive(&self) -> Said<H, R> {
        // A thread that ends without a word has panicked.
        let received = self.receiver.as_ref().and_then(|receiver| receiver.recv().ok());
        received.unwrap_or_else(|| Said::Failed(broken()))
    }
}

fn broken() -> SourceError {
    SourceError::new("the thread that reads the extract has ended without saying why; see the log")
}

impl<H, R> Drop for Feed<H, R> {
    /// Ends the query at the server: the thread does that before it ends, within a few seconds.
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.lock().receiver = None;
        if let Some(thread) = self.thread.take() {
            // What it has to say after a panic is in the log.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Nobody ever gives it up.
    fn wanted() -> watch::Receiver<bool> {
        watch::channel(false).1
    }

    fn far() -> Instant {
        Instant::now() + Duration::from_secs(600)
    }

    #[test]
    fn pieces_come_in_order_and_then_the_end() {
        let work = |outlet: Outlet<&'static str, u64>| async move {
            outlet.head("head")?;
            (0..50).try_for_each(|n| outlet.raw(n))
        };
        let (head, feed) = open(wanted(), work).unwrap();
        assert_eq!(head, "head");
        let all: Vec<(u64, u64)> = std::iter::from_fn(|| feed.next().unwrap()).collect();
        assert!(all.into_iter().eq((0..50).map(|n| (n, n))));
        assert!(feed.next().unwrap().is_none());
    }

    #[test]
    fn errors_stay_errors_and_a_panic_is_one() {
        let fails = |outlet: Outlet<(), u64>| async move {
            outlet.head(())?;
            outlet.raw(1)?;
            Err(SourceError::new("lost").hint("find it").into())
        };
        let ((), feed) = open(wanted(), fails).unwrap();
        assert!(feed.next().unwrap().is_some());
        for _ in 0..3 {
            assert_eq!(feed.next().unwrap_err().message, "lost");
        }
        let early = |_: Outlet<(), u64>| async { Err(SourceError::new("no such host").into()) };
        assert_eq!(open(wanted(), early).err().unwrap().message, "no such host");
        let panics = |outlet: Outlet<(), u64>| async move {
            outlet.head(())?;
            panic!("on purpose")
        };
        let ((), feed) = open(wanted(), panics).unwrap();
        assert!(feed.next().is_err() && feed.next().is_err());
    }

    #[test]
    fn who_drops_the_feed_ends_the_work() {
        let ended = Arc::new(AtomicU32::new(0));
        // One waits for the server, the other for a place in the queue.
        for waits in [true, false] {
            let seen = Arc::clone(&ended);
            let work = move |outlet: Outlet<(), u64>| async move {
                outlet.head(())?;
                let work = async {
                    if waits {
                        std::future::pending::<()>().await;
                    }
                    (0..).try_for_each(|n| outlet.raw(n))
                };
                let done = outlet.unless(far(), || SourceError::new("late"), work).await;
                assert!(matches!(done, Err(Ended::Dropped)));
                seen.fetch_add(1, Ordering::SeqCst);
                done
            };
            let ((), feed) = open(wanted(), work).unwrap();
            drop(feed);
        }
        assert_eq!(ended.load(Ordering::SeqCst), 2, "a drop waits for the thread");
    }

    #[test]
    fn who_gives_the_extract_up_ends_the_work_that_somebody_waits_for() {
        let (gives_up, given_up) = watch::channel(false);
        let work = |outlet: Outlet<(), u64>| async move {
            outlet.head(())?;
            let never = std::future::pending::<Result<(), Ended>>();
            outlet.unless(far(), || SourceError::new("late"), never).await
        };
        let ((), feed) = open(given_up, work).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| feed.next().map(drop));
            gives_up.send_replace(true);
            assert!(waiting.join().unwrap().is_err());
        });
    }

    #[test]
    fn what_takes_too_long_is_an_error() {
        let work = |outlet: Outlet<(), u64>| async move {
            let never = std::future::pending::<Result<(), Ended>>();
            outlet.unless(Instant::now(), || SourceError::new("late"), never).await
        };
        assert_eq!(open(wanted(), work).err().unwrap().message, "late");
    }
}
