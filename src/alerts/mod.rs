//! Speaking up: somebody is told when something is wrong with a job, once, and when it is right again.
//!
//! In: what the state store knows of jobs, the clock. Out: messages to the channels of `[alerts]`.
//! Always holds: what is wrong is found in the state, not in events, so that no restart, kill or lost message hides it; each change of state is told once
//! to each channel (again only if a channel's answer was lost); a message says what happened, what was not sent, and the command to type; no secret stands in one;
//! no run waits for a channel, or fails for it.
//! Deliberately absent: any decision about runs; what is wrong with the daemon itself (docs/METRICS.md, [`ping`]).
//!
//! [`condition`] (what is wrong, pure) → [`watch`] (what is new or over) → [`message`] (in words, pure) → [`line`] (when) → [`channel`]s.

pub mod channel;
pub mod condition;
pub mod email;
pub mod line;
pub mod message;
pub mod ping;
pub mod watch;
pub mod webhook;
