//! The state store in a schema of a Postgres database, which several processes and machines may share.
//!
//! In: a [`Server`]. Out: [`PostgresStore`], which is a [`RunStore`](super::RunStore), a [`KeyStore`](super::KeyStore) and an
//! [`OrgStore`](super::OrgStore).
//! Always holds: a write is committed, and on the server's disk, when its call returns (a session never has
//! `synchronous_commit = off`). What is read to be written anew is locked first: rows by `FOR UPDATE` in the order of their
//! ids, or the run that they belong to, so that READ COMMITTED, in which each statement sees what was committed before it,
//! loses no update of another process. Rows that do not exist yet cannot be locked: who inserts one that another process has
//! inserted meanwhile begins anew and finds it. Keys are changed behind an advisory lock that writers of orgs share (`keys`), because row locks that
//! overlap without end would never let a change through. Deadlocks and serialization failures are tried again a few times
//! ([`Tries`]); what takes too long ends as an error. A broken connection is one failed call; the pool makes another.
//! Every statement's text is constant, and a batch of any size is one statement (UNNEST).
//! Deliberately absent: who may write what, and when; anything that only works on a session of its own, but for the settings
//! that [`open`] makes on each connection.

mod admin;
mod alerts;
mod columns;
mod fires;
mod inspect;
mod keys;
mod leases;
mod open;
mod orgs;
mod progress;
mod refusals;
mod runs;
mod shares;
mod transfer;

pub use open::{Server, ServerError};

use super::{Fence, StoreError};
use sqlx::postgres::{PgArguments, PgDatabaseError, PgPool, PgRow};
use sqlx::query::Query;
use sqlx::{Postgres, Transaction};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// How long one call may take in all before it is an error: longer than the server lets a statement wait for a lock.
const ANSWER: Duration = Duration::from_secs(30);

/// Does something, and does it again where it got in the way of another transaction.
macro_rules! retried {
    ($store:expr, $work:block) => {{
        let mut tries = $crate::store::postgres::Tries::default();
        loop {
            match $store.within(async { $work }).await {
                Err($crate::store::StoreError::Busy(_)) if tries.again().await => {}
                done => break done,
            }
        }
    }};
}
use retried;

/// The state store in Postgres. A clone shares its connections.
#[derive(Debug, Clone)]
pub struct PostgresStore {
    pool: PgPool,
    /// For orgs, and nothing else.
    writing: PgPool,
    /// What runs, receipts, refusals, fires and alerts are written under.
    fences: Arc<[Fence]>,
}

impl PostgresStore {
    /// Closes the connections. A store that is dropped instead loses nothing.
    pub async fn close(&self) {
        self.writing.close().await;
        self.pool.close().await;
    }

    async fn begin(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        Ok(self.pool.begin().await?)
    }

    /// The same, to write what only the holder of a lease may: runs, receipts, refusals, fires, alerts.
    async fn begin_fenced(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        let mut transaction = self.begin().await?;
        for fence in &*self.fences {
            leases::check(&mut transaction, fence).await?;
        }
        Ok(transaction)
    }

    /// A server that is there and does not answer must not hold its caller for ever.
    async fn within<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let late =
            |_| StoreError::Database(format!("the database server has not answered within {} s", ANSWER.as_secs()));
        tokio::time::timeout(ANSWER, work).await.map_err(late)?
    }

    async fn rows(&self, query: Query<'_, Postgres, PgArguments>) -> Result<Vec<PgRow>, StoreError> {
        self.within(async { Ok(query.fetch_all(&self.pool).await?) }).await
    }

    async fn row(&self, query: Query<'_, Postgres, PgArguments>) -> Result<Option<PgRow>, StoreError> {
        self.within(async { Ok(query.fetch_optional(&self.pool).await?) }).await
    }
}

/// How often a transaction has been tried.
#[derive(Debug, Default)]
struct Tries(u32);

impl Tries {
    const MOST: u32 = 8;
    const FIRST_PAUSE: Duration = Duration::from_millis(2);

    /// Waits a little, each time for longer; `false`: it was tried often enough.
    async fn again(&mut self) -> bool {
        self.0 += 1;
        if self.0 >= Self::MOST {
            return false;
        }
        tokio::time::sleep(Self::FIRST_PAUSE * (1 << self.0)).await;
        true
    }
}

/// What the server's words mean for us. They are its primary message alone: its details would show values.
pub(super) fn said(error: &PgDatabaseError) -> StoreError {
    let message = error.message();
    match error.code() {
        "40001" | "40P01" => StoreError::Busy(message.to_owned()),
        code if is_about_the_value(code) => StoreError::Refused(message.to_owned()),
        code => StoreError::Database(match remedy(code) {
            Some(remedy) => format!("{message}; {remedy}"),
            None => message.to_owned(),
        }),
    }
}

/// Data exceptions, broken constraints, and what is more than the server can do: 22, 23, 54.
fn is_about_the_value(code: &str) -> bool {
    ["22", "23", "54"].iter().any(|class| code.starts_with(class))
}

/// What to do about an error, by its SQLSTATE (Postgres's manual, appendix "PostgreSQL Error Codes").
fn remedy(code: &str) -> Option<&'static str> {
    Some(match code {
        "25006" => "give the address of the primary in [store] url: this server, or this look at it, only reads",
        "28000" | "28P01" => "mend user and password in [store] url, or in pgpass",
        "3D000" => "create the database, or mend its name in [store] url",
        "42501" => "the user of [store] url needs CREATE on the database, or must own the schema of [store]",
        "53100" => "make room on the disk of the database server",
        "53300" => "raise the server's max_connections: each nightmark process takes up to 8",
        "55P03" | "57014" => "another process holds what it needs for long: try again once that has ended",
        "57P01" | "57P02" | "57P03" => "the server stops or starts: try again",
        _ => return None,
    })
}

/// An id that is asked for, up to a NUL: Postgres's text holds none, so that no id has one. `Err`: it has one, and what comes before
/// it is in the same place among all ids.
fn before_nul(id: &str) -> Result<&str, &str> {
    id.split_once('\0').map_or(Ok(id), |(before, _)| Err(before))
}

/// Postgres's text holds no NUL, which what a destination says may have. It is shown to people and nothing else.
fn shown(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{FFFD}")) } else { Cow::Borrowed(text) }
}
