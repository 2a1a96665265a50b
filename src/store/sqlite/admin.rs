//! Tokens of the admin API and the audit log. Each write is one statement, which is its own transaction.

use super::{SqliteStore, micros};
use crate::store::{AdminStore, AuditRecord, Hash, StoreError, TokenRecord, records};
use async_trait::async_trait;
use chrono::{DateTime, Utc};

const PUT_TOKEN: &str = "
    INSERT INTO admin_tokens (id, name, role, hash, created_at, expires_at, revoked_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
    ON CONFLICT (id) DO UPDATE SET name = excluded.name, role = excluded.role, hash = excluded.hash,
        created_at = excluded.created_at, expires_at = excluded.expires_at, revoked_at = excluded.revoked_at";

const REVOKE: &str = "UPDATE admin_tokens SET revoked_at = coalesce(revoked_at, ?2) WHERE id = ?1 RETURNING *";

const PUT_AUDIT: &str = "
    INSERT INTO audit (id, at, who, via, action, subject, outcome, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
    ON CONFLICT (id) DO UPDATE SET outcome = excluded.outcome, detail = excluded.detail";

const AUDIT: &str = "SELECT * FROM audit WHERE ?1 IS NULL OR id < ?1 ORDER BY id DESC LIMIT ?2";

#[async_trait]
impl AdminStore for SqliteStore {
    async fn put_token(&self, token: &TokenRecord) -> Result<(), StoreError> {
        sqlx::query(PUT_TOKEN)
            .bind(&token.id)
            .bind(&token.name)
            .bind(token.role.as_str())
            .bind(token.hash.as_slice())
            .bind(micros(token.created_at))
            .bind(token.expires_at.map(micros))
            .bind(token.revoked_at.map(micros))
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    async fn tokens(&self) -> Result<Vec<TokenRecord>, StoreError> {
        let rows = sqlx::query("SELECT * FROM admin_tokens ORDER BY created_at, id").fetch_all(&self.readers).await?;
        rows.iter().map(records::token).collect()
    }

    async fn token_by_hash(&self, hash: &Hash) -> Result<Option<TokenRecord>, StoreError> {
        let query = sqlx::query("SELECT * FROM admin_tokens WHERE hash = ?1").bind(hash.as_slice());
        query.fetch_optional(&self.readers).await?.as_ref().map(records::token).transpose()
    }

    async fn revoke_token(&self, id: &str, at: DateTime<Utc>) -> Result<Option<TokenRecord>, StoreError> {
        let query = sqlx::query(REVOKE).bind(id).bind(micros(at));
        query.fetch_optional(&self.writer).await?.as_ref().map(records::token).transpose()
    }

    async fn put_audit(&self, entry: &AuditRecord) -> Result<(), StoreError> {
        sqlx::query(PUT_AUDIT)
            .bind(&entry.id)
            .bind(micros(entry.at))
            .bind(&entry.who)
            .bind(&entry.via)
            .bind(&entry.action)
            .bind(&entry.subject)
            .bind(&entry.outcome)
            .bind(&entry.detail)
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    async fn audit(&self, before: Option<&str>, limit: u32) -> Result<Vec<AuditRecord>, StoreError> {
        let rows = sqlx::query(AUDIT).bind(before).bind(limit).fetch_all(&self.readers).await?;
        rows.iter().map(records::audit).collect()
    }

    async fn forget_audit(&self, before: DateTime<Utc>) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM audit WHERE at < ?1").bind(micros(before)).execute(&self.writer).await?;
        Ok(())
    }
}
