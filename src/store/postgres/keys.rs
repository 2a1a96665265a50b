//! API keys. A change is one statement that looks at what it changes; counts are kept apart (migration 0002).
//!
//! Updates of orgs hold their key against changes for as long as they take. Postgres lets a row lock that is shared be joined past whoever waits
//! to change the row, so under the load of several receivers a revocation would wait for ever. Its advisory locks are served in their order:
//! updates share that of their key ([`orgs`](super::orgs)), a change has it for itself, and whoever comes later waits behind it.

use super::columns::Moment;
use super::{PostgresStore, before_nul, retried};
use crate::store::columns::signed;
use crate::store::{Hash, KeyRecord, KeyStore, KeyUses, StoreError, records};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::postgres::PgArguments;
use sqlx::{Postgres, Transaction};

type Query<'q> = sqlx::query::Query<'q, Postgres, PgArguments>;

const PUT: &str = "
    INSERT INTO api_keys (id, revision, name, endpoint, prefix, key_hash, secret_hash, template, expires_at, revoked_at,
        previous_prefix, previous_key_hash, previous_secret_hash, previous_until, signature_scheme, signature_secret,
        rate, created_at, last_used_at, stored, ignored, rejected)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)
    ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, name = excluded.name, endpoint = excluded.endpoint,
        prefix = excluded.prefix, key_hash = excluded.key_hash, secret_hash = excluded.secret_hash,
        template = excluded.template, expires_at = excluded.expires_at, revoked_at = excluded.revoked_at,
        previous_prefix = excluded.previous_prefix, previous_key_hash = excluded.previous_key_hash,
        previous_secret_hash = excluded.previous_secret_hash, previous_until = excluded.previous_until,
        signature_scheme = excluded.signature_scheme, signature_secret = excluded.signature_secret,
        rate = excluded.rate, created_at = excluded.created_at, last_used_at = excluded.last_used_at,
        stored = excluded.stored, ignored = excluded.ignored, rejected = excluded.rejected";

const CHANGE: &str = "
    UPDATE api_keys SET revision = revision + 1, name = $3, endpoint = $4, prefix = $5, key_hash = $6, secret_hash = $7,
        template = $8, expires_at = $9, revoked_at = $10, previous_prefix = $11, previous_key_hash = $12,
        previous_secret_hash = $13, previous_until = $14, signature_scheme = $15, signature_secret = $16, rate = $17
    WHERE id = $1 AND revision = $2";

// Of two that revoke it at once the second finds it revoked, and changes nothing.
const REVOKE: &str =
    "UPDATE api_keys SET revision = revision + 1, revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";

/// Before a change: waits for the updates that are being written with the key. Its statement must be of its own, so that the next one
/// sees what they have done.
const GATE: &str = "SELECT pg_advisory_xact_lock(hashtext('nightmark key'), hashtext($1))";

// Several keys in the order of their ids, so that two processes do not hold what the other needs.
const COUNT: &str = "
    INSERT INTO api_key_uses (key_id, slot, stored, ignored, rejected, last_used_at)
    SELECT k.id, pg_backend_pid() % 16, 0, sum(u.ignored)::bigint, sum(u.rejected)::bigint, max(u.last_used_at)
    FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::timestamptz[]) AS u (key_id, ignored, rejected, last_used_at)
    JOIN api_keys AS k ON k.id = u.key_id
    GROUP BY k.id ORDER BY k.id
    ON CONFLICT (key_id, slot) DO UPDATE SET ignored = api_key_uses.ignored + excluded.ignored,
        rejected = api_key_uses.rejected + excluded.rejected,
        last_used_at = greatest(api_key_uses.last_used_at, excluded.last_used_at)";

#[async_trait]
impl KeyStore for PostgresStore {
    async fn put_key(&self, key: &KeyRecord) -> Result<(), StoreError> {
        retried!(self, {
            let mut transaction = self.begin_change(&key.id).await?;
            bind(sqlx::query(PUT), key)
                .bind(Moment(key.created_at))
                .bind(key.last_used_at.map(Moment))
                .bind(signed(key.counts.stored))
                .bind(signed(key.counts.ignored))
                .bind(signed(key.counts.rejected))
                .execute(&mut *transaction)
                .await?;
            // The record as given has them all.
            let drop = "DELETE FROM api_key_uses WHERE key_id = $1";
            sqlx::query(drop).bind(&key.id).execute(&mut *transaction).await?;
            Ok(transaction.commit().await?)
        })
    }

    async fn keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        let rows = self.rows(sqlx::query("SELECT * FROM api_key_records ORDER BY created_at, id")).await?;
        rows.iter().map(records::key).collect()
    }

    async fn key(&self, id: &str) -> Result<Option<KeyRecord>, StoreError> {
        let Ok(id) = before_nul(id) else { return Ok(None) };
        let row = self.row(sqlx::query("SELECT * FROM api_key_records WHERE id = $1").bind(id)).await?;
        row.as_ref().map(records::key).transpose()
    }

    async fn key_by_hash(&self, hash: &Hash) -> Result<Option<KeyRecord>, StoreError> {
        let query = "SELECT * FROM api_key_records WHERE key_hash = $1 OR previous_key_hash = $1";
        let row = self.row(sqlx::query(query).bind(hash.as_slice())).await?;
        row.as_ref().map(records::key).transpose()
    }

    async fn change_key(&self, key: &KeyRecord) -> Result<bool, StoreError> {
        retried!(self, {
            let mut transaction = self.begin_change(&key.id).await?;
            let changed = bind(sqlx::query(CHANGE), key).execute(&mut *transaction).await?.rows_affected() > 0;
            transaction.commit().await?;
            Ok(changed)
        })
    }

    async fn revoke_key(&self, id: &str, at: DateTime<Utc>) -> Result<Option<KeyRecord>, StoreError> {
        let Ok(id) = before_nul(id) else { return Ok(None) };
        retried!(self, {
            let mut transaction = self.begin_change(id).await?;
            sqlx::query(REVOKE).bind(id).bind(Moment(at)).execute(&mut *transaction).await?;
            Ok(transaction.commit().await?)
        })?;
        self.key(id).await
    }

    async fn count_uses(&self, uses: &[KeyUses]) -> Result<(), StoreError> {
        if uses.is_empty() {
            return Ok(());
        }
        retried!(self, {
            sqlx::query(COUNT)
                .bind(uses.iter().map(|of| of.key_id.as_str()).collect::<Vec<_>>())
                .bind(uses.iter().map(|of| signed(of.ignored)).collect::<Vec<_>>())
                .bind(uses.iter().map(|of| signed(of.rejected)).collect::<Vec<_>>())
                .bind(uses.iter().map(|of| Moment(of.last_used_at)).collect::<Vec<_>>())
                .execute(&self.pool)
                .await?;
            Ok(())
        })
    }
}

impl PostgresStore {
    /// A transaction in which nobody else changes the key or writes with it.
    async fn begin_change(&self, id: &str) -> Result<Transaction<'static, Postgres>, StoreError> {
        let mut transaction = self.begin().await?;
        sqlx::query(GATE).bind(id).execute(&mut *transaction).await?;
        Ok(transaction)
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
        .bind(key.expires_at.map(Moment))
        .bind(key.revoked_at.map(Moment))
        .bind(previous.map(|previous| previous.prefix.as_str()))
        .bind(previous.map(|previous| previous.key_hash.as_slice()))
        .bind(previous.and_then(|previous| previous.secret_hash.as_ref()).map(Hash::as_slice))
        .bind(previous.map(|previous| Moment(previous.until)))
        .bind(signature.map(|signature| signature.scheme.as_str()))
        .bind(signature.map(|signature| signature.secret.as_str()))
        .bind(key.rate.map(i64::from))
}
