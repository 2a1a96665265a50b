//! The `[destination]` and `[payload]` of a job, by questions. Secrets are only ever references, `${NAME}` or `${file:PATH}`.

use super::ask::Asker;
use crate::import::toml::quoted;
use anyhow::bail;

/// Arguments that say where webhooks go.
#[derive(Debug, Clone, clap::Args)]
pub struct DestinationArgs {
    /// Who takes the webhooks: trailspark, segment, rudderstack or http
    #[arg(long, value_name = "KIND")]
    destination: Option<String>,
    /// trailspark: acme of https://acme.trailspark.ai
    #[arg(long, value_name = "NAME", conflicts_with = "base_url")]
    subdomain: Option<String>,
    /// trailspark: a receiver of your own instead, such as http://127.0.0.1:8080
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// rudderstack: the data plane, such as https://acme.dataplane.rudderstack.com
    #[arg(long, value_name = "URL")]
    data_plane_url: Option<String>,
    /// segment: us or eu [default: us]
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// http: the address; secrets in it as ${NAME}
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Where the API key or write key is: ${NAME} or ${file:PATH}, never the key [default: a variable named after the destination]
    #[arg(long, value_name = "REFERENCE")]
    key_from: Option<String>,
}

const KINDS: &[&str] = &["trailspark", "segment", "rudderstack", "http"];

/// The two sections as text.
pub(super) fn sections(asker: &mut Asker, args: &DestinationArgs) -> anyhow::Result<String> {
    let kind = asker.choice("--destination", "who takes the webhooks?", args.destination.as_deref(), KINDS)?;
    let mut lines = vec!["[destination]".to_owned(), format!("kind = {}", quoted(&kind))];
    match kind.as_str() {
        "trailspark" => {
            lines.push(trailspark(asker, args)?);
            lines.push(format!(
                "key = {}    # of the type Product Org Updates",
                key(asker, args, "${TRAILSPARK_API_KEY}", "the API key")?
            ));
            lines.push(
                "# secret = \"${TRAILSPARK_API_SECRET}\"    # if the key has one; sent as X-Api-Secret".to_owned(),
            );
            lines.push(
                "\n[payload]\npreset = \"flat\"    # a JSON object of every column that is not ignored".to_owned(),
            );
        }
        "segment" => {
            let write_key = key(asker, args, "${SEGMENT_WRITE_KEY}", "the write key")?;
            lines.push(format!("write_key = {write_key}    # of an HTTP API source"));
            let region = asker.text("--region", "region (us, eu)", args.region.as_deref(), Some("us"))?;
            lines.push(format!("region = {}", quoted(&region)));
            lines.push(EVENTS.to_owned());
        }
        "rudderstack" => {
            let question = "data plane, such as https://acme.dataplane.rudderstack.com";
            let url = asker.text("--data-plane-url", question, args.data_plane_url.as_deref(), None)?;
            lines.push(format!("data_plane_url = {}", quoted(&url)));
            let write_key = key(asker, args, "${RUDDERSTACK_WRITE_KEY}", "the write key")?;
            lines.push(format!("write_key = {write_key}    # of the source"));
            lines.push(EVENTS.to_owned());
        }
        "http" => {
            let url = asker.text("--url", "address; secrets in it as ${NAME}", args.url.as_deref(), None)?;
            lines.push(format!("url = {}", quoted(&url)));
            lines.push("# headers = { Authorization = \"Bearer ${WEBHOOK_TOKEN}\" }".to_owned());
            lines.push(
                "\n[payload]\npreset = \"flat\"    # a JSON object of every column that is not ignored".to_owned(),
            );
        }
        // It was not said, which the asker has noted.
        _ => {}
    }
    Ok(lines.join("\n"))
}

const EVENTS: &str = "mode = \"batch\"    # as many events in a request as fit\n\n[payload]\npreset = \"group\"    # groupId is the key, traits.NAME each \
                      other column that is not ignored";

fn trailspark(asker: &mut Asker, args: &DestinationArgs) -> anyhow::Result<String> {
    if let Some(url) = &args.base_url {
        return Ok(format!("base_url = {}", quoted(url)));
    }
    let question = "subdomain (acme of https://acme.trailspark.ai), or the address of a receiver of your own";
    let answer = asker.text("--subdomain or --base-url", question, args.subdomain.as_deref(), None)?;
    let field = if answer.contains("://") && args.subdomain.is_none() { "base_url" } else { "subdomain" };
    Ok(format!("{field} = {}", quoted(&answer)))
}

/// A reference, as TOML. Whatever else is given may be the secret itself, so it is not repeated.
fn key(asker: &mut Asker, args: &DestinationArgs, default: &str, what: &str) -> anyhow::Result<String> {
    let question = format!("where {what} is: ${{NAME}} or ${{file:PATH}}, never the key itself");
    let reference = asker.text("--key-from", &question, args.key_from.as_deref(), Some(default))?;
    if !is_reference(&reference) {
        bail!(
            "--key-from: expected a reference such as {default} or ${{file:/run/secrets/key}}; a job file never has the key itself"
        );
    }
    Ok(quoted(&reference))
}

fn is_reference(text: &str) -> bool {
    let inside = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    inside.is_some_and(|inside| {
        let is_name = inside.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        !inside.is_empty() && (is_name || inside.strip_prefix("file:").is_some_and(|path| !path.is_empty()))
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_key_is_a_reference() {
        for (text, is) in [
            ("${A_KEY}", true),
            ("${file:/run/key}", true),
            ("sk_live_1", false),
            ("${}", false),
            ("${file:}", false),
            ("x${A}", false),
            ("${a b}", false),
        ] {
            assert_eq!(super::is_reference(text), is, "{text}");
        }
    }
}
