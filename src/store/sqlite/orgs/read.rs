//! What a batch concerns, and rows as records.

use crate::store::orgs::{Answer, AnswerHash, FieldTimes, KeyState, Known, OrgChange, answer_hash};
use crate::store::sqlite::rows::Statement;
use crate::store::sqlite::{optional_time_at, time_at};
use crate::store::{OrgFields, OrgRecord, OrgUpsert, StoreError, TrialStatus};
use serde_json::{Map, Value, json};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

const ORGS: &str = "SELECT * FROM orgs WHERE product_org_id IN (SELECT value FROM json_each(?1))";

/// With the last number that an org was given.
const KEYS: &str = "
    SELECT id, revision, revoked_at, expires_at, (SELECT seq FROM sqlite_sequence WHERE name = 'orgs') AS last
    FROM api_keys WHERE id IN (SELECT value FROM json_each(?1))";

// CROSS JOIN: in this order, whatever SQLite thinks of the size of a table.
static ANSWERS: LazyLock<Statement> = LazyLock::new(|| {
    Statement::new(
        "SELECT a.target_org_id, a.hash, a.is_new, a.stale FROM",
        2,
        "AS asked CROSS JOIN org_answers AS a ON a.target_org_id = asked.column1 AND a.hash = asked.column2",
    )
});

/// What the store has of what a batch concerns, and the last number that an org was given.
pub(super) async fn known(connection: &mut SqliteConnection, batch: &[OrgUpsert]) -> Result<(Known, i64), StoreError> {
    let (keys, last) = keys(connection, batch).await?;
    let orgs = orgs(connection, batch).await?;
    let answers = answers(connection, batch, &orgs).await?;
    Ok((Known { keys, orgs, answers }, last))
}

async fn keys(
    connection: &mut SqliteConnection,
    batch: &[OrgUpsert],
) -> Result<(HashMap<String, KeyState>, i64), StoreError> {
    let asked: HashSet<&str> = batch.iter().map(|upsert| upsert.key.id.as_str()).collect();
    let rows = sqlx::query(KEYS).bind(json!(asked).to_string()).fetch_all(connection).await?;
    let mut last = 0;
    let mut found = HashMap::with_capacity(rows.len());
    for row in &rows {
        last = row.try_get::<Option<i64>, _>("last")?.unwrap_or(0);
        let state = KeyState {
            revision: row.try_get("revision")?,
            revoked: row.try_get::<Option<i64>, _>("revoked_at")?.is_some(),
            expires_at: optional_time_at(row, "expires_at")?,
        };
        found.insert(row.try_get("id")?, state);
    }
    Ok((found, last))
}

async fn orgs(
    connection: &mut SqliteConnection,
    batch: &[OrgUpsert],
) -> Result<HashMap<String, OrgRecord>, StoreError> {
    let asked: Vec<&str> = batch.iter().map(|upsert| upsert.patch.product_org_id.as_str()).collect();
    let rows = sqlx::query(ORGS).bind(json!(asked).to_string()).fetch_all(connection).await?;
    rows.iter().map(|row| record(row).map(|org| (org.product_org_id.clone(), org))).collect()
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
    for query in ANSWERS.over(&asked, |query, (org, hash)| query.bind(*org).bind(hash.to_vec())) {
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

pub(super) fn record(row: &SqliteRow) -> Result<OrgRecord, StoreError> {
    let product_org_id: String = row.try_get("product_org_id")?;
    let corrupt = |what: String| StoreError::Corrupt(format!("{what} of org {product_org_id}"));
    let object =
        |text: &str| serde_json::from_str::<Map<String, Value>>(text).map_err(|e| corrupt(format!("an object ({e})")));
    let status = |text: &str| TrialStatus::parse(text).ok_or_else(|| corrupt(format!("the trial status `{text}`")));
    let fields = OrgFields {
        name: row.try_get("name")?,
        plan_id: row.try_get("plan_id")?,
        plan_name: row.try_get("plan_name")?,
        user_count: row.try_get("user_count")?,
        mrr: row.try_get("mrr")?,
        trial_status: row.try_get::<Option<&str>, _>("trial_status")?.map(status).transpose()?,
        last_active_at: optional_time_at(row, "last_active_at")?,
        feature_flags: row.try_get::<Option<&str>, _>("feature_flags")?.map(object).transpose()?,
        custom: object(row.try_get("custom")?)?,
    };
    Ok(OrgRecord {
        target_org_id: row.try_get("target_org_id")?,
        fields,
        created_at: time_at(row, "created_at")?,
        updated_at: time_at(row, "updated_at")?,
        key_id: row.try_get("key_id")?,
        event_at: optional_time_at(row, "event_at")?,
        times: FieldTimes::from_text(row.try_get("field_times")?).map_err(corrupt)?,
        changes: row.try_get("changes")?,
        product_org_id,
    })
}

pub(super) fn change(row: &SqliteRow) -> Result<OrgChange, StoreError> {
    let number: i64 = row.try_get("number")?;
    let fields = OrgChange::fields_from(row.try_get("fields")?)
        .map_err(|what| StoreError::Corrupt(format!("{what}, number {number} of an org")))?;
    Ok(OrgChange {
        number,
        at: time_at(row, "at")?,
        key_id: row.try_get("key_id")?,
        request_id: row.try_get("request_id")?,
        event_at: optional_time_at(row, "event_at")?,
        fields,
    })
}
