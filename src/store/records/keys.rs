//! API keys.

use crate::store::columns::Columns;
use crate::store::{
    EndpointType, Hash, KeyCounts, KeyRecord, PreviousText, SignatureCheck, SignatureScheme, StoreError,
};

/// Of `api_keys`.
pub(in crate::store) fn key(row: &impl Columns) -> Result<KeyRecord, StoreError> {
    let id = row.text("id")?;
    let corrupt = |what: &str| StoreError::Corrupt(format!("{what} of key {id}"));
    Ok(KeyRecord {
        id: id.to_owned(),
        name: row.text("name")?.to_owned(),
        endpoint: EndpointType::parse(row.text("endpoint")?).ok_or_else(|| corrupt("the endpoint type"))?,
        prefix: row.text("prefix")?.to_owned(),
        key_hash: optional_hash(row, "key_hash")?.ok_or_else(|| corrupt("the hash"))?,
        secret_hash: optional_hash(row, "secret_hash")?,
        template: row.optional_text("template")?.map(str::to_owned),
        created_at: row.time("created_at")?,
        expires_at: row.optional_time("expires_at")?,
        revoked_at: row.optional_time("revoked_at")?,
        last_used_at: row.optional_time("last_used_at")?,
        revision: row.number("revision")?,
        previous: previous(row)?,
        signature: signature(row)?,
        rate: row.optional_number("rate")?,
        counts: KeyCounts {
            stored: row.number("stored")?,
            ignored: row.number("ignored")?,
            rejected: row.number("rejected")?,
        },
    })
}

fn previous(row: &impl Columns) -> Result<Option<PreviousText>, StoreError> {
    let Some(key_hash) = optional_hash(row, "previous_key_hash")? else { return Ok(None) };
    Ok(Some(PreviousText {
        prefix: row.text("previous_prefix")?.to_owned(),
        key_hash,
        secret_hash: optional_hash(row, "previous_secret_hash")?,
        until: row.time("previous_until")?,
    }))
}

fn signature(row: &impl Columns) -> Result<Option<SignatureCheck>, StoreError> {
    let Some(scheme) = row.optional_text("signature_scheme")? else { return Ok(None) };
    // A check that is not understood must not become none.
    let known = SignatureScheme::parse(scheme);
    let scheme = known.ok_or_else(|| StoreError::Corrupt(format!("the signature scheme `{scheme}` of a key")))?;
    Ok(Some(SignatureCheck { scheme, secret: row.text("signature_secret")?.to_owned() }))
}

fn optional_hash(row: &impl Columns, column: &str) -> Result<Option<Hash>, StoreError> {
    let hash = |bytes: &[u8]| Hash::try_from(bytes).map_err(|_| StoreError::Corrupt(format!("the {column} of a key")));
    row.optional_bytes(column)?.map(hash).transpose()
}
