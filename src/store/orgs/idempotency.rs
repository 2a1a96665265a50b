//! What makes an update a repeat of an earlier one.

use super::OrgUpsert;
use sha2::{Digest, Sha256};

/// Half a SHA-256, so that the record of an update has the same small size whatever its sender calls it. Two that fall together by
/// chance would need some 2⁶⁴ updates.
pub type AnswerHash = [u8; 16];

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
}
