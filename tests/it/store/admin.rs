//! What every store must do with tokens of the operator's address and its audit log.

use super::at;
use nightmark::store::{AdminStore, AuditRecord, Role, TokenRecord};

fn token(id: &str, hash: u8, created: i64) -> TokenRecord {
    TokenRecord {
        id: id.to_owned(),
        name: "Zoë \"ops\"".to_owned(),
        role: Role::Operator,
        hash: [hash; 32],
        created_at: at(created),
        expires_at: None,
        revoked_at: None,
    }
}

fn entry(id: &str, second: i64) -> AuditRecord {
    AuditRecord {
        id: id.to_owned(),
        at: at(second),
        who: "Zoë".to_owned(),
        via: "admin API".to_owned(),
        action: "approve".to_owned(),
        subject: Some("orgs".to_owned()),
        outcome: None,
        detail: None,
    }
}

pub async fn conform(store: &impl AdminStore) {
    assert_eq!(store.tokens().await.unwrap(), []);
    let first = TokenRecord { expires_at: Some(at(100)), ..token("token_b", 1, 1) };
    store.put_token(&first).await.unwrap();
    store.put_token(&first).await.unwrap();
    let second = TokenRecord { role: Role::Admin, ..token("token_a", 2, 2) };
    store.put_token(&second).await.unwrap();
    let third = TokenRecord { role: Role::Viewer, ..token("token_c", 3, 2) };
    store.put_token(&third).await.unwrap();
    assert_eq!(store.tokens().await.unwrap(), [first.clone(), second.clone(), third]);
    assert_eq!(store.token_by_hash(&[2; 32]).await.unwrap(), Some(second));
    assert_eq!(store.token_by_hash(&[9; 32]).await.unwrap(), None);
    // No two have one hash.
    assert!(store.put_token(&token("token_d", 1, 5)).await.is_err());

    // Once for good.
    let revoked = TokenRecord { revoked_at: Some(at(50)), ..first };
    assert_eq!(store.revoke_token("token_b", at(50)).await.unwrap(), Some(revoked.clone()));
    assert_eq!(store.revoke_token("token_b", at(60)).await.unwrap(), Some(revoked.clone()));
    assert_eq!(store.token_by_hash(&[1; 32]).await.unwrap(), Some(revoked.clone()));
    assert_eq!(store.revoke_token("token_z", at(60)).await.unwrap(), None);
    assert!(!revoked.is_valid(at(0)) && token("t", 1, 0).is_valid(at(0)));

    // What came of it is added; what was done, by whom and when stays.
    store.put_audit(&entry("01B", 10)).await.unwrap();
    let ended = AuditRecord { outcome: Some("done".into()), detail: Some("run 1".into()), ..entry("01B", 10) };
    let other = AuditRecord { who: "another".into(), action: "discard".into(), at: at(99), ..ended.clone() };
    store.put_audit(&other).await.unwrap();
    let later = AuditRecord { subject: None, ..entry("01C", 30) };
    store.put_audit(&later).await.unwrap();
    store.put_audit(&entry("01A", 5)).await.unwrap();
    let ids = async |before, limit| {
        let entries = store.audit(before, limit).await.unwrap();
        entries.into_iter().map(|entry| entry.id).collect::<Vec<_>>()
    };
    assert_eq!(store.audit(None, 2).await.unwrap(), [later, ended]);
    assert_eq!(ids(None, 10).await, ["01C", "01B", "01A"]);
    assert_eq!(ids(Some("01C"), 1).await, ["01B"]);
    assert_eq!(ids(Some("01A"), 10).await, Vec::<String>::new());
    store.forget_audit(at(10)).await.unwrap();
    assert_eq!(ids(None, 10).await, ["01C", "01B"]);
}
