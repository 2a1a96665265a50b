//! A plan, written.

use crate::store::columns::{micros, signed};
use crate::store::orgs::{Change, NewAnswer, Plan, Uses};
use crate::store::sqlite::rows::{Block, Bound, PIECE, Statement, bind, piece};
use crate::store::{OrgRecord, StoreError, TrialStatus};
use serde_json::{Map, Value, json};
use sqlx::SqliteConnection;
use std::sync::LazyLock;

const ORGS: Block = Block {
    head: "
        INSERT INTO orgs (target_org_id, product_org_id, name, plan_id, plan_name, user_count, mrr, trial_status,
            last_active_at, feature_flags, custom, created_at, updated_at, key_id, changes, event_at, field_times)
        SELECT * FROM",
    columns: 17,
    // "WHERE" also keeps SQLite from reading ON CONFLICT as a join condition. An org's ids and created_at stay as they are.
    tail: "WHERE column1 IS NOT NULL
        ON CONFLICT (target_org_id) DO UPDATE SET name = excluded.name, plan_id = excluded.plan_id,
            plan_name = excluded.plan_name, user_count = excluded.user_count, mrr = excluded.mrr,
            trial_status = excluded.trial_status, last_active_at = excluded.last_active_at,
            feature_flags = excluded.feature_flags, custom = excluded.custom, updated_at = excluded.updated_at,
            key_id = excluded.key_id, changes = excluded.changes, event_at = excluded.event_at,
            field_times = excluded.field_times",
};

const HISTORY: Block = Block {
    head: "
        INSERT INTO org_history (target_org_id, number, at, key_id, request_id, event_at, fields) SELECT * FROM",
    columns: 7,
    tail: "WHERE column1 IS NOT NULL",
};

const ANSWERS: Block = Block {
    head: "INSERT INTO org_answers (target_org_id, hash, is_new, stale, at) SELECT * FROM",
    columns: 5,
    tail: "WHERE column1 IS NOT NULL",
};

const USES: Block = Block {
    head: "
        UPDATE api_keys SET stored = stored + u.column2, last_used_at = max(coalesce(last_used_at, u.column3), u.column3)
        FROM",
    columns: 3,
    tail: "AS u WHERE id = u.column1",
};

static WRITE: LazyLock<Statement> = LazyLock::new(|| Statement::new(&[ORGS, HISTORY, ANSWERS, USES]));

pub(super) async fn plan(connection: &mut SqliteConnection, plan: &Plan<'_>) -> Result<(), StoreError> {
    let Plan { orgs, changes, answers, uses, .. } = plan;
    let most = orgs.len().max(changes.len()).max(answers.len()).max(uses.len());
    for number in 0..most.div_ceil(PIECE) {
        let (orgs, changes) = (piece(orgs, number), piece(changes, number));
        let (answers, uses) = (piece(answers, number), piece(uses, number));
        let rows = orgs.len().max(changes.len()).max(answers.len()).max(uses.len());
        let (query, size) = WRITE.query(rows);
        let query = bind(query, size, &ORGS, orgs, bind_org);
        let query = bind(query, size, &HISTORY, changes, bind_change);
        let query = bind(query, size, &ANSWERS, answers, bind_answer);
        let query = bind(query, size, &USES, uses, bind_uses);
        query.execute(&mut *connection).await?;
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

fn bind_uses(query: Bound, Uses { key_id, stored, last_used_at }: &Uses<'_>) -> Bound {
    query.bind((*key_id).to_owned()).bind(signed(*stored)).bind(micros(*last_used_at))
}

fn object_text(object: &Map<String, Value>) -> String {
    match object.is_empty() {
        true => "{}".to_owned(),
        false => json!(object).to_string(),
    }
}
