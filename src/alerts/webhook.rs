//! Messages as webhooks with the body of Slack's incoming webhooks: `{"text": …}`, which Mattermost, Rocket.Chat and others take as well.

use super::channel::Channel;
use super::message::Message;
use crate::config::Home;
use crate::job::Secrets;
use crate::job::spec::Templated;
use async_trait::async_trait;
use reqwest::{Client, redirect};
use secrecy::ExposeSecret as _;
use std::time::Duration;

/// The whole request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A chat.
pub struct Webhook {
    url: Templated,
    secrets: Secrets,
}

impl Webhook {
    /// `url`: a reference; what it stands for is looked up for each message, so that it can be changed meanwhile.
    pub fn new(home: &Home, url: Templated) -> Self {
        Webhook { url, secrets: Secrets::new(home) }
    }
}

/// A client of its own for few requests. Follows nothing, and takes no proxy from the environment.
pub(super) fn client(url: &str) -> Result<Client, String> {
    // A second call finds the provider in place, which is what it wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder().redirect(redirect::Policy::none()).referer(false).no_proxy().timeout(TIMEOUT);
    // No certificate will be looked at: a machine without a trust store can do this too.
    let builder = if url.starts_with("http://") { builder.tls_certs_only(std::iter::empty()) } else { builder };
    builder.build().map_err(|_| "an HTTP client cannot be made; are the system's certificates there?".to_owned())
}

/// What a failed request is called: the library's own words show the address.
pub(super) fn failure(error: &reqwest::Error) -> String {
    let what = match () {
        () if error.is_builder() => "the address is none",
        () if error.is_timeout() => "no answer within 10 s",
        () if error.is_connect() => "no connection",
        () => "the request broke off",
    };
    what.to_owned()
}

#[async_trait]
impl Channel for Webhook {
    fn name(&self) -> &'static str {
        "webhook"
    }

    async fn send(&self, message: &Message) -> Result<(), String> {
        let url = self.secrets.resolve("alerts.webhook", &self.url).map_err(|error| error.to_string())?;
        let body = serde_json::json!({ "text": escaped(&message.text()) }).to_string();
        let request = client(url.expose_secret())?
            .post(url.expose_secret())
            .header("content-type", "application/json")
            .body(body);
        let answer = request.send().await.map_err(|error| failure(&error))?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(format!("HTTP {}", status.as_u16())),
        }
    }
}

/// What stands in angle brackets is a link or calls everybody to the channel: no text from outside does.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_called_by_what_a_message_repeats() {
        assert_eq!(escaped("a <!channel> & <http://x|y>"), "a &lt;!channel&gt; &amp; &lt;http://x|y&gt;");
    }
}
