//! `nightmark doctor`: everything around the jobs at a glance, with what to do.

use super::table::shown;
use super::{Context, Exit, serve};
use crate::doctor::{Finding, Patient, Verdict, examine};
use serde_json::json;
use std::sync::Arc;

/// Arguments of `nightmark doctor`.
#[derive(Debug, clap::Args)]
pub struct DoctorArgs {}

/// Runs the command. Exit 1 if anything is to be mended.
///
/// # Errors
/// None: what cannot be looked at is a finding.
pub async fn run(context: &Context, _args: DoctorArgs) -> anyhow::Result<Exit> {
    let admitted = serve::access(context, context.settings.admin.address).await;
    let patient = Patient {
        home: context.home.clone(),
        settings: context.settings.clone(),
        clock: Arc::clone(&context.clock),
        place: context.place().map_err(|error| format!("{error:#}")),
        admitted: admitted.map(drop).map_err(|error| format!("{error:#}")),
    };
    let found = examine(&patient).await;
    let to_mend = count(&found, Verdict::Mend);
    match context.json {
        true => crate::say!("{}", json!({ "ok": to_mend == 0, "findings": found })),
        false => print(&found),
    }
    Ok(if to_mend == 0 { Exit::Done } else { Exit::SomeFailed })
}

fn count(found: &[Finding], verdict: Verdict) -> usize {
    found.iter().filter(|finding| finding.verdict == verdict).count()
}

fn print(found: &[Finding]) {
    let mut area = "";
    for finding in found {
        if finding.area != area {
            area = finding.area;
            crate::say!("{area}");
        }
        let mark = match finding.verdict {
            Verdict::Ok => "  ok   ",
            Verdict::Note => "  note ",
            Verdict::Mend => "  MEND ",
        };
        let lines = finding.what.lines().map(shown).collect::<Vec<_>>().join("\n         ");
        crate::say!("{mark} {}: {lines}", shown(&finding.subject));
        if !finding.remedy.is_empty() {
            crate::say!("         → {}", shown(&finding.remedy));
        }
    }
    let (mend, notes) = (count(found, Verdict::Mend), count(found, Verdict::Note));
    crate::say!("{mend} to mend, {notes} to note");
}
