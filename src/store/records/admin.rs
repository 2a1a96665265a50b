//! Tokens of the admin API and the audit log.

use crate::store::columns::Columns;
use crate::store::{AuditRecord, Hash, Role, StoreError, TokenRecord};

/// Of `admin_tokens`.
pub(in crate::store) fn token(row: &impl Columns) -> Result<TokenRecord, StoreError> {
    let role = row.text("role")?;
    Ok(TokenRecord {
        id: row.text("id")?.to_owned(),
        name: row.text("name")?.to_owned(),
        role: Role::ALL
            .into_iter()
            .find(|known| known.as_str() == role)
            .ok_or_else(|| StoreError::Corrupt(format!("the role of a token `{role}`")))?,
        hash: hash(row.optional_bytes("hash")?)?,
        created_at: row.time("created_at")?,
        expires_at: row.optional_time("expires_at")?,
        revoked_at: row.optional_time("revoked_at")?,
    })
}

fn hash(bytes: Option<&[u8]>) -> Result<Hash, StoreError> {
    bytes
        .and_then(|bytes| Hash::try_from(bytes).ok())
        .ok_or_else(|| StoreError::Corrupt("the hash of a token".to_owned()))
}

/// Of `audit`.
pub(in crate::store) fn audit(row: &impl Columns) -> Result<AuditRecord, StoreError> {
    let optional = |column| Ok::<_, StoreError>(row.optional_text(column)?.map(str::to_owned));
    Ok(AuditRecord {
        id: row.text("id")?.to_owned(),
        at: row.time("at")?,
        who: row.text("who")?.to_owned(),
        via: row.text("via")?.to_owned(),
        action: row.text("action")?.to_owned(),
        subject: optional("subject")?,
        outcome: optional("outcome")?,
        detail: optional("detail")?,
    })
}
