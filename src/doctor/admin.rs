//! Who may use the operator's address: nobody who should not, and somebody.

use super::{Finding, Patient, SOON};
use crate::store::TokenRecord;

const AREA: &str = "process";
const SUBJECT: &str = "admin.access";
const MAKE: &str = "make one: nightmark tokens create --name … --role …";

pub(super) async fn look(patient: &Patient) -> Vec<Finding> {
    let tokens = tokens(patient).await.unwrap_or_default();
    let now = patient.clock.now();
    let valid = tokens.iter().filter(|token| token.is_valid(now));
    let ends = |token: &TokenRecord| {
        let expires = token.expires_at.filter(|expires| *expires - now <= SOON)?;
        let what = format!("the token `{}` expires on {}", token.name, expires.format("%Y-%m-%d"));
        Some(Finding::note(AREA, SUBJECT, what, "make another, give it to whoever has this one, then revoke this one"))
    };
    let mut found: Vec<Finding> = valid.clone().filter_map(ends).collect();
    found.insert(0, access(patient, tokens.len(), valid.count()));
    found
}

/// `None`: there is no store, or it cannot be read, which is told elsewhere.
async fn tokens(patient: &Patient) -> Option<Vec<TokenRecord>> {
    let store = patient.place.as_ref().ok()?.look().await.ok()??;
    let tokens = store.tokens().await.ok();
    store.close().await;
    tokens
}

fn access(patient: &Patient, tokens: usize, valid: usize) -> Finding {
    let settings = &patient.settings.admin;
    let none_left = format!("none of {tokens} in the store is valid any more");
    if let Err(why) = &patient.admitted {
        let why = if tokens > 0 && valid == 0 { format!("{why}\n{none_left}") } else { why.clone() };
        return Finding::mend(AREA, SUBJECT, why, "the daemon does not start like this (docs/ADMIN.md)");
    }
    match (settings.token.is_some(), tokens, valid) {
        (true, _, _) => Finding::ok(AREA, SUBJECT, format!("whoever has admin.token, or one of {valid} in the store")),
        // From the first one on everybody needs one.
        (false, 1.., 0) => {
            let what =
                format!("nobody can use the pages, the admin API and /metrics: a token is needed, and {none_left}");
            Finding::note(AREA, SUBJECT, what, MAKE)
        }
        (false, 1.., _) => Finding::ok(AREA, SUBJECT, format!("whoever has a token, of which {valid} are valid")),
        (false, 0, _) => Finding::ok(AREA, SUBJECT, "whoever is on this machine, without a token"),
    }
}
