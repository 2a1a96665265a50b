//! What operators see of a process: logs, metrics and traces.
//!
//! In: a filter and a format; what [`Metrics`](crate::metrics::Metrics) is told; the state store. Out: lines on stderr, so that stdout stays for
//! results; the text of `/metrics`; spans for a collector.
//! Always holds: no URL, header value or body is logged anywhere in the crate; what identifies a destination in a log or a metric is the
//! job's name. What the store knows is told from the store, so that it is right also right after a start.
//! Deliberately absent: who may read the metrics (`web`); alerts.

mod logs;
pub mod prometheus;
mod traces;

pub use logs::init;
pub use traces::Traces;
