//! What the system says a process cost.

use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::thread::{CpuSet, sched_setaffinity};

/// An echo server in a process of its own, which ends with this.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

/// A count of system calls that is under way.
#[derive(Debug)]
pub struct SystemCalls(Option<Child>);

impl Server {
    /// Starts the program `echo-server` with this server in it, on the first processor.
    ///
    /// # Errors
    /// What the system says.
    pub fn start(program: &Path, name: &str) -> io::Result<Self> {
        let mut child = Command::new(program).args([name, SERVER_CPU]).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        // As an address, or as the URL of a WebSocket.
        match line.trim().trim_start_matches("ws://").trim_end_matches('/').parse() {
            Ok(address) => Ok(Self { child, address }),
            Err(_) => Err(io::Error::other(format!("{name} did not start"))),
        }
    }

    /// Processor time so far, over all threads.
    ///
    /// # Errors
    /// What the system says, if the process is gone.
    pub fn cpu_time(&self) -> io::Result<Duration> {
        let mut time = 0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
            time += text.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or_default();
        }
        Ok(Duration::from_nanos(time))
    }

    /// Resident memory, in bytes.
    ///
    /// # Errors
    /// What the system says, if the process is gone.
    pub fn resident_bytes(&self) -> io::Result<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
        kib.map(|kib| kib * 1_024).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Begins to count system calls, where `perf` is there and may.
    pub fn count_system_calls(&self) -> SystemCalls {
        let perf = Command::new("perf")
            .args(["stat", "-x,", "-e", "raw_syscalls:sys_enter", "-p", &self.child.id().to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        // It needs a moment to attach.
        std::thread::sleep(Duration::from_millis(300));
        SystemCalls(perf.ok())
    }
}

impl SystemCalls {
    /// How many there were.
    pub fn end(self) -> Option<u64> {
        let mut perf = self.0?;
        rustix::process::kill_process(rustix::process::Pid::from_child(&perf), rustix::process::Signal::INT).ok()?;
        let mut text = String::new();
        perf.stderr.take()?.read_to_string(&mut text).ok()?;
        perf.wait().ok()?;
        text.lines().find_map(|line| line.split(',').next()?.parse().ok())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Has this process run on one processor only.
///
/// # Errors
/// If there is no such processor.
pub fn pin(cpu: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu);
    Ok(sched_setaffinity(None, &set)?)
}

const SERVER_CPU: &str = "0";
