//! Questions: answered by arguments, or on a terminal.

use anyhow::{Context as _, bail};
use std::io::{BufRead, IsTerminal, Write};

/// Asks what is not given, where there is somebody to ask.
pub(super) struct Asker {
    has_terminal: bool,
    missing: Vec<String>,
}

impl Asker {
    pub(super) fn new() -> Self {
        Asker { has_terminal: std::io::stdin().is_terminal(), missing: Vec::new() }
    }

    /// Whether somebody can be asked.
    pub(super) fn has_terminal(&self) -> bool {
        self.has_terminal
    }

    /// `given`; or the answer to the question; or, with nobody to ask, the default. Without any the argument is noted as missing, and the
    /// answer is empty.
    pub(super) fn text(
        &mut self,
        flag: &str,
        question: &str,
        given: Option<&str>,
        default: Option<&str>,
    ) -> anyhow::Result<String> {
        if let Some(given) = given {
            return Ok(given.to_owned());
        }
        if !self.has_terminal {
            if default.is_none() {
                self.missing.push(format!("{flag}  ({question})"));
            }
            return Ok(default.unwrap_or_default().to_owned());
        }
        loop {
            let shown = default.filter(|text| !text.is_empty()).map_or_else(String::new, |text| format!(" [{text}]"));
            eprint!("{question}{shown}: ");
            std::io::stderr().flush().context("the question cannot be shown")?;
            let mut line = String::new();
            let read = std::io::stdin().lock().read_line(&mut line).context("the answer cannot be read")?;
            if read == 0 {
                bail!(
                    "no answer to `{question}`: nothing was written (each answer is also an argument: nightmark init --help)"
                );
            }
            match (line.trim(), default) {
                ("", Some(default)) => return Ok(default.to_owned()),
                ("", None) => {}
                (answer, _) => return Ok(answer.to_owned()),
            }
        }
    }

    /// One of a few words.
    pub(super) fn choice(
        &mut self,
        flag: &str,
        question: &str,
        given: Option<&str>,
        choices: &[&str],
    ) -> anyhow::Result<String> {
        let question = format!("{question} ({})", choices.join(", "));
        loop {
            let answer = self.text(flag, &question, given, None)?;
            let is_missing = answer.is_empty();
            if is_missing || choices.contains(&answer.as_str()) {
                return Ok(answer);
            }
            if given.is_some() || !self.has_terminal {
                bail!("{flag} {answer}: expected one of {}", choices.join(", "));
            }
            eprintln!("`{answer}` is none of these");
        }
    }

    /// Fails if an argument is missing that nobody can be asked for.
    pub(super) fn complete(&self) -> anyhow::Result<()> {
        if self.missing.is_empty() {
            return Ok(());
        }
        bail!("there is no terminal to ask on, and these arguments are missing:\n  {}", self.missing.join("\n  "))
    }
}
