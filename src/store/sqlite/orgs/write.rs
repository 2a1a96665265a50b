//! A plan, written.

use crate::store::orgs::{Change, NewAnswer, Plan, Uses};
use crate::store::sqlite::micros;
use crate::store::sqlite::rows::{Bound, Statement};
use crate::store::{OrgRecord, StoreError, TrialStatus};
use serde_json::{Map, Value, json};
use sqlx::SqliteConnection;
use std::sync::LazyLock;

// "WHERE" also keeps SQLite from reading ON CONFLICT as a join condition. An org's ids and created_at stay as they are.
static ORGS: LazyLock<Statement> = LazyLock::new(|| {
    Statement::new(
        "INSERT INTO orgs (target_org_id, product_org_id, name, plan_id, plan_name, user_count, mrr, trial_status,
            last_active_at, feature_flags, custom, created_at, updated_at, key_id, changes, event_at, field_times)
        SELECT * FROM",
        17,
        "WHERE column1 IS NOT NULL
        ON CONFLICT (target_org_id) DO UPDATE SET name = excluded.name, plan_id = excluded.plan_id,
            plan_name = excluded.plan_name, user_count = excluded.user_count, mrr = excluded.mrr,
            trial_status = excluded.trial_status, last_active_at = excluded.last_active_at,
            feature_flags = excluded.feature_flags, custom = excluded.custom, updated_at = excluded.updated_at,
            key_id = excluded.key_id, changes = excluded.changes, event_at = excluded.event_at,
            field_times = excluded.field_times",
    )
});

static HISTORY: LazyLock<Statement> = LazyLock::new(|| {
    Statement::new(
        "INSERT INTO org_history (target_org_id, number, at, key_id, request_id, event_at, fields) SELECT * FROM",
        7,
        "WHERE column1 IS NOT NULL",
    )
});

static ANSWERS: LazyLock<Statement> = LazyLock::new(|| {
    Statement::new(
        "INSERT INTO org_answers (target_org_id, hash, is_new, stale, at) SELECT * FROM",
        5,
        "WHERE column1 IS NOT NULL",
    )
});

const USE: &str = "
    UPDATE api_keys SET stored = stored + ?2, last_used_at = max(coalesce(last_used_at, ?3), ?3) WHERE id = ?1";

pub(super) async fn plan(connection: &mut SqliteConnection, plan: &Plan<'_>) -> Result<(), StoreError> {
    ORGS.execute(connection, &plan.orgs, bind_org).await?;
    HISTORY.execute(connection, &plan.changes, bind_change).await?;
    ANSWERS.execute(connection, &plan.answers, bind_answer).await?;
    for Uses { key_id, stored, last_used_at } in &plan.uses {
        let stored = i64::try_from(*stored).unwrap_or(i64::MAX);
        sqlx::query(USE).bind(*key_id).bind(stored).bind(micros(*last_used_at)).execute(&mut *connection).await?;
    }
    Ok(())
}

fn bind_org(query: Bound, org: &OrgRecord) -> Bound {
    let fields = &org.fields;
    query
        .bind(org.target_org_id)
        .bind(org.product_org_id.clone())
        .bind(fields.name.clone())
        .bind(fields.plan_id.clone())
        .bind(fields.plan_name.clone())
        .bind(fields.user_count)
        .bind(fields.mrr)
        .bind(fields.trial_status.map(TrialStatus::as_str))
        .bind(fields.last_active_at.map(micros))
        .bind(fields.feature_flags.as_ref().map(object_text))
        .bind(object_text(&fields.custom))
        .bind(micros(org.created_at))
        .bind(micros(org.updated_at))
        .bind(org.key_id.clone())
        .bind(org.changes)
        .bind(org.event_at.map(micros))
        .bind(org.times.to_text())
}

fn bind_change(query: Bound, change: &Change<'_>) -> Bound {
    query
        .bind(change.target_org_id)
        .bind(change.number)
        .bind(micros(change.upsert.at))
        .bind(change.upsert.key.id.clone())
        .bind(change.upsert.request_id.clone())
        .bind(change.event_at.map(micros))
        .bind(change.fields.clone())
}

fn bind_answer(query: Bound, NewAnswer { hash, answer, at }: &NewAnswer) -> Bound {
    query.bind(answer.target_org_id).bind(hash.to_vec()).bind(answer.is_new).bind(answer.stale).bind(micros(*at))
}

fn object_text(object: &Map<String, Value>) -> String {
    match object.is_empty() {
        true => "{}".to_owned(),
        false => json!(object).to_string(),
    }
}
