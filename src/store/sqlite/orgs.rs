//! Received orgs: a batch is read, merged in memory in its order, and written back, in one transaction.

use super::{SqliteStore, micros, optional_time_at, time_at};
use crate::store::{OrgFields, OrgRecord, OrgStore, OrgUpsert, StoreError, TrialStatus, Upserted};
use async_trait::async_trait;
use serde_json::{Map, Value, json};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use std::collections::{HashMap, HashSet};

const SELECT_BATCH: &str = "SELECT * FROM orgs WHERE product_org_id IN (SELECT value FROM json_each(?1))";

// "WHERE true" keeps SQLite from reading ON CONFLICT as a join condition. created_at stays as it was.
const UPSERT_BATCH: &str = "
    INSERT INTO orgs (product_org_id, name, plan_id, plan_name, user_count, mrr, trial_status, last_active_at,
        feature_flags, custom, created_at, updated_at, key_id)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
        value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12
    FROM json_each(?1) WHERE true
    ON CONFLICT (product_org_id) DO UPDATE SET name = excluded.name, plan_id = excluded.plan_id,
        plan_name = excluded.plan_name, user_count = excluded.user_count, mrr = excluded.mrr,
        trial_status = excluded.trial_status, last_active_at = excluded.last_active_at,
        feature_flags = excluded.feature_flags, custom = excluded.custom, updated_at = excluded.updated_at,
        key_id = excluded.key_id
    RETURNING product_org_id, target_org_id";

const NOTE_USE: &str = "
    UPDATE api_keys SET last_used_at = ?2 WHERE id = ?1 AND (last_used_at IS NULL OR last_used_at < ?2)";

#[async_trait]
impl OrgStore for SqliteStore {
    async fn upsert_orgs(&self, batch: &[OrgUpsert]) -> Result<Vec<Upserted>, StoreError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let mut transaction = self.begin().await?;
        let mut orgs = stored(&mut transaction, batch).await?;
        let new = merge(&mut orgs, batch);
        let numbers = write(&mut transaction, &orgs, batch).await?;
        note_use(&mut transaction, batch).await?;
        failpoint!("orgs.written");
        transaction.commit().await?;
        failpoint!("orgs.committed");
        batch.iter().zip(new).map(|(upsert, is_new)| answer(&numbers, upsert, is_new)).collect()
    }

    async fn org(&self, product_org_id: &str) -> Result<Option<OrgRecord>, StoreError> {
        let row = sqlx::query("SELECT * FROM orgs WHERE product_org_id = ?1")
            .bind(product_org_id)
            .fetch_optional(&self.readers)
            .await?;
        row.as_ref().map(record).transpose()
    }

    async fn orgs(&self, after: Option<&str>, limit: u32) -> Result<Vec<OrgRecord>, StoreError> {
        // Every id is longer than the empty text, so "behind nothing" is "behind the empty text".
        let rows = sqlx::query("SELECT * FROM orgs WHERE product_org_id > ?1 ORDER BY product_org_id LIMIT ?2")
            .bind(after.unwrap_or(""))
            .bind(limit)
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(record).collect()
    }
}

/// The batch's orgs that exist, by id.
async fn stored<'a>(
    connection: &mut SqliteConnection,
    batch: &'a [OrgUpsert],
) -> Result<HashMap<&'a str, OrgRecord>, StoreError> {
    let ids: HashMap<&str, &'a str> =
        batch.iter().map(|upsert| upsert.patch.product_org_id.as_str()).map(|id| (id, id)).collect();
    let asked = json!(ids.keys().collect::<Vec<_>>()).to_string();
    let rows = sqlx::query(SELECT_BATCH).bind(asked).fetch_all(connection).await?;
    let mut found = HashMap::with_capacity(ids.len());
    for row in &rows {
        let org = record(row)?;
        if let Some(id) = ids.get(org.product_org_id.as_str()) {
            found.insert(*id, org);
        }
    }
    Ok(found)
}

/// Takes the updates in, in their order. For each: whether it made the org.
fn merge<'a>(orgs: &mut HashMap<&'a str, OrgRecord>, batch: &'a [OrgUpsert]) -> Vec<bool> {
    let mut new = Vec::with_capacity(batch.len());
    for upsert in batch {
        let id = upsert.patch.product_org_id.as_str();
        new.push(!orgs.contains_key(id));
        let org = orgs.entry(id).or_insert_with(|| OrgRecord {
            product_org_id: id.to_owned(),
            target_org_id: 0, // given by the database
            fields: OrgFields::default(),
            created_at: upsert.at,
            updated_at: upsert.at,
            key_id: String::new(),
        });
        org.fields.apply(&upsert.patch);
        org.updated_at = upsert.at;
        org.key_id.clone_from(&upsert.key_id);
    }
    new
}

/// Writes the merged orgs, in the order of the batch so that new ones are numbered as they came, and returns the numbers
/// by id.
async fn write(
    connection: &mut SqliteConnection,
    orgs: &HashMap<&str, OrgRecord>,
    batch: &[OrgUpsert],
) -> Result<HashMap<String, i64>, StoreError> {
    let mut written = HashSet::with_capacity(orgs.len());
    let ids = batch.iter().map(|upsert| upsert.patch.product_org_id.as_str()).filter(|id| written.insert(*id));
    let rows: Value = ids.filter_map(|id| orgs.get(id)).map(org_row).collect();
    let numbers: Vec<(String, i64)> = sqlx::query_as(UPSERT_BATCH).bind(rows.to_string()).fetch_all(connection).await?;
    Ok(numbers.into_iter().collect())
}

async fn note_use(connection: &mut SqliteConnection, batch: &[OrgUpsert]) -> Result<(), StoreError> {
    let mut last: HashMap<&str, i64> = HashMap::new();
    for upsert in batch {
        let at = last.entry(&upsert.key_id).or_insert(i64::MIN);
        *at = micros(upsert.at).max(*at);
    }
    for (key, at) in last {
        sqlx::query(NOTE_USE).bind(key).bind(at).execute(&mut *connection).await?;
    }
    Ok(())
}

fn answer(numbers: &HashMap<String, i64>, upsert: &OrgUpsert, is_new: bool) -> Result<Upserted, StoreError> {
    let id = &upsert.patch.product_org_id;
    let target_org_id =
        *numbers.get(id).ok_or_else(|| StoreError::Database(format!("it gave no number to org {id}")))?;
    Ok(Upserted { target_org_id, is_new })
}

/// Objects are passed as JSON text inside the JSON, so that SQLite stores them to the byte as they are.
fn org_row(org: &OrgRecord) -> Value {
    let fields = &org.fields;
    json!([
        org.product_org_id,
        fields.name,
        fields.plan_id,
        fields.plan_name,
        fields.user_count,
        fields.mrr,
        fields.trial_status.map(TrialStatus::as_str),
        fields.last_active_at.map(micros),
        fields.feature_flags.as_ref().map(object_text),
        object_text(&fields.custom),
        micros(org.created_at),
        micros(org.updated_at),
        org.key_id,
    ])
}

fn object_text(object: &Map<String, Value>) -> String {
    json!(object).to_string()
}

fn record(row: &SqliteRow) -> Result<OrgRecord, StoreError> {
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
        product_org_id,
    })
}
