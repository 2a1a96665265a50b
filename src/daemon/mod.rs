//! What runs unattended: schedules, and the runs that they begin.
//!
//! In: jobs with schedules, the state store, the clock. Out: runs, and the record of every fire ([`crate::store::FireStore`]).
//! Always holds: each fire is run once or said not to be; a daemon is alone in its home folder; nothing here decides what is sent.
//! Deliberately absent: what a run does (`pipeline`); parsing schedules (`job`).
//!
//! Whoever else begins runs comes through the [`door`]; job files that change are followed by [`reload`]; what is told of jobs is a [`timetable`].
//!
//! Of several daemons in a fleet one schedules at a time ([`turns`]), and all deliver what is large ([`helping`]).
//!
//! A fire goes [`fires`] (when) → [`due`] (is it now?) → [`scheduler`] (claim, begin, record) → [`work`] (the run).

pub mod alone;
pub mod decisions;
pub mod door;
pub mod due;
pub mod fires;
pub mod helping;
pub mod holds;
pub mod reload;
pub mod retention;
pub mod scheduler;
pub mod timetable;
pub mod turns;
pub mod work;
