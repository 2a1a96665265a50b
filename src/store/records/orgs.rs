//! Received orgs and their history.

use crate::store::columns::Columns;
use crate::store::orgs::{FieldTimes, OrgChange};
use crate::store::{OrgFields, OrgRecord, StoreError, TrialStatus};
use serde_json::{Map, Value};

/// Of `orgs`.
pub(in crate::store) fn org(row: &impl Columns) -> Result<OrgRecord, StoreError> {
    let id = row.text("product_org_id")?;
    let corrupt = |what: String| StoreError::Corrupt(format!("{what} of org {id}"));
    let object =
        |text: &str| serde_json::from_str::<Map<String, Value>>(text).map_err(|e| corrupt(format!("an object ({e})")));
    let status = |text: &str| TrialStatus::parse(text).ok_or_else(|| corrupt(format!("the trial status `{text}`")));
    let text = |column: &str| Ok::<_, StoreError>(row.optional_text(column)?.map(str::to_owned));
    let fields = OrgFields {
        name: text("name")?,
        plan_id: text("plan_id")?,
        plan_name: text("plan_name")?,
        user_count: row.optional_integer("user_count")?,
        mrr: row.optional_integer("mrr")?,
        trial_status: row.optional_text("trial_status")?.map(status).transpose()?,
        last_active_at: row.optional_time("last_active_at")?,
        feature_flags: row.optional_text("feature_flags")?.map(object).transpose()?,
        custom: object(row.text("custom")?)?,
    };
    Ok(OrgRecord {
        product_org_id: id.to_owned(),
        target_org_id: row.number("target_org_id")?,
        fields,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        key_id: row.text("key_id")?.to_owned(),
        event_at: row.optional_time("event_at")?,
        times: FieldTimes::from_text(row.optional_text("field_times")?).map_err(corrupt)?,
        changes: row.number("changes")?,
    })
}

/// Of `org_history`.
pub(in crate::store) fn change(row: &impl Columns) -> Result<OrgChange, StoreError> {
    let number: i64 = row.number("number")?;
    let fields = OrgChange::fields_from(row.text("fields")?)
        .map_err(|what| StoreError::Corrupt(format!("{what}, number {number} of an org")))?;
    Ok(OrgChange {
        number,
        at: row.time("at")?,
        key_id: row.text("key_id")?.to_owned(),
        request_id: row.text("request_id")?.to_owned(),
        event_at: row.optional_time("event_at")?,
        fields,
    })
}
