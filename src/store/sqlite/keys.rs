//! API keys.

use super::{SqliteStore, micros, optional_time_at, time_at};
use crate::store::{
    EndpointType, Hash, KeyCounts, KeyRecord, KeyStore, KeyUses, PreviousText, SignatureCheck, SignatureScheme,
    StoreError,
};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Row, Sqlite};

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
        rows.iter().map(record).collect()
    }

    async fn key(&self, id: &str) -> Result<Option<KeyRecord>, StoreError> {
        let row = sqlx::query("SELECT * FROM api_keys WHERE id = ?1").bind(id).fetch_optional(&self.readers).await?;
        row.as_ref().map(record).transpose()
    }

    async fn key_by_hash(&self, hash: &Hash) -> Result<Option<KeyRecord>, StoreError> {
        let row = sqlx::query("SELECT * FROM api_keys WHERE key_hash = ?1 OR previous_key_hash = ?1")
            .bind(hash.as_slice())
            .fetch_optional(&self.readers)
            .await?;
        row.as_ref().map(record).transpose()
    }

    async fn change_key(&self, key: &KeyRecord) -> Result<bool, StoreError> {
        Ok(bind(sqlx::query(CHANGE), key).execute(&self.writer).await?.rows_affected() > 0)
    }

    async fn revoke_key(&self, id: &str, at: DateTime<Utc>) -> Result<Option<KeyRecord>, StoreError> {
        let mut transaction = self.begin().await?;
        let row = sqlx::query(REVOKE).bind(id).bind(micros(at)).fetch_optional(&mut *transaction).await?;
        transaction.commit().await?;
        row.as_ref().map(record).transpose()
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
        Ok(transaction.commit().await?)
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

fn record(row: &SqliteRow) -> Result<KeyRecord, StoreError> {
    let id: String = row.try_get("id")?;
    let corrupt = |what: &str| StoreError::Corrupt(format!("{what} of key {id}"));
    let endpoint = EndpointType::parse(row.try_get("endpoint")?).ok_or_else(|| corrupt("the endpoint type"))?;
    Ok(KeyRecord {
        name: row.try_get("name")?,
        endpoint,
        prefix: row.try_get("prefix")?,
        key_hash: optional_hash(row, "key_hash")?.ok_or_else(|| corrupt("the hash"))?,
        secret_hash: optional_hash(row, "secret_hash")?,
        template: row.try_get("template")?,
        created_at: time_at(row, "created_at")?,
        expires_at: optional_time_at(row, "expires_at")?,
        revoked_at: optional_time_at(row, "revoked_at")?,
        last_used_at: optional_time_at(row, "last_used_at")?,
        revision: row.try_get("revision")?,
        previous: previous(row)?,
        signature: signature(row)?,
        rate: row.try_get("rate")?,
        counts: KeyCounts {
            stored: count(row, "stored")?,
            ignored: count(row, "ignored")?,
            rejected: count(row, "rejected")?,
        },
        id,
    })
}

fn previous(row: &SqliteRow) -> Result<Option<PreviousText>, StoreError> {
    let Some(key_hash) = optional_hash(row, "previous_key_hash")? else { return Ok(None) };
    Ok(Some(PreviousText {
        prefix: row.try_get("previous_prefix")?,
        key_hash,
        secret_hash: optional_hash(row, "previous_secret_hash")?,
        until: time_at(row, "previous_until")?,
    }))
}

fn signature(row: &SqliteRow) -> Result<Option<SignatureCheck>, StoreError> {
    let Some(scheme) = row.try_get::<Option<&str>, _>("signature_scheme")? else { return Ok(None) };
    // A check that is not understood must not become none.
    let known = SignatureScheme::parse(scheme);
    let scheme = known.ok_or_else(|| StoreError::Corrupt(format!("the signature scheme `{scheme}` of a key")))?;
    Ok(Some(SignatureCheck { scheme, secret: row.try_get("signature_secret")? }))
}

fn optional_hash(row: &SqliteRow, column: &str) -> Result<Option<Hash>, StoreError> {
    let hash = |bytes: &[u8]| Hash::try_from(bytes).map_err(|_| StoreError::Corrupt(format!("the {column} of a key")));
    row.try_get::<Option<&[u8]>, _>(column)?.map(hash).transpose()
}

fn count(row: &SqliteRow, column: &str) -> Result<u64, StoreError> {
    u64::try_from(row.try_get::<i64, _>(column)?).map_err(|_| StoreError::Corrupt(format!("the {column} of a key")))
}

/// SQLite's integers have a sign.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
