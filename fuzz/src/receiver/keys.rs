//! Of `src/receiver/keys`, the texts.

#[path = "../../../src/receiver/keys/text.rs"]
mod text;

pub use text::{Shape, shape};

/// The key of 256 bits.
pub fn made(bits: [u8; 32]) -> String {
    text::text(text::KEY_MARK, bits)
}
