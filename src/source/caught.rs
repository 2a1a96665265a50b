//! Calls into libraries that may panic on what they are given.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

/// Polars' own threads are named `polars-0`, `polars-1`, …; nothing but polars runs on them.
const THREADS: &str = "polars-";

thread_local! {
    /// How many calls of [`caught`] this thread is in.
    static CALLS: Cell<u32> = const { Cell::new(0) };
}

/// Runs `call`; a panic is its error, and is not printed. What `call` has touched is to be dropped with it, so that nothing is seen in a broken
/// state afterwards.
pub(super) fn caught<T>(call: impl FnOnce() -> T) -> std::thread::Result<T> {
    install_hook();
    let _quiet = Quiet::begin();
    catch_unwind(AssertUnwindSafe(call))
}

pub(super) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        "it panicked"
    }
}

/// While it lives, panics of this thread are not printed.
struct Quiet;

impl Quiet {
    fn begin() -> Self {
        CALLS.set(CALLS.get() + 1);
        Quiet
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        CALLS.set(CALLS.get() - 1);
    }
}

/// The hook is one for the whole process, so it stays and decides for each panic whose it is. All others go to the hook
/// that was there before.
fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if is_ours() {
                // Its text may have a secret in it; the error has it without.
                let place = panic.location().map(ToString::to_string).unwrap_or_default();
                tracing::debug!(
                    event = "library_panicked",
                    "a library panicked at {place}, which is reported as an error"
                );
            } else {
                before(panic);
            }
        }));
    });
}

/// Whether a panic of this thread becomes an error in [`caught`].
pub(super) fn is_ours() -> bool {
    let calling = CALLS.try_with(|calls| calls.get() > 0).unwrap_or(false);
    calling || std::thread::current().name().is_some_and(|name| name.starts_with(THREADS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek};
    use std::sync::Mutex;

    /// What a driver panics with may quote what it was given.
    #[test]
    fn the_text_of_a_panic_is_an_error_and_not_logged() {
        let mut file = tempfile::tempfile().unwrap();
        let writer = Mutex::new(file.try_clone().unwrap());
        let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_writer(writer).finish();
        let panic =
            tracing::subscriber::with_default(subscriber, || caught(|| panic!("no route to planted"))).unwrap_err();
        assert_eq!(panic_text(&*panic), "no route to planted");
        file.rewind().unwrap();
        let mut logged = String::new();
        file.read_to_string(&mut logged).unwrap();
        assert!(logged.contains("caught.rs") && !logged.contains("planted"), "{logged}");
    }
}
