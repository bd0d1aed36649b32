//! What the machine has, where a default depends on it.

/// What this process may use of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// Most open files of the process.
    pub files: u64,
    /// Memory, in bytes: the machine's, or what a container may have of it.
    pub memory_bytes: u64,
}

impl Machine {
    /// Asks the operating system. Raise the file limit before, if at all.
    pub fn of_this_process() -> Self {
        let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let machine = meminfo_bytes(&read("/proc/meminfo")).unwrap_or(MEMORY_UNKNOWN);
        let container = read("/sys/fs/cgroup/memory.max").trim().parse().unwrap_or(u64::MAX);
        Self { files: files.unwrap_or(u64::MAX), memory_bytes: machine.min(container) }
    }

    /// TOTAL: 90 % of the file limit; the largest number would be none.
    pub(super) fn total(self) -> u64 {
        (self.files / 10 * 9 + self.files % 10 * 9 / 10).clamp(1, u64::from(u32::MAX) - 1)
    }

    /// MEMORY: half of what there is.
    pub(super) fn memory(self) -> u64 {
        (self.memory_bytes / 2).max(1)
    }
}

fn meminfo_bytes(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1_024)
}

/// Where the operating system does not tell.
const MEMORY_UNKNOWN: u64 = 2 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_shares_of_what_there_is() {
        let machine = Machine { files: 20_000, memory_bytes: 8 << 30 };
        assert_eq!((machine.total(), machine.memory()), (18_000, 4 << 30));
        let endless = Machine { files: u64::MAX, memory_bytes: u64::MAX };
        assert_eq!((endless.total(), endless.memory()), (u64::from(u32::MAX) - 1, u64::MAX / 2));
        let nothing = Machine { files: 1, memory_bytes: 1 };
        assert_eq!((nothing.total(), nothing.memory()), (1, 1));
    }

    #[test]
    fn memory_is_read_from_proc() {
        assert_eq!(meminfo_bytes("MemTotal:        8039120 kB\nMemFree:  1 kB\n"), Some(8_039_120 * 1_024));
        assert_eq!(meminfo_bytes("MemFree: 1 kB\n"), None);
        assert_eq!(meminfo_bytes(""), None);
    }

    #[test]
    fn this_process_has_files_and_memory() {
        let machine = Machine::of_this_process();
        assert!(machine.files > 2 && machine.memory_bytes > 1 << 20, "{machine:?}");
    }
}
