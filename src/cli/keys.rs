//! `nightmark keys`: the receiver's API keys.

use super::table::{shown, table};
use super::template::load_template;
use super::{Context, Exit};
use crate::mapping::PayloadTemplate;
use crate::receiver::keys::{self, CreatedKey, NewKey, Purpose};
use crate::store::KeyRecord;
use anyhow::{Context as _, bail, ensure};
use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, TimeDelta, Utc};
use clap::{Args, Subcommand, ValueEnum};
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use std::net::SocketAddr;

/// Arguments of `nightmark keys`.
#[derive(Debug, Args)]
pub struct KeysArgs {
    #[command(subcommand)]
    command: Option<KeysCommand>,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Make a key; its text is shown this once
    Create(CreateArgs),
    /// List the keys, without their texts
    List,
    /// Revoke a key at once and for good
    Revoke {
        /// The key's id, as `keys list` shows it
        id: String,
    },
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// What to call it
    #[arg(long, value_parser = name)]
    name: String,
    /// What it may be used for
    #[arg(long = "type", value_enum, default_value = "product-orgs")]
    endpoint: Endpoint,
    /// Where the fields stand in the payloads: flat, segment, or a TOML or JSON file [default: flat]
    #[arg(long, value_name = "flat|segment|FILE")]
    template: Option<String>,
    /// Make a secret as well, which requests must send as X-Api-Secret
    #[arg(long)]
    with_secret: bool,
    /// Until when it is valid: 2027-01-31T12:00:00Z, 2027-01-31 (where that day begins in UTC), or a time from now
    /// such as 90d
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Endpoint {
    /// Product Org Updates
    ProductOrgs,
    /// Signal Staging
    SignalStaging,
}

/// Runs the command.
///
/// # Errors
/// A state store that fails, a template that cannot be used, or an id that no key has.
pub async fn run(context: &Context, args: KeysArgs) -> anyhow::Result<Exit> {
    match args.command.unwrap_or(KeysCommand::List) {
        KeysCommand::Create(args) => create(context, args).await?,
        KeysCommand::List => list(context).await?,
        KeysCommand::Revoke { id } => revoke(context, &id).await?,
    }
    Ok(Exit::Done)
}

async fn create(context: &Context, args: CreateArgs) -> anyhow::Result<()> {
    let now = context.clock.now();
    let expires_at = args.expires.as_deref().map(|text| expiry(text, now)).transpose()?;
    // Everything is checked before the store is opened: a mistake leaves no file behind.
    let purpose = purpose(context, args.endpoint, args.template.as_deref())?;
    let new = NewKey { name: args.name, purpose, with_secret: args.with_secret, expires_at };
    let store = context.store().await?;
    let created = keys::create(&*store, context.clock.as_ref(), new).await?;
    store.close().await;
    match context.json {
        true => print_json(&created),
        false => print_text(context, &created, now),
    }
    Ok(())
}

fn purpose(context: &Context, endpoint: Endpoint, template: Option<&str>) -> anyhow::Result<Purpose> {
    match (endpoint, template) {
        (Endpoint::ProductOrgs, template) => {
            Ok(Purpose::ProductOrgs(load_template(context.home.dir(), template.unwrap_or("flat"))?))
        }
        // Signals have no payload template; one that is given is not used.
        (Endpoint::SignalStaging, _) => Ok(Purpose::SignalStaging),
    }
}

fn name(text: &str) -> Result<String, &'static str> {
    match text.trim() {
        "" => Err("a key needs a name to tell it from others"),
        name => Ok(name.to_owned()),
    }
}

/// An RFC 3339 time, a date, or minutes, hours, days or weeks from now. Only a time that is written out in full may have
/// passed: such a key is good for tests.
fn expiry(text: &str, now: DateTime<Utc>) -> anyhow::Result<DateTime<Utc>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.to_utc());
    }
    if let Ok(date) = text.parse::<NaiveDate>() {
        let begins = date.and_time(NaiveTime::MIN).and_utc();
        ensure!(begins > now, "--expires {text}: that day has begun already (in UTC), so the key would never be valid");
        return Ok(begins);
    }
    let from_now = || -> Option<DateTime<Utc>> {
        let at = text.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = text[..at].parse().ok().filter(|number| *number > 0)?;
        let minutes = match &text[at..] {
            "m" => 1,
            "h" => 60,
            "d" => 24 * 60,
            "w" => 7 * 24 * 60,
            _ => return None,
        };
        now.checked_add_signed(TimeDelta::try_minutes(number.checked_mul(minutes)?)?)
    };
    from_now().with_context(|| {
        format!(
            "--expires {text}: expected a time such as 2027-01-31T12:00:00Z, a date such as 2027-01-31, or a number \
             above 0 and m, h, d or w, such as 90d"
        )
    })
}

fn print_json(created: &CreatedKey) {
    let secret = created.secret.as_ref().map(ExposeSecret::expose_secret);
    let mut object = record_json(&created.record);
    object.insert("key".into(), json!(created.key.expose_secret()));
    object.insert("secret".into(), json!(secret));
    crate::say!("{}", Value::Object(object));
}

/// A key's record with the name of its template and whether there is a secret, without the hashes.
fn record_json(key: &KeyRecord) -> Map<String, Value> {
    let mut object = match json!(key) {
        Value::Object(object) => object,
        _ => Map::new(),
    };
    object.insert("template".into(), json!(template_name(key)));
    object.insert("has_secret".into(), json!(key.secret_hash.is_some()));
    object
}

/// A preset's name, or `custom`; `None` for keys that have no template.
fn template_name(key: &KeyRecord) -> Option<&'static str> {
    let text = key.template.as_deref()?;
    Some(PayloadTemplate::from_json_text(text).ok().and_then(|template| template.preset_name()).unwrap_or("custom"))
}

fn print_text(context: &Context, created: &CreatedKey, now: DateTime<Utc>) {
    let key = created.key.expose_secret();
    crate::say!("The key is shown once, copy it now:\n\n    key     {key}");
    if let Some(secret) = &created.secret {
        crate::say!("    secret  {}    (to be sent as X-Api-Secret)", secret.expose_secret());
    }
    crate::say!("\nIts id, for `nightmark keys revoke`: {}", created.record.id);
    if let Some(end) = created.record.expires_at {
        crate::say!("It {} {}.", if end <= now { "HAS EXPIRED already, at" } else { "expires at" }, seconds(end));
    }
    if let Some(template) = created.record.template.as_deref().and_then(|t| PayloadTemplate::from_json_text(t).ok()) {
        crate::say!("\nWhile `nightmark serve` runs (at this address, or where it says that it listens):\n");
        crate::say!("{}", curl(context.settings.receiver.address, created, &template));
    }
}

/// The call of the reference guide, with a body that the key's template reads.
fn curl(address: SocketAddr, created: &CreatedKey, template: &PayloadTemplate) -> String {
    let secret = created.secret.as_ref().map(|s| format!("      -H \"X-Api-Secret: {}\" \\\n", s.expose_secret()));
    format!(
        "    curl -X POST http://{address}/api/product-orgs/webhook/{} \\\n      -H \"Content-Type: application/json\" \\\n{}      \
         -d '{}'",
        created.key.expose_secret(),
        secret.unwrap_or_default(),
        template.example().to_string().replace('\'', "'\\''"),
    )
}

async fn list(context: &Context) -> anyhow::Result<()> {
    let keys = match context.look_into_store().await? {
        Some(store) => {
            let keys = store.keys().await?;
            store.close().await;
            keys
        }
        None => Vec::new(),
    };
    if context.json {
        crate::say!("{}", keys.iter().map(|key| Value::Object(record_json(key))).collect::<Value>());
    } else if keys.is_empty() {
        crate::say!("no keys yet; `nightmark keys create --name NAME` makes one");
    } else {
        let mut out =
            table(&["id", "name", "type", "template", "secret", "key", "created", "expires", "last used", "state"]);
        for key in &keys {
            out.add_row([
                key.id.clone(),
                shown(&key.name),
                key.endpoint.to_string(),
                template_name(key).unwrap_or("-").to_owned(),
                if key.secret_hash.is_some() { "yes" } else { "no" }.to_owned(),
                format!("{}…", key.prefix),
                seconds(key.created_at),
                key.expires_at.map_or_else(|| "never".to_owned(), seconds),
                key.last_used_at.map_or_else(|| "never".to_owned(), seconds),
                state(key, context.clock.now()),
            ]);
        }
        crate::say!("{}", out.trim_fmt());
    }
    Ok(())
}

fn state(key: &KeyRecord, now: DateTime<Utc>) -> String {
    match (key.revoked_at, key.expires_at) {
        (Some(at), _) => format!("revoked {}", seconds(at)),
        (None, Some(end)) if end <= now => "expired".to_owned(),
        _ => "valid".to_owned(),
    }
}

async fn revoke(context: &Context, id: &str) -> anyhow::Result<()> {
    let unknown = || format!("there is no key {id}; `nightmark keys list` shows them");
    // A store that is not there has no keys, and a look for one must not make it.
    if matches!(context.look_into_store().await, Ok(None)) {
        bail!(unknown());
    }
    let store = context.store().await?;
    let key = store.revoke_key(id, context.clock.now()).await?;
    store.close().await;
    let key = key.with_context(unknown)?;
    match context.json {
        true => crate::say!("{}", Value::Object(record_json(&key))),
        false => crate::say!("the key {} ({}) is revoked", key.id, shown(&key.name)),
    }
    Ok(())
}

fn seconds(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_expiry(text: &str, expected: Option<&str>) {
        let now = "2026-03-01T12:00:00Z".parse().expect("a time");
        assert_eq!(expiry(text, now).ok().map(seconds).as_deref(), expected, "{text}");
    }

    #[test]
    fn expiries() {
        check_expiry("2027-01-31T00:00:00Z", Some("2027-01-31T00:00:00Z"));
        check_expiry("2027-01-31T00:00:00+02:00", Some("2027-01-30T22:00:00Z"));
        check_expiry("90d", Some("2026-05-30T12:00:00Z"));
        check_expiry("2w", Some("2026-03-15T12:00:00Z"));
        check_expiry("30m", Some("2026-03-01T12:30:00Z"));
        check_expiry("2027-01-31", Some("2027-01-31T00:00:00Z"));
        check_expiry("2020-01-01T00:00:00Z", Some("2020-01-01T00:00:00Z"));
        for text in ["", "d", "90", "90y", "-1d", "0d", "1.5d", "99999999999999999d", "9223372036854775807w"] {
            check_expiry(text, None);
        }
        for text in ["2026-03-01", "2020-01-01", "2027-02-30"] {
            check_expiry(text, None);
        }
    }
}
