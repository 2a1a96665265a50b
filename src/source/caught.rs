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
                tracing::debug!("a library panicked, which is reported as an error: {panic}");
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
