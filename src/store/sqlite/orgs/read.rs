//! What a batch concerns.

use crate::store::columns::Columns;
use crate::store::orgs::{Answer, AnswerHash, KeyState, Known, answer_hash};
use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::rows::{Block, PIECE, Statement, bind};
use crate::store::sqlite::writing::Writing;
use crate::store::{OrgRecord, OrgUpsert, StoreError, records};
use serde_json::json;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

/// Takes the write lock and reads the batch's keys, with the last number that an org was given, and its orgs that exist.
const BEGIN: &str = "
    BEGIN IMMEDIATE;
    SELECT id, revision, revoked_at, expires_at, (SELECT seq FROM sqlite_sequence WHERE name = 'orgs') AS last
    FROM api_keys WHERE id IN (SELECT value FROM json_each(?1));
    SELECT * FROM orgs WHERE product_org_id IN (SELECT value FROM json_each(?2))";

const ANSWER: Block = Block {
    head: "SELECT a.target_org_id, a.hash, a.is_new, a.stale FROM",
    columns: 2,
    // CROSS JOIN: in this order, whatever SQLite thinks of the size of a table.
    tail: "AS asked CROSS JOIN org_answers AS a ON a.target_org_id = asked.column1 AND a.hash = asked.column2",
};

static ANSWERS: LazyLock<Statement> = LazyLock::new(|| Statement::new(&[ANSWER]));

/// Begins a transaction and reads what the store has of what a batch concerns, and the last number that an org was given.
pub(super) async fn begin(store: &SqliteStore, batch: &[OrgUpsert]) -> Result<(Writing, Known, i64), StoreError> {
    let keys: HashSet<&str> = batch.iter().map(|upsert| upsert.key.id.as_str()).collect();
    let orgs: Vec<&str> = batch.iter().map(|upsert| upsert.patch.product_org_id.as_str()).collect();
    let query = sqlx::query(BEGIN).bind(json!(keys).to_string()).bind(json!(orgs).to_string());
    let (mut writing, rows) = store.begin_with(query).await?;
    let [_, key_rows, org_rows] = rows;
    let (keys, last) = key_states(&key_rows)?;
    let one = |row| records::org(row).map(|org| (org.product_org_id.clone(), org));
    let orgs = org_rows.iter().map(one).collect::<Result<HashMap<String, OrgRecord>, StoreError>>()?;
    let answers = answers(&mut writing, batch, &orgs).await?;
    Ok((writing, Known { keys, orgs, answers }, last))
}

fn key_states(rows: &[SqliteRow]) -> Result<(HashMap<String, KeyState>, i64), StoreError> {
    let mut last = 0;
    let mut found = HashMap::with_capacity(rows.len());
    for row in rows {
        last = row.try_get::<Option<i64>, _>("last")?.unwrap_or(0);
        let state = KeyState {
            revision: row.try_get("revision")?,
            revoked: row.try_get::<Option<i64>, _>("revoked_at")?.is_some(),
            expires_at: row.optional_time("expires_at")?,
        };
        found.insert(row.try_get("id")?, state);
    }
    Ok((found, last))
}

/// Of orgs that exist: no other can have had an update before.
async fn answers(
    connection: &mut SqliteConnection,
    batch: &[OrgUpsert],
    orgs: &HashMap<String, OrgRecord>,
) -> Result<HashMap<AnswerHash, Answer>, StoreError> {
    let one = |upsert: &OrgUpsert| Some((orgs.get(&upsert.patch.product_org_id)?.target_org_id, answer_hash(upsert)?));
    let asked: Vec<(i64, AnswerHash)> = batch.iter().filter_map(one).collect();
    let mut found = HashMap::new();
    for asked in asked.chunks(PIECE) {
        let (query, size) = ANSWERS.query(asked.len());
        let query = bind(query, size, &ANSWER, asked, |query, (org, hash)| query.bind(*org).bind(hash.to_vec()));
        for row in query.fetch_all(&mut *connection).await? {
            let hash = AnswerHash::try_from(row.try_get::<&[u8], _>("hash")?)
                .map_err(|_| StoreError::Corrupt("the hash of an answer".to_owned()))?;
            let answer = Answer {
                target_org_id: row.try_get("target_org_id")?,
                is_new: row.try_get("is_new")?,
                stale: row.try_get("stale")?,
            };
            found.insert(hash, answer);
        }
    }
    Ok(found)
}
