//! What makes an update a repeat of an earlier one.

use super::OrgUpsert;
use sha2::{Digest, Sha256};

/// Characters of an idempotency id at most.
pub const MAX_IDEMPOTENCY_ID: usize = 255;

/// Half a SHA-256, so that the record of an update has the same small size whatever its sender calls it. Two that fall together by
/// chance would need some 2⁶⁴ updates.
pub type AnswerHash = [u8; 16];

/// Whether a sender may call an update so.
///
/// # Errors
/// Why not, to be put behind the name of the header or field.
pub fn check_idempotency_id(id: &str) -> Result<(), String> {
    let visible = |c: char| !c.is_control() && !c.is_whitespace();
    match !id.is_empty() && id.chars().all(visible) && id.chars().nth(MAX_IDEMPOTENCY_ID).is_none() {
        true => Ok(()),
        false => Err(format!("must have 1–{MAX_IDEMPOTENCY_ID} visible characters")),
    }
}

/// What an update is recognised by: its key, what the sender calls it, and the org. The org is part of it so that a sender who puts
/// a constant where an id should be loses no other org's update.
pub fn answer_hash(upsert: &OrgUpsert) -> Option<AnswerHash> {
    let id = upsert.idempotency_id.as_deref()?;
    let mut hasher = Sha256::new();
    // With their lengths: otherwise a character could move from one to the next.
    for part in [&upsert.key.id, id, &upsert.patch.product_org_id] {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let digest: [u8; 32] = hasher.finalize().into();
    let [half, _] = *digest.as_chunks::<16>().0 else { return None };
    Some(half)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{KeyUse, OrgPatch};

    fn hash(key: &str, id: &str, org: &str) -> Option<AnswerHash> {
        answer_hash(&OrgUpsert {
            patch: OrgPatch { product_org_id: org.to_owned(), ..OrgPatch::default() },
            key: KeyUse { id: key.to_owned(), revision: 1 },
            request_id: String::new(),
            at: chrono::DateTime::UNIX_EPOCH,
            event_at: None,
            idempotency_id: Some(id.to_owned()).filter(|id| !id.is_empty()),
        })
    }

    #[test]
    fn key_id_and_org_each_count() {
        let one = hash("k", "id", "org").expect("an id");
        assert_eq!(hash("k", "id", "org"), Some(one));
        for other in [hash("K", "id", "org"), hash("k", "ido", "rg"), hash("ki", "d", "org"), hash("k", "id", "org2")] {
            assert!(other.is_some_and(|other| other != one));
        }
        assert_eq!(hash("k", "", "org"), None);
    }

    #[test]
    fn ids_are_visible_and_bounded() {
        for good in ["a", "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W", "é", &"é".repeat(255), "\"{}'"] {
            assert_eq!(check_idempotency_id(good), Ok(()), "{good}");
        }
        for bad in ["", " ", "a b", "a\n", "\u{0}", "\u{a0}", &"x".repeat(256)] {
            assert!(check_idempotency_id(bad).is_err(), "{bad:?}");
        }
    }
}
