//! Nightmark: nightly org sync without hooks.
//!
//! Each night it pulls one row per org, compares the scoring-relevant columns with what the destination is known to
//! have, and sends one webhook for each org that differs. The modules are listed in the order in which a row travels;
//! docs/ARCHITECTURE.md walks that way.

#![deny(unsafe_code)]
#![warn(missing_docs)]

// First, because its macro is used by the others.
#[macro_use]
mod failpoint;

pub mod job;
pub mod source;

pub mod objects;

pub mod row;

pub mod mapping;

pub mod normalise;

pub mod diff;

pub mod guard;

pub mod snapshot;

pub mod template;

pub mod deliver;

pub mod receipt;

pub mod store;

pub mod pipeline;

pub mod server;

pub mod receiver;

pub mod web;

pub mod alerts;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod doctor;
pub mod export;
pub mod import;
pub mod lease;
pub mod metrics;
pub mod spans;
pub mod telemetry;
