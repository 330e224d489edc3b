//! The CPU's name and instruction sets, and the time that it gives us, as the system tells them.

use std::time::Duration;

/// The CPU's own name for itself, or its architecture where it cannot be asked.
pub(crate) fn cpu_name() -> String {
    cpu_info("model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

/// The instruction sets that Linux lists, or nothing elsewhere.
pub(crate) fn cpu_flags() -> String {
    cpu_info("flags").or_else(|| cpu_info("Features")).unwrap_or_default()
}

/// A line of the first CPU in Linux' list.
fn cpu_info(key: &str) -> Option<String> {
    let info = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let fields = info.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = { fields }.find(|(name, _)| name.trim() == key)?;
    Some(value.trim().to_owned())
}

/// Maker, family, model and stepping on x86, or implementer and part on ARM.
pub(crate) fn model() -> Option<String> {
    let x86 = || {
        let [maker, family, model, stepping] =
            ["vendor_id", "cpu family", "model", "stepping"].map(cpu_info);
        Some(format!("{} family {} model {} stepping {}", maker?, family?, model?, stepping?))
    };
    let arm = || {
        let [implementer, part] = ["CPU implementer", "CPU part"].map(cpu_info);
        Some(format!("implementer {} part {}", implementer?, part?))
    };
    x86().or_else(arm)
}

/// The version of the CPU's microcode.
pub(crate) fn microcode() -> Option<String> {
    cpu_info("microcode")
}

/// The clock source of Linux.
pub(crate) fn clock_source() -> Option<String> {
    let file = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    Some(std::fs::read_to_string(file).ok()?.trim().to_owned())
}

/// The CPU time that this program has had so far, all threads together.
#[cfg(unix)]
pub(crate) fn time_of_program() -> Option<Duration> {
    use rustix::time::{ClockId, clock_gettime};
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).ok()
}

/// Not told on this system by a library that we have.
#[cfg(not(unix))]
pub(crate) fn time_of_program() -> Option<Duration> {
    None
}

/// How many threads wanted a CPU, on the average of the last minute.
pub(crate) fn load() -> Option<String> {
    let averages = std::fs::read_to_string("/proc/loadavg").ok()?;
    Some(averages.split_whitespace().next()?.to_owned())
}
