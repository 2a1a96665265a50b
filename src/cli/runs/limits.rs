//! What delivery said of the destination's limits, as lines.

use crate::cli::report::{grouped, plural};
use crate::deliver::LimitsReport;
use serde_json::Value;

/// `report`: as [`RunRecord::report`](crate::store::RunRecord::report) has it. A report of another version gives no lines.
pub fn lines(report: &Value) -> Vec<String> {
    let limits = report.get("limits").cloned().and_then(|limits| serde_json::from_value::<LimitsReport>(limits).ok());
    let Some(limits) = limits else { return Vec::new() };
    let attempts = &limits.attempts;
    let made = attempts.acknowledged + attempts.refused + attempts.unknown + attempts.retry + attempts.config_fault;
    if made == 0 {
        return Vec::new();
    }
    let mut lines = vec![
        format!(
            "Requests   {} made, {} of them retries ({} waited for the retry budget)",
            grouped(made),
            grouped(limits.retries),
            grouped(limits.retries_held)
        ),
        format!(
            "           {} acknowledged, {} refused, {} unknown, {} to be repeated, {} in the set-up",
            grouped(attempts.acknowledged),
            grouped(attempts.refused),
            grouped(attempts.unknown),
            grouped(attempts.retry),
            plural(attempts.config_fault, "mistake")
        ),
        format!(
            "Latency    {} ms half of them, {} ms 95 %, {} ms the longest",
            short(limits.latency_ms.p50),
            short(limits.latency_ms.p95),
            short(limits.latency_ms.max)
        ),
    ];
    let of = &limits.concurrency;
    let rate = limits.rate.map_or_else(String::new, |rate| format!(", at most {} a second", short(rate)));
    lines.push(format!("Limits     {} of {} in flight at the end, {} at the least{rate}", of.now, of.max, of.smallest));
    if limits.breaker.opened > 0 {
        let state = limits.breaker.state.replace('_', "-");
        lines.push(format!("           circuit breaker opened {} times, {state} at the end", limits.breaker.opened));
    }
    if limits.paused_seconds > 0.0 {
        lines.push(format!("           paused for {} s, as the destination asked", short(limits.paused_seconds)));
    }
    lines
}

/// At most three digits after the point, and no more than say something.
fn short(number: f64) -> String {
    let text = if number >= 10.0 { format!("{number:.0}") } else { format!("{number:.2}") };
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::{AttemptsReport, BreakerReport};
    use serde_json::json;

    #[test]
    fn only_what_happened_is_told() {
        let attempts = AttemptsReport { acknowledged: 1200, retry: 3, ..AttemptsReport::default() };
        let mut limits = LimitsReport { attempts, retries: 3, ..LimitsReport::default() };
        let told = |limits: &LimitsReport| lines(&json!({ "limits": limits })).join("\n");
        assert!(told(&limits).contains("1,203 made, 3 of them retries"), "{}", told(&limits));
        assert!(!told(&limits).contains("breaker") && !told(&limits).contains("paused"), "{}", told(&limits));
        limits.breaker = BreakerReport { state: "half_open".to_owned(), opened: 2 };
        limits.paused_seconds = 12.5;
        assert!(told(&limits).contains("circuit breaker opened 2 times, half-open"), "{}", told(&limits));
        assert!(told(&limits).contains("paused for 12 s"), "{}", told(&limits));
        assert_eq!(lines(&json!({ "limits": null })), Vec::<String>::new());
        assert_eq!(lines(&json!({ "limits": LimitsReport::default() })), Vec::<String>::new());
    }

    #[test]
    fn numbers_are_short() {
        for (number, text) in [(0.0, "0"), (0.126, "0.13"), (1.5, "1.5"), (9.0, "9"), (1234.4, "1234")] {
            assert_eq!(short(number), text);
        }
    }
}
