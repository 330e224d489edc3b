//! The CPU's name and instruction sets, as the system tells them.

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
    let (_, value) = info.lines().find_map(|line| line.strip_prefix(key)?.split_once(':'))?;
    Some(value.trim().to_owned())
}
