//! How much memory the process holds, where the system tells.

/// Bytes resident now.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    field("VmRSS:")
}

/// Most bytes ever resident.
#[must_use]
pub fn peak_bytes() -> Option<u64> {
    field("VmHWM:")
}

/// Bytes that can still be had, by the system and by the limit of the control group.
#[must_use]
pub fn available_bytes() -> Option<u64> {
    let system = field_of("/proc/meminfo", "MemAvailable:")?;
    let number = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let group = number("/sys/fs/cgroup/memory.max").map(|most| {
        most.saturating_sub(number("/sys/fs/cgroup/memory.current").unwrap_or_default())
    });
    Some(group.map_or(system, |group| group.min(system)))
}

fn field(name: &str) -> Option<u64> {
    field_of("/proc/self/status", name)
}

/// A field of a file that counts in KiB; other systems have no such files.
fn field_of(path: &str, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(path).ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}
