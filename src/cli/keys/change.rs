//! `nightmark keys rotate` and `nightmark keys revoke`

use super::super::Context;
use super::super::table::shown;
use super::create::{created_json, print_texts};
use super::time::{overlap, seconds};
use crate::receiver::keys::{self, KeyError, Rotation, ShownKey};
use crate::store::StateStore;
use clap::Args;
use serde_json::json;
use std::sync::Arc;

/// Arguments of `nightmark keys rotate`.
#[derive(Debug, Args)]
pub struct RotateArgs {
    /// The key's id, as `keys list` shows it
    pub(super) id: String,
    /// How long the text that it has now stays valid beside the new one, such as 30m, 24h or 7d; 0: not at all
    #[arg(long, value_name = "TIME", default_value = "24h")]
    overlap: String,
    /// If the overlap of the rotation before has not ended, end it now: only one earlier text is valid beside the newest
    #[arg(long)]
    end_previous: bool,
}

/// Arguments of `nightmark keys revoke`.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// The key's id, as `keys list` shows it
    pub(super) id: String,
}

pub async fn rotate(context: &Context, args: RotateArgs) -> anyhow::Result<()> {
    let how = Rotation { overlap: overlap(&args.overlap)?, end_previous: args.end_previous };
    let store = open(context, &args.id).await?;
    let rotated = keys::rotate(&*store, context.clock.as_ref(), &args.id, how).await;
    store.close().await;
    let rotated = rotated?;
    if context.json {
        crate::say!("{}", created_json(&rotated, context.clock.now()));
        return Ok(());
    }
    print_texts(&rotated);
    if let Some(previous) = &rotated.record.previous {
        match how.overlap.is_zero() {
            true => crate::say!("\nThe text before it ({}…) is no longer valid.", previous.prefix),
            false => crate::say!(
                "\nThe text before it ({}…) is valid until {}: put the new one where senders have that one.",
                previous.prefix,
                seconds(previous.until)
            ),
        }
    }
    Ok(())
}

pub async fn revoke(context: &Context, args: RevokeArgs) -> anyhow::Result<()> {
    let store = open(context, &args.id).await?;
    let key = store.revoke_key(&args.id, context.clock.now()).await;
    store.close().await;
    let key = key?.ok_or(KeyError::Unknown(args.id))?;
    match context.json {
        true => crate::say!("{}", json!(ShownKey::new(key, context.clock.now()))),
        false => crate::say!("the key {} ({}) is revoked", key.id, shown(&key.name)),
    }
    Ok(())
}

/// A store that is not there has no keys, and a look for one must not make it.
async fn open(context: &Context, id: &str) -> anyhow::Result<Arc<dyn StateStore>> {
    if matches!(context.look_into_store().await, Ok(None)) {
        return Err(KeyError::Unknown(id.to_owned()).into());
    }
    context.store().await
}
