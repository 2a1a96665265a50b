//! The thread that a driver is called on, what it says, and when it is told to end.

use super::request::{Request, shown};
use super::{driver, session};
use crate::source::SourceError;
use crate::source::caught::{caught, panic_text};
use crate::spans::within;
use adbc_core::CancelHandle;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Groups of batches that wait for the pipeline.
const QUEUED: usize = 1;
/// Drivers are written for the stacks of main threads.
const STACK: usize = 8 << 20;
/// Between two looks whether anybody waits for the extract.
const LOOK: Duration = Duration::from_millis(100);
/// Between attempts to cancel: a statement that has not begun yet does not feel one.
const AGAIN: Duration = Duration::from_millis(200);

/// What a session says, in this order: the schema, rows, the end.
pub(super) enum Said {
    /// The columns as the driver has them.
    Schema(SchemaRef),
    /// Batches, and the number of their piece.
    Rows(u64, Vec<RecordBatch>),
    /// There is no more.
    End,
}

/// What comes of loading the driver, and letting go of it; `None`: it is not done after so long.
pub(super) fn begins(request: Request, patience: Duration) -> Option<Result<(), SourceError>> {
    let (sender, receiver) = sync_channel(1);
    let begin = move || {
        let begun = caught(|| driver::load(&request).map(drop));
        let panicked = |panic: Box<dyn std::any::Any + Send>| {
            Err(SourceError::new(format!("{}: the driver panicked: {}", shown(&request.driver), panic_text(&*panic))))
        };
        let _ = sender.send(begun.unwrap_or_else(panicked));
    };
    std::thread::Builder::new().stack_size(STACK).spawn(begin).ok()?;
    receiver.recv_timeout(patience).ok()
}

/// A session's end of the line.
pub(super) struct Line {
    sender: SyncSender<Result<Said, SourceError>>,
    control: Arc<Control>,
}

impl Line {
    /// `false`: nobody listens any more, and the query has been cancelled.
    pub(super) fn say(&self, said: Result<Said, SourceError>) -> bool {
        let is_heard = self.sender.send(said).is_ok();
        if !is_heard {
            self.cancel();
        }
        is_heard
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.control.stopped.load(Ordering::Acquire)
    }

    /// How the statement is cancelled from now on.
    pub(super) fn cancel_by(&self, handle: Box<dyn CancelHandle>) {
        *self.control.handle.lock().unwrap_or_else(PoisonError::into_inner) = Some(handle);
    }

    pub(super) fn cancel(&self) {
        self.control.cancel();
    }
}

#[derive(Default)]
struct Control {
    stopped: AtomicBool,
    handle: Mutex<Option<Box<dyn CancelHandle>>>,
    ended: Mutex<bool>,
    at_end: Condvar,
}

impl Control {
    /// Asks the driver. What it says to that is of no use: whether it reacts is seen by its end.
    fn cancel(&self) {
        let handle = self.handle.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = &*handle {
            let _ = caught(|| handle.try_cancel());
        }
    }

    /// Lets go of what a statement is cancelled by, which keeps the database open: whoever waits for the session's end waits for that too.
    fn forget(&self) {
        self.handle.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    fn has_ended(&self, within: Duration) -> bool {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.at_end.wait_timeout_while(ended, within, |ended| !*ended);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Says that the session's thread is through, whatever it ended by.
struct Ended(Arc<Control>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.forget();
        *self.0.ended.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.at_end.notify_all();
    }
}

/// An extract that is being read.
pub(super) struct Reading {
    driver: String,
    receiver: Option<Receiver<Result<Said, SourceError>>>,
    control: Arc<Control>,
    began: Instant,
    timeout: Duration,
    grace: Duration,
    /// True once nobody waits for the extract any more.
    given_up: watch::Receiver<bool>,
    /// What the last word was, once there was one: the end (`None`) or an error.
    last: Option<Option<(String, Option<String>)>>,
}

impl Reading {
    pub(super) fn start(
        request: Request,
        (timeout, grace): (Duration, Duration),
        given_up: watch::Receiver<bool>,
    ) -> Result<Self, SourceError> {
        let (sender, receiver) = sync_channel(QUEUED);
        let control = Arc::new(Control::default());
        let driver = shown(&request.driver).to_owned();
        let line = Line { sender, control: Arc::clone(&control) };
        let thread = std::thread::Builder::new().name("adbc".to_owned()).stack_size(STACK);
        let reading = within(move || {
            let _ended = Ended(Arc::clone(&line.control));
            let failed = match caught(|| session::run(&request, &line)) {
                Ok(done) => done.err(),
                Err(panic) => Some(request.invalid(panic_text(&*panic))),
            };
            if let Some(error) = failed {
                line.say(Err(error));
            }
        });
        let spawned = thread.spawn(reading);
        spawned.map_err(|error| SourceError::new(format!("{driver}: no thread for the driver: {error}")))?;
        let (receiver, began, last) = (Some(receiver), Instant::now(), None);
        Ok(Reading { driver, receiver, control, began, timeout, grace, given_up, last })
    }

    /// The next word. After the end it is the end again, after an error the same error.
    pub(super) fn next(&mut self) -> Result<Said, SourceError> {
        match &self.last {
            Some(None) => return Ok(Said::End),
            Some(Some((message, hint))) => return Err(SourceError { hint: hint.clone(), ..SourceError::new(message) }),
            None => {}
        }
        let said = self.hear();
        match &said {
            Ok(Said::End) => self.last = Some(None),
            Ok(_) => {}
            Err(error) => self.last = Some(Some((error.message.clone(), error.hint.clone()))),
        }
        said
    }

    fn hear(&mut self) -> Result<Said, SourceError> {
        loop {
            let left = self.timeout.saturating_sub(self.began.elapsed());
            let heard = self.receiver.as_ref().map(|receiver| receiver.recv_timeout(left.min(LOOK)));
            match heard {
                Some(Ok(said)) => return said,
                Some(Err(RecvTimeoutError::Timeout)) if *self.given_up.borrow() => {
                    self.stop();
                    return Err(SourceError::new(format!("{}: nobody waits for the rows any more", self.driver)));
                }
                Some(Err(RecvTimeoutError::Timeout)) if left > LOOK => {}
                Some(Err(RecvTimeoutError::Timeout)) => return Err(self.late()),
                Some(Err(RecvTimeoutError::Disconnected)) | None => {
                    return Err(SourceError::new(format!("{}: the driver's thread ended without a word", self.driver)));
                }
            }
        }
    }

    fn late(&mut self) -> SourceError {
        let end = match self.stop() {
            true => "it was cancelled",
            false => "the driver did not react to being cancelled, and the query may still be running in the database",
        };
        let (driver, timeout) = (&self.driver, self.timeout);
        SourceError::new(format!("{driver}: the query and its rows took longer than {timeout:?}; {end}"))
            .hint("make the query faster, or set `timeout` higher in [source]")
    }

    /// Tells the session to end and waits a little for it. Whether it has ended.
    fn stop(&mut self) -> bool {
        self.control.stopped.store(true, Ordering::Release);
        self.receiver = None;
        if self.control.has_ended(Duration::ZERO) {
            return true;
        }
        // A driver may take its time to cancel, too.
        let control = Arc::clone(&self.control);
        let until = Instant::now() + self.grace;
        let canceller = std::thread::Builder::new().name("adbc-cancel".to_owned());
        let _ = canceller.spawn(move || {
            while Instant::now() < until && !control.has_ended(Duration::ZERO) {
                control.cancel();
                control.has_ended(AGAIN);
            }
        });
        self.control.has_ended(self.grace)
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        // After the last row only what is left to be closed is waited for: the connection is to be gone before the next is made.
        if self.last == Some(None) {
            self.control.has_ended(self.grace);
        } else if self.receiver.is_some() {
            self.stop();
        }
    }
}
