//! `nightmark keys create`

use super::super::Context;
use super::super::template::load_template;
use super::time::{expiry, seconds};
use crate::mapping::PayloadTemplate;
use crate::receiver::keys::{self, CreatedKey, NewKey, Purpose, ShownKey};
use crate::store::{SignatureCheck, SignatureScheme};
use chrono::{DateTime, Utc};
use clap::{Args, ValueEnum};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::net::SocketAddr;

/// Arguments of `nightmark keys create`.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// What to call it
    #[arg(long, value_parser = name)]
    pub(super) name: String,
    /// What it may be used for
    #[arg(long = "type", value_enum, default_value = "product-orgs")]
    endpoint: Endpoint,
    /// Where the fields stand in the payloads: flat, segment, rudderstack, or a TOML or JSON file [default: flat]
    #[arg(long, value_name = "flat|segment|rudderstack|FILE")]
    template: Option<String>,
    /// Make a secret as well, which requests must send as X-Api-Secret
    #[arg(long)]
    with_secret: bool,
    /// Until when it is valid: 2027-01-31T12:00:00Z, 2027-01-31 (where that day begins in UTC), or a time from now
    /// such as 90d
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    /// Take only requests whose body is signed: `segment` (X-Signature, as Segment's Webhooks destination signs with its
    /// shared secret) or `standard-webhooks` (webhook-id, webhook-timestamp, webhook-signature)
    #[arg(long, value_enum, requires = "signing_secret")]
    signature: Option<Scheme>,
    /// Where the signing secret is, as `nightmark serve` finds it: '${ENV}' or '${file:PATH}'; never the secret itself
    #[arg(long, value_name = "REFERENCE", requires = "signature")]
    signing_secret: Option<String>,
    /// Requests a second that it may make [default: the receiver's setting]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Endpoint {
    /// Product Org Updates
    ProductOrgs,
    /// Signal Staging
    SignalStaging,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Scheme {
    /// HMAC-SHA1 in hex, in X-Signature
    Segment,
    /// Standard Webhooks, version 1
    StandardWebhooks,
}

impl From<Scheme> for SignatureScheme {
    fn from(scheme: Scheme) -> SignatureScheme {
        match scheme {
            Scheme::Segment => SignatureScheme::SegmentSha1,
            Scheme::StandardWebhooks => SignatureScheme::StandardWebhooks,
        }
    }
}

pub async fn run(context: &Context, args: CreateArgs) -> anyhow::Result<()> {
    let now = context.clock.now();
    // Everything is checked before the store is opened: a mistake leaves no file behind.
    let new = NewKey {
        expires_at: args.expires.as_deref().map(|text| expiry(text, now)).transpose()?,
        purpose: purpose(context, args.endpoint, args.template.as_deref())?,
        signature: args
            .signature
            .zip(args.signing_secret)
            .map(|(scheme, secret)| SignatureCheck { scheme: scheme.into(), secret }),
        name: args.name,
        with_secret: args.with_secret,
        rate: args.rate,
    };
    new.check()?;
    let store = context.store().await?;
    let created = keys::create(&*store, context.clock.as_ref(), new).await?;
    store.close().await;
    match context.json {
        true => crate::say!("{}", created_json(&created, now)),
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

/// The record with the texts that are shown this once.
pub(super) fn created_json(created: &CreatedKey, now: DateTime<Utc>) -> Value {
    let mut object = json!(ShownKey::new(created.record.clone(), now));
    object["key"] = json!(created.key.expose_secret());
    object["secret"] = json!(created.secret.as_ref().map(ExposeSecret::expose_secret));
    object
}

/// The texts that are shown this once.
pub(super) fn print_texts(created: &CreatedKey) {
    crate::say!("The key is shown once, copy it now:\n\n    key     {}", created.key.expose_secret());
    if let Some(secret) = &created.secret {
        crate::say!("    secret  {}    (to be sent as X-Api-Secret)", secret.expose_secret());
    }
}

fn print_text(context: &Context, created: &CreatedKey, now: DateTime<Utc>) {
    print_texts(created);
    crate::say!("\nIts id, for `nightmark keys rotate` and `revoke`: {}", created.record.id);
    if let Some(end) = created.record.expires_at {
        crate::say!("It {} {}.", if end <= now { "HAS EXPIRED already, at" } else { "expires at" }, seconds(end));
    }
    if let Some(signature) = &created.record.signature {
        crate::say!(
            "Its requests must be signed ({}); `nightmark serve` looks for the secret at {}.",
            signature.scheme.as_str(),
            signature.secret
        );
        return;
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
