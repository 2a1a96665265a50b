//! Places where a test can end the process as a power cut would: `failpoint!("name");`.
//!
//! In: the environment variable `FAILPOINTS`, such as `manifest.renamed=return` (at once) or `ledger.committed=2*off->return`
//! (at the third time), in the syntax of the `fail` crate. Out: nothing; the process is gone, by SIGKILL.
//! Always holds: without the cargo feature `failpoints`, which no released build has, a mark is no code at all.
//! Deliberately absent: errors and delays on command. Faults of disks and networks are made outside the process.

/// A mark; see the module.
macro_rules! failpoint {
    ($name:literal) => {
        #[cfg(feature = "failpoints")]
        $crate::failpoint::reached($name);
    };
}

/// Ends the process if the environment says so.
#[cfg(feature = "failpoints")]
pub(crate) fn reached(name: &str) {
    static READ: std::sync::Once = std::sync::Once::new();
    // Forgotten, not dropped: what the environment says holds as long as the process.
    READ.call_once(|| std::mem::forget(fail::FailScenario::setup()));
    fail::eval(name, |_| {
        // SIGKILL cannot be handled: nothing is flushed, dropped or closed in order.
        let _ = signal_hook::low_level::raise(9);
    });
}
