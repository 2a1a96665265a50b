//! API keys.

use super::{SqliteStore, micros, optional_time_at, time_at};
use crate::store::{EndpointType, Hash, KeyRecord, KeyStore, StoreError};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

const PUT_KEY: &str = "
    INSERT INTO api_keys (id, name, endpoint, prefix, key_hash, secret_hash, template, created_at, expires_at,
        revoked_at, last_used_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
    ON CONFLICT (id) DO UPDATE SET name = excluded.name, endpoint = excluded.endpoint, prefix = excluded.prefix,
        key_hash = excluded.key_hash, secret_hash = excluded.secret_hash, template = excluded.template,
        created_at = excluded.created_at, expires_at = excluded.expires_at, revoked_at = excluded.revoked_at,
        last_used_at = excluded.last_used_at";

const REVOKE: &str = "UPDATE api_keys SET revoked_at = coalesce(revoked_at, ?2) WHERE id = ?1 RETURNING *";

#[async_trait]
impl KeyStore for SqliteStore {
    async fn put_key(&self, key: &KeyRecord) -> Result<(), StoreError> {
        sqlx::query(PUT_KEY)
            .bind(&key.id)
            .bind(&key.name)
            .bind(key.endpoint.as_str())
            .bind(&key.prefix)
            .bind(key.key_hash.as_slice())
            .bind(key.secret_hash.as_ref().map(Hash::as_slice))
            .bind(&key.template)
            .bind(micros(key.created_at))
            .bind(key.expires_at.map(micros))
            .bind(key.revoked_at.map(micros))
            .bind(key.last_used_at.map(micros))
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    async fn keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        let rows = sqlx::query("SELECT * FROM api_keys ORDER BY created_at, id").fetch_all(&self.readers).await?;
        rows.iter().map(record).collect()
    }

    async fn key_by_hash(&self, hash: &Hash) -> Result<Option<KeyRecord>, StoreError> {
        let row = sqlx::query("SELECT * FROM api_keys WHERE key_hash = ?1")
            .bind(hash.as_slice())
            .fetch_optional(&self.readers)
            .await?;
        row.as_ref().map(record).transpose()
    }

    async fn revoke_key(&self, id: &str, at: DateTime<Utc>) -> Result<Option<KeyRecord>, StoreError> {
        let mut transaction = self.begin().await?;
        let row = sqlx::query(REVOKE).bind(id).bind(micros(at)).fetch_optional(&mut *transaction).await?;
        transaction.commit().await?;
        row.as_ref().map(record).transpose()
    }
}

fn record(row: &SqliteRow) -> Result<KeyRecord, StoreError> {
    let id: String = row.try_get("id")?;
    let endpoint: &str = row.try_get("endpoint")?;
    let endpoint = EndpointType::parse(endpoint)
        .ok_or_else(|| StoreError::Corrupt(format!("the endpoint type `{endpoint}` of key {id}")))?;
    let hash = |bytes: &[u8]| Hash::try_from(bytes).map_err(|_| StoreError::Corrupt(format!("a hash of key {id}")));
    Ok(KeyRecord {
        name: row.try_get("name")?,
        endpoint,
        prefix: row.try_get("prefix")?,
        key_hash: hash(row.try_get("key_hash")?)?,
        secret_hash: row.try_get::<Option<&[u8]>, _>("secret_hash")?.map(hash).transpose()?,
        template: row.try_get("template")?,
        created_at: time_at(row, "created_at")?,
        expires_at: optional_time_at(row, "expires_at")?,
        revoked_at: optional_time_at(row, "revoked_at")?,
        last_used_at: optional_time_at(row, "last_used_at")?,
        id,
    })
}
