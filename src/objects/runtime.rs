//! The runtime that an object store's calls wait in.

use std::future::Future;
use tokio::runtime;

/// One thread, that of whoever waits. It may be dropped anywhere, within another runtime too.
#[derive(Debug)]
pub(super) struct Runtime(Option<runtime::Runtime>);

impl Runtime {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Runtime(Some(runtime::Builder::new_current_thread().enable_all().build()?)))
    }

    fn inner(&self) -> &runtime::Runtime {
        match &self.0 {
            Some(runtime) => runtime,
            None => unreachable!("it is taken out when this is dropped, and not before"),
        }
    }

    pub(super) fn enter(&self) -> runtime::EnterGuard<'_> {
        self.inner().enter()
    }

    pub(super) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.inner().block_on(future)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // To wait for its threads is forbidden within another runtime, and there is nothing to wait for.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
