//! `nightmark template test`: what a receiver would take out of a body by a payload template.

use super::table::{shown, table};
use super::{Context, Exit};
use crate::mapping::{Envelope, Mapping, Patch, Path, PayloadTemplate, Reading, Update, parse_strict};
use anyhow::{Context as _, anyhow, bail};
use chrono::SecondsFormat;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use std::io::Read;
use std::path::{self, PathBuf};

/// Arguments of `nightmark template`.
#[derive(Debug, Args)]
pub struct TemplateArgs {
    #[command(subcommand)]
    command: TemplateCommand,
}

#[derive(Debug, Subcommand)]
enum TemplateCommand {
    /// Show what a receiver would take out of a body
    Test(TestArgs),
}

#[derive(Debug, Args)]
struct TestArgs {
    /// A file with one JSON body; `-`: standard input
    #[arg(long, value_name = "FILE")]
    body: String,
    /// The payload template: segment, rudderstack, hightouch, flat, or a TOML or JSON file
    #[arg(long, value_name = "NAME|FILE")]
    template: String,
}

/// Runs the command. Exit 2 if the receiver would refuse the body.
///
/// # Errors
/// A file that cannot be read and a template that cannot be used.
pub async fn run(context: &Context, args: TemplateArgs) -> anyhow::Result<Exit> {
    let TemplateCommand::Test(args) = args.command;
    let template = load_template(context.home.dir(), &args.template)?;
    let body = body(context.home.dir(), &args.body)?;
    let read = Mapping::new(template.clone()).read(&body).map_err(|unfit| unfit.to_string());
    let payload = parse_strict(&body).ok().and_then(|value| match value {
        Value::Object(payload) => Some(payload),
        _ => None,
    });
    let fields = fields(&template, payload.as_ref(), read.as_ref().ok());
    match context.json {
        true => print_json(&template, &read, &fields),
        false => print_text(&template, &read, &fields),
    }
    Ok(if read.is_ok() { Exit::Done } else { Exit::CouldNotRun })
}

/// A preset's name or a file, relative to the current folder as for every argument, or else to the home folder.
///
/// # Errors
/// No such preset or file, and every problem of the template.
pub(super) fn load_template(home: &path::Path, name: &str) -> anyhow::Result<PayloadTemplate> {
    if let Some(template) = PayloadTemplate::preset(name) {
        return Ok(template);
    }
    let path = [PathBuf::from(name), home.join(name)].into_iter().find(|path| path.is_file());
    let Some(path) = path else {
        let presets: Vec<_> = PayloadTemplate::presets().collect();
        bail!("--template {name}: there is no such file, and it is not one of the presets {}", presets.join(", "));
    };
    let text = std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    let json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let template = if json { PayloadTemplate::from_json_text(&text) } else { PayloadTemplate::from_toml_text(&text) };
    template.map_err(|error| anyhow!(error.about(&path.display().to_string())))
}

fn body(home: &path::Path, name: &str) -> anyhow::Result<Vec<u8>> {
    if name == "-" {
        let mut body = Vec::new();
        std::io::stdin().read_to_end(&mut body).context("the body cannot be read from standard input")?;
        return Ok(body);
    }
    let given = PathBuf::from(name);
    let path = if given.exists() { given } else { home.join(name) };
    std::fs::read(&path).with_context(|| format!("--body {name} cannot be read"))
}

/// What becomes of one field.
struct Taken {
    field: String,
    path: String,
    /// What it does to the org: `set`, `cleared`, `absent`. Of a body that is refused or ignored, and of a condition, what stands there: `found`, `null`,
    /// `absent`.
    state: &'static str,
    value: Option<Value>,
    /// A path that the body has and that the template may have meant.
    near: Option<String>,
}

fn fields(template: &PayloadTemplate, payload: Option<&Map<String, Value>>, read: Option<&Reading>) -> Vec<Taken> {
    let update = read.and_then(|reading| match reading {
        Reading::Update(update) => Some(update),
        Reading::Ignored => None,
    });
    let patch = update.map(|update| &update.patch);
    let mut there = Vec::new();
    payload.iter().for_each(|payload| paths(payload, "", &mut there));
    let taken = |field: &str, path: &Path, stored: Option<Patch<Value>>| {
        let (state, value) = match (stored, payload.and_then(|payload| path.find(payload))) {
            (Some(Patch::Set(value)), _) => ("set", Some(value)),
            (Some(Patch::Clear), _) => ("cleared", None),
            (Some(Patch::Keep), _) | (None, None) => ("absent", None),
            (None, Some(Value::Null)) => ("null", None),
            (None, Some(value)) => ("found", Some(value.clone())),
        };
        let path = path.to_string();
        let near = (state == "absent").then(|| near(&path, &there)).flatten();
        Taken { field: field.to_owned(), path, state, value, near }
    };
    let id = patch.map(|patch| Patch::Set(Value::from(patch.product_org_id.as_str())));
    let mut all = vec![taken(PayloadTemplate::ID, &template.product_org_id, id)];
    let fields = template.fields.iter();
    all.extend(fields.map(|(field, path)| taken(field.as_str(), path, patch.map(|patch| patch.field(*field)))));
    let custom = |name: &String| patch.map(|patch| patch.custom.get(name).cloned().unwrap_or_default());
    all.extend(template.custom.iter().map(|(name, path)| taken(name, path, custom(name))));
    let around = |name: &str| update.and_then(|update| around(name, update));
    all.extend(template.envelope.paths().map(|(name, path)| taken(name, path, around(name))));
    all
}

/// What was taken of the envelope; of a condition nothing is.
fn around(name: &str, update: &Update) -> Option<Patch<Value>> {
    let value = match name {
        Envelope::TIMESTAMP => update.event_at.map(|at| at.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
        Envelope::MESSAGE_ID => update.message_id.clone(),
        _ => return None,
    };
    Some(value.map_or(Patch::Keep, |value| Patch::Set(value.into())))
}

/// Every dot path of a payload.
fn paths(object: &Map<String, Value>, before: &str, out: &mut Vec<String>) {
    for (name, value) in object {
        let path = if before.is_empty() { name.clone() } else { format!("{before}.{name}") };
        if let Value::Object(inner) = value {
            paths(inner, &path, out);
        }
        out.push(path);
    }
}

/// The path that comes nearest: the same but for its case, the same name elsewhere, or a misspelling.
fn near(path: &str, there: &[String]) -> Option<String> {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_lowercase();
    let likeness = |other: &str| match last(other) == last(path) {
        true => 1.0,
        false => strsim::normalized_damerau_levenshtein(&path.to_lowercase(), &other.to_lowercase()),
    };
    let rated = there.iter().map(|other| (likeness(other), other)).filter(|(likeness, _)| *likeness >= 0.7);
    rated.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, other)| other.clone())
}

/// Why a body is ignored.
fn passed_over(template: &PayloadTemplate) -> String {
    let condition = template.envelope.only_if.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("the template takes only what has {condition}")
}

fn print_text(template: &PayloadTemplate, read: &Result<Reading, String>, fields: &[Taken]) {
    match read {
        Ok(Reading::Update(update)) => {
            crate::say!("accepted: an update of org {}\n", shown(&update.patch.product_org_id));
        }
        Ok(Reading::Ignored) => crate::say!("ignored (200): {}\n", shown(&passed_over(template))),
        Err(words) => crate::say!("refused (400): {}\n", shown(words)),
    }
    let mut out = table(&["field", "path", "state", "value"]);
    for taken in fields {
        let value = match (&taken.value, &taken.near) {
            (Some(value), _) => value.to_string(),
            (None, Some(near)) => format!("did you mean `{near}`?"),
            (None, None) => String::new(),
        };
        out.add_row([&shown(&taken.field), &shown(&taken.path), taken.state, &shown(&value)]);
    }
    crate::say!("{}", out.trim_fmt());
}

fn print_json(template: &PayloadTemplate, read: &Result<Reading, String>, fields: &[Taken]) {
    let fields = fields.iter().map(|taken| {
        json!({
            "field": taken.field,
            "path": taken.path,
            "state": taken.state,
            "value": taken.value,
            "near": taken.near,
        })
    });
    let (update, reason) = match read {
        Ok(Reading::Update(update)) => (Some(update), None),
        Ok(Reading::Ignored) => (None, Some(passed_over(template))),
        Err(words) => (None, Some(words.clone())),
    };
    crate::say!(
        "{}",
        json!({
            "accepted": update.is_some(),
            "ignored": read.is_ok() && update.is_none(),
            "product_org_id": update.map(|update| &update.patch.product_org_id),
            "reason": reason,
            "fields": fields.collect::<Value>(),
        })
    );
}
