//! Calls into polars: its errors and its panics become [`SourceError`]s.

use crate::source::SourceError;
use polars::prelude::PolarsResult;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `call`; `what` begins the message of a failure.
///
/// Polars panics on input that a feature of ours leaves out and on some of its own bugs. One job's extract must not take
/// the process with it, which serves other jobs. What `call` has touched is dropped with it, so nothing is seen in a
/// broken state afterwards.
pub fn run<T>(what: &str, call: impl FnOnce() -> PolarsResult<T>) -> Result<T, SourceError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(SourceError::new(format!("{what}: {}", brief(&error.to_string())))),
        Err(panic) => Err(SourceError::new(format!("{what}: polars cannot handle this: {}", panic_text(&*panic)))
            .hint("this is a limit of the polars library in this build; please report it with the columns' types")),
    }
}

/// The part of an error of polars that a user can act on: it appends query plans and tracing after an empty line.
pub fn brief(message: &str) -> &str {
    message.split("\n\n").next().unwrap_or(message).trim()
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        "it panicked"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars::prelude::PolarsError;

    #[test]
    fn errors_and_panics_become_source_errors() {
        assert_eq!(run("reading", || Ok(1)).unwrap(), 1);
        let error = run::<()>("reading", || Err(PolarsError::ComputeError("bad\n\nplan".into()))).unwrap_err();
        assert_eq!(error.message, "reading: bad");
        let error = run::<()>("reading", || panic!("no {}", "way")).unwrap_err();
        assert_eq!(error.message, "reading: polars cannot handle this: no way");
    }
}
