//! Shared deliveries. Whoever gives out or ends a chunk holds the row of its offer, so that chunks are given out one after the other.

use super::columns::Moment;
use super::{PostgresStore, leases, progress, retried};
use crate::store::columns::{Columns as _, signed};
use crate::store::{Fence, Offer, ShareState, ShareStore, StoreError, records};
use async_trait::async_trait;
use sqlx::PgConnection;

const PUT: &str = "
    INSERT INTO shares (run_id, job, fleet, epoch, total, chunk_rows, places, plan, at, open)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, true)";

const PUT_CHUNKS: &str = "INSERT INTO share_chunks (run_id, chunk) SELECT $1, generate_series(0, $2 - 1)";

const OFFERS: &str = "
    SELECT shares.* FROM shares JOIN leases ON leases.name = 'job/' || shares.job AND leases.epoch = shares.epoch
    WHERE shares.fleet = $1 AND shares.open AND leases.until > clock_timestamp()
        AND EXISTS (SELECT 1 FROM share_chunks WHERE share_chunks.run_id = shares.run_id AND NOT share_chunks.done)
    ORDER BY shares.at, shares.run_id";

const FREE: &str = "
    SELECT chunk, place, share_chunks.epoch FROM share_chunks
    LEFT JOIN leases ON leases.name = share_chunks.place AND leases.epoch = share_chunks.epoch
        AND leases.until > clock_timestamp()
    WHERE run_id = $1 AND NOT done AND leases.name IS NULL
    ORDER BY chunk LIMIT 1";

const OUTDATE: &str =
    "UPDATE leases SET epoch = epoch + 1 WHERE name = $1 AND epoch = $2 AND until <= clock_timestamp()";

const GIVE: &str = "UPDATE share_chunks SET place = $3, epoch = $4 WHERE run_id = $1 AND chunk = $2";

const STATE: &str = "
    SELECT open AND EXISTS (
            SELECT 1 FROM leases
            WHERE name = 'job/' || shares.job AND leases.epoch = shares.epoch AND until > clock_timestamp()
        ) AS open,
        count(chunk) AS chunks, count(chunk) FILTER (WHERE done) AS done
    FROM shares LEFT JOIN share_chunks USING (run_id) WHERE run_id = $1 GROUP BY shares.run_id";

#[async_trait]
impl ShareStore for PostgresStore {
    async fn put_offer(&self, offer: &Offer) -> Result<(), StoreError> {
        retried!(self, {
            let mut transaction = self.begin().await?;
            leases::check(&mut transaction, &offer.parent()).await?;
            sqlx::query("DELETE FROM shares WHERE run_id = $1").bind(&offer.run).execute(&mut *transaction).await?;
            sqlx::query(PUT)
                .bind(&offer.run)
                .bind(&offer.job)
                .bind(&offer.fleet)
                .bind(offer.epoch)
                .bind(signed(offer.rows))
                .bind(signed(offer.chunk_rows))
                .bind(i64::from(offer.places))
                .bind(&offer.plan)
                .bind(Moment(offer.at))
                .execute(&mut *transaction)
                .await?;
            let chunks = sqlx::query(PUT_CHUNKS).bind(&offer.run).bind(signed(offer.chunks()));
            chunks.execute(&mut *transaction).await?;
            Ok(transaction.commit().await?)
        })
    }

    async fn offers(&self, fleet: &str) -> Result<Vec<Offer>, StoreError> {
        self.rows(sqlx::query(OFFERS).bind(fleet)).await?.iter().map(records::offer).collect()
    }

    async fn claim_chunk(&self, offer: &Offer, place: &Fence) -> Result<Option<u64>, StoreError> {
        retried!(self, {
            let mut transaction = self.begin().await?;
            if !hold(&mut transaction, offer, place).await? {
                return Ok(None);
            }
            let free = sqlx::query(FREE).bind(&offer.run).fetch_optional(&mut *transaction).await?;
            let Some(row) = free else { return Ok(None) };
            let chunk: i64 = row.number("chunk")?;
            if let (Some(before), Some(epoch)) = (row.optional_text("place")?, row.optional_integer("epoch")?) {
                // As a taking does: what is being written under it comes first.
                leases::lock(&mut transaction, before).await?;
                sqlx::query(OUTDATE).bind(before).bind(epoch).execute(&mut *transaction).await?;
                let rows = offer.rows_of(u64::try_from(chunk).unwrap_or_default());
                progress::cut_off_in(&mut transaction, &offer.run, rows).await?;
            }
            let give = sqlx::query(GIVE).bind(&offer.run).bind(chunk).bind(&place.name).bind(place.epoch);
            give.execute(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(u64::try_from(chunk).ok())
        })
    }

    async fn finish_chunk(&self, offer: &Offer, place: &Fence, chunk: u64) -> Result<(), StoreError> {
        retried!(self, {
            let mut transaction = self.begin().await?;
            hold(&mut transaction, offer, place).await?;
            let done =
                "UPDATE share_chunks SET done = true WHERE run_id = $1 AND chunk = $2 AND place = $3 AND epoch = $4";
            let done = sqlx::query(done).bind(&offer.run).bind(signed(chunk)).bind(&place.name).bind(place.epoch);
            done.execute(&mut *transaction).await?;
            Ok(transaction.commit().await?)
        })
    }

    async fn share(&self, run: &str) -> Result<Option<ShareState>, StoreError> {
        let row = self.row(sqlx::query(STATE).bind(run)).await?;
        let state = row.map(|row| {
            Ok(ShareState { is_open: row.flag("open")?, chunks: row.number("chunks")?, done: row.number("done")? })
        });
        state.transpose()
    }

    async fn close_offer(&self, run: &str) -> Result<(), StoreError> {
        retried!(self, {
            sqlx::query("UPDATE shares SET open = false WHERE run_id = $1").bind(run).execute(&self.pool).await?;
            Ok(())
        })
    }
}

/// Holds the offer; `false`: it is closed. Neither the job nor the place is anybody else's until the transaction's end.
async fn hold(connection: &mut PgConnection, offer: &Offer, place: &Fence) -> Result<bool, StoreError> {
    leases::check(connection, &offer.parent()).await?;
    leases::check(connection, place).await?;
    let query = "SELECT open FROM shares WHERE run_id = $1 FOR UPDATE";
    let open: Option<bool> = sqlx::query_scalar(query).bind(&offer.run).fetch_optional(connection).await?;
    Ok(open.unwrap_or(false))
}
