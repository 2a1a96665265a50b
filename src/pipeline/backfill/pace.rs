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
    use std::path::Path;

    #[test]
    fn a_backfill_is_never_faster_than_its_destination() {
        let text = "version = 1\n[source]\nkind = \"files\"\npath = \"a.csv\"\n[diff]\nkey = \"id\"\n[destination]\nkind = \"http\"\nurl = \"http://127.0.0.1/\"\n\
                    rate = \"600/m\"\n[payload]\npreset = \"flat\"\n";
        let own = crate::job::parse(text, Path::new("a.toml"), Path::new("/home")).unwrap();
        for (rate, expected) in [(None, 10.0), (Some("20/s"), 10.0), (Some("36000/h"), 10.0), (Some("5/s"), 5.0)] {
            assert_eq!(slower(&own, rate).destination.rate.map(speed), Some(expected), "{rate:?}");
        }
        let mut free = own;
        free.destination.rate = None;
        assert_eq!(slower(&free, Some("20/s")).destination.rate.map(speed), Some(20.0));
        assert_eq!(slower(&free, None).destination.rate, None);
    }

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
