//! What runs unattended: schedules, and what they start.
//!
//! Deliberately absent: what a run does (`pipeline`), who is told (`telemetry`).

pub mod due;
pub mod fires;
