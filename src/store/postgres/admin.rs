//! Tokens of the admin API and the audit log. Each write is one statement, which is its own transaction.

use super::columns::Moment;
use super::{PostgresStore, retried, shown};
use crate::store::{AdminStore, AuditRecord, Hash, StoreError, TokenRecord, records};
use async_trait::async_trait;
use chrono::{DateTime, Utc};

const PUT_TOKEN: &str = "
    INSERT INTO admin_tokens (id, name, role, hash, created_at, expires_at, revoked_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (id) DO UPDATE SET name = excluded.name, role = excluded.role, hash = excluded.hash,
        created_at = excluded.created_at, expires_at = excluded.expires_at, revoked_at = excluded.revoked_at";

const REVOKE: &str = "UPDATE admin_tokens SET revoked_at = coalesce(revoked_at, $2) WHERE id = $1 RETURNING *";

const PUT_AUDIT: &str = "
    INSERT INTO audit (id, at, who, via, action, subject, outcome, detail) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT (id) DO UPDATE SET outcome = excluded.outcome, detail = excluded.detail";

const AUDIT: &str = "SELECT * FROM audit WHERE $1 IS NULL OR id < $1 ORDER BY id DESC LIMIT $2";

#[async_trait]
impl AdminStore for PostgresStore {
    async fn put_token(&self, token: &TokenRecord) -> Result<(), StoreError> {
        retried!(self, {
            sqlx::query(PUT_TOKEN)
                .bind(&token.id)
                .bind(shown(&token.name))
                .bind(token.role.as_str())
                .bind(token.hash.as_slice())
                .bind(Moment(token.created_at))
                .bind(token.expires_at.map(Moment))
                .bind(token.revoked_at.map(Moment))
                .execute(&self.pool)
                .await?;
            Ok(())
        })
    }

    async fn tokens(&self) -> Result<Vec<TokenRecord>, StoreError> {
        let rows = self.rows(sqlx::query("SELECT * FROM admin_tokens ORDER BY created_at, id")).await?;
        rows.iter().map(records::token).collect()
    }

    async fn token_by_hash(&self, hash: &Hash) -> Result<Option<TokenRecord>, StoreError> {
        let query = sqlx::query("SELECT * FROM admin_tokens WHERE hash = $1").bind(hash.as_slice());
        self.rows(query).await?.first().map(records::token).transpose()
    }

    async fn revoke_token(&self, id: &str, at: DateTime<Utc>) -> Result<Option<TokenRecord>, StoreError> {
        retried!(self, {
            let query = sqlx::query(REVOKE).bind(id).bind(Moment(at));
            query.fetch_optional(&self.pool).await?.as_ref().map(records::token).transpose()
        })
    }

    async fn put_audit(&self, entry: &AuditRecord) -> Result<(), StoreError> {
        retried!(self, {
            sqlx::query(PUT_AUDIT)
                .bind(&entry.id)
                .bind(Moment(entry.at))
                .bind(shown(&entry.who))
                .bind(&entry.via)
                .bind(&entry.action)
                .bind(entry.subject.as_deref().map(shown))
                .bind(&entry.outcome)
                .bind(entry.detail.as_deref().map(shown))
                .execute(&self.pool)
                .await?;
            Ok(())
        })
    }

    async fn audit(&self, before: Option<&str>, limit: u32) -> Result<Vec<AuditRecord>, StoreError> {
        let rows = self.rows(sqlx::query(AUDIT).bind(before).bind(i64::from(limit))).await?;
        rows.iter().map(records::audit).collect()
    }

    async fn forget_audit(&self, before: DateTime<Utc>) -> Result<(), StoreError> {
        retried!(self, {
            sqlx::query("DELETE FROM audit WHERE at < $1").bind(Moment(before)).execute(&self.pool).await?;
            Ok(())
        })
    }
}
