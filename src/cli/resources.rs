//! How much of the machine a plan may take: `--memory` and the number of cores.

use crate::pipeline::Resources;
use std::path::Path;

/// Arguments of the commands that compare.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct ResourceArgs {
    /// Memory for the comparison, such as 512M or 4G; what does not fit goes to disk [default: a quarter of the machine's]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub memory: Option<u64>,
}

impl ResourceArgs {
    /// What was asked for, or what the machine has.
    pub fn resources(self) -> Resources {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Resources { memory: self.memory.unwrap_or_else(default_memory), threads }
    }
}

/// A quarter of what the machine, or the control group of a container, has.
pub fn default_memory() -> u64 {
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| total(&text));
    let group = std::fs::read_to_string(Path::new("/sys/fs/cgroup/memory.max")).ok();
    let group = group.and_then(|text| text.trim().parse::<u64>().ok());
    let least = [machine, group].into_iter().flatten().min();
    least.map_or(1 << 30, |bytes| bytes / 4)
}

/// `MemTotal:       24600000 kB`
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// `512M`, `4G`, `900K` or bytes; powers of 1,024.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let shift = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" | "KB" | "KIB" => 10,
        "M" | "MB" | "MIB" => 20,
        "G" | "GB" | "GIB" => 30,
        unit => return Err(format!("`{unit}` is no unit; write 512M or 4G")),
    };
    let number: u64 = digits.parse().map_err(|_| "write a whole number with a unit, such as 512M or 4G".to_owned())?;
    number.checked_mul(1 << shift).filter(|bytes| *bytes > 0).ok_or_else(|| "that is no size".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [("1", 1), ("2K", 2048), ("512M", 512 << 20), ("4g", 4 << 30), ("1GiB", 1 << 30)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "M", "0", "1.5G", "4X", "-1", "99999999999G"] {
            assert!(size(text).is_err(), "{text}");
        }
        assert_eq!(total("MemFree: 1 kB\nMemTotal:       24600000 kB\n"), Some(24_600_000 * 1024));
    }
}
