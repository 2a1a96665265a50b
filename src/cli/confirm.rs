//! A yes that somebody has to say before something is done that cannot be taken back by the next run.

use anyhow::{Context as _, bail};
use std::io::{BufRead, IsTerminal, Write};

/// What says yes.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Consent {
    /// Do it without asking
    #[arg(long, short = 'y')]
    pub yes: bool,
}

impl Consent {
    /// Asks on the terminal, unless the arguments say yes. `what`: all that it means, without a question mark.
    ///
    /// # Errors
    /// No yes: nobody to ask, or another answer.
    pub fn ask(self, what: &str) -> anyhow::Result<()> {
        if self.yes {
            return Ok(());
        }
        if !std::io::stdin().is_terminal() {
            bail!(
                "{what}: nothing was done, for there is no terminal to ask on\n  hint: with --yes it is done unasked"
            );
        }
        eprint!("{what}. Go on? [y/N] ");
        std::io::stderr().flush().context("the question cannot be shown")?;
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).context("the answer cannot be read")?;
        if matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
            return Ok(());
        }
        bail!("nothing was done")
    }
}
