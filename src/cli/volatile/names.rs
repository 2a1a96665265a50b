//! Columns that move by themselves, as their names tell: when a row was written, loaded or last touched says nothing about the org. Pure.

/// Whole names.
const NAMES: &[&str] = &[
    "updated",
    "modified",
    "refreshed",
    "synced",
    "last_seen",
    "last_active",
    "last_activity",
    "last_login",
    "last_logged_in",
    "last_visit",
    "last_visited",
    "last_sign_in",
    "last_used",
    "last_sync",
    "last_synced",
    "last_modified",
    "last_updated",
    "last_update",
    "last_touched",
    "last_ping",
    "last_heartbeat",
    "heartbeat",
    "update_time",
    "modification_time",
    "system_modstamp",
    "systemmodstamp",
    "row_version",
    "rowversion",
    "etag",
    "xmin",
    "as_of",
    "now",
    "current_time",
    "current_timestamp",
    "extracted",
    "loaded",
    "load_time",
    "load_date",
    "snapshot_date",
    "snapshot_time",
    "batch_id",
    "run_id",
    "ingested",
];

/// The last words of names, with a time behind them: `_at`, `_on`, `_ts`, `_time`, `_date`, `_timestamp`, `_utc`.
const STEMS: &[&str] = &[
    "updated",
    "modified",
    "refreshed",
    "synced",
    "loaded",
    "extracted",
    "ingested",
    "imported",
    "exported",
    "processed",
    "seen",
    "active",
    "visited",
    "last_login",
    "last_sign_in",
    "last_activity",
    "last_visit",
    "last_used",
    "last_update",
    "last_sync",
    "calculated",
    "computed",
    "touched",
];
const TIMES: &[&str] = &["_at", "_on", "_ts", "_time", "_date", "_timestamp", "_utc"];

/// What loaders add.
const PREFIXES: &[&str] = &[
    "_fivetran_",
    "_airbyte_",
    "_sdc_",
    "_dlt_",
    "_dbt_",
    "dbt_",
    "_stitch_",
    "_rivery_",
    "_hevo_",
    "__hevo_",
    "_etl_",
    "etl_",
    "_meltano_",
];

/// Whether a column of this name moves without anything happening that matters.
pub fn moves(name: &str) -> bool {
    let name = snake(name);
    if NAMES.contains(&name.as_str()) || PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        return true;
    }
    TIMES.iter().filter_map(|time| name.strip_suffix(time)).any(|stem| {
        STEMS
            .iter()
            .any(|known| stem.strip_suffix(known).is_some_and(|before| before.is_empty() || before.ends_with('_')))
            || NAMES.contains(&stem)
    })
}

/// `lastSeenAt`, `Last Seen At` and `LAST_SEEN_AT` are `last_seen_at`.
fn snake(name: &str) -> String {
    let mut out = String::new();
    let mut was_lower = false;
    for c in name.trim().chars() {
        if c.is_uppercase() && was_lower {
            out.push('_');
        }
        was_lower = c.is_lowercase() || c.is_ascii_digit();
        match c {
            ' ' | '-' | '.' => out.push('_'),
            c => out.extend(c.to_lowercase()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell() {
        for name in [
            "updated_at",
            "UPDATED_AT",
            "updatedAt",
            "Last Seen At",
            "last_seen",
            "last_active_at",
            "lastLogin",
            "last_login_at",
            "_fivetran_synced",
            "_airbyte_extracted_at",
            "_sdc_batched_at",
            "dbt_updated_at",
            "row_updated_at",
            "SystemModstamp",
            "synced_at",
            "loaded_on",
            "xmin",
            "last_modified_date",
            "heartbeat_at",
        ] {
            assert!(moves(name), "{name}");
        }
        for name in [
            "id",
            "plan",
            "created_at",
            "trial_ends_at",
            "name",
            "active",
            "is_active",
            "active_users",
            "user_count",
            "mrr",
            "outdated_plan",
            "update_policy",
            "seen",
            "renewal_date",
            "last_invoice_amount",
            "churned_at",
            "status",
            "unseen_messages",
            "inactive_at",
            "",
        ] {
            assert!(!moves(name), "{name}");
        }
    }
}
