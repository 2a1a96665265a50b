//! `[alerts]`: who is told when something is wrong with a job.

use crate::job::document::Document;
use crate::job::problem::Fault;
use crate::job::secret_address;
use crate::job::spec::Templated;
use crate::job::units;
use schemars::JsonSchema;
use serde::Deserialize;
use std::time::Duration;

/// `[alerts]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertsSettings {
    /// A webhook that takes the body of Slack's, as a reference; `None`: no webhook.
    pub webhook: Option<Templated>,
    /// Scheduled jobs that have no such time of their own are to go through once in this time; `None`: whenever.
    pub no_success_for: Option<Duration>,
    /// `None`: no e-mail.
    pub email: Option<EmailSettings>,
}

impl AlertsSettings {
    /// Whether a user and a password go over the network before anybody has agreed on TLS: `tls=opportunistic` takes what it is offered, and whoever sits
    /// between may offer nothing. Not so on the way to this machine.
    pub fn sends_password_in_the_clear(url: &str) -> bool {
        let Some((user, rest)) = url.strip_prefix("smtp://").and_then(|rest| rest.rsplit_once('@')) else {
            return false;
        };
        let (host, query) = rest.split_once('?').unwrap_or((rest, ""));
        let host = host.trim_end_matches('/');
        let is_local = ["localhost", "127.0.0.1", "[::1]"]
            .iter()
            .any(|local| host.strip_prefix(local).is_some_and(|port| port.is_empty() || port.starts_with(':')));
        !user.is_empty() && !is_local && !query.split('&').any(|setting| setting == "tls=required")
    }
}

/// `[alerts.email]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailSettings {
    /// `smtps://USER:${PASSWORD}@HOST` or `smtp://…?tls=required`.
    pub server: Templated,
    /// A mailbox.
    pub from: String,
    /// Mailboxes; at least one.
    pub to: Vec<String>,
}

/// As written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAlerts {
    webhook: String,
    no_success_for: String,
    email: RawEmail,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawEmail {
    server: String,
    from: String,
    to: Vec<String>,
}

/// `None`: something was reported.
pub(super) fn check(doc: &mut Document<'_>, raw: &RawAlerts) -> Option<AlertsSettings> {
    let webhook = match raw.webhook.as_str() {
        "" => Some(None),
        written => doc.accept("alerts.webhook", secret_address(written)).map(Some),
    };
    let no_success_for = match raw.no_success_for.as_str() {
        "" => Some(None),
        written => doc.accept("alerts.no_success_for", units::age(written)).map(Some),
    };
    let email = email(doc, &raw.email);
    Some(AlertsSettings { webhook: webhook?, no_success_for: no_success_for?, email: email? })
}

fn email(doc: &mut Document<'_>, raw: &RawEmail) -> Option<Option<EmailSettings>> {
    if raw.server.is_empty() && raw.from.is_empty() && raw.to.is_empty() {
        return Some(None);
    }
    let server = doc.accept("alerts.email.server", server(&raw.server));
    let from = doc.accept("alerts.email.from", mailbox(&raw.from));
    let to: Vec<_> =
        raw.to.iter().enumerate().map(|(at, to)| doc.accept(&format!("alerts.email.to[{at}]"), mailbox(to))).collect();
    if to.is_empty() {
        doc.report("alerts.email.to", Fault::new("there is nobody to write to").hint("to = [\"ops@example.com\"]"));
        return None;
    }
    Some(Some(EmailSettings { server: server?, from: from?, to: to.into_iter().collect::<Option<_>>()? }))
}

const SERVER: &str = "`smtps://USER:${SMTP_PASSWORD}@HOST`, `smtp://USER:${SMTP_PASSWORD}@HOST:587?tls=required` (STARTTLS), \
                      `smtp://localhost:25` (no TLS), or one reference for all of it";

fn server(written: &str) -> Result<Templated, Fault> {
    let address = Templated::parse_address(written).map_err(|fault| fault.hint(SERVER))?;
    if address.is_reference_only() {
        return Ok(address);
    }
    let Some((scheme, rest)) = written.split_once("://") else {
        return Err(Fault::new("this is no address of an SMTP server").hint(SERVER));
    };
    if scheme != "smtp" && scheme != "smtps" {
        return Err(Fault::new(format!("`{scheme}` is not a protocol of e-mail servers")).hint(SERVER));
    }
    let user_info = rest.rsplit_once('@').map(|(user_info, _)| user_info);
    let password = user_info.and_then(|user_info| user_info.split_once(':')).map(|(_, password)| password);
    match password {
        Some(password) if !password.starts_with("${") || !password.ends_with('}') => {
            Err(Fault::new("a password must not stand in the settings").hint(SERVER))
        }
        _ if AlertsSettings::sends_password_in_the_clear(written) => {
            Err(Fault::new("the password would go over the network in the clear").hint(SERVER))
        }
        _ => Ok(address),
    }
}

fn mailbox(written: &str) -> Result<String, Fault> {
    match written.parse::<lettre::message::Mailbox>() {
        Ok(_) => Ok(written.to_owned()),
        Err(_) => Err(Fault::new(format!("`{written}` is no e-mail address"))
            .hint("`ops@example.com` or `Nightmark <nightmark@example.com>`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_must_not_be_written_out() {
        for (written, sound) in [
            ("smtps://mail.example.com", true),
            ("smtps://nightmark:${SMTP_PASSWORD}@mail.example.com", true),
            ("smtp://nightmark:${file:/run/secrets/smtp}@mail.example.com:587?tls=required", true),
            ("${SMTP_URL}", true),
            ("smtp://localhost:25", true),
            ("smtp://nightmark:${SMTP_PASSWORD}@localhost:25", true),
            ("smtp://nightmark:${SMTP_PASSWORD}@mail.example.com:587", false),
            ("smtp://nightmark:${SMTP_PASSWORD}@localhost.example.com:587", false),
            ("smtp://nightmark:${SMTP_PASSWORD}@mail.example.com:587?tls=opportunistic", false),
            ("smtps://nightmark:hunter2@mail.example.com", false),
            ("smtps://nightmark:${A}x@mail.example.com", false),
            ("https://mail.example.com", false),
            ("mail.example.com", false),
            ("", false),
        ] {
            assert_eq!(server(written).is_ok(), sound, "{written}");
        }
        let fault = server("smtps://nightmark:hunter2@mail.example.com").unwrap_err();
        assert!(!format!("{fault:?}").contains("hunter2"), "{fault:?}");
        assert!(secret_address("https://hooks.example.com/T0/B0").is_err());
        assert!(secret_address("${SLACK_URL}").is_ok());
        assert!(
            mailbox("ops@example.com").is_ok()
                && mailbox("Nightmark <n@example.com>").is_ok()
                && mailbox("ops").is_err()
        );
    }
}
