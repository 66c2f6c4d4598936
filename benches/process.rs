//! What the system tells of a process that is measured. Linux alone tells it: elsewhere a figure is 0.

/// The figure `name` of `/proc/PID/status` (proc(5)), in KiB: `VmRSS` is the memory in use, `VmHWM` the most that was.
pub fn memory(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let figure =
        status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.trim().strip_suffix(" kB")?.trim().parse().ok());
    figure.unwrap_or(0)
}
