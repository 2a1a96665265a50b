//! `nightmark keys list`

use super::super::Context;
use super::super::table::{shown, table};
use super::time::seconds;
use crate::receiver::keys::{KeyState, ShownKey};
use serde_json::json;

pub async fn run(context: &Context) -> anyhow::Result<()> {
    let keys = match context.look_into_store().await? {
        Some(store) => {
            let keys = store.keys().await?;
            store.close().await;
            keys
        }
        None => Vec::new(),
    };
    let now = context.clock.now();
    let keys: Vec<ShownKey> = keys.into_iter().map(|key| ShownKey::new(key, now)).collect();
    if context.json {
        crate::say!("{}", json!(keys));
    } else if keys.is_empty() {
        crate::say!("no keys yet; `nightmark keys create --name NAME` makes one");
    } else {
        print(&keys);
    }
    Ok(())
}

const COLUMNS: [&str; 15] = [
    "id",
    "name",
    "type",
    "template",
    "secret",
    "signature",
    "rate",
    "key",
    "created",
    "expires",
    "last used",
    "stored",
    "ignored",
    "rejected",
    "state",
];

fn print(keys: &[ShownKey]) {
    let mut out = table(&COLUMNS);
    for key in keys {
        let record = &key.record;
        out.add_row([
            record.id.clone(),
            shown(&record.name),
            record.endpoint.to_string(),
            key.template.unwrap_or("-").to_owned(),
            if key.has_secret { "yes" } else { "no" }.to_owned(),
            record.signature.as_ref().map_or("no", |signature| signature.scheme.as_str()).to_owned(),
            record.rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate}/s")),
            format!("{}…", record.prefix),
            seconds(record.created_at),
            record.expires_at.map_or_else(|| "never".to_owned(), seconds),
            record.last_used_at.map_or_else(|| "never".to_owned(), seconds),
            record.counts.stored.to_string(),
            record.counts.ignored.to_string(),
            record.counts.rejected.to_string(),
            state(key),
        ]);
    }
    crate::say!("{}", out.trim_fmt());
}

fn state(key: &ShownKey) -> String {
    match (key.state, key.record.revoked_at, &key.record.previous) {
        (KeyState::Revoked, Some(at), _) => format!("revoked {}", seconds(at)),
        (KeyState::Revoked, None, _) => "revoked".to_owned(),
        (KeyState::Expired, ..) => "expired".to_owned(),
        (KeyState::Valid, _, Some(previous)) => {
            format!("valid; {}… until {}", previous.prefix, seconds(previous.until))
        }
        (KeyState::Valid, _, None) => "valid".to_owned(),
    }
}
