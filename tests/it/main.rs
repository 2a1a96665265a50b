//! The one integration-test binary: every further one would relink everything.

mod commands;
mod crash;
mod delivery;
mod diff_model;
mod direction;
mod duckdb;
mod faults;
mod faulty;
mod file_sources;
mod guide;
mod inspect;
mod job_files;
mod last_night;
mod leftovers;
mod liquid_js;
mod messages;
mod nightly;
mod protocol;
mod receiver;
mod redaction;
mod reference_bodies;
mod snapshot_model;
mod snapshots;
mod store;
mod support;
mod values;
