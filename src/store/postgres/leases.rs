//! Leases. The server's clock says when one has run out. Whoever writes under a fence holds its row (FOR KEY SHARE) until the write is committed, so that a
//! taking, which asks for it FOR UPDATE, comes before all of the write or after it. A process that stands still in such a write keeps nobody from keeping the lease up.

use super::{PostgresStore, retried, shown};
use crate::store::columns::Columns as _;
use crate::store::{Asking, Fence, LeaseRecord, LeaseStore, StateStore, StoreError, records};
use async_trait::async_trait;
use sqlx::PgConnection;
use std::sync::Arc;
use std::time::Duration;

// Stronger than what writers hold: a taking waits for them. Keeping a lease up changes no key, and waits for nobody.
const LOCK: &str = "SELECT epoch FROM leases WHERE name = $1 FOR UPDATE";

const TAKE: &str = "
    UPDATE leases SET holder = $2, what = $3, epoch = epoch + 1, taken_at = clock_timestamp(),
        until = clock_timestamp() + make_interval(secs => $4), parent = $5, parent_epoch = $6
    WHERE name = $1 AND (until <= clock_timestamp() OR epoch = $7)
    RETURNING epoch";

const FIRST: &str = "
    INSERT INTO leases (name, holder, what, epoch, taken_at, until, parent, parent_epoch)
    VALUES ($1, $2, $3, 1, clock_timestamp(), clock_timestamp() + make_interval(secs => $4), $5, $6)
    ON CONFLICT (name) DO NOTHING
    RETURNING epoch";

const KEEP: &str = "
    UPDATE leases SET until = clock_timestamp() + make_interval(secs => $3)
    WHERE name = $1 AND epoch = $2 AND until > clock_timestamp()
        AND (parent IS NULL OR EXISTS (
            SELECT 1 FROM leases AS above WHERE above.name = leases.parent AND above.epoch = leases.parent_epoch))";

const CHILDREN: &str = "
    SELECT count(*) AS children FROM leases WHERE parent = $1 AND parent_epoch <= $2 AND until > clock_timestamp()";

const FORGET_CHILDREN: &str = "
    DELETE FROM leases WHERE parent = $1 AND parent_epoch <= $2 AND until <= clock_timestamp()";

const END: &str =
    "UPDATE leases SET until = clock_timestamp() WHERE name = $1 AND epoch = $2 AND until > clock_timestamp()";

#[async_trait]
impl LeaseStore for PostgresStore {
    async fn take_lease(&self, asking: &Asking<'_>) -> Result<Result<Fence, LeaseRecord>, StoreError> {
        retried!(self, {
            let mut transaction = self.begin().await?;
            if let Some(parent) = asking.parent {
                check(&mut transaction, parent).await?;
            }
            loop {
                let is_known = lock(&mut transaction, asking.name).await?;
                let mut take = sqlx::query(if is_known { TAKE } else { FIRST })
                    .bind(asking.name)
                    .bind(shown(asking.holder))
                    .bind(shown(asking.what))
                    .bind(asking.length.as_secs_f64())
                    .bind(asking.parent.map(|parent| &parent.name))
                    .bind(asking.parent.map(|parent| parent.epoch));
                if is_known {
                    take = take.bind(asking.own);
                }
                let taken = take.fetch_optional(&mut *transaction).await?;
                if let Some(row) = taken {
                    transaction.commit().await?;
                    return Ok(Ok(Fence { name: asking.name.to_owned(), epoch: row.number("epoch")? }));
                }
                let held = sqlx::query("SELECT * FROM leases WHERE name = $1 AND until > clock_timestamp()");
                // It may have run out meanwhile.
                if let Some(row) = held.bind(asking.name).fetch_optional(&mut *transaction).await? {
                    return Ok(Err(records::lease(&row)?));
                }
            }
        })
    }

    async fn keep_lease(&self, fence: &Fence, length: Duration) -> Result<bool, StoreError> {
        let keep = sqlx::query(KEEP).bind(&fence.name).bind(fence.epoch).bind(length.as_secs_f64());
        self.within(async { Ok(keep.execute(&self.pool).await?.rows_affected() > 0) }).await
    }

    async fn end_lease(&self, fence: &Fence) -> Result<(), StoreError> {
        let end = sqlx::query(END).bind(&fence.name).bind(fence.epoch);
        self.within(async { Ok(end.execute(&self.pool).await.map(|_| ())?) }).await
    }

    async fn leases(&self) -> Result<Vec<LeaseRecord>, StoreError> {
        let rows = self.rows(sqlx::query("SELECT * FROM leases WHERE until > clock_timestamp() ORDER BY name")).await?;
        rows.iter().map(records::lease).collect()
    }

    async fn children(&self, parent: &Fence) -> Result<u64, StoreError> {
        let query = sqlx::query(CHILDREN).bind(&parent.name).bind(parent.epoch);
        self.row(query).await?.map_or(Ok(0), |row| row.number("children"))
    }

    async fn forget_children(&self, parent: &Fence) -> Result<(), StoreError> {
        let forget = sqlx::query(FORGET_CHILDREN).bind(&parent.name).bind(parent.epoch);
        self.within(async { Ok(forget.execute(&self.pool).await.map(|_| ())?) }).await
    }

    fn fenced(&self, fences: &[Fence]) -> Arc<dyn StateStore> {
        Arc::new(PostgresStore { fences: fences.into(), ..self.clone() })
    }
}

/// Lets what is being written under a lease end first, and keeps anything else from being written under it until the transaction's end; `false`: there is no such lease.
pub(super) async fn lock(connection: &mut PgConnection, name: &str) -> Result<bool, StoreError> {
    Ok(sqlx::query(LOCK).bind(name).fetch_optional(connection).await?.is_some())
}

/// Lets the transaction go on if nobody has taken the lease since, and lets nobody take it before its end.
pub(super) async fn check(connection: &mut PgConnection, fence: &Fence) -> Result<(), StoreError> {
    let query = "SELECT epoch FROM leases WHERE name = $1 FOR KEY SHARE";
    let epoch: Option<i64> = sqlx::query_scalar(query).bind(&fence.name).fetch_optional(connection).await?;
    match epoch == Some(fence.epoch) {
        true => Ok(()),
        false => Err(StoreError::LeaseLost(fence.name.clone())),
    }
}
