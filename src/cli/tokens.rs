//! `nightmark tokens`: who may use the operator's address.

use super::keys::time::{expiry, seconds};
use super::table::{shown, table};
use super::{Context, Exit};
use crate::store::{Role, TokenRecord};
use crate::web::tokens;
use anyhow::Context as _;
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, ValueEnum};
use secrecy::ExposeSecret as _;
use serde_json::json;

/// Arguments of `nightmark tokens`.
#[derive(Debug, Args)]
pub struct TokensArgs {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a token; its text is shown this once
    Create(CreateArgs),
    /// List the tokens, without their texts
    List,
    /// Revoke a token at once and for good
    Revoke {
        /// The token's id, as `tokens list` shows it
        id: String,
    },
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// Whose it is: what stands in the audit log
    #[arg(long, value_parser = name)]
    name: String,
    /// What it allows
    #[arg(long, value_enum)]
    role: Allowed,
    /// Until when it is valid: 2027-01-31T12:00:00Z, 2027-01-31 (where that day begins in UTC), or a time from now such as 90d
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Allowed {
    /// To look
    Viewer,
    /// And to begin runs, to approve and to discard
    Operator,
    /// And to make and revoke the receiver's keys, and to read the audit log
    Admin,
}

impl From<Allowed> for Role {
    fn from(allowed: Allowed) -> Role {
        match allowed {
            Allowed::Viewer => Role::Viewer,
            Allowed::Operator => Role::Operator,
            Allowed::Admin => Role::Admin,
        }
    }
}

impl TokensArgs {
    /// What of it goes into the audit log.
    pub(super) fn audited(&self) -> Option<(&'static str, Option<String>)> {
        match self.command.as_ref()? {
            Command::Create(args) => Some(("tokens create", Some(args.name.clone()))),
            Command::Revoke { id } => Some(("tokens revoke", Some(id.clone()))),
            Command::List => None,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// A state store that fails, or an id that no token has.
pub async fn run(context: &Context, args: TokensArgs) -> anyhow::Result<Exit> {
    match args.command.unwrap_or(Command::List) {
        Command::Create(args) => create(context, args).await?,
        Command::List => list(context).await?,
        Command::Revoke { id } => revoke(context, &id).await?,
    }
    Ok(Exit::Done)
}

async fn create(context: &Context, args: CreateArgs) -> anyhow::Result<()> {
    let expires_at = args.expires.as_deref().map(|text| expiry(text, context.clock.now())).transpose()?;
    let (record, token) = tokens::make(context.clock.as_ref(), &args.name, args.role.into(), expires_at);
    let store = context.store().await?;
    let put = store.put_token(&record).await;
    store.close().await;
    put?;
    if context.json {
        let mut object = json!(record);
        object["token"] = json!(token.expose_secret());
        crate::say!("{object}");
        return Ok(());
    }
    crate::say!(
        "token  {}\n\n{} ({}) allows {} what the role `{}` does. It is shown this once. Send it as `Authorization: Bearer TOKEN`; a browser takes it as the \
         password, with any user.\nFrom now on the operator's address answers nobody without a token.",
        token.expose_secret(),
        record.id,
        shown(&record.name),
        record.expires_at.map_or_else(|| "for good".to_owned(), |end| format!("until {}", seconds(end))),
        record.role.as_str()
    );
    Ok(())
}

async fn list(context: &Context) -> anyhow::Result<()> {
    let tokens = match context.look_into_store().await? {
        Some(store) => {
            let tokens = store.tokens().await;
            store.close().await;
            tokens?
        }
        None => Vec::new(),
    };
    if context.json {
        crate::say!("{}", json!(tokens));
        return Ok(());
    }
    if tokens.is_empty() {
        crate::say!("no tokens yet; `nightmark tokens create --name NAME --role viewer|operator|admin` makes one");
        return Ok(());
    }
    let now = context.clock.now();
    let mut out = table(&["id", "name", "role", "created", "expires", "state"]);
    for token in &tokens {
        out.add_row([
            token.id.clone(),
            shown(&token.name),
            token.role.as_str().to_owned(),
            seconds(token.created_at),
            token.expires_at.map_or_else(|| "-".to_owned(), seconds),
            state(token, now),
        ]);
    }
    crate::say!("{out}");
    Ok(())
}

fn state(token: &TokenRecord, now: DateTime<Utc>) -> String {
    match (token.revoked_at, token.is_valid(now)) {
        (Some(at), _) => format!("revoked {}", seconds(at)),
        (None, true) => "valid".to_owned(),
        (None, false) => "expired".to_owned(),
    }
}

async fn revoke(context: &Context, id: &str) -> anyhow::Result<()> {
    let unknown = || format!("there is no token {id}; `nightmark tokens list` shows them");
    // A store that is not there has no tokens, and a look for one must not make it.
    context.look_into_store().await?.with_context(unknown)?.close().await;
    let store = context.store().await?;
    let token = store.revoke_token(id, context.clock.now()).await;
    store.close().await;
    let token = token?.with_context(unknown)?;
    match context.json {
        true => crate::say!("{}", json!(token)),
        false => crate::say!("the token {} ({}) is revoked", token.id, shown(&token.name)),
    }
    Ok(())
}

fn name(text: &str) -> Result<String, &'static str> {
    match text.trim() {
        "" => Err("a token needs a name, which stands in the audit log"),
        name => Ok(name.to_owned()),
    }
}
