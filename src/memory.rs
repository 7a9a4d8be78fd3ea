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

/// A field of `/proc/self/status`, which counts in KiB; other systems have no such file.
fn field(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}
