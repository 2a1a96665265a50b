//! API keys.

use super::{SqliteStore, micros};
use crate::store::columns::signed;
use crate::store::{Hash, KeyRecord, KeyStore, KeyUses, StoreError, records};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::Sqlite;
use sqlx::sqlite::SqliteArguments;

type Query<'q> = sqlx::query::Query<'q, Sqlite, SqliteArguments>;

const PUT: &str = "
    INSERT INTO api_keys (id, revision, name, endpoint, prefix, key_hash, secret_hash, template, expires_at, revoked_at,
        previous_prefix, previous_key_hash, previous_secret_hash, previous_until, signature_scheme, signature_secret,
        rate, created_at, last_used_at, stored, ignored, rejected)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22)
    ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, name = excluded.name, endpoint = excluded.endpoint,
        prefix = excluded.prefix, key_hash = excluded.key_hash, secret_hash = excluded.secret_hash,
        template = excluded.template, expires_at = excluded.expires_at, revoked_at = excluded.revoked_at,
        previous_prefix = excluded.previous_prefix, previous_key_hash = excluded.previous_key_hash,
        previous_secret_hash = excluded.previous_secret_hash, previous_until = excluded.previous_until,
        signature_scheme = excluded.signature_scheme, signature_secret = excluded.signature_secret,
        rate = excluded.rate, created_at = excluded.created_at, last_used_at = excluded.last_used_at,
        stored = excluded.stored, ignored = excluded.ignored, rejected = excluded.rejected";

const CHANGE: &str = "
    UPDATE api_keys SET revision = revision + 1, name = ?3, endpoint = ?4, prefix = ?5, key_hash = ?6, secret_hash = ?7,
        template = ?8, expires_at = ?9, revoked_at = ?10, previous_prefix = ?11, previous_key_hash = ?12,
        previous_secret_hash = ?13, previous_until = ?14, signature_scheme = ?15, signature_secret = ?16, rate = ?17
    WHERE id = ?1 AND revision = ?2";

// On the right of SET stands what the columns were before.
const REVOKE: &str = "
    UPDATE api_keys SET revision = revision + (revoked_at IS NULL), revoked_at = coalesce(revoked_at, ?2)
    WHERE id = ?1 RETURNING *";

const COUNT: &str = "
    UPDATE api_keys SET ignored = ignored + ?2, rejected = rejected + ?3,
        last_used_at = max(coalesce(last_used_at, ?4), ?4)
    WHERE id = ?1";

#[async_trait]
impl KeyStore for SqliteStore {
    async fn put_key(&self, key: &KeyRecord) -> Result<(), StoreError> {
        bind(sqlx::query(PUT), key)
            .bind(micros(key.created_at))
            .bind(key.last_used_at.map(micros))
            .bind(signed(key.counts.stored))
            .bind(signed(key.counts.ignored))
            .bind(signed(key.counts.rejected))
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    async fn keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        let rows = sqlx::query("SELECT * FROM api_keys ORDER BY created_at, id").fetch_all(&self.readers).await?;
        rows.iter().map(records::key).collect()
    }

    async fn key(&self, id: &str) -> Result<Option<KeyRecord>, StoreError> {
        let row = sqlx::query("SELECT * FROM api_keys WHERE id = ?1").bind(id).fetch_optional(&self.readers).await?;
        row.as_ref().map(records::key).transpose()
    }

    async fn key_by_hash(&self, hash: &Hash) -> Result<Option<KeyRecord>, StoreError> {
        let row = sqlx::query("SELECT * FROM api_keys WHERE key_hash = ?1 OR previous_key_hash = ?1")
            .bind(hash.as_slice())
            .fetch_optional(&self.readers)
            .await?;
        row.as_ref().map(records::key).transpose()
    }

    async fn change_key(&self, key: &KeyRecord) -> Result<bool, StoreError> {
        Ok(bind(sqlx::query(CHANGE), key).execute(&self.writer).await?.rows_affected() > 0)
    }

    async fn revoke_key(&self, id: &str, at: DateTime<Utc>) -> Result<Option<KeyRecord>, StoreError> {
        let mut transaction = self.begin().await?;
        let row = sqlx::query(REVOKE).bind(id).bind(micros(at)).fetch_optional(&mut *transaction).await?;
        transaction.commit().await?;
        row.as_ref().map(records::key).transpose()
    }

    async fn count_uses(&self, uses: &[KeyUses]) -> Result<(), StoreError> {
        if uses.is_empty() {
            return Ok(());
        }
        let mut transaction = self.begin().await?;
        for used in uses {
            sqlx::query(COUNT)
                .bind(&used.key_id)
                .bind(signed(used.ignored))
                .bind(signed(used.rejected))
                .bind(micros(used.last_used_at))
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await
    }
}

/// What [`PUT`] and [`CHANGE`] begin with.
fn bind<'q>(query: Query<'q>, key: &'q KeyRecord) -> Query<'q> {
    let (previous, signature) = (key.previous.as_ref(), key.signature.as_ref());
    query
        .bind(&key.id)
        .bind(key.revision)
        .bind(&key.name)
        .bind(key.endpoint.as_str())
        .bind(&key.prefix)
        .bind(key.key_hash.as_slice())
        .bind(key.secret_hash.as_ref().map(Hash::as_slice))
        .bind(&key.template)
        .bind(key.expires_at.map(micros))
        .bind(key.revoked_at.map(micros))
        .bind(previous.map(|previous| previous.prefix.as_str()))
        .bind(previous.map(|previous| previous.key_hash.as_slice()))
        .bind(previous.and_then(|previous| previous.secret_hash.as_ref()).map(Hash::as_slice))
        .bind(previous.map(|previous| micros(previous.until)))
        .bind(signature.map(|signature| signature.scheme.as_str()))
        .bind(signature.map(|signature| signature.secret.as_str()))
        .bind(key.rate)
}
