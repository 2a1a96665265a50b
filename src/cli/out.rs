//! What is printed on stdout, and how a command fails.
//!
//! A reader that has seen enough (`| head`) is no fault of the command, and a full disk is no reason to panic after a
//! thousand webhooks have left: neither changes what was done.

use std::fmt;
use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};

static LOST: AtomicBool = AtomicBool::new(false);

/// Writes one line to stdout. A closed pipe is silent; another fault is told once on stderr.
pub fn line(text: fmt::Arguments<'_>) {
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_fmt(text).and_then(|()| stdout.write_all(b"\n")).and_then(|()| stdout.flush());
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
        && !LOST.swap(true, Ordering::Relaxed)
    {
        eprintln!("error: stdout cannot be written: {error}");
    }
}

/// Whether something that was to be printed could not be, other than because the reader had gone.
pub fn lost() -> bool {
    LOST.load(Ordering::Relaxed)
}

/// `println!` that does not panic.
#[macro_export]
#[doc(hidden)]
macro_rules! say {
    ($($text:tt)*) => { $crate::cli::out::line(format_args!($($text)*)) };
}

/// An error and its causes, outermost first. Many errors tell their cause themselves; none is told twice.
pub fn error_text(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    #[test]
    fn no_cause_is_told_twice() {
        let cause = std::io::Error::new(ErrorKind::NotFound, "no such file");
        let error = Err::<(), _>(cause).context("jobs/a.toml: no such file\n  hint: make it").context("cannot run");
        assert_eq!(error_text(&error.unwrap_err()), "cannot run: jobs/a.toml: no such file\n  hint: make it");
    }
}
