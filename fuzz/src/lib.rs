//! What the fuzz targets call. The modules of the main crate that are fuzzed are included here by their path, so that they
//! are built without the rest of it; `receiver.rs` stands in for what they take from there. Each target is a function of
//! bytes, so that a test can give it a crash again without a fuzzer.

#[path = "../../src/mapping/mod.rs"]
#[allow(dead_code, reason = "the targets do not call all of it")]
pub mod mapping;
#[allow(dead_code, reason = "the targets do not call all of it")]
mod receiver;

/// In the place of `src/server`, of which `receiver` needs to know when time is up: here it never is.
mod server {
    pub struct Late;

    impl Late {
        pub fn is_cause_of(_: &(dyn std::error::Error + 'static)) -> bool {
            false
        }
    }
}

/// In the place of `src/store`: what the store has of a key.
mod store {
    pub type Hash = [u8; 32];
}

pub mod body;
pub mod key;
pub mod template;
