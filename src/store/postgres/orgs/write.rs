//! A plan, written.

use crate::store::columns::signed;
use crate::store::orgs::{Change, NewAnswer, Plan, Uses};
use crate::store::postgres::columns::Moment;
use crate::store::{OrgRecord, StoreError, TrialStatus};
use serde_json::{Map, Value};
use sqlx::postgres::PgArguments;
use sqlx::{PgConnection, Postgres};

type Query<'q> = sqlx::query::Query<'q, Postgres, PgArguments>;

/// All of it in one statement. An org's ids and created_at stay as they are.
const WRITE: &str = "
    WITH org AS (
        INSERT INTO orgs (target_org_id, product_org_id, name, plan_id, plan_name, user_count, mrr, trial_status,
            last_active_at, feature_flags, custom, created_at, updated_at, key_id, changes, event_at, field_times)
        SELECT r.number, r.id, r.name, r.plan_id, r.plan_name, r.user_count, r.mrr, r.trial_status, r.last_active_at,
            r.feature_flags::json, r.custom::json, r.created_at, r.updated_at, r.key_id, r.changes, r.event_at,
            r.field_times::json
        FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::text[],
            $9::timestamptz[], $10::text[], $11::text[], $12::timestamptz[], $13::timestamptz[], $14::text[],
            $15::bigint[], $16::timestamptz[], $17::text[])
        AS r (number, id, name, plan_id, plan_name, user_count, mrr, trial_status, last_active_at, feature_flags, custom,
            created_at, updated_at, key_id, changes, event_at, field_times)
        ON CONFLICT (target_org_id) DO UPDATE SET name = excluded.name, plan_id = excluded.plan_id,
            plan_name = excluded.plan_name, user_count = excluded.user_count, mrr = excluded.mrr,
            trial_status = excluded.trial_status, last_active_at = excluded.last_active_at,
            feature_flags = excluded.feature_flags, custom = excluded.custom, updated_at = excluded.updated_at,
            key_id = excluded.key_id, changes = excluded.changes, event_at = excluded.event_at,
            field_times = excluded.field_times
    ), change AS (
        INSERT INTO org_history (target_org_id, number, at, key_id, request_id, event_at, fields)
        SELECT r.org, r.number, r.at, r.key_id, r.request_id, r.event_at, r.fields::json
        FROM unnest($18::bigint[], $19::bigint[], $20::timestamptz[], $21::text[], $22::text[], $23::timestamptz[],
            $24::text[])
        AS r (org, number, at, key_id, request_id, event_at, fields)
    ), answer AS (
        INSERT INTO org_answers (target_org_id, hash, is_new, stale, at)
        SELECT * FROM unnest($25::bigint[], $26::bytea[], $27::boolean[], $28::boolean[], $29::timestamptz[])
    )
    INSERT INTO api_key_uses (key_id, slot, stored, ignored, rejected, last_used_at)
    SELECT r.key_id, pg_backend_pid() % 16, r.stored, 0, 0, r.at
    FROM unnest($30::text[], $31::bigint[], $32::timestamptz[]) AS r (key_id, stored, at)
    ORDER BY r.key_id COLLATE \"C\"
    ON CONFLICT (key_id, slot) DO UPDATE SET stored = api_key_uses.stored + excluded.stored,
        last_used_at = greatest(api_key_uses.last_used_at, excluded.last_used_at)";

/// # Errors
/// [`StoreError::Busy`] where another process has made one of the orgs, or done one of the updates, meanwhile. [`StoreError::Corrupt`] for
/// an org whose history goes further than it says itself: no other process can have written that, for the org is locked.
pub(super) async fn plan(connection: &mut PgConnection, plan: &Plan<'_>) -> Result<(), StoreError> {
    let mut orgs: Vec<&OrgRecord> = plan.orgs.iter().collect();
    // New ones too are made in the order of their ids: two processes that make the same ones wait for each other in turn.
    orgs.sort_unstable_by(|one, other| one.product_org_id.cmp(&other.product_org_id));
    let query = bind_orgs(sqlx::query(WRITE), &orgs);
    let query = bind_changes(query, &plan.changes);
    let query = bind_uses(bind_answers(query, &plan.answers), &plan.uses);
    match query.execute(connection).await {
        Ok(_) => Ok(()),
        Err(error) => Err(match error.as_database_error().filter(|said| said.is_unique_violation()) {
            Some(said) if said.constraint() == Some("org_history_pkey") => {
                StoreError::Corrupt("an org has more history than it says".to_owned())
            }
            Some(_) => StoreError::Busy("another process has stored the same org meanwhile".to_owned()),
            None => error.into(),
        }),
    }
}

/// A column of the rows, as an array.
fn column<'a, T, V>(rows: &[T], of: impl Fn(&T) -> V + 'a) -> Vec<V> {
    rows.iter().map(of).collect()
}

fn bind_orgs<'q>(query: Query<'q>, orgs: &[&'q OrgRecord]) -> Query<'q> {
    query
        .bind(column(orgs, |org| org.target_org_id))
        .bind(column(orgs, |org| org.product_org_id.as_str()))
        .bind(column(orgs, |org| org.fields.name.as_deref()))
        .bind(column(orgs, |org| org.fields.plan_id.as_deref()))
        .bind(column(orgs, |org| org.fields.plan_name.as_deref()))
        .bind(column(orgs, |org| org.fields.user_count))
        .bind(column(orgs, |org| org.fields.mrr))
        .bind(column(orgs, |org| org.fields.trial_status.map(TrialStatus::as_str)))
        .bind(column(orgs, |org| org.fields.last_active_at.map(Moment)))
        .bind(column(orgs, |org| org.fields.feature_flags.as_ref().map(object_text)))
        .bind(column(orgs, |org| object_text(&org.fields.custom)))
        .bind(column(orgs, |org| Moment(org.created_at)))
        .bind(column(orgs, |org| Moment(org.updated_at)))
        .bind(column(orgs, |org| org.key_id.as_str()))
        .bind(column(orgs, |org| org.changes))
        .bind(column(orgs, |org| org.event_at.map(Moment)))
        .bind(column(orgs, |org| org.times.to_text()))
}

fn bind_changes<'q>(query: Query<'q>, changes: &'q [Change<'_>]) -> Query<'q> {
    query
        .bind(changes.iter().map(|change| change.target_org_id).collect::<Vec<_>>())
        .bind(changes.iter().map(|change| change.number).collect::<Vec<_>>())
        .bind(changes.iter().map(|change| Moment(change.upsert.at)).collect::<Vec<_>>())
        .bind(changes.iter().map(|change| change.upsert.key.id.as_str()).collect::<Vec<_>>())
        .bind(changes.iter().map(|change| change.upsert.request_id.as_str()).collect::<Vec<_>>())
        .bind(changes.iter().map(|change| change.event_at.map(Moment)).collect::<Vec<_>>())
        .bind(changes.iter().map(|change| change.fields.as_str()).collect::<Vec<_>>())
}

fn bind_answers<'q>(query: Query<'q>, answers: &[NewAnswer]) -> Query<'q> {
    query
        .bind(column(answers, |new| new.answer.target_org_id))
        .bind(column(answers, |new| new.hash.to_vec()))
        .bind(column(answers, |new| new.answer.is_new))
        .bind(column(answers, |new| new.answer.stale))
        .bind(column(answers, |new| Moment(new.at)))
}

fn bind_uses<'q>(query: Query<'q>, uses: &[Uses<'q>]) -> Query<'q> {
    query
        .bind(column(uses, |of| of.key_id))
        .bind(column(uses, |of| signed(of.stored)))
        .bind(column(uses, |of| Moment(of.last_used_at)))
}

fn object_text(object: &Map<String, Value>) -> String {
    // Its keys are texts and its values JSON: it always can be written.
    serde_json::to_string(object).unwrap_or_else(|_| "{}".to_owned())
}
