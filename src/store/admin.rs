//! Who may use the operator's address, and who did what.

use super::{Hash, StoreError};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

/// What a token allows; a later one allows what those before it do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// To look.
    Viewer,
    /// To begin runs and to decide on those that are held.
    Operator,
    /// To make and revoke keys, and to read the audit log.
    Admin,
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 3] = [Role::Viewer, Role::Operator, Role::Admin];

    /// The name that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }
    }
}

/// A token of the admin API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TokenRecord {
    /// What `tokens revoke` takes.
    pub id: String,
    /// Whose it is: what stands in the audit log.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// SHA-256 of the whole token.
    #[serde(skip)]
    pub hash: Hash,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// From when on it is no longer valid.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
}

impl TokenRecord {
    /// Whether it lets anybody in now.
    pub fn is_valid(&self, now: DateTime<Utc>) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

/// Something that somebody did, or tried to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AuditRecord {
    /// A ULID.
    pub id: String,
    /// When it was begun.
    pub at: DateTime<Utc>,
    /// The name of a token, or what else is known of who it was.
    pub who: String,
    /// `admin API`, `page` or `command line`.
    pub via: String,
    /// What, such as `approve`.
    pub action: String,
    /// With what: a job, a key, a token.
    pub subject: Option<String>,
    /// `done`, or `refused`; `null`: it was begun, and that is all that is known.
    pub outcome: Option<String>,
    /// Which run or key it was, or why it was refused; without secrets.
    pub detail: Option<String>,
}

/// Tokens and the audit log.
#[async_trait]
pub trait AdminStore: Send + Sync {
    /// Adds a token; one of the same id is replaced.
    async fn put_token(&self, token: &TokenRecord) -> Result<(), StoreError>;
    /// All tokens, the oldest first.
    async fn tokens(&self) -> Result<Vec<TokenRecord>, StoreError>;
    /// The token that has this hash, whatever its state.
    async fn token_by_hash(&self, hash: &Hash) -> Result<Option<TokenRecord>, StoreError>;
    /// Revokes a token and returns it as it then is; one that was revoked before keeps its time. `None`: there is none.
    async fn revoke_token(&self, id: &str, at: DateTime<Utc>) -> Result<Option<TokenRecord>, StoreError>;
    /// Adds an entry; of one of the same id, what came of it is replaced, and nothing else.
    async fn put_audit(&self, entry: &AuditRecord) -> Result<(), StoreError>;
    /// The newest entries first, those before the id `before`, at most `limit`.
    async fn audit(&self, before: Option<&str>, limit: u32) -> Result<Vec<AuditRecord>, StoreError>;
    /// Forgets the entries that are older.
    async fn forget_audit(&self, before: DateTime<Utc>) -> Result<(), StoreError>;
}
