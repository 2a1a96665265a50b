//! The rate of a backfill: its own, and never above that of the destination. Pure.

use crate::job::spec::{Job, Rate};
use crate::job::units;

/// `20/s`, `600/m`, `1000/h`.
///
/// # Errors
/// Why it is none, with what to write.
pub(super) fn parse(text: &str) -> Result<Rate, String> {
    units::rate(text).map_err(|fault| match fault.hint {
        Some(hint) => format!("{}: {hint}", fault.message),
        None => fault.message,
    })
}

/// Requests a second.
pub(super) fn per_second(text: &str) -> Option<f64> {
    parse(text).ok().map(speed)
}

fn speed(rate: Rate) -> f64 {
    f64::from(rate.quantity) / rate.per.as_secs_f64()
}

/// The job, with this rate if that is slower than its own.
pub(super) fn slower(job: &Job, rate: Option<&str>) -> Job {
    let mut job = job.clone();
    let own = job.destination.rate;
    if let Some(rate) = rate.and_then(|text| parse(text).ok())
        && own.is_none_or(|own| speed(rate) < speed(own))
    {
        job.destination.rate = Some(rate);
    }
    job
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_of_different_units_are_compared() {
        for (text, expected) in [("20/s", 20.0), ("600/m", 10.0), ("3600/h", 1.0)] {
            assert_eq!(per_second(text), Some(expected), "{text}");
        }
        assert_eq!(per_second("20"), None);
        assert!(parse("0/s").unwrap_err().contains("would send nothing"));
        assert!(parse("20").unwrap_err().contains("`50/s`"));
    }
}
