//! What runs unattended: schedules, and the runs that they begin.
//!
//! In: jobs with schedules, the state store, the clock. Out: runs, and the record of every fire ([`crate::store::FireStore`]).
//! Always holds: each fire is run once or said not to be; a daemon is alone in its home folder; nothing here decides what is sent.
//! Deliberately absent: what a run does (`pipeline`); parsing schedules (`job`).
//!
//! A fire goes [`fires`] (when) → [`due`] (is it now?) → [`scheduler`] (claim, begin, record) → [`work`] (the run).

pub mod alone;
pub mod due;
pub mod fires;
pub mod holds;
pub mod retention;
pub mod scheduler;
pub mod work;
