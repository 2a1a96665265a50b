//! Where messages go.

use super::message::Message;
use async_trait::async_trait;

/// A way to people.
#[async_trait]
pub trait Channel: Send + Sync {
    /// What it is called in the state store and the log.
    fn name(&self) -> &'static str;
    /// Sends a message, and returns once it was taken over.
    ///
    /// # Errors
    /// Why it was not, in words without secrets: it is tried again.
    async fn send(&self, message: &Message) -> Result<(), String>;
}
