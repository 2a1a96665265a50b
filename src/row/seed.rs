//! The secret that all hashes of a job are made with.

use serde::{Deserialize, Serialize};

/// The key of the hash, drawn at random per job. With a secret key nobody can craft two ids that collide.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HashSeed(pub [u8; 16]);

impl std::fmt::Debug for HashSeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashSeed(…)")
    }
}

impl From<HashSeed> for String {
    fn from(seed: HashSeed) -> String {
        format!("{:032x}", u128::from_be_bytes(seed.0))
    }
}

impl TryFrom<String> for HashSeed {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.len() != 32 {
            return Err("a hash seed has 32 hexadecimal digits".to_owned());
        }
        u128::from_str_radix(&text, 16).map(|n| HashSeed(n.to_be_bytes())).map_err(|e| e.to_string())
    }
}
