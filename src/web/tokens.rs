//! Tokens of the operator's address are made.

use crate::clock::Clock;
use crate::receiver::keys::{bits, hash, text};
use crate::store::{Role, TokenRecord};
use chrono::{DateTime, SubsecRound as _, Utc};
use secrecy::SecretString;

/// How every token begins, so that a scanner finds it, and nobody takes it for a key of the receiver. The rest is made as theirs is.
const MARK: &str = "nt_";

/// A token for somebody, to be stored, and its text, which is nowhere else.
pub fn make(
    clock: &dyn Clock,
    name: &str,
    role: Role,
    expires_at: Option<DateTime<Utc>>,
) -> (TokenRecord, SecretString) {
    let token = text(MARK, bits(clock));
    let record = TokenRecord {
        id: format!("token_{}", clock.run_id()),
        name: name.to_owned(),
        role,
        hash: hash(&token),
        created_at: clock.now().trunc_subsecs(6),
        expires_at: expires_at.map(|end| end.trunc_subsecs(6)),
        revoked_at: None,
    };
    (record, token.into())
}
