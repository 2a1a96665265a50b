//! Messages as e-mail, by SMTP.

use super::channel::Channel;
use super::message::Message;
use crate::config::{AlertsSettings, EmailSettings, Home};
use crate::job::Secrets;
use async_trait::async_trait;
use lettre::message::Mailbox;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::transport::smtp::Error;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message as Mail, Tokio1Executor};
use secrecy::ExposeSecret as _;
use std::io;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(20);

/// Mailboxes of people.
pub struct Email {
    settings: EmailSettings,
    secrets: Secrets,
}

impl Email {
    /// The password is looked up for each message.
    pub fn new(home: &Home, settings: EmailSettings) -> Self {
        Email { settings, secrets: Secrets::new(home) }
    }

    fn mail(&self, message: &Message) -> Result<Mail, String> {
        let mailbox = |address: &String| address.parse::<Mailbox>().map_err(|error| format!("`{address}`: {error}"));
        let mut mail = Mail::builder()
            .from(mailbox(&self.settings.from)?)
            .message_id(None)
            // No out-of-office note comes back.
            .header(AutoSubmitted)
            .subject(&message.subject)
            .header(ContentType::TEXT_PLAIN);
        for to in &self.settings.to {
            mail = mail.to(mailbox(to)?);
        }
        mail.body(message.body.clone()).map_err(|error| error.to_string())
    }
}

/// The settings are looked at for it when they are read; an address that is a reference as a whole is not known before.
fn refuse_plain_password(url: &str) -> Result<(), String> {
    match AlertsSettings::sends_password_in_the_clear(url) {
        true => {
            Err("alerts.email.server would send the password in the clear: `smtps://…`, or `smtp://…?tls=required`"
                .to_owned())
        }
        false => Ok(()),
    }
}

#[async_trait]
impl Channel for Email {
    fn name(&self) -> &'static str {
        "email"
    }

    async fn send(&self, message: &Message) -> Result<(), String> {
        let url =
            self.secrets.resolve("alerts.email.server", &self.settings.server).map_err(|error| error.to_string())?;
        let url = url.expose_secret();
        refuse_plain_password(url)?;
        // The library's words may show the address, and a password stands in it.
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)
            .map_err(|_| "alerts.email.server is no address of an SMTP server".to_owned())?
            .timeout(Some(TIMEOUT))
            .build();
        transport.send(self.mail(message)?).await.map(drop).map_err(|error| failure(&error))
    }
}

/// RFC 3834.
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(AutoSubmitted)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// What is below the library's error: of the system or of TLS, which know nothing of users and passwords.
fn cause(error: &Error) -> Option<&io::Error> {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error);
        }
        source = error.source();
    }
    None
}

fn failure(error: &Error) -> String {
    let cause = cause(error);
    let code = error.status().map(|code| format!(" (SMTP {code})"));
    let code = code.or_else(|| cause.map(|cause| format!(" ({cause})"))).unwrap_or_default();
    let is_tls = cause.and_then(io::Error::get_ref).is_some_and(|inner| inner.is::<rustls::Error>());
    let what = match () {
        () if is_tls => "TLS cannot be agreed on, or the server's certificate is not trusted",
        () if error.is_timeout() => "no answer within 20 s",
        () if error.is_tls() => "TLS cannot be agreed on, or the server's certificate is not trusted",
        () if error.is_permanent() => "the server refuses the message, or the user and password",
        () if error.is_transient() => "the server takes nothing for now",
        () if error.is_response() => "the server answers something else than SMTP",
        () => "no connection",
    };
    format!("{what}{code}")
}
