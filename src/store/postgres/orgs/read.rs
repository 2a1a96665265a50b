//! What a batch concerns.

use crate::store::columns::Columns;
use crate::store::orgs::{Answer, AnswerHash, KeyState, Known, answer_hash};
use crate::store::{OrgUpsert, StoreError, records};
use sqlx::PgConnection;
use std::collections::{BTreeSet, HashMap};

/// Rows of four kinds, in one answer: the batch's keys, its orgs that exist, what those of its updates were answered that were
/// done before, and a number for each org that does not exist. The branches run in this order, and with them the locks are taken.
///
/// `gate` is a lock for each key that whoever changes the key waits for, and who comes later waits behind. All processes take them in the same
/// order, before any other lock. What was committed during that wait counts: row locks are given on the newest version of a row.
///
/// An answer that another process is writing while the org is waited for is not seen; the write then fails on it and the batch
/// is done anew. The answers are looked up one by one (LATERAL … LIMIT keeps Postgres from reading all of them for a join).
const KNOWN: &str = "
    WITH gate AS MATERIALIZED (
        SELECT pg_advisory_xact_lock_shared(hashtext('nightmark key'), hashtext(id)) FROM unnest($1::text[]) AS id
    ), k AS MATERIALIZED (
        SELECT id, revision, revoked_at, expires_at FROM api_keys
        WHERE id = ANY($1) AND (SELECT count(*) FROM gate) > 0 ORDER BY id FOR SHARE
    ), o AS MATERIALIZED (
        SELECT * FROM orgs WHERE product_org_id = ANY($2) ORDER BY product_org_id FOR UPDATE
    )
    SELECT 'key' AS kind, id, revision AS number, revoked_at IS NOT NULL AS yes, NULL::boolean AS stale_then,
        expires_at, NULL::bytea AS hash, (NULL::orgs).*
    FROM k
    UNION ALL
    SELECT 'org', NULL, NULL, NULL, NULL, NULL, NULL, o.* FROM o
    UNION ALL
    SELECT 'answer', NULL, a.target_org_id, a.is_new, a.stale, NULL, a.hash, (NULL::orgs).*
    FROM unnest($3::text[], $4::bytea[]) AS asked (id, hash)
    JOIN o ON o.product_org_id = asked.id
    CROSS JOIN LATERAL (
        SELECT * FROM org_answers AS kept WHERE kept.target_org_id = o.target_org_id AND kept.hash = asked.hash LIMIT 1
    ) AS a
    UNION ALL
    SELECT 'number', NULL, nextval('org_numbers'), NULL, NULL, NULL, NULL, (NULL::orgs).*
    FROM generate_series(1, cardinality($2) - (SELECT count(*) FROM o))";

/// What the store has of what a batch concerns, locked, and a number for each org that is new.
pub(super) async fn known(
    connection: &mut PgConnection,
    batch: &[OrgUpsert],
) -> Result<(Known, impl Iterator<Item = i64> + use<>), StoreError> {
    let keys: BTreeSet<&str> = batch.iter().map(|upsert| upsert.key.id.as_str()).collect();
    let orgs: BTreeSet<&str> = batch.iter().map(|upsert| upsert.patch.product_org_id.as_str()).collect();
    let asked = batch.iter().filter_map(|upsert| Some((upsert.patch.product_org_id.as_str(), answer_hash(upsert)?)));
    let (of, hashes): (Vec<&str>, Vec<Vec<u8>>) = asked.map(|(id, hash)| (id, hash.to_vec())).unzip();
    let rows = sqlx::query(KNOWN)
        .bind(keys.into_iter().collect::<Vec<_>>())
        .bind(orgs.into_iter().collect::<Vec<_>>())
        .bind(of)
        .bind(hashes)
        .fetch_all(connection)
        .await?;
    let mut known = Known { orgs: HashMap::with_capacity(rows.len()), ..Known::default() };
    let mut numbers = Vec::new();
    for row in &rows {
        match row.text("kind")? {
            "key" => drop(known.keys.insert(row.text("id")?.to_owned(), key_state(row)?)),
            "org" => {
                let org = records::org(row)?;
                known.orgs.insert(org.product_org_id.clone(), org);
            }
            "answer" => drop(known.answers.insert(hash(row)?, answer(row)?)),
            _ => numbers.push(row.number("number")?),
        }
    }
    Ok((known, numbers.into_iter()))
}

fn key_state(row: &impl Columns) -> Result<KeyState, StoreError> {
    Ok(KeyState {
        revision: row.number("number")?,
        revoked: row.flag("yes")?,
        expires_at: row.optional_time("expires_at")?,
    })
}

fn answer(row: &impl Columns) -> Result<Answer, StoreError> {
    Ok(Answer { target_org_id: row.number("number")?, is_new: row.flag("yes")?, stale: row.flag("stale_then")? })
}

fn hash(row: &impl Columns) -> Result<AnswerHash, StoreError> {
    let bytes = row.optional_bytes("hash")?.unwrap_or_default();
    AnswerHash::try_from(bytes).map_err(|_| StoreError::Corrupt("the hash of an answer".to_owned()))
}
