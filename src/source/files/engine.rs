//! Calls into polars and the Parquet decoder: their errors and their panics become [`SourceError`]s.

use crate::source::SourceError;
use crate::source::caught::{caught, panic_text};
use polars::prelude::PolarsResult;
use std::fmt::Display;

/// Runs `call`; `what` begins the message of a failure.
///
/// Polars panics on input that a feature of ours leaves out and on some of its own bugs. One job's extract must not take
/// the process with it, which serves other jobs. What `call` has touched is dropped with it, so nothing is seen in a
/// broken state afterwards. A panic that becomes an error here is not printed too.
pub fn run<T>(what: &str, call: impl FnOnce() -> PolarsResult<T>) -> Result<T, SourceError> {
    match caught(call) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(SourceError::new(format!("{what}: {}", brief(&error.to_string())))),
        Err(panic) => Err(SourceError::new(format!("{what}: polars cannot handle this: {}", panic_text(&*panic)))
            .hint("this is a limit of the polars library in this build; please report it with the columns' types")),
    }
}

/// Runs a decoder over bytes that may be damaged or hostile; a panic is one more way of saying so. The error is its text.
pub fn decode<T, E: Display>(call: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    match caught(call) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => {
            let text = error.to_string();
            let known = ["Parquet argument error: ", "Parquet error: "];
            Err(known.iter().fold(text.as_str(), |text, prefix| text.strip_prefix(prefix).unwrap_or(text)).to_owned())
        }
        Err(panic) => Err(format!("the decoder stopped: {}", panic_text(&*panic))),
    }
}

/// The part of an error of polars that a user can act on: it appends query plans and tracing after an empty line.
pub fn brief(message: &str) -> &str {
    message.split("\n\n").next().unwrap_or(message).trim()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::caught::is_ours;
    use polars::prelude::PolarsError;

    #[test]
    fn errors_and_panics_become_source_errors() {
        assert_eq!(run("reading", || Ok(1)).unwrap(), 1);
        let error = run::<()>("reading", || Err(PolarsError::ComputeError("bad\n\nplan".into()))).unwrap_err();
        assert_eq!(error.message, "reading: bad");
        let error = run::<()>("reading", || panic!("no {}", "way")).unwrap_err();
        assert_eq!(error.message, "reading: polars cannot handle this: no way");
        assert!(!is_ours(), "after a panic, this thread's own panics are printed again");
    }

    /// Set in the process that panics.
    const CHILD: &str = "NIGHTMARK_TEST_PANICS";

    #[test]
    fn only_panics_that_become_errors_are_silent() {
        if std::env::var_os(CHILD).is_some() {
            let on_pool = || {
                let thread = std::thread::Builder::new().name("polars-7".to_owned());
                thread.spawn(|| panic!("within the pool")).unwrap().join().unwrap_err();
                panic!("within a call")
            };
            run::<()>("reading", on_pool).unwrap_err();
            std::thread::spawn(|| panic!("of another")).join().unwrap_err();
            return;
        }
        let this = std::env::current_exe().unwrap();
        let name = "source::files::engine::tests::only_panics_that_become_errors_are_silent";
        let child = std::process::Command::new(this).args([name, "--exact", "--nocapture"]).env(CHILD, "1").output();
        let child = child.unwrap();
        let printed = String::from_utf8(child.stderr).unwrap();
        assert!(child.status.success() && printed.contains("of another"), "{printed}");
        assert!(!printed.contains("within"), "{printed}");
    }
}
